import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { overloadFigure, type Series } from "../../../bench/calls/overload-figure.ts";

const SECOND = 10;
const WELL_US = 20_000;

/** Two seconds of too much, three of less; calls are up for half a second. */
function series(over: Partial<Series> = {}): Series {
  const zeros = Array<number>(5 * SECOND).fill(0);
  return {
    binMs: 100,
    started: zeros.map((_, i) => (i < 2 * SECOND ? 15 : 5)),
    completed: zeros.map((_, i) => (i < 5 ? 0 : i < 25 ? 9 : 5)),
    refused: zeros,
    bad: zeros,
    slowestUs: zeros.map(() => 1_000),
    ...over,
  };
}

function from(first: number, last: number, value: number): number[] {
  return Array.from({ length: 5 * SECOND }, (_, i) => (i >= first && i <= last ? value : 0));
}

const recovery = (over: Partial<Series>): number => overloadFigure(series(over), 2, 0.5, WELL_US).recoveryS;

describe("figures of an overload", () => {
  it("count what was completed while calls of too many ended", () => {
    assert.equal(overloadFigure(series(), 2, 0.5, WELL_US).completedPerSecond, 90);
  });
  it("say no time where all was well before the offer went down", () => {
    assert.equal(recovery({ bad: from(0, 10, 1) }), 0);
  });
  it("say the time until no call failed, was refused, was sent again or was slow, for good", () => {
    assert.equal(recovery({ bad: from(0, 29, 1) }), 1);
    assert.equal(recovery({ refused: from(35, 35, 1) }), 1.6);
    assert.equal(recovery({ slowestUs: from(0, 24, WELL_US + 1) }), 0.5);
  });
  it("say that it never was well again", () => {
    assert.equal(recovery({ bad: from(0, 49, 1) }), Number.POSITIVE_INFINITY);
    assert.equal(recovery({ bad: from(49, 49, 1) }), Number.POSITIVE_INFINITY);
  });
});
