import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  bracketHost,
  parseSipUri,
  SipSyntaxError,
  type SipUri,
  tryParseSipUri,
  uriParam,
  uriScheme,
  uriUser,
} from "../../src/sip/index.ts";

const plain: SipUri = { scheme: "sip", user: undefined, host: "", port: undefined, params: "", headers: "" };

describe("SIP and SIPS URIs, RFC 3261 §19.1", () => {
  const cases: readonly (readonly [string, Partial<SipUri>])[] = [
    ["sip:alice@atlanta.com", { user: "alice", host: "atlanta.com" }],
    ["sip:alice:secretword@atlanta.com;transport=tcp", { user: "alice:secretword", host: "atlanta.com", params: ";transport=tcp" }],
    [
      "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
      { scheme: "sips", user: "alice", host: "atlanta.com", headers: "?subject=project%20x&priority=urgent" },
    ],
    ["sip:+1-212-555-1212:1234@gateway.com;user=phone", { user: "+1-212-555-1212:1234", host: "gateway.com", params: ";user=phone" }],
    ["sips:1212@gateway.com", { scheme: "sips", user: "1212", host: "gateway.com" }],
    ["sip:alice@192.0.2.4", { user: "alice", host: "192.0.2.4" }],
    [
      "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
      { host: "atlanta.com", params: ";method=REGISTER", headers: "?to=alice%40atlanta.com" },
    ],
    ["sip:alice;day=tuesday@atlanta.com", { user: "alice;day=tuesday", host: "atlanta.com" }],
    ["SIP:Alice@AtLanTa.CoM;Transport=udp", { user: "Alice", host: "atlanta.com", params: ";Transport=udp" }],
    ["sip:%61lice@atlanta.com", { user: "%61lice", host: "atlanta.com" }],
    ["sip:192.0.2.4:5061;lr", { host: "192.0.2.4", port: 5061, params: ";lr" }],
    ["sip:a?b@example.com", { user: "a?b", host: "example.com" }],
    ["sip:[2001:db8::10]", { host: "2001:db8::10" }],
    ["sip:user@[2001:DB8::10]:5070;lr?a=b", { user: "user", host: "2001:db8::10", port: 5070, params: ";lr", headers: "?a=b" }],
    ["sip:[::ffff:192.0.2.2]", { host: "::ffff:192.0.2.2" }],
    ["sip:media_server-1:5060", { host: "media_server-1", port: 5060 }],
    ["sip:host:005060", { host: "host", port: 5060 }],
    ["sip:example.com?a=b", { host: "example.com", headers: "?a=b" }],
    ["sip:null-%00-null@example.com", { user: "null-%00-null", host: "example.com" }],
  ];
  for (const [text, want] of cases) {
    it(`reads ${text}`, () => assert.deepEqual(parseSipUri(text), { ...plain, ...want }));
  }

  const refused = [
    "",
    "sip",
    "sip:",
    "sips:",
    "tel:+1-212-555-1212",
    "http://example.com",
    "sipx:example.com",
    ":a@b",
    "sip:@example.com",
    "sip::secret@example.com",
    "sip:a@",
    "sip:a@@example.com",
    "sip:a@b@example.com",
    "sip:a b@example.com",
    "sip:a@exam ple.com",
    "sip:a@example.com ",
    " sip:a@example.com",
    "sip:a@example.com:",
    "sip:a@example.com:0",
    "sip:a@example.com:65536",
    "sip:a@example.com:-1",
    "sip:a@example.com:5060x",
    "sip:a@example.com/path",
    "sip:a@2001:db8::10",
    "sip:a@[2001:db8::10",
    "sip:a@2001:db8::10]",
    "sip:a@[]",
    "sip:a@[1]",
    "sip:a@[2001:db8::zz]",
    "sip:a@[2001:db8::1%25eth0]",
    `sip:a@[${"1:".repeat(30)}:]`,
    "sip:a@[::1]x",
    "sip:a@.example.com",
    "sip:a@-example.com",
    `sip:a@${"a".repeat(256)}`,
    "sip:a@host;x=<y>",
    'sip:a@host;x="y"',
    "sip:a@host;x,y",
    "sip:a@host\r\n",
    "sip:a\0@host",
    "sip:a@h\xf6st",
    "<sip:a@host>",
    "*",
  ];
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text.slice(0, 60))}`, () => {
      assert.equal(tryParseSipUri(text), undefined);
      assert.throws(() => parseSipUri(text), SipSyntaxError);
    });
  }

  it("says what was wanted, and does not repeat kilobytes of what came", () => {
    assert.throws(() => parseSipUri("tel:1"), { message: 'Cannot parse SIP URI "tel:1": want a URI such as "sip:user@host:5060;lr"' });
    assert.throws(
      () => parseSipUri(`sip:${" ".repeat(5_000)}`),
      (error: Error) => error.message.length < 250,
    );
  });
});

describe("uriParam()", () => {
  it("finds parameters by name in any case, without value as the empty string", () => {
    const uri = parseSipUri("sip:192.0.2.1;lr;DID=4a1.c3;x=%20;did=second");
    const cases: readonly (readonly [string, string | undefined])[] = [
      ["lr", ""],
      ["LR", ""],
      ["did", "4a1.c3"],
      ["x", "%20"],
      ["l", undefined],
      ["transport", undefined],
      ["__proto__", undefined],
      ["constructor", undefined],
      ["", undefined],
    ];
    for (const [name, want] of cases) {
      assert.equal(uriParam(uri, name), want, name);
      assert.equal(uriParam(uri.params, name), want, name);
    }
  });
});

describe("parts of URIs", () => {
  it("scheme of any URI, in lower case", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["sip:a@b", "sip"],
      ["SIPS:a@b", "sips"],
      ["Tel:+1", "tel"],
      ["soap.beep://x", "soap.beep"],
      ["nobodyKnowsThisScheme:totallyopaquecontent", "nobodyknowsthisscheme"],
      ["a", ""],
      [":a", ""],
      ["1a:b", ""],
      ["a b:c", ""],
      ["", ""],
    ];
    for (const [text, want] of cases) assert.equal(uriScheme(text), want, text);
  });
  it("user without its password", () => {
    assert.equal(uriUser(parseSipUri("sip:alice:secret@host")), "alice");
    assert.equal(uriUser(parseSipUri("sip:alice@host")), "alice");
    assert.equal(uriUser(parseSipUri("sip:host")), undefined);
  });
  it("host with the brackets that an IPv6 address needs", () => {
    assert.equal(bracketHost("2001:db8::1"), "[2001:db8::1]");
    assert.equal(bracketHost("192.0.2.1"), "192.0.2.1");
  });
});
