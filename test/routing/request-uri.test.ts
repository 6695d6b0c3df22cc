import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { replaceUser, splitUri } from "../../src/routing/request-uri.ts";

describe("user and host of a URI", () => {
  const cases: [uri: string, user: string, host: string][] = [
    ["sip:alice@Example.NET", "alice", "example.net"],
    ["sips:alice:pw@example.net:5061;transport=tcp?a=b", "alice", "example.net"],
    ["sip:example.net", "", "example.net"],
    ["sip:%61lice@h", "%61lice", "h"],
    ["sip:1000;ext=5@h", "1000;ext=5", "h"],
    ["sip:a@[2001:DB8::1]:5060", "a", "2001:db8::1"],
    ["tel:+49-30-1;phone-context=x", "+49-30-1", ""],
    ["TEL:110", "110", ""],
    ["urn:service:sos", "", ""],
    ["sip:", "", ""],
    ["", "", ""],
  ];
  for (const [uri, user, host] of cases) {
    it(`${JSON.stringify(uri)}: ${JSON.stringify(user)} at ${JSON.stringify(host)}`, () => assert.deepEqual(splitUri(uri), { user, host }));
  }
});

describe("replacing the user", () => {
  const cases: [uri: string, user: string, want: string][] = [
    ["sip:alice@h:5060;lr?x=y", "bob", "sip:bob@h:5060;lr?x=y"],
    ["sip:alice:pw@h", "bob", "sip:bob@h"],
    ["sip:h", "bob", "sip:bob@h"],
    ["SIP:alice@H", "", "SIP:H"],
    ["sip:a@[::1]", "b c@d", "sip:b%20c%40d@[::1]"],
    ["sip:a@h", "50%", "sip:50%25@h"],
    ["sip:a@h", "%41", "sip:%41@h"],
    ["sip:a@h", "jörg", "sip:j%C3%B6rg@h"],
    ["sip:a@h", "x\r\nVia: y", "sip:x%0D%0AVia%3A%20y@h"],
    ["tel:110;x=y", "112", "tel:112;x=y"],
    ["sip:h;p=a@b", "u", "sip:u@b"],
  ];
  for (const [uri, user, want] of cases) {
    it(`${JSON.stringify(uri)} with ${JSON.stringify(user)}`, () => assert.equal(replaceUser(uri, user), want));
  }

  it("refuses a URI that has no user", () => {
    assert.throws(() => replaceUser("urn:service:sos", "x"), {
      name: "RoutingError",
      message: 'Cannot set the user of Request-URI "urn:service:sos" to "x": want a sip, sips or tel URI',
    });
  });
});
