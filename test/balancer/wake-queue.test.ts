import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { WakeQueue } from "../../src/balancer/wake-queue.ts";

const ITEMS = 12;

describe("a queue of times", () => {
  it("is empty at first", () => assert.equal(new WakeQueue(0).firstAtMs, Number.POSITIVE_INFINITY));

  it("has the earliest first, whatever is put in, moved and taken out", () => {
    const step = fc.oneof(fc.constant(undefined), fc.record({ item: fc.nat(ITEMS - 1), atMs: fc.nat(20) }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new WakeQueue(ITEMS);
        const times = new Map<number, number>();
        for (const put of steps) {
          if (put !== undefined) {
            queue.set(put.item, put.atMs);
            times.set(put.item, put.atMs);
          } else if (times.size > 0) {
            const first = Math.min(...times.values());
            const item = queue.shift();
            assert.equal(times.get(item), first);
            times.delete(item);
          }
          assert.equal(queue.firstAtMs, Math.min(...times.values()));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
