import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { callIdOf } from "../../../src/observability/capture/call-id.ts";
import { type CapturedMessage, type CaptureLimits, MessageRing } from "../../../src/observability/capture/message-ring.ts";
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

function put(ring: MessageRing, { text, transport, remote, remotePort, local, localPort, isReceived, atMs }: CapturedMessage): void {
  ring.write(text, { transport, address: remote, port: remotePort, listener: { port: localPort } }, local, isReceived, atMs);
}

const limits = (messages: number, bytes = 1_000_000): CaptureLimits => ({ messages, bytes });

describe("MessageRing", () => {
  it("tells a message as it was written, every byte of it", async () => {
    const ring = new MessageRing(4096);
    const bytes = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
    const all = (["udp", "tcp", "tls", "ws", "wss"] as const).map((transport, i) => ({
      ...message("one@a", 1_790_000_000_000.5 + i, bytes),
      transport,
    }));
    for (const each of all) put(ring, each);
    assert.deepEqual(await ring.find("one@a", limits(100)), { messages: all, omitted: 0 });
  });

  it("tells each address as it was given, usual or not", async () => {
    const ring = new MessageRing(100_000);
    const addresses = [
      "0.0.0.0",
      "255.255.255.255",
      "255.255.255.254",
      "128.0.0.1",
      "10.200.30.4",
      "::1",
      "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff%eth0",
    ];
    addresses.push(
      "",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.",
      ".1.2.3",
      "1..2.3",
      "01.2.3.4",
      "1.2.3.256",
      "1.2.3.a",
      "1.2.3.4 ",
      "localhost",
      "1.2.3.4444444444",
    );
    const all = addresses.flatMap((local, i) =>
      [0, 1, 3, 5060, 65_535].map((port, j) => ({
        ...message("one@a", i * 10 + j),
        ...{ local, localPort: port, remote: addresses[(i + j) % addresses.length]!, remotePort: 65_535 - port },
      })),
    );
    for (const each of all) put(ring, each);
    assert.deepEqual(await ring.find("one@a", limits(1_000)), { messages: all, omitted: 0 });
  });

  it("tells the messages of the call alone: neither those that have its Call-ID in the body, nor longer and shorter ones", async () => {
    const ring = new MessageRing(4096);
    for (const each of [message("abc"), message("abcd"), message("xabc"), message("ab"), message("other", 1, "\r\nCall-ID: abc\r\n")])
      put(ring, each);
    assert.equal((await ring.find("abc", limits(100))).messages.length, 1);
    assert.deepEqual(await ring.find("", limits(100)), { messages: [], omitted: 0 });
    assert.deepEqual(await ring.find("a".repeat(10_000), limits(100)), { messages: [], omitted: 0 });
  });

  it("tells the first ones of a call that has more, and how many are left out", async () => {
    const ring = new MessageRing(4096);
    for (let i = 1; i <= 5; i++) put(ring, message("a", i));
    const { messages, omitted } = await ring.find("a", limits(2));
    assert.deepEqual([messages.map(({ atMs }) => atMs), omitted], [[1, 2], 3]);
  });

  it("does not take what is larger than itself, and counts it", async () => {
    const ring = new MessageRing(200);
    put(ring, message("a"));
    put(ring, message("b", 2, "x".repeat(300)));
    assert.deepEqual([ring.written, ring.too_large, ring.count], [1, 1, 1]);
    assert.equal((await ring.find("a", limits(9))).messages.length, 1);
  });

  it("remembers the latest ones that have room, in their order, whatever their sizes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 150, max: 1_000 }),
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }),
        async (size, bodies) => {
          const ring = new MessageRing(size);
          const written: number[] = [];
          for (const [i, length] of bodies.entries()) {
            const before = ring.too_large;
            put(ring, message(i % 3 === 0 ? "other" : "a", i + 1, "y".repeat(length)));
            if (ring.too_large === before) written.push(i + 1);
            const kept = [...(await ring.find("a", limits(999))).messages, ...(await ring.find("other", limits(999))).messages]
              .map(({ atMs }) => atMs)
              .sort((a, b) => a - b);
            assert.deepEqual(kept, written.slice(written.length - kept.length), "the latest ones, without a gap");
            assert.equal(kept.length, ring.count);
            assert.equal(ring.oldestMs, kept[0]);
            assert.ok(written.length === 0 || kept.length > 0);
          }
        },
      ),
    );
  });

  it("goes on with what is left when calls overwrite the oldest while it looks", async () => {
    const ring = new MessageRing(1_000_000);
    const body = "z".repeat(30_000);
    for (let i = 1; i <= 30; i++) put(ring, message("a", i, body));
    const found = ring.find("a", limits(99, 10_000_000));
    for (let i = 31; i <= 50; i++) put(ring, message("a", i, body));
    const { messages, omitted } = await found;
    const times = messages.map(({ atMs }) => atMs);
    assert.deepEqual(times, [1, 2, 3, ...times.slice(3)]); // looked at before it was overwritten
    assert.ok(times.length > 3 && times.at(-1) === 30, "nothing that came later");
    assert.deepEqual(
      times.slice(3),
      Array.from({ length: times.length - 3 }, (_, i) => 31 - (times.length - 3) + i),
    );
    assert.equal(omitted, 0);
    assert.ok(messages.every(({ text }) => text.endsWith(body)));
  });

  it("lets others have their turn while it looks through megabytes for what stands everywhere", async () => {
    const ring = new MessageRing(16 * 1024 * 1024);
    for (let i = 0; i < 30_000; i++) put(ring, message(`${i}@a`, i, "a=a a a a a\r\n".repeat(30)));
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    assert.deepEqual(await ring.find("a", limits(500)), { messages: [], omitted: 0 });
    isOver = true;
    assert.ok(turns > 100, `${turns}`);
  });

  it("tells no more bytes than wanted", async () => {
    const ring = new MessageRing(100_000);
    for (let i = 1; i <= 5; i++) put(ring, message("a", i, "x".repeat(10_000)));
    const { messages, omitted } = await ring.find("a", limits(99, 25_000));
    assert.deepEqual([messages.map(({ atMs }) => atMs), omitted], [[1, 2], 3]);
  });

  it("finds a Call-ID whose bytes are no UTF-8, or are, by what a client has read of it", async () => {
    const ring = new MessageRing(10_000);
    for (const id of ["caf\xe9\xff@a", "caf\xc3\xa9@a", "\xe2\x82"]) put(ring, message(id));
    for (const id of ["caf\ufffd\ufffd@a", "café@a", "\ufffd"]) assert.equal((await ring.find(id, limits(9))).messages.length, 1, id);
    assert.equal((await ring.find("caf", limits(9))).messages.length, 0);
  });

  it("wastes less than the largest message", () => {
    const ring = new MessageRing(10_000);
    for (let i = 0; i < 1_000; i++) put(ring, message("a", i));
    const size = Math.ceil((32 + 11 + message("a").text.length) / 8) * 8;
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
    ["the header, not the body", "BYE a SIP/2.0\r\ni: a@b\r\n\r\nx\r\nCall-ID: c@d\r\n", "a@b"],
    ["nothing of the body", "BYE a SIP/2.0\r\nTo: x\r\n\r\nx\r\nCall-ID: c@d\r\ni: e\r\n", undefined],
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

  const cases: [string, string, string][] = [
    ["each key of a line", "a=crypto:1 A inline:AAA|2^20|1:4;inline:BBB|2^20|2:4", "a=crypto:1 A inline:***|2^20|1:4;inline:***|2^20|2:4"],
    ["schemes that nobody knows", "Authorization: Negotiate YII,gssapi=x\r\n  more\r\nTo: a", "Authorization: Negotiate ***\r\nTo: a"],
    ["a password alone", "Authorization: Basic dTpw", "Authorization: Basic ***"],
    ["quotes inside of a proof", 'Authorization: Digest response="a\\"b", uri="x"', 'Authorization: Digest response="***", uri="x"'],
    ["a proof without an end", 'Authorization: Digest response="abc', 'Authorization: Digest response="***"'],
    ["the proof of a server", 'Authentication-Info: rspauth="abc", nc=1', 'Authentication-Info: rspauth="***", nc=1'],
    ["passwords of URIs", "Contact: <sip:bob:secret@a:5060>", "Contact: <sip:bob:***@a:5060>"],
    ["other keys of media", "a=key-mgmt:mikey AQAF\r\nk=base64:AQ\r\na=ice-pwd:x", "a=key-mgmt:mikey ***\r\nk=base64:***\r\na=ice-pwd:***"],
  ];
  for (const [name, text, want] of cases) it(`masks ${name}`, () => assert.equal(withoutSecrets(text), want));

  for (const text of [
    "To: <sip:a@b:5060>",
    "Via: SIP/2.0/UDP a:5060;x=@",
    "m=audio 4 RTP/AVP 0",
    'WWW-Authenticate: Digest nonce="n"',
    "Contact: sip:192.0.2.1:5060;x=a",
  ]) {
    it(`leaves ${text}`, () => assert.equal(withoutSecrets(text), text));
  }

  it("does not take long for a message that was made to", () => {
    const startMs = performance.now();
    for (const piece of ['response="', "sip:a:", "inline:", "a=crypto:", "Authorization: x\r\n "])
      withoutSecrets(`Authorization: Digest ${piece.repeat(65_000 / piece.length)}`);
    assert.ok(performance.now() - startMs < 1_000);
  });
});
