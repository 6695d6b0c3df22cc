import { monitorEventLoopDelay, performance } from "node:perf_hooks";

/** Distance of the looks at the event loop, milliseconds: a standstill that is shorter is not seen. */
const RESOLUTION_MS = 10;

/** Time over which delays are told together: a usual distance of scrapes. */
const DELAYS_MS = 15_000;
const NANOSECONDS_A_MS = 1e6;

/** How much later than wanted the event loop came to what was due, in milliseconds. */
export interface LoopDelays {
  /** Half of the time it was not later than this. */
  readonly p50Ms: number;
  /** 99 % of the time. */
  readonly p99Ms: number;
  readonly maxMs: number;
}

/**
 * Tells in equal distances how the event loop did since the time before, from what Node.js itself sees of it, without running anything here.
 *
 * @param tell is told of the delays of each whole interval
 * @param everyMs distance of two
 * @returns how to stop it
 */
export function startDelayMonitor(tell: (delays: LoopDelays) => void, everyMs: number = DELAYS_MS): () => void {
  const seen = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  seen.enable();
  // What it measures is the distance of its looks, and so their resolution is part of each value.
  const delayOf = (nanoseconds: number): number => Math.max(0, nanoseconds / NANOSECONDS_A_MS - RESOLUTION_MS);
  const telling = setInterval(() => {
    if (seen.count > 0) tell({ p50Ms: delayOf(seen.percentile(50)), p99Ms: delayOf(seen.percentile(99)), maxMs: delayOf(seen.max) });
    seen.reset();
  }, everyMs);
  return () => {
    clearInterval(telling);
    seen.disable();
  };
}

/**
 * Tells in equal distances how the event loop does: the longest time that it stood still, and the share of its time that it was busy. A flood of datagrams
 * shows in the second only, as timers have their turn between any two handfuls of them.
 *
 * One timer does both. `monitorEventLoopDelay()` of Node.js, which {@link startDelayMonitor} has, does not see a standstill that begins just after its
 * `reset()`, so with short intervals it would miss each of those that follow each other without a break.
 *
 * @param everyMs distance of two samples; a standstill makes it longer
 * @param tell its sample has `lagMs` and `utilization` from 0 to 1
 * @returns how to stop it
 */
export function startLoopMonitor(everyMs: number, tell: (sample: { lagMs: number; utilization: number }) => void): () => void {
  let last = performance.eventLoopUtilization();
  let lookedMs = performance.now();
  let toldMs = lookedMs;
  let lagMs = 0;
  const looking = setInterval(() => {
    const nowMs = performance.now();
    lagMs = Math.max(lagMs, nowMs - lookedMs - RESOLUTION_MS);
    lookedMs = nowMs;
    if (nowMs - toldMs < everyMs) return;
    toldMs = nowMs;
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    const sample = { lagMs, utilization };
    lagMs = 0;
    tell(sample);
  }, RESOLUTION_MS);
  return () => clearInterval(looking);
}
