import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H, type HeaderId, headerId, headerName } from "../../src/sip/index.ts";
import { inviteWith, request } from "./messages.ts";

const ids = Object.values(H).filter((id) => id !== H.Other);

describe("header names, RFC 3261 §7.3.1", () => {
  it("are case-insensitive", () => {
    for (const id of ids) {
      const name = headerName(id);
      for (const spelled of [name, name.toLowerCase(), name.toUpperCase()]) assert.equal(headerId(spelled), id, spelled);
    }
  });

  it("are found on a line in any case and with white space before the colon", () => {
    for (const id of ids) {
      const name = headerName(id);
      if (id <= H.ContentLength && id !== H.Contact && id !== H.Route && id !== H.RecordRoute) continue;
      for (const spelled of [name, name.toLowerCase(), name.toUpperCase(), `${name} `, `${name.toLowerCase()} \t`]) {
        const message = request(inviteWith([`${spelled}: value`], ["Contact", "Content-Type"]));
        assert.equal(message.value(id), "value", spelled);
        assert.equal(message.headerIdAt(1), id);
        assert.equal(message.headerNameAt(1), spelled.trim());
      }
    }
  });

  it("that only begin or end like a known one are other headers", () => {
    for (const id of ids) {
      const name = headerName(id);
      const shorter = name.length > 2 ? name.slice(0, -1) : "";
      for (const spelled of [`${name}x`, `x${name}`, shorter, `${name.slice(0, -1)}_`, `${name}${name}`]) {
        assert.notEqual(headerId(spelled), id, spelled);
      }
    }
    assert.equal(headerId("CallxID"), H.Other);
    assert.equal(headerId("Call\rID"), H.Other);
    assert.equal(headerId(""), H.Other);
    assert.equal(headerId("x".repeat(10_000)), H.Other);
  });

  it("of objects are other headers", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"]) {
      assert.equal(headerId(name), H.Other);
      const message = request(inviteWith([`${name}: yes`]));
      assert.equal(message.header(name), "yes");
      assert.equal(message.header(name.toUpperCase()), "yes");
      assert.deepEqual(message.headers(name), ["yes"]);
    }
    assert.equal(request(inviteWith([])).header("__proto__"), undefined);
  });
});

describe("compact forms, RFC 3261 §7.3.3 and the IANA registry", () => {
  const forms: readonly (readonly [string, HeaderId])[] = [
    ["i", H.CallId],
    ["m", H.Contact],
    ["e", H.ContentEncoding],
    ["l", H.ContentLength],
    ["c", H.ContentType],
    ["f", H.From],
    ["s", H.Subject],
    ["k", H.Supported],
    ["t", H.To],
    ["v", H.Via],
    ["x", H.SessionExpires],
    ["o", H.Event],
    ["u", H.AllowEvents],
    ["r", H.ReferTo],
    ["b", H.ReferredBy],
    ["a", H.AcceptContact],
    ["j", H.RejectContact],
    ["d", H.RequestDisposition],
    ["y", H.Identity],
    ["n", H.IdentityInfo],
  ];
  it("stand for the long ones, in either case", () => {
    for (const [letter, id] of forms) {
      assert.equal(headerId(letter), id, letter);
      assert.equal(headerId(letter.toUpperCase()), id, letter);
    }
  });
  it("are no other letters", () => {
    const used = forms.map(([letter]) => letter);
    for (const letter of "ghpqwz0123456789-._~!%*+`'") {
      assert.ok(!used.includes(letter));
      assert.equal(headerId(letter), H.Other, letter);
    }
  });
  it("make a message that reads like one with long names", () => {
    const text = [
      "INVITE sip:bob@biloxi.example.com SIP/2.0",
      "v: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bK1",
      "t: sip:bob@biloxi.example.com;tag=b",
      "f: sip:alice@atlanta.example.com;tag=a",
      "i: call",
      "CSeq: 1 INVITE",
      "m: <sip:alice@pc33.atlanta.example.com>",
      "l: 0",
    ].join("\r\n");
    const message = request(`${text}\r\n\r\n`);
    assert.equal(message.topVia.branch, "z9hG4bK1");
    assert.equal(message.toTag, "b");
    assert.equal(message.fromTag, "a");
    assert.equal(message.callId, "call");
    assert.equal(message.header("Contact"), "<sip:alice@pc33.atlanta.example.com>");
    assert.equal(message.header("contact"), message.header("M"));
  });
});
