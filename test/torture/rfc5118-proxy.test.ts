import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H } from "../../src/sip/index.ts";
import { request } from "../sip/messages.ts";
import { headersOf } from "../support/sip-messages.ts";
import { messageOf, messagesOf } from "./fixtures.ts";
import { assertAnswered, assertForwardedAsIs, passed, SOURCE6 } from "./through-proxy.ts";

/** What a proxy has to do, and what the RFC says of it. The messages come from an address of IPv6 and go on to one of IPv4. */
const CASES: readonly (readonly [name: string, what: "forwarded" | number, says: string])[] = [
  ["ipv6-good", "forwarded", "4.1: well formed"],
  ["ipv6-bad", 400, "4.2: should respond with a 400, as the brackets are missing"],
  ["port-ambiguous", "forwarded", "4.3: well formed, whatever it was to mean"],
  ["port-unambiguous", "forwarded", "4.4: well formed"],
  ["via-received-param-with-delim", 481, "4.5: must go on in spite of the brackets in received; the BYE is of no call here"],
  ["via-received-param-no-delim", "forwarded", "4.5: well formed"],
  ["ipv6-in-sdp", 400, "4.6: well formed, but its Content-Length is larger than what it prints (RFC 3261 §18.3)"],
  ["mult-ip-in-header", 481, "4.7: well formed; the BYE is of no call here"],
  ["mult-ip-in-sdp", "forwarded", "4.8: well formed"],
  ["ipv4-mapped-ipv6", "forwarded", "4.9: well formed"],
  ["ipv6-bug-abnf-3-colons", "forwarded", "4.10: may be parsed and forwarded all the same"],
  ["ipv6-correct-abnf-2-colons", "forwarded", "4.10: well formed"],
];

describe("a message of RFC 5118 at the proxy", () => {
  for (const [name, what, says] of CASES) {
    it(`${name} is ${typeof what === "number" ? `answered ${what}` : what} (${says})`, () => {
      const text = messageOf("rfc5118", name);
      const passage = passed(text, SOURCE6);
      if (what === "forwarded") assertForwardedAsIs(text, passage);
      else assertAnswered(text, what, passage, SOURCE6);
    });
  }

  it("ipv6-in-sdp with a true Content-Length passes, its addresses without brackets", () => {
    const text = messageOf("rfc5118", "ipv6-in-sdp").replace("Content-Length: 268", "Content-Length: 242");
    const passage = passed(text, "2001:db8::20");
    assertForwardedAsIs(text, passage);
    assert.match(request(passage.forwarded[0]!).body, /^c=IN IP6 2001:db8::20$/m);
  });

  it("mult-ip-in-header goes back by the first of its Vias, with all three", () => {
    const text = messageOf("rfc5118", "mult-ip-in-header");
    const { answers } = passed(text, SOURCE6);
    assert.equal(answers[0]!.to.port, 6050);
    assert.equal(headersOf(answers[0]!.text, "Via").length, 3);
  });

  it("ipv4-mapped-ipv6: the port behind the brackets is where answers go", () => {
    const text = messageOf("rfc5118", "ipv4-mapped-ipv6");
    const { net, forwarded } = passed(text, SOURCE6);
    assert.equal(net.sent[0]!.to.port, 19_823);
    assert.equal(request(forwarded[0]!).list(H.Via).length, 3);
    assert.match(headersOf(forwarded[0]!, "Via")[1]!, /;received=2001:db8::9:1$/);
    net.finish();
  });

  it("every message is in one of these tests", () => {
    assert.deepEqual(CASES.map(([name]) => name).sort(), [...messagesOf("rfc5118").keys()].sort());
  });
});
