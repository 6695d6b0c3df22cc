import { BALANCER_TARGET, LATE_MS, LOST_MS, type Step, type Verdict } from "../bench/plan.ts";
import type { BenchResult } from "../bench/run-bench.ts";

/** Share of the machine's processors that others may use before the figures say little. */
const BUSY_SHARE = 0.15;
/** Share of the machine that nobody used, below which its processors are the limit. */
const NOBODY_IDLE = 0.05;
/** How long a call is in the sentence about calls at a time: a usual mean. */
const TALK_S = 180;
const WIDTHS = [9, 9, 9, 9, 11, 9, 8] as const;

const VERDICTS: Readonly<Record<Verdict, string>> = {
  fine: "",
  processor: `the balancer uses ${percent(BALANCER_TARGET)} of a processor or more`,
  late: `one answer of a hundred takes more than ${LATE_MS} ms`,
  lost: `calls have no answer after ${LOST_MS} ms`,
  refused: "calls are refused",
  generator: "callers and callees of the benchmark cannot keep up",
};

/** Titles of the columns of {@link benchLine}. */
export const BENCH_HEADING = line(["calls/s", "p50 ms", "p99 ms", "CPU", "µs a call", "memory", "others"], "");

/** One step as a line of a table. */
export function benchLine(step: Step, verdict: Verdict): string {
  const { callsPerSecond, p50Ms, p99Ms, balancerShare, cpuMicroseconds, memoryMb, othersShare } = step;
  return line(
    [
      callsPerSecond.toFixed(0),
      p50Ms?.toFixed(1) ?? "-",
      p99Ms?.toFixed(1) ?? "-",
      percent(balancerShare),
      cpuMicroseconds.toFixed(0),
      `${memoryMb.toFixed(0)} MB`,
      percent(othersShare),
    ],
    VERDICTS[verdict],
  );
}

/** What the figures mean, for people. */
export function benchSummary(result: BenchResult): string {
  const { best, limit, processor, processors, node, steps } = result;
  const machine = `${processor}, ${processors} ${processors === 1 ? "processor" : "processors"}, Node.js ${node}`;
  return [machine, ...meaning(best, limit, steps), ...doubts(result)].join("\n");
}

/** The figures for programs; shares are 0 to 1. */
export function benchJson(result: BenchResult): object {
  const { best, limit, steps, ...machine } = result;
  return {
    ...machine,
    calls_per_second: best?.callsPerSecond ?? null,
    cpu_microseconds_per_call: best?.cpuMicroseconds ?? null,
    p50_ms: best?.p50Ms ?? null,
    p99_ms: best?.p99Ms ?? null,
    memory_mb: best?.memoryMb ?? null,
    limit: limit ?? null,
    meaning: [...meaning(best, limit, steps), ...doubts(result)],
    steps,
  };
}

function meaning(best: Step | undefined, limit: BenchResult["limit"], steps: BenchResult["steps"]): string[] {
  if (best === undefined) {
    const last = steps.at(-1);
    if (last === undefined) return ["Nothing was measured."];
    return [
      `At ${last.wanted} calls a second ${limit === undefined ? "something was wrong" : VERDICTS[limit]}; nothing lower was measured.`,
    ];
  }
  const rate = Math.floor(best.callsPerSecond);
  const above =
    limit === undefined
      ? "Nothing was wrong at that rate, and no higher one was measured: the machine may carry more."
      : limit === "generator"
        ? "Above that callers and callees of the benchmark could not keep up: the balancer may carry more."
        : `Above that ${VERDICTS[limit]}.`;
  return [
    `One Headroom on this machine carries ${rate} calls a second: it uses ${best.cpuMicroseconds.toFixed(0)} µs of processor time for each, and answers 99 of 100 within ${best.p99Ms?.toFixed(1) ?? "-"} ms.`,
    above,
    `With calls of ${TALK_S / 60} minutes ${rate} a second are ${rate * TALK_S} calls at a time. Plan with half of it: bursts, failovers, probes and reloads want room, and a second node carries all when the first one is gone.`,
  ];
}

/** Why the figures are not to be trusted, where they are not. */
function doubts({ steps, best, limit, processors }: BenchResult): string[] {
  // What ended the search counts as what was best: a rate may have been too much only because somebody else needed the machine.
  const ended = steps.findLast(({ verdict }) => verdict === limit);
  const measured = [best ?? steps.at(-1), ended].filter((step) => step !== undefined);
  if (measured.length === 0) return [];
  const found: string[] = [];
  const others = Math.max(...measured.map(({ othersShare }) => othersShare));
  if (others > BUSY_SHARE) {
    found.push(`Other programs used ${percent(others)} of this machine meanwhile: measure again when it is quiet.`);
  } else if (measured.some(({ idleShare }) => idleShare < NOBODY_IDLE)) {
    found.push(`No processor was idle: balancer, callers and callees share ${processors}, so a machine with more of them carries more.`);
  }
  return found;
}

function line(cells: readonly string[], note: string): string {
  return `${cells.map((cell, i) => cell.padStart(WIDTHS[i] ?? 0)).join("")}${note === "" ? "" : `  ${note}`}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
