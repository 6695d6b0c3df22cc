import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameError } from "../../src/freeswitch/framer.ts";
import { readHeartbeat } from "../../src/freeswitch/heartbeat.ts";
import type { EslMessage } from "../../src/freeswitch/message-parser.ts";
import { RECORDINGS, readChunks, recordedBytes } from "../support/esl-recordings.ts";
import { seededRandom } from "../support/random.ts";

const XML = "12-heartbeat-xml-0-1-6-calls";
const READABLE = RECORDINGS.filter((name) => name !== XML);

function heartbeatsOf(messages: readonly EslMessage[]): unknown[] {
  return messages.filter(({ fields }) => fields.get("Event-Name") === "HEARTBEAT").map(({ fields }) => readHeartbeat(fields));
}

function* bytesOf(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe("recorded bytes of a FreeSWITCH", () => {
  for (const name of READABLE) {
    const bytes = recordedBytes(name);
    const whole = readChunks([bytes]);

    it(`${name}: are read to the last byte`, () => {
      assert.ok(whole.length > 0);
      for (const { contentType } of whole) assert.match(contentType, /^(auth|command|api|text)\//);
    });

    it(`${name}: give the same messages byte by byte, and in pieces of any size`, () => {
      for (const size of [1, 2, 3, 7, 64, 1000]) assert.deepEqual(readChunks(bytesOf(bytes, size)), whole, `pieces of ${size}`);
      const random = seededRandom(7);
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + Math.floor(random() * 200);
        pieces.push(bytes.subarray(at, at + size));
        at += size;
      }
      assert.deepEqual(readChunks(pieces), whole);
    });
  }

  it("give the same heartbeats split in two at every position", () => {
    for (const name of ["11-heartbeat-json-0-1-6-calls", "10-heartbeat-plain-0-1-6-calls"]) {
      // Three heartbeats hold every kind of position there is.
      const bytes = recordedBytes(name).subarray(0, 3200);
      const whole = readChunks([bytes]);
      assert.equal(heartbeatsOf(whole).length, 3);
      for (let at = 0; at <= bytes.length; at++) {
        const messages = readChunks([bytes.subarray(0, at), bytes.subarray(at)]);
        assert.deepEqual(messages, whole, `${name} split at ${at}`);
      }
    }
  });

  it("tell the calls of the farm: plain and JSON alike", () => {
    for (const name of ["11-heartbeat-json-0-1-6-calls", "10-heartbeat-plain-0-1-6-calls"]) {
      const beats = heartbeatsOf(readChunks([recordedBytes(name)])) as { heartbeat: { sessionCount: number; maxSessions: number } }[];
      assert.deepEqual([...new Set(beats.map(({ heartbeat }) => heartbeat.sessionCount))], [0, 1, 6], name);
      assert.ok(beats.every(({ heartbeat }) => heartbeat.maxSessions === 1000));
    }
  });

  it("tell that FreeSWITCH leaves: asked to, then doing it, a heartbeat behind that, and the notice", () => {
    const messages = readChunks([recordedBytes("41-fsctl-shutdown-elegant-listener")]);
    const names = messages.map(({ fields }) => fields.get("Event-Name"));
    const [asked, begun] = [names.indexOf("SHUTDOWN_REQUESTED"), names.indexOf("SHUTDOWN")];
    assert.ok(asked > 0 && begun > asked, `${asked} ${begun}`);
    assert.ok(names.slice(asked, begun).includes("HEARTBEAT"));
    assert.equal(messages.at(-1)?.contentType, "text/disconnect-notice");
    assert.match(messages.at(-1)?.body ?? "", /being shut down/);
  });

  it("show changes of max-sessions", () => {
    const beats = heartbeatsOf(readChunks([recordedBytes("20-heartbeat-during-fsctl")])) as { heartbeat: { maxSessions: number } }[];
    assert.deepEqual(
      beats.map(({ heartbeat }) => heartbeat.maxSessions).filter((max, i, all) => max !== all[i - 1]),
      [1000, 50, 3, 1000],
    );
  });

  it("are refused as XML, which nobody asks for", () => {
    assert.throws(
      () => readChunks([recordedBytes(XML)]),
      (error) => error instanceof FrameError && error.fault === "unexpected-format",
    );
  });
});
