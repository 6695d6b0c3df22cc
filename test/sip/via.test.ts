import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseVia, SipSyntaxError, type Via, viaParam } from "../../src/sip/index.ts";

const plain: Via = {
  transport: "UDP",
  host: "",
  port: undefined,
  branch: "",
  received: undefined,
  rport: undefined,
  hasRport: false,
  sentBy: "",
  params: "",
};

describe("Via, RFC 3261 §20.42", () => {
  const cases: readonly (readonly [string, Partial<Via>])[] = [
    [
      "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7",
      {
        host: "erlang.bell-telephone.com",
        port: 5060,
        branch: "z9hG4bK87asdks7",
        sentBy: "erlang.bell-telephone.com:5060",
        params: ";branch=z9hG4bK87asdks7",
      },
    ],
    [
      "SIP/2.0/UDP 192.0.2.1:5060 ;received=192.0.2.207;branch=z9hG4bK77asjd",
      {
        host: "192.0.2.1",
        port: 5060,
        branch: "z9hG4bK77asjd",
        received: "192.0.2.207",
        sentBy: "192.0.2.1:5060",
        params: ";received=192.0.2.207;branch=z9hG4bK77asjd",
      },
    ],
    [
      "SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
      {
        host: "first.example.com",
        port: 4000,
        branch: "z9hG4bKa7c6a8dlze.1",
        sentBy: "first.example.com:4000",
        params: ";ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
      },
    ],
    ["sip/2.0/tcp EXAMPLE.com", { transport: "TCP", host: "example.com", sentBy: "example.com" }],
    ["SIP/2.0/TLS-SCTP a:1", { transport: "TLS-SCTP", host: "a", port: 1, sentBy: "a:1" }],
    ["SIP/2.0/UNKNOWN a", { transport: "UNKNOWN", host: "a", sentBy: "a" }],
    ["SIP/2.0/UDP a;rport", { host: "a", hasRport: true, sentBy: "a", params: ";rport" }],
    [
      "SIP/2.0/UDP a;RPORT=1066;Branch=X",
      { host: "a", rport: 1066, hasRport: true, branch: "X", sentBy: "a", params: ";RPORT=1066;Branch=X" },
    ],
    ["SIP/2.0/UDP a;rport ;branch=b", { host: "a", hasRport: true, branch: "b", sentBy: "a", params: ";rport ;branch=b" }],
    ["SIP/2.0/UDP a;branch=first;branch=second", { host: "a", branch: "first", sentBy: "a", params: ";branch=first;branch=second" }],
    ["SIP/2.0/UDP a;branch", { host: "a", sentBy: "a", params: ";branch" }],
    ['SIP/2.0/UDP a;branch=b;x="y;z,"', { host: "a", branch: "b", sentBy: "a", params: ';branch=b;x="y;z,"' }],
    [
      "SIP/2.0/UDP [2001:DB8::9:1]:5070;received=[2001:db8::9:255];branch=z9hG4bKas3-111",
      {
        host: "2001:db8::9:1",
        port: 5070,
        received: "2001:db8::9:255",
        branch: "z9hG4bKas3-111",
        sentBy: "[2001:db8::9:1]:5070",
        params: ";received=[2001:db8::9:255];branch=z9hG4bKas3-111",
      },
    ],
    [
      "SIP/2.0/UDP [::1];received=2001:db8::9:255",
      { host: "::1", received: "2001:db8::9:255", sentBy: "[::1]", params: ";received=2001:db8::9:255" },
    ],
    ["SIP/2.0/UDP\ta", { host: "a", sentBy: "a" }],
    ["SIP/2.0/UDP a;branch=z9hG4bK==;;x", { host: "a", branch: "z9hG4bK==", sentBy: "a", params: ";branch=z9hG4bK==;;x" }],
  ];
  for (const [text, want] of cases) it(`reads ${text}`, () => assert.deepEqual({ ...parseVia(text) }, { ...plain, ...want }));

  const refused = [
    "",
    " ",
    "SIP/2.0/UDP",
    "SIP/2.0/UDP ",
    "SIP/2.0/UDPa",
    "SIP/2.0 a",
    "SIP/3.0/UDP a",
    "SIP/2.0/ a",
    "HTTP/2.0/UDP a",
    "SIP/2.0/UDP a:",
    "SIP/2.0/UDP a:0",
    "SIP/2.0/UDP a:70000",
    "SIP/2.0/UDP a:b",
    "SIP/2.0/UDP a b",
    "SIP/2.0/UDP a:1 b",
    "SIP/2.0/UDP 2001:db8::1",
    "SIP/2.0/UDP [2001:db8::1",
    "SIP/2.0/UDP ;branch=z9hG4bK1",
    "SIP/2.0/UDP a;rport=abc",
    "SIP/2.0/UDP a;rport=0",
    "SIP/2.0/UDP a;rport=65536",
    'SIP/2.0/UDP a;x="',
    "SIP/2.0/UDP a;=b",
    "SIP/2.0/UDP a, SIP/2.0/UDP b",
    ", SIP/2.0/UDP a",
    "SIP/2.0/UDP h\xf6st",
    "SIP/2.0/UDP a\0",
  ];
  for (const text of refused) it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseVia(text), SipSyntaxError));

  it("finds any parameter by name", () => {
    const via = parseVia('SIP/2.0/UDP a;ttl=16;MADDR=224.2.0.1;alias;x="a b"');
    assert.equal(viaParam(via, "maddr"), "224.2.0.1");
    assert.equal(viaParam(via, "alias"), "");
    assert.equal(viaParam(via, "x"), "a b");
    assert.equal(viaParam(via, "branch"), undefined);
  });
});
