import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { median, ratio, shown, spread } from "../../../bench/calls/statistics.ts";

describe("statistics of the bench of calls", () => {
  it("take the middle, of an even number the lower of two", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 3, 2]), 2);
    assert.equal(median([]), Number.NaN);
  });
  it("show the middle with the least and the most, and one figure as it is", () => {
    assert.equal(spread([180, 171, 168]), "171 (168–180)");
    assert.equal(spread([0.123]), "0.12");
    assert.equal(spread([]), "–");
  });
  it("show no digits that mean nothing", () => {
    assert.deepEqual([1234.5, 99.94, 5.678, 0, Number.NaN].map(shown), ["1,235", "99.9", "5.68", "0", "–"]);
  });
  it("compare round by round, so that a slow machine does not count", () => {
    assert.equal(ratio([100, 300, 110], [200, 600, 200]), 0.5);
    assert.equal(ratio([100, 300], [200]), 0.5);
  });
});
