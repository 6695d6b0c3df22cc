import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H } from "../../src/sip/index.ts";
import { INVITE_LINES, inviteWith, request } from "./messages.ts";

describe("SipMessage", () => {
  it("lists its headers in the order and spelling of the message", () => {
    const message = request(inviteWith(["X-One: 1", "x-two:2", "VIA: SIP/2.0/TCP b;branch=z9hG4bK2"]));
    assert.equal(message.headerCount, INVITE_LINES.length + 2);
    const names = Array.from({ length: 4 }, (_, i) => message.headerNameAt(i));
    assert.deepEqual(names, ["Via", "X-One", "x-two", "VIA"]);
    assert.equal(message.headerIdAt(3), H.Via);
    assert.equal(message.headerIdAt(1), H.Other);
    assert.equal(message.headerValueAt(2), "2");
  });

  it("finds headers by id and by name", () => {
    const message = request(inviteWith(["X-One: 1", "X-ONE: 2", "Route: <sip:a;lr>", "Route: <sip:b;lr>, <sip:c;lr>"]));
    assert.equal(message.indexOf(H.Via), 0);
    assert.equal(message.indexOf(H.Route), 3);
    assert.equal(message.indexOf(H.Route, 4), 4);
    assert.equal(message.indexOf(H.Route, 5), -1);
    assert.equal(message.indexOf(H.Reason), -1);
    assert.equal(message.indexOfName("x-one"), 1);
    assert.equal(message.indexOfName("X-One", 2), 2);
    assert.equal(message.indexOfName("X-One", 3), -1);
    assert.equal(message.value(H.Route), "<sip:a;lr>");
    assert.equal(message.value(H.Reason), undefined);
    assert.equal(message.header("x-one"), "1");
    assert.deepEqual(message.headers("X-one"), ["1", "2"]);
    assert.deepEqual(message.headers("route"), ["<sip:a;lr>", "<sip:b;lr>, <sip:c;lr>"]);
    assert.deepEqual(message.headers("Nothing"), []);
    assert.equal(message.header("Nothing"), undefined);
    assert.equal(message.header(""), undefined);
  });

  it("splits list headers over all their lines, in order (RFC 3261 §7.3.1)", () => {
    const message = request(
      inviteWith([
        "Route: <sip:a;lr>, <sip:b;lr>",
        "Route: <sip:c;lr>,\r\n <sip:d;lr>",
        "Route:",
        'Route: "x, y" <sip:e,f;lr>',
        "Supported: 100rel,timer ,",
      ]),
    );
    assert.deepEqual(message.list(H.Route), ["<sip:a;lr>", "<sip:b;lr>", "<sip:c;lr>", "<sip:d;lr>", '"x, y" <sip:e,f;lr>']);
    assert.deepEqual(message.list(H.Supported), ["100rel", "timer"]);
    assert.deepEqual(message.list(H.Require), []);
  });

  it("takes the first value as the top Via, wherever the second one stands", () => {
    for (const second of [", SIP/2.0/TCP b;branch=z9hG4bKb", "\r\nVia: SIP/2.0/TCP b;branch=z9hG4bKb"]) {
      const message = request(inviteWith([`Via: SIP/2.0/UDP a;branch=z9hG4bKa${second}`], ["Via"]));
      assert.equal(message.topVia.branch, "z9hG4bKa");
      assert.equal(message.list(H.Via).length, 2);
    }
  });

  it("knows where each line and value stands", () => {
    const message = request(inviteWith(["X-One:  1\t", "X-Two: a\r\n b "]));
    const cut = (from: number, to: number) => message.raw.slice(from, to);
    assert.equal(cut(message.lineStartAt(1), message.lineStartAt(2)), "X-One:  1\t\r\n");
    assert.equal(cut(message.lineStartAt(2), message.lineStartAt(3)), "X-Two: a\r\n b \r\n");
    assert.equal(cut(message.valueStartAt(1), message.valueEndAt(1)), "1");
    assert.equal(cut(message.valueStartAt(2), message.valueEndAt(2)), "a\r\n b");
    assert.equal(cut(message.lineStartAt(message.headerCount), message.bodyStart), "\r\n");
    assert.equal(message.headerValueAt(2), "a b");
  });

  it("decodes a header once", () => {
    const message = request(inviteWith([]));
    assert.equal(message.from, message.from);
    assert.equal(message.to, message.to);
    assert.equal(message.topVia, message.topVia);
  });
});
