import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EslFramer, FrameError, type FrameFault } from "../../src/freeswitch/framer.ts";
import { readHeartbeat } from "../../src/freeswitch/heartbeat.ts";
import { MAX_EVENT_BODY_BYTES, MAX_EVENT_FIELDS } from "../../src/freeswitch/limits.ts";
import { EslMessageParser } from "../../src/freeswitch/message-parser.ts";
import { parseSessionsPerSecond, parseStatus, parseYesNo } from "../../src/freeswitch/status-reply.ts";
import { readChunks, recordedBytes } from "../support/esl-recordings.ts";
import { eventFrame } from "../support/fake-freeswitch.ts";

function faultOf(text: string): FrameFault | undefined {
  try {
    new EslMessageParser().parse(Buffer.from(text));
    return undefined;
  } catch (error) {
    assert.ok(error instanceof FrameError, String(error));
    return error.fault;
  }
}

function plainFrame(body: string): string {
  return `Content-Length: ${Buffer.byteLength(body)}\nContent-Type: text/event-plain\n\n${body}`;
}

describe("a frame behind the guard", () => {
  it("is a reply with its fields", () => {
    const message = new EslMessageParser().parse(Buffer.from("Content-Type: command/reply\nReply-Text: +OK accepted\n\n"));
    assert.equal(message.contentType, "command/reply");
    assert.equal(message.fields.get("Reply-Text"), "+OK accepted");
  });

  it("is an event with characters of several bytes", () => {
    const message = new EslMessageParser().parse(Buffer.from(eventFrame('{"Event-Name":"CUSTOM","name":"žluťoučký 🐎"}')));
    assert.equal(message.fields.get("name"), "žluťoučký 🐎");
  });

  const breaking: { name: string; text: string; want: FrameFault }[] = [
    { name: "a % that decodes to nothing, in a header", text: "Content-Type: command/reply\nReply-Text: +OK 100%\n\n", want: "unreadable" },
    {
      name: "a % that decodes to nothing, in an event",
      text: plainFrame("Event-Name: HEARTBEAT\nUp-Time: %E0%A4%A\n\n"),
      want: "unreadable",
    },
    { name: "JSON that is none", text: eventFrame('{"Event-Name":'), want: "unreadable" },
    { name: "JSON that is null", text: eventFrame("null"), want: "unreadable" },
    { name: "a reply text that is a number", text: eventFrame('{"Reply-Text":5}'), want: "unreadable" },
    { name: "a reply text that is an object", text: eventFrame('{"Reply-Text":{}}'), want: "unreadable" },
    { name: "XML", text: "Content-Length: 3\nContent-Type: text/event-xml\n\n<a>", want: "unexpected-format" },
    {
      name: "more fields than the parser can bear",
      text: eventFrame(JSON.stringify(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [i, 0])))),
      want: "too-many-fields",
    },
    { name: "more lines than the parser can bear", text: plainFrame(`${"a: b\n".repeat(MAX_EVENT_FIELDS)}\n`), want: "too-many-fields" },
    { name: "an event over the limit", text: eventFrame(" ".repeat(MAX_EVENT_BODY_BYTES + 1)), want: "body-too-long" },
    { name: "less than a frame", text: "Content-Type: command/reply\n", want: "unreadable" },
    { name: "more than a frame", text: "A: 1\n\nB: 2\n\n", want: "unreadable" },
    { name: "less than its body", text: "Content-Length: 5\nContent-Type: api/response\n\nabc", want: "unreadable" },
  ];
  for (const { name, text, want } of breaking) it(`is given up for ${name}`, () => assert.equal(faultOf(text), want));

  it("says nothing of what it held", () => {
    try {
      new EslMessageParser().parse(Buffer.from(eventFrame('{"secret ClueCon')));
      assert.fail("it was read");
    } catch (error) {
      assert.ok(error instanceof FrameError);
      assert.doesNotMatch(`${error.stack} ${String(error.cause)}`, /ClueCon/);
    }
  });

  for (const body of [
    "0",
    '""',
    "[]",
    '[1,"a"]',
    '"HEARTBEAT"',
    "true",
    "{}",
    '{"Event-Name":7}',
    '{"__proto__":{"a":1},"_body":[1]}',
    '{"Content-Length":"x"}',
  ]) {
    it(`does no harm as an event whose JSON is ${body}`, () => {
      const message = new EslMessageParser().parse(Buffer.from(eventFrame(body)));
      assert.ok("fault" in readHeartbeat(message.fields));
    });
  }
});

/** Reads it as a connection does. Anything but a FrameError fails the test. */
function readAnything(chunks: Uint8Array[]): void {
  const framer = new EslFramer();
  const parser = new EslMessageParser();
  try {
    for (const chunk of chunks) {
      framer.push(chunk, (frame) => {
        const { fields, body } = parser.parse(frame);
        readHeartbeat(fields);
        parseStatus(body);
        parseSessionsPerSecond(body);
        parseYesNo(body);
        return true;
      });
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
  }
}

describe("garbage", () => {
  it("never does more than break its own connection: any bytes", () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), readAnything), { numRuns: 2000 });
  });

  it("never does more than break its own connection: text that looks like frames", () => {
    const word = fc.constantFrom(
      "Content-Length: ",
      "Content-Type: ",
      "text/event-json",
      "text/event-plain",
      "text/event-xml",
      "api/response",
      "command/reply",
      "Reply-Text: ",
      "\n",
      "\n\n",
      "5",
      "-1",
      "NaN",
      "%",
      "%E0",
      "{",
      "}",
      '"',
      ":",
      ",",
      "null",
      "Event-Name",
      "HEARTBEAT",
      "__proto__",
      "ž",
      "\u0000",
      "Session-Count",
      "<event>",
      "1e9",
    );
    const text = fc.array(word, { maxLength: 40 }).map((words) => [Buffer.from(words.join(""))]);
    fc.assert(fc.property(text, readAnything), { numRuns: 5000 });
  });

  it("never does more than break its own connection: a recording with some bytes changed", () => {
    const bytes = recordedBytes("11-heartbeat-json-0-1-6-calls").subarray(0, 3200);
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
        const changed = Buffer.from(bytes);
        for (const [at, value] of changes) changed[at] = value;
        readAnything([changed]);
      }),
      { numRuns: 2000 },
    );
  });

  it("as the JSON of an event never does more than break its own connection", () => {
    fc.assert(
      fc.property(fc.json(), (json) => readAnything([Buffer.from(eventFrame(json))])),
      { numRuns: 2000 },
    );
  });

  it("before a heartbeat takes the heartbeat with it, and nothing after a new connection", () => {
    assert.throws(() => readChunks([Buffer.from("Content-Length: x\n\n"), recordedBytes("01-banner-auth-ok")]), FrameError);
    assert.equal(readChunks([recordedBytes("01-banner-auth-ok")]).length, 2);
  });
});
