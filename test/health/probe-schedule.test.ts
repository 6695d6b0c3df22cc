import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  evenSlots,
  isCrowded,
  jitterOffset,
  Latency,
  nextFastTurn,
  nextSlot,
  slotsInGaps,
  slowStartShare,
} from "../../src/health/index.ts";

describe("evenSlots()", () => {
  it("spreads destinations evenly over the interval, the first one at once at the anchor", () => {
    assert.deepEqual(evenSlots(1_000, 1_000, 4, 30_000), [1_000, 8_500, 16_000, 23_500]);
    assert.deepEqual(evenSlots(5, 5, 1, 30_000), [5]);
    assert.deepEqual(evenSlots(5, 5, 0, 30_000), []);
  });
  it("keeps to the grid of the anchor, so that the next table does not begin with a probe at once", () => {
    assert.deepEqual(evenSlots(1_000, 1_001, 1, 30_000), [31_000]);
    assert.deepEqual(evenSlots(1_000, 62_000, 3, 30_000), [71_000, 81_000, 91_000]);
  });
});

describe("slotsInGaps()", () => {
  it("halves the only gap, then the largest ones, the next interval included", () => {
    assert.deepEqual(slotsInGaps([0], 0, 1, 100), [50]);
    assert.deepEqual(slotsInGaps([0, 50], 0, 2, 100), [25, 75]);
    assert.deepEqual(slotsInGaps([0, 50], 0, 1, 100), [25]);
    assert.deepEqual(slotsInGaps([1_040, 1_060], 1_000, 1, 100), [1_000]);
    assert.deepEqual(slotsInGaps([40, 60], 1_050, 1, 100), [1_100]);
  });
  it("divides one gap evenly among many", () => {
    assert.deepEqual(slotsInGaps([0], 0, 9, 100), [10, 20, 30, 40, 50, 60, 70, 80, 90]);
    assert.deepEqual(slotsInGaps([0, 10], 0, 2, 100), [40, 70]);
  });

  it("keeps any number of slots at least half an even distance apart, however they come, and none before its time", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }), fc.nat(100_000), (counts, start) => {
        const intervalMs = 30_000;
        let slots: number[] = [];
        for (const [k, count] of counts.entries()) {
          const now = start + k * 777;
          const more = k === 0 ? evenSlots(start, now, count, intervalMs) : slotsInGaps(slots, now, count, intervalMs);
          assert.equal(more.length, count);
          for (const slot of more) assert.ok(slot >= now && slot < now + intervalMs, `${slot} at ${now}`);
          slots = [...slots, ...more];
        }
        const phases = slots.map((slot) => slot % intervalMs).sort((a, b) => a - b);
        const half = intervalMs / slots.length / 2;
        for (const [i, phase] of phases.entries()) {
          const next = phases[i + 1] ?? phases[0]! + intervalMs;
          assert.ok(slots.length === 1 || next - phase >= half - 1e-6, `${next - phase} of ${half}`);
        }
        assert.equal(isCrowded(slots, intervalMs), false);
      }),
    );
  });
});

describe("isCrowded()", () => {
  // slots in an interval of 100 → crowded
  const rows: readonly (readonly [string, readonly number[], boolean])[] = [
    ["none", [], false],
    ["one", [7], false],
    ["two at a time", [7, 7], true],
    ["two at a time of five", [7, 7, 30, 60, 90], false],
    ["three of five in a tenth", [7, 10, 16, 60, 90], true],
    ["three of five in more than a tenth", [7, 10, 17, 60, 90], false],
    ["across the end of the interval", [95, 203, 1, 60, 70], true],
  ];
  for (const [name, slots, want] of rows) it(name, () => assert.equal(isCrowded(slots, 100), want));
  it("is never said of even slots", () => {
    for (let n = 1; n <= 300; n++) assert.equal(isCrowded(evenSlots(0.3, 1_234.5, n, 30_000), 30_000), false, String(n));
  });
});

describe("nextFastTurn()", () => {
  // slot, earliest → turn, with an interval of 100 and a fast one of 10
  const rows: readonly (readonly [string, number, number, number])[] = [
    ["a slot at the begin", 200, 203, 210],
    ["a slot in the middle", 250, 203, 205],
    ["now is soon enough", 250, 205, 205],
    ["a slot at the end", 299, 203, 209.9],
  ];
  for (const [name, slot, earliest, want] of rows) {
    it(name, () => assert.ok(Math.abs(nextFastTurn(slot, earliest, 100, 10) - want) < 1e-9));
  }
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
