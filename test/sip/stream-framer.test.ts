import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type FramingFault, MAX_LINE_BYTES, MAX_MESSAGE_BYTES, parseMessage, type SipRequest, StreamFramer } from "../../src/sip/index.ts";
import { INVITE, INVITE_LINES, message } from "./messages.ts";

const PING = "(ping)";
const HEAD = INVITE_LINES.slice(0, -1);

/** What a framer makes of these chunks: messages, pings, and the fault at the end. */
function framesOf(chunks: readonly string[]): { frames: string[]; fault: FramingFault | undefined; isPartial: boolean } {
  const framer = new StreamFramer();
  const frames: string[] = [];
  for (const chunk of chunks) {
    framer.push(chunk);
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) frames.push(frame.kind === "ping" ? PING : frame.text);
  }
  return { frames, fault: framer.fault, isPartial: framer.isPartial };
}

/** A message with these headers in place of Content-Length. */
function withLength(headers: readonly string[], body = ""): string {
  return message([...HEAD, ...headers], body);
}

describe("StreamFramer cuts", () => {
  const cases: { name: string; stream: string; want: string[]; isPartial?: boolean }[] = [
    { name: "one message", stream: INVITE, want: [INVITE] },
    { name: "two messages in one chunk", stream: INVITE + INVITE, want: [INVITE, INVITE] },
    { name: "the compact form of Content-Length", stream: withLength(["l: 3"], "abc"), want: [withLength(["l: 3"], "abc")] },
    {
      name: "a name in capitals, blanks before the colon",
      stream: withLength(["CONTENT-LENGTH \t: 0"]),
      want: [withLength(["CONTENT-LENGTH \t: 0"])],
    },
    {
      name: "a folded Content-Length",
      stream: withLength(["Content-Length:\r\n  2"], "ab"),
      want: [withLength(["Content-Length:\r\n  2"], "ab")],
    },
    { name: "lines that end in LF alone", stream: INVITE.replaceAll("\r\n", "\n"), want: [INVITE.replaceAll("\r\n", "\n")] },
    {
      name: "a body that looks like a message",
      stream: withLength([`Content-Length: ${INVITE.length}`], INVITE) + INVITE,
      want: [withLength([`Content-Length: ${INVITE.length}`], INVITE), INVITE],
    },
    {
      name: "a body that looks like a ping",
      stream: withLength(["Content-Length: 4"], "\r\n\r\n") + INVITE,
      want: [withLength(["Content-Length: 4"], "\r\n\r\n"), INVITE],
    },
    {
      name: "a Content-Length in the value of another header as no such header",
      stream: withLength(["X: Content-Length: 9", "Y: a\r\n Content-Length: 9", "Content-Length: 0"]),
      want: [withLength(["X: Content-Length: 9", "Y: a\r\n Content-Length: 9", "Content-Length: 0"])],
    },
    { name: "line ends before a message as none of it", stream: `\r\n${INVITE}`, want: [INVITE] },
    { name: "a ping between messages", stream: `${INVITE}\r\n\r\n${INVITE}`, want: [INVITE, PING, INVITE] },
    { name: "many line ends as one ping", stream: "\r\n".repeat(1_000), want: [PING] },
    { name: "a pong as nothing", stream: "\r\n", want: [] },
    { name: "a message that is not whole as nothing yet", stream: INVITE.slice(0, -1), want: [], isPartial: true },
    {
      name: "the largest message",
      stream: withLength(
        [`Content-Length: ${MAX_MESSAGE_BYTES - withLength(["Content-Length: 65000"]).length}`],
        "x".repeat(MAX_MESSAGE_BYTES - withLength(["Content-Length: 65000"]).length),
      ),
      want: [
        withLength(
          [`Content-Length: ${MAX_MESSAGE_BYTES - withLength(["Content-Length: 65000"]).length}`],
          "x".repeat(MAX_MESSAGE_BYTES - withLength(["Content-Length: 65000"]).length),
        ),
      ],
    },
  ];
  for (const { name, stream, want, isPartial = false } of cases) {
    it(name, () => {
      assert.deepEqual(framesOf([stream]), { frames: want, fault: undefined, isPartial });
      if (!name.startsWith("many"))
        assert.deepEqual(framesOf(stream.length < 5_000 ? [...stream] : [stream]).frames, want, "byte by byte, too");
    });
  }
});

describe("StreamFramer gives up", () => {
  const cases: { name: string; stream: string; want: FramingFault }[] = [
    { name: "at a TLS handshake", stream: "\x16\x03\x01", want: "not-sip" },
    { name: "at an HTTP request", stream: "GET / HTTP/1.1\r\n", want: "not-sip" },
    { name: "at a blank before the message", stream: ` ${INVITE}`, want: "not-sip" },
    { name: "at a CR that ends no line", stream: `\r${INVITE}`, want: "not-sip" },
    { name: "at a first line without an end", stream: "A".repeat(MAX_LINE_BYTES + 3), want: "line-too-long" },
    { name: "at a head without an end", stream: `${HEAD[0]}\r\n${"X: y\r\n".repeat(1_100)}`, want: "too-many-lines" },
    { name: "at a head that is too large", stream: `${HEAD[0]}\r\nX: ${"y".repeat(MAX_MESSAGE_BYTES)}`, want: "message-too-large" },
    { name: "at a message that says it is too large", stream: withLength(["Content-Length: 65535"]), want: "message-too-large" },
    { name: "at a number beyond all", stream: withLength([`Content-Length: ${"9".repeat(40)}`]), want: "bad-content-length" },
    { name: "without a Content-Length", stream: withLength([]), want: "no-content-length" },
    { name: "at two of them", stream: withLength(["Content-Length: 1", "l: 2"]), want: "bad-content-length" },
    { name: "at two of them that say the same", stream: withLength(["l: 1", "l: 1"]), want: "bad-content-length" },
    { name: "at a negative one", stream: withLength(["Content-Length: -1"]), want: "bad-content-length" },
    { name: "at an empty one", stream: withLength(["Content-Length:"]), want: "bad-content-length" },
    { name: "at a list", stream: withLength(["Content-Length: 1, 2"]), want: "bad-content-length" },
    { name: "at one that only a bare CR sets apart", stream: withLength(["X: y\rContent-Length: 0"]), want: "no-content-length" },
  ];
  for (const { name, stream, want } of cases) {
    it(`${name}: ${want}`, () => {
      assert.deepEqual(framesOf([stream, INVITE]), { frames: [], fault: want, isPartial: false });
    });
  }

  it("keeps what came before the fault", () => {
    assert.deepEqual(framesOf([`${INVITE}garbage\r\n`]), { frames: [INVITE], fault: "not-sip", isPartial: false });
  });
});

describe("StreamFramer", () => {
  const bodies = fc.array(fc.string({ unit: fc.constantFrom("\r", "\n", "\r\n", "a", "\xff", "l: 1\r\n") }), { maxLength: 5 });
  const cuts = fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 20 });

  it("finds the same messages wherever the stream is cut", () => {
    fc.assert(
      fc.property(bodies, cuts, (texts, lengths) => {
        const want = texts.map((body) => withLength([`l: ${body.length}`], body));
        const stream = want.join("");
        const chunks: string[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const length = lengths[i % lengths.length]!;
          chunks.push(stream.slice(at, at + length));
          at += length;
        }
        assert.deepEqual(framesOf(chunks), { frames: want, fault: undefined, isPartial: false });
      }),
      { numRuns: 200 },
    );
  });

  it("ends a message where the parser ends it, whatever the head looks like", () => {
    const line = fc.string({ unit: fc.constantFrom("l", ":", " ", "\t", "\r", "\n", "1", "X", "\r\n"), maxLength: 30 });
    fc.assert(
      fc.property(line, line, (one, other) => {
        const stream = `${HEAD.join("\r\n")}\r\n${one}\r\nl: 0\r\n${other}\r\n\r\n`;
        const [first] = framesOf([stream]).frames;
        if (first === undefined) return;
        const parsed = parseMessage(first);
        if (parsed.kind !== "malformed") {
          // A line that is empty ends the head early, and then the length may be that of the line before it.
          assert.equal(parsed.body, (parseMessage(stream) as SipRequest).body, JSON.stringify(stream));
          assert.match(first.slice(0, first.length - parsed.body.length), /\n\r?\n$/, JSON.stringify(stream));
        } else assert.notEqual(parsed.code, "no-end-of-headers", JSON.stringify(stream));
      }),
      { numRuns: 2_000 },
    );
  });
});
