import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { quantile, RateSearch, type Step, verdictOf } from "../../src/bench/plan.ts";

function step(wanted: number, over: Partial<Step> = {}): Step {
  return {
    wanted,
    callsPerSecond: wanted,
    answered: wanted,
    lost: 0,
    refused: 0,
    p50Ms: 1,
    p99Ms: 5,
    balancerShare: wanted / 2_000,
    cpuMicroseconds: 500,
    memoryMb: 150,
    generatorShare: 0.2,
    othersShare: 0,
    idleShare: 0.4,
    ...over,
  };
}

/** Measures until enough is known, on a machine that `measure` describes. @returns the rates, in order */
function searched(measure: (rate: number) => Step, most = 40): { search: RateSearch; rates: number[] } {
  const search = new RateSearch(200);
  const rates: number[] = [];
  for (let rate = search.next; rate !== undefined && rates.length < most; rate = search.next) {
    rates.push(rate);
    search.took(measure(rate));
  }
  return { search, rates };
}

describe("what limits a rate", () => {
  const cases: { name: string; over: Partial<Step>; want: string }[] = [
    { name: "nothing", over: {}, want: "fine" },
    { name: "the processor of the balancer", over: { balancerShare: 0.8 }, want: "processor" },
    { name: "late answers", over: { p99Ms: 101 }, want: "late" },
    { name: "no answers", over: { answered: 0, p50Ms: null, p99Ms: null }, want: "late" },
    { name: "calls without an answer", over: { lost: 1 }, want: "lost" },
    { name: "refusals", over: { refused: 1 }, want: "refused" },
    { name: "callers that begin too few", over: { callsPerSecond: 94, p99Ms: 900 }, want: "generator" },
    { name: "callees without a processor", over: { generatorShare: 0.95, lost: 50 }, want: "generator" },
    { name: "few losses", over: { answered: 1_000, lost: 3, refused: 3 }, want: "fine" },
  ];
  for (const { name, over, want } of cases) it(name, () => assert.equal(verdictOf(step(100, over)), want));
});

describe("the search for the highest rate", () => {
  it("goes up as far as processor time tells, then between what was fine and what was not", () => {
    const { search, rates } = searched((rate) => step(rate));
    assert.deepEqual(rates.slice(0, 4), [200, 400, 800, 1600]);
    assert.equal(search.limit?.verdict, "processor");
    const best = search.best?.wanted ?? 0;
    assert.ok(best >= 1_450 && best < 1_600, String(best));
    assert.ok(rates.length <= 9, rates.join());
  });

  it("finds what else may be the limit", () => {
    const { search } = searched((rate) => step(rate, { p99Ms: rate > 700 ? 300 : 5 }));
    assert.equal(search.limit?.verdict, "late");
    assert.ok((search.best?.wanted ?? 0) > 640 && (search.best?.wanted ?? 0) <= 700);
  });

  it("measures again what may be the fault of others", () => {
    let times = 0;
    const { search, rates } = searched((rate) => step(rate, { p99Ms: rate === 400 && times++ === 0 ? 300 : 5 }));
    assert.deepEqual(rates.slice(0, 4), [200, 400, 400, 800]);
    assert.equal(search.limit?.verdict, "processor");
  });

  it("goes down when the first rate is too much", () => {
    const { search, rates } = searched((rate) => step(rate, { balancerShare: rate / 50 }));
    assert.ok(rates.every((rate, i) => i === 0 || rate !== rates[i - 1]));
    assert.ok((search.best?.wanted ?? 0) >= 36 && (search.best?.wanted ?? 0) < 40, rates.join());
  });

  it("ends on a machine that carries nothing", () => {
    const { search, rates } = searched((rate) => step(rate, { answered: 0, p99Ms: null }));
    assert.equal(search.best, undefined);
    assert.ok(rates.length < 20, rates.join());
  });
});

describe("quantiles", () => {
  it("are values of the list", () => {
    assert.equal(quantile([], 0.5), null);
    assert.equal(quantile([7], 0.99), 7);
    assert.equal(quantile([1, 2, 3, 4], 0.5), 3);
    assert.equal(quantile([1, 2, 3, 4], 1), 4);
  });
});
