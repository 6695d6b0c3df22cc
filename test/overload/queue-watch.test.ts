import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QueueWatch, STANDING_MS } from "../../src/overload/queue-watch.ts";

/** Looks at a queue: at `ms`, `share` of it is full. @returns whether it was crowded after each look */
function looked(looks: readonly (readonly [ms: number, share: number])[], maxShare = 0.5): boolean[] {
  let now = 0;
  const queue = new QueueWatch(maxShare, () => now);
  return looks.map(([ms, share]) => {
    now = ms;
    queue.look(share);
    return queue.isCrowded;
  });
}

describe("the watch over a queue", () => {
  it("finds it crowded when it is full and has had no empty moment for a while", () => {
    assert.deepEqual(
      looked([
        [0, 0.2],
        [20, 0.9],
        [STANDING_MS, 0.5],
      ]),
      [false, false, true],
    );
  });
  it("lets pass what a standstill has left, which is read soon", () => {
    assert.deepEqual(
      looked([
        [0, 1],
        [30, 0.6],
        [40, 0],
        [60, 0.9],
      ]),
      [false, false, false, false],
    );
  });
  it("does not take a queue for one that has stood all the time when nobody has looked", () => {
    assert.deepEqual(
      looked([
        [0, 0.1],
        [STANDING_MS + 20, 0.9],
        [STANDING_MS + 30, 0.6],
        [STANDING_MS + 40, 0],
      ]),
      [false, false, false, false],
    );
  });
  it("lets a queue stand that is not full: all is answered in time", () => {
    assert.deepEqual(
      looked([
        [0, 0.4],
        [5_000, 0.49],
      ]),
      [false, false],
    );
  });
  it("stays crowded until it is well below the limit", () => {
    assert.deepEqual(
      looked([
        [0, 0.9],
        [30, 0.9],
        [60, 0.9],
        [61, 0.31],
        [62, 0.29],
        [63, 0.4],
        [64, 0.5],
      ]),
      [false, false, true, true, false, false, true],
    );
  });
  it("looks at nothing with 0", () => {
    assert.deepEqual(
      looked(
        [
          [0, 1],
          [60, 1],
        ],
        0,
      ),
      [false, false],
    );
  });
  it("forgets a socket that tells nothing any more", () => {
    let now = 0;
    const queue = new QueueWatch(0.5, () => now);
    for (now = 0; now <= 60; now += 30) queue.look(1);
    assert.equal(queue.isCrowded, true);
    now = 1_090;
    assert.equal(queue.isCrowded, false);
  });
});
