import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { firstSlot, jitterOffset, Latency, nextSlot, slowStartShare } from "../../src/health/index.ts";

describe("firstSlot()", () => {
  it("spreads destinations evenly over the interval, the first one at once", () => {
    assert.deepEqual(
      [0, 1, 2, 3].map((k) => firstSlot(1_000, k, 4, 30_000)),
      [1_000, 8_500, 16_000, 23_500],
    );
    assert.equal(firstSlot(5, 0, 1, 30_000), 5);
  });
});

describe("nextSlot()", () => {
  // slot, now → next, with an interval of 100
  const rows: readonly (readonly [string, number, number, number])[] = [
    ["on time", 1_000, 1_000, 1_100],
    ["late", 1_000, 1_040, 1_100],
    ["early by jitter: the slot is used up", 1_000, 950, 1_100],
    ["on the next slot: a later one", 1_000, 1_100, 1_200],
    ["slots were missed", 1_000, 1_450, 1_500],
  ];
  for (const [name, slot, now, want] of rows) it(name, () => assert.equal(nextSlot(slot, now, 100), want));
});

describe("jitterOffset()", () => {
  it("moves by at most the share of the interval, either way", () => {
    assert.equal(jitterOffset(30_000, 0.1, 0), -3_000);
    assert.equal(jitterOffset(30_000, 0.1, 0.5), 0);
    assert.ok(jitterOffset(30_000, 0.1, 0.999_999) < 3_000);
    assert.equal(jitterOffset(30_000, 0, 0.9), 0);
  });
});

describe("slowStartShare()", () => {
  it("grows evenly from 10 % to all", () => {
    assert.equal(slowStartShare(0, 10_000), 0.1);
    assert.equal(slowStartShare(5_000, 10_000), 0.55);
    assert.equal(slowStartShare(10_000, 10_000), 1);
    assert.equal(slowStartShare(99_000, 10_000), 1);
  });
  it("has no slow start when its duration is 0, and begins at 10 % when the clock stands still", () => {
    assert.equal(slowStartShare(0, 0), 1);
    assert.equal(slowStartShare(-5, 10_000), 0.1);
  });
});

describe("Latency", () => {
  it("has last, average, moving average and maximum of what was recorded", () => {
    const latency = new Latency();
    for (const ms of [10, 20, 60]) latency.record(ms);
    const { last, average, ewma, max, samples } = latency;
    assert.deepEqual({ last, average, ewma, max, samples }, { last: 60, average: 30, ewma: 30, max: 60, samples: 3 });
  });
  it("moves the moving average by a tenth after ten samples (Kamailio dispatcher)", () => {
    const latency = new Latency();
    for (let i = 0; i < 10; i++) latency.record(10);
    assert.equal(latency.ewma, 10);
    latency.record(110);
    assert.equal(latency.ewma, 20);
    assert.ok(Math.abs(latency.average - (10 * 10 + 110) / 11) < 1e-9);
  });
  it("is all 0 before the first answer, whatever timed out", () => {
    const latency = new Latency();
    latency.timeouts++;
    const { last, average, ewma, max, samples } = latency;
    assert.deepEqual({ last, average, ewma, max, samples }, { last: 0, average: 0, ewma: 0, max: 0, samples: 0 });
  });
});
