import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_HEADERS, MAX_MESSAGE_BYTES, parseMessage } from "../../src/sip/index.ts";
import { type StreamFrame, StreamFramer } from "../../src/sip/stream-framer.ts";
import { messagesOf } from "./fixtures.ts";
import { mutated, mutation } from "./mutations.ts";
import { processorMs, Slowest } from "./processor-time.ts";

const ORIGINALS = [...messagesOf("rfc4475").values(), ...messagesOf("rfc5118").values()];
/** What stands between messages, by right or not. */
const GAPS = ["", "", "", "", "\r\n", "\r\n\r\n", "\n", "\r", "\0", " ", "\r\n\r\n\r\n\r\n\r\n"] as const;

/** One message of a stream: mostly with a Content-Length that is true, so that the stream goes on behind it. */
const part = fc.record({
  original: fc.nat(ORIGINALS.length - 1),
  mutations: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 3 }) },
  ),
  isTrue: fc.constantFrom(true, true, true, false),
  gap: fc.constantFrom(...GAPS),
});
const stream = fc.record({
  parts: fc.array(part, { minLength: 1, maxLength: 12 }),
  cuts: fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 1, max: 70_000 })), {
    minLength: 1,
    maxLength: 20,
  }),
});

type Stream = typeof stream extends fc.Arbitrary<infer Value> ? Value : never;

/** What a run found out. */
export interface StreamReport {
  readonly streams: number;
  /** Messages that were cut out, and streams that ended in a fault. */
  readonly messages: number;
  readonly faults: number;
  readonly slowestMs: number;
  readonly lookedAt: number;
}

/** The message with one Content-Length that says how long its body is. */
function truthful(text: string): string {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return text;
  const [start = "", ...lines] = text.slice(0, end).split(/\r\n(?![ \t])/);
  const kept = lines.filter((line) => !/^(?:content-length|l)[ \t]*:/i.test(line));
  const body = text.slice(end + 4);
  return `${[start, ...kept, `Content-Length: ${body.length}`].join("\r\n")}\r\n\r\n${body}`;
}

function textOf({ parts }: Stream): string {
  return parts
    .map(({ original, mutations, isTrue, gap }) => {
      const text = mutated(ORIGINALS[original]!, mutations, ORIGINALS);
      return (isTrue ? truthful(text) : text) + gap;
    })
    .join("");
}

/** @param took told of each piece: milliseconds of the processor, and its number */
function read(
  text: string,
  cuts: readonly number[],
  took: (ms: number, piece: number) => void,
): { messages: string[]; fault: string | undefined } {
  const framer = new StreamFramer();
  const messages: string[] = [];
  for (let at = 0, piece = 0; at < text.length; piece++) {
    const chunk = text.slice(at, at + cuts[piece % cuts.length]!);
    at += chunk.length;
    const frames: StreamFrame[] = [];
    took(
      processorMs(() => {
        framer.push(chunk);
        for (let frame = framer.next(); frame !== undefined; frame = framer.next()) frames.push(frame);
      }),
      piece,
    );
    for (const frame of frames) if (frame.kind === "message") messages.push(frame.text);
  }
  return { messages, fault: framer.fault };
}

function check(text: string, { cuts }: Stream, slowest: Slowest, where: () => string): ReturnType<typeof read> {
  const again = (piece: number): number => {
    let last = 0;
    read(text, cuts, (ms, at) => {
      if (at === piece) last = ms;
    });
    return last;
  };
  const cut = read(text, cuts, (ms, piece) => slowest.note(ms, () => again(piece), where));
  const whole = read(text, [text.length], () => undefined);
  // Of several reasons the one is named that shows first.
  assert.deepEqual(
    [cut.messages, cut.fault === undefined],
    [whole.messages, whole.fault === undefined],
    `${where()}: the pieces in which a stream comes change what it says`,
  );
  let from = 0;
  for (const message of cut.messages) {
    const at = text.indexOf(message, from);
    assert.notEqual(at, -1, `${where()}: a message is no part of the stream, or out of turn`);
    from = at + message.length;
    assert.ok(message.length <= MAX_MESSAGE_BYTES, where());
    const parsed = parseMessage(message);
    if (parsed.kind === "malformed") {
      assert.notEqual(parsed.code, "no-end-of-headers", where());
      continue;
    }
    // Nothing behind the body: another element would read that as the next message.
    assert.equal(parsed.raw.length, message.length, `${where()}: the parser ends the message elsewhere`);
    assert.ok(parsed.headerCount <= MAX_HEADERS, where());
  }
  return cut;
}

/**
 * Sends streams of messages, true and spoiled, in pieces of any size to the framer of connections. The pieces must not matter, the parser must end each
 * message where the framer ends it, and no piece may take longer than `MAX_MS`.
 *
 * @throws AssertionError with the seed
 */
export function fuzzStreams({ streams, seed }: { streams: number; seed: number }): StreamReport {
  const slowest = new Slowest();
  let [messages, faults] = [0, 0];
  for (let i = 0; i < streams; i++) {
    const [each] = fc.sample(stream, { seed: seed + i, numRuns: 1 });
    const text = textOf(each!);
    const found = check(text, each!, slowest, () => `streams from seed ${seed + i}: ${JSON.stringify(text.slice(0, 2_000))}`);
    messages += found.messages.length;
    if (found.fault !== undefined) faults++;
  }
  return { streams, messages, faults, slowestMs: slowest.ms, lookedAt: slowest.lookedAt };
}
