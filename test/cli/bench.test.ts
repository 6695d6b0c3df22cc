import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Step } from "../../src/bench/plan.ts";
import type { BenchResult } from "../../src/bench/run-bench.ts";
import { BENCH_HEADING, benchJson, benchLine, benchSummary } from "../../src/cli/bench-text.ts";

const STEP: Step = {
  wanted: 1_000,
  callsPerSecond: 998.4,
  answered: 1_996,
  lost: 0,
  refused: 0,
  p50Ms: 1.234,
  p99Ms: 12.34,
  balancerShare: 0.501,
  cpuMicroseconds: 501.6,
  memoryMb: 180.4,
  generatorShare: 0.2,
  othersShare: 0.02,
  idleShare: 0.3,
};

function result(over: Partial<BenchResult> = {}): BenchResult {
  return {
    processor: "A processor",
    processors: 2,
    node: "v24.0.0",
    steps: [{ ...STEP, verdict: "fine" }],
    best: STEP,
    limit: "processor",
    ...over,
  };
}

describe("the figures of bench", () => {
  it("are a table with a line for each rate", () => {
    assert.deepEqual(
      [BENCH_HEADING, benchLine(STEP, "fine"), benchLine({ ...STEP, p50Ms: null, p99Ms: null }, "lost")],
      [
        "  calls/s   p50 ms   p99 ms      CPU  µs a call   memory  others",
        "      998      1.2     12.3     50 %        502   180 MB     2 %",
        "      998        -        -     50 %        502   180 MB     2 %  calls have no answer after 500 ms",
      ],
    );
  });

  it("are said in sentences", () => {
    assert.deepEqual(benchSummary(result()).split("\n"), [
      "A processor, 2 processors, Node.js v24.0.0",
      "One Headroom on this machine carries 998 calls a second: it uses 502 µs of processor time for each, and answers 99 of 100 within 12.3 ms.",
      "Above that the balancer uses 80 % of a processor or more.",
      "With calls of 3 minutes 998 a second are 179640 calls at a time. Plan with half of it: bursts, failovers, probes and reloads want room, and a second node carries all when the first one is gone.",
    ]);
  });

  it("say when the generator, the time or the machine was the limit", () => {
    assert.match(benchSummary(result({ limit: "generator" })), /could not keep up: the balancer may carry more/);
    assert.match(benchSummary(result({ limit: undefined })), /no higher one was measured: the machine may carry more/);
    assert.match(benchSummary(result({ best: { ...STEP, othersShare: 0.4 } })), /Other programs used 40 % of this machine meanwhile/);
    assert.match(
      benchSummary(result({ best: { ...STEP, idleShare: 0.01 } })),
      /No processor was idle: balancer, callers and callees share 2/,
    );
    const ended = { ...STEP, verdict: "processor" as const, othersShare: 0.5 };
    assert.match(benchSummary(result({ steps: [{ ...STEP, verdict: "fine" }, ended] })), /Other programs used 50 %/);
    const late = { best: undefined, limit: "late" as const };
    assert.match(benchSummary(result(late)), /At 1000 calls a second one answer of a hundred takes more than 100 ms; nothing lower/);
    assert.match(benchSummary(result({ best: undefined, limit: undefined, steps: [] })), /Nothing was measured/);
  });

  it("are JSON for programs", () => {
    const json = benchJson(result()) as Record<string, unknown>;
    assert.deepEqual([json["calls_per_second"], json["limit"], json["p99_ms"], json["processors"]], [998.4, "processor", 12.34, 2]);
    assert.equal((json["steps"] as object[]).length, 1);
  });
});
