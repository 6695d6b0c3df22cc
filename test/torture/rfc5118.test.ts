import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H, MessageEdit, parseNameAddr, tryParseSipUri } from "../../src/sip/index.ts";
import { fault, message, request, response } from "../sip/messages.ts";

function register(uri: string, via: string, contact = "<sip:user@[2001:db8::1]>"): string {
  return message([
    `REGISTER ${uri} SIP/2.0`,
    "To: sip:user@example.com",
    "From: sip:user@example.com;tag=81x2",
    `Via: ${via}`,
    "Call-ID: 98asdh-2.12b0@[2001:db8::1]",
    "Max-Forwards: 70",
    "CSeq: 98176 REGISTER",
    `Contact: ${contact}`,
    "Content-Length: 0",
  ]);
}

const VIA = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111";

describe("IPv6 messages, in the manner of RFC 5118 §4", () => {
  it("4.1 an IPv6 reference in Request-URI, Via and Contact", () => {
    const parsed = request(register("sip:[2001:db8::10]", VIA));
    assert.equal(tryParseSipUri(parsed.uri)?.host, "2001:db8::10");
    assert.equal(parsed.topVia.host, "2001:db8::9:1");
    assert.equal(parsed.topVia.sentBy, "[2001:db8::9:1]");
    assert.equal(parsed.callId, "98asdh-2.12b0@[2001:db8::1]");
  });

  it("4.2 an IPv6 address without brackets in a Request-URI is no SIP URI", () => {
    assert.equal(tryParseSipUri(request(register("sip:2001:db8::10", VIA)).uri), undefined);
  });

  it("4.3 port ambiguous: within the brackets it is part of the address", () => {
    assert.deepEqual(tryParseSipUri("sip:[2001:db8::10:5070]"), {
      scheme: "sip",
      user: undefined,
      host: "2001:db8::10:5070",
      port: undefined,
      params: "",
      headers: "",
    });
  });

  it("4.4 port unambiguous: behind the brackets it is the port", () => {
    const uri = tryParseSipUri("sip:[2001:db8::10]:5070");
    assert.equal(uri?.host, "2001:db8::10");
    assert.equal(uri?.port, 5070);
  });

  it("4.5 received with and without brackets", () => {
    for (const received of ["[2001:db8::9:255]", "2001:db8::9:255"]) {
      const parsed = request(register("sip:[2001:db8::10]", `SIP/2.0/UDP [2001:db8::9:1];received=${received};branch=z9hG4bKas3-111`));
      assert.equal(parsed.topVia.received, "2001:db8::9:255");
      assert.equal(parsed.topVia.branch, "z9hG4bKas3-111");
    }
  });

  it("4.6 and 4.7 IPv6 addresses in a body pass as they are, without brackets", () => {
    const body = "v=0\r\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\r\nc=IN IP6 2001:db8::20\r\n";
    const text = register("sip:[2001:db8::10]", VIA).replace("Content-Length: 0\r\n\r\n", `Content-Length: ${body.length}\r\n\r\n${body}`);
    assert.equal(request(text).body, body);
    assert.ok(new MessageEdit(request(text)).prependVia(VIA).toString().endsWith(body));
  });

  it("4.8 several Vias, of IPv4 and IPv6", () => {
    const text = register(
      "sip:[2001:db8::10]",
      `${VIA}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK2, SIP/2.0/TCP [2001:db8::a]:6060;branch=z9hG4bK3`,
    );
    const parsed = request(new MessageEdit(request(text)).removeTopVia().toString());
    assert.equal(parsed.topVia.sentBy, "192.0.2.1:5060");
    const last = request(new MessageEdit(parsed).removeTopVia().toString());
    assert.equal(last.topVia.sentBy, "[2001:db8::a]:6060");
    assert.equal(last.topVia.port, 6060);
  });

  it("4.9 an IPv4-mapped IPv6 address", () => {
    assert.equal(tryParseSipUri("sip:user@[::ffff:192.0.2.10]:5060")?.host, "::ffff:192.0.2.10");
    assert.equal(request(register("sip:[::ffff:192.0.2.10]", "SIP/2.0/UDP [::ffff:192.0.2.2]:19823;branch=z9hG4bK1")).topVia.port, 19_823);
  });

  it("4.10 three colons, which the grammar of RFC 3261 made some elements send, are let through", () => {
    assert.equal(tryParseSipUri("sip:user@[2001:db8:::192.0.2.1]")?.host, "2001:db8:::192.0.2.1");
    assert.equal(parseNameAddr("<sip:user@[2001:db8:::192.0.2.1]>").uri, "sip:user@[2001:db8:::192.0.2.1]");
  });

  it("a Via with an IPv6 address without brackets, or with half of them, is refused", () => {
    for (const host of ["2001:db8::9:1", "[2001:db8::9:1", "2001:db8::9:1]", "[]", "[::g]", "[::1]5060"]) {
      assert.equal(fault(register("sip:[2001:db8::10]", `SIP/2.0/UDP ${host};branch=z9hG4bK1`)), "bad-via 400", host);
    }
  });

  it("a response with IPv6 addresses all over", () => {
    const text = register("sip:[2001:db8::10]", VIA).replace("REGISTER sip:[2001:db8::10] SIP/2.0", "SIP/2.0 200 OK");
    assert.deepEqual(response(text).list(H.Contact), ["<sip:user@[2001:db8::1]>"]);
  });
});
