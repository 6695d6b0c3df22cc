import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallMeasures, DelayTally } from "../../src/proxy/index.ts";
import type { SipResponse } from "../../src/sip/index.ts";

/** What is measured of a call whose responses come at these times. */
function measured(...responses: (readonly [ageMs: number, status: number])[]): { postDial: number[]; setup: number[] } {
  const measures = new CallMeasures();
  const call: { ageMs: number; measured: 0 | 1 | 2 } = { ageMs: 0, measured: 0 };
  for (const [ageMs, status] of responses) {
    call.ageMs = ageMs;
    measures.observe(call, { status } as SipResponse);
  }
  const sums = ({ counts, sumMs }: DelayTally): number[] => [counts.reduce((sum, count) => sum + count, 0), sumMs];
  return { postDial: sums(measures.postDial), setup: sums(measures.setup) };
}

describe("what is measured of a call", () => {
  it("is the time until it rings, and until it is answered", () => {
    assert.deepEqual(measured([5, 100], [70, 180], [90, 183], [4_000, 200]), { postDial: [1, 70], setup: [1, 4_000] });
  });
  it("is both at once when nothing rings before", () => {
    assert.deepEqual(measured([30, 200]), { postDial: [1, 30], setup: [1, 30] });
  });
  it("goes on over a failover, and is nothing when the call fails", () => {
    assert.deepEqual(measured([40, 503], [90, 180], [95, 486]), { postDial: [1, 90], setup: [0, 0] });
  });
  it("is no second answer, such as that of another branch", () => {
    assert.deepEqual(measured([30, 200], [60, 200], [70, 180]), { postDial: [1, 30], setup: [1, 30] });
  });
});

describe("DelayTally", () => {
  it("puts a time into the bucket whose bound it does not exceed", () => {
    const tally = new DelayTally([10, 20]);
    for (const ms of [0, 10, 10.1, 20, 21]) tally.observe(ms);
    assert.deepEqual([[...tally.counts], tally.sumMs], [[2, 2, 1], 61.1]);
  });
});
