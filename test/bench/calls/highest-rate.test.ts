import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HighestRate, MAX_RATE } from "../../../bench/calls/highest-rate.ts";

/** @returns what was tried of a proxy that holds `limit`, in order */
function tried(search: HighestRate, limit: number): number[] {
  const rates: number[] = [];
  for (let rate = search.next; rate !== undefined && rates.length < 40; rate = search.next) {
    rates.push(rate);
    search.took(rate <= limit);
  }
  return rates;
}

describe("search for the highest rate", () => {
  it("goes up in steps, then halves until a quarter of a step is left", () => {
    const search = new HighestRate(3_000, 1_000);
    assert.deepEqual(tried(search, 5_300), [3_000, 4_000, 5_000, 6_000, 5_500, 5_250]);
    assert.equal(search.held, 5_250);
  });
  it("finds a limit below where it begins", () => {
    const search = new HighestRate(3_000, 1_000);
    tried(search, 700);
    assert.equal(search.held, 563);
  });
  it("ends with 0 when nothing is held, and at the most that the generator can", () => {
    const none = new HighestRate(3_000, 1_000);
    tried(none, 0);
    assert.equal(none.held, 0);
    const all = new HighestRate(18_500, 1_000);
    assert.deepEqual(tried(all, 100_000), [18_500, 19_500, MAX_RATE]);
    assert.equal(all.held, MAX_RATE);
  });
});
