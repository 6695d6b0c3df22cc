import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameWatch } from "../../src/transport/frame-watch.ts";
import { frame } from "../support/raw-websocket.ts";

const [CONTINUATION, PING] = [0, 9];

describe("FrameWatch", () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    it(`knows the end of a frame of ${length} bytes, cut anywhere`, () => {
      const bytes = frame({ payload: "x".repeat(length) });
      for (const cut of [1, 2, 4, 6, 10, 14, bytes.length - 1].filter((at) => at < bytes.length)) {
        const watch = new FrameWatch();
        assert.equal(watch.push(bytes.subarray(0, cut)), false);
        assert.equal(watch.isPartial, true, `${cut} bytes`);
        assert.equal(watch.push(bytes.subarray(cut)), true);
        assert.equal(watch.isPartial, false);
      }
    });
  }

  it("knows that a message goes on behind its fragments, whatever stands between them", () => {
    const watch = new FrameWatch();
    assert.equal(watch.push(frame({ isLast: false, payload: "a" })), false);
    assert.equal(watch.push(frame({ opcode: PING, payload: "b" })), false);
    assert.equal(watch.isPartial, true);
    assert.equal(watch.push(frame({ opcode: CONTINUATION, payload: "c" })), true);
    assert.equal(watch.isPartial, false);
  });

  it("sees an end and a beginning in the same bytes", () => {
    const watch = new FrameWatch();
    const bytes = frame({ payload: "abc" });
    assert.equal(watch.push(Buffer.concat([bytes, bytes.subarray(0, 3)])), true);
    assert.equal(watch.isPartial, true);
  });
});
