import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { callIdOf } from "../../../src/observability/capture/call-id.ts";
import { type CapturedMessage, MessageRing } from "../../../src/observability/capture/message-ring.ts";
import { withoutSecrets } from "../../../src/observability/capture/without-secrets.ts";

function message(callId: string, atMs = 1, body = ""): CapturedMessage {
  const text = `BYE sip:a@b SIP/2.0\r\nCall-ID: ${callId}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  return {
    atMs,
    isReceived: atMs % 2 === 1,
    transport: "udp",
    local: "192.0.2.1",
    localPort: 5060,
    remote: "2001:db8::7",
    remotePort: 65_535,
    text,
  };
}

describe("MessageRing", () => {
  it("tells a message as it was written, every byte of it", () => {
    const ring = new MessageRing(4096);
    const bytes = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
    const all = (["udp", "tcp", "tls", "ws", "wss"] as const).map((transport, i) => ({
      ...message("one@a", 1_790_000_000_000.5 + i, bytes),
      transport,
    }));
    for (const each of all) ring.write(each);
    assert.deepEqual(ring.find("one@a", 100), { messages: all, omitted: 0 });
  });

  it("tells the messages of the call alone: neither those that have its Call-ID in the body, nor longer and shorter ones", () => {
    const ring = new MessageRing(4096);
    for (const each of [message("abc"), message("abcd"), message("xabc"), message("ab"), message("other", 1, "\r\nCall-ID: abc\r\n")])
      ring.write(each);
    assert.equal(ring.find("abc", 100).messages.length, 1);
    assert.deepEqual(ring.find("", 100), { messages: [], omitted: 0 });
    assert.deepEqual(ring.find("a".repeat(10_000), 100), { messages: [], omitted: 0 });
  });

  it("tells the first ones of a call that has more, and how many are left out", () => {
    const ring = new MessageRing(4096);
    for (let i = 1; i <= 5; i++) ring.write(message("a", i));
    const { messages, omitted } = ring.find("a", 2);
    assert.deepEqual([messages.map(({ atMs }) => atMs), omitted], [[1, 2], 3]);
  });

  it("does not take what is larger than itself, and counts it", () => {
    const ring = new MessageRing(200);
    ring.write(message("a"));
    ring.write(message("b", 2, "x".repeat(300)));
    assert.deepEqual([ring.written, ring.too_large, ring.count], [1, 1, 1]);
    assert.equal(ring.find("a", 9).messages.length, 1);
  });

  it("remembers the latest ones that have room, in their order, whatever their sizes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 150, max: 1_000 }), fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }), (size, bodies) => {
        const ring = new MessageRing(size);
        const written: number[] = [];
        for (const [i, length] of bodies.entries()) {
          const before = ring.too_large;
          ring.write(message(i % 3 === 0 ? "other" : "a", i + 1, "y".repeat(length)));
          if (ring.too_large === before) written.push(i + 1);
          const kept = [...ring.find("a", 999).messages, ...ring.find("other", 999).messages].map(({ atMs }) => atMs).sort((a, b) => a - b);
          assert.deepEqual(kept, written.slice(written.length - kept.length), "the latest ones, without a gap");
          assert.equal(kept.length, ring.count);
          assert.equal(ring.oldestMs, kept[0]);
          assert.ok(written.length === 0 || kept.length > 0);
        }
      }),
    );
  });

  it("wastes less than the largest message", () => {
    const ring = new MessageRing(10_000);
    for (let i = 0; i < 1_000; i++) ring.write(message("a", i));
    const size = 20 + 9 + 11 + message("a").text.length;
    assert.ok(ring.count >= Math.floor(10_000 / size) - 1, `${ring.count} of ${size} bytes`);
  });
});

describe("callIdOf", () => {
  const cases: [string, string, string | undefined][] = [
    ["the usual line", "BYE a SIP/2.0\r\nCall-ID: a@b\r\nTo: x\r\n\r\n", "a@b"],
    ["any case and the compact form", "BYE a SIP/2.0\r\ni:a@b\r\n\r\n", "a@b"],
    ["spaces, and a line that goes on", "BYE a SIP/2.0\r\ncall-id \t:\r\n  a@b \r\n\r\n", "a@b"],
    ["spaces behind the usual name", "BYE a SIP/2.0\r\nCall-ID:  a@b\r\n\r\n", "a@b"],
    ["spaces behind the value", "BYE a SIP/2.0\r\nCall-ID: a@b \r\n\r\n", "a@b"],
    ["no Call-ID", "BYE a SIP/2.0\r\nTo: x\r\n\r\n", undefined],
    ["nothing at all", "", undefined],
  ];
  for (const [name, text, want] of cases) it(`reads ${name}`, () => assert.equal(callIdOf(text), want));
});

describe("withoutSecrets", () => {
  it("masks the proof of a password, tokens and keys of media, and leaves the rest", () => {
    const text = [
      "INVITE sip:a@b SIP/2.0",
      'Authorization: Digest username="u", response="0123456789abcdef", nonce="n"',
      'proxy-authorization : Digest username="u",',
      "  response=abcdef",
      "Authorization: Bearer aaa.bbb",
      "X-Note: response=kept",
      "",
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20|1:4",
    ].join("\r\n");
    assert.equal(
      withoutSecrets(text),
      [
        "INVITE sip:a@b SIP/2.0",
        'Authorization: Digest username="u", response="***", nonce="n"',
        'proxy-authorization : Digest username="u",',
        '  response="***"',
        "Authorization: Bearer ***",
        "X-Note: response=kept",
        "",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***|2^20|1:4",
      ].join("\r\n"),
    );
  });
});
