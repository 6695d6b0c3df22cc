import { performance } from "node:perf_hooks";

/** Distance of the looks at the event loop, milliseconds: a standstill that is shorter is not seen. */
const RESOLUTION_MS = 10;

/**
 * Tells in equal distances how the event loop does: the longest time that it stood still, and the share of its time that it was busy. A flood of datagrams
 * shows in the second only, as timers have their turn between any two handfuls of them.
 *
 * One timer does both. `monitorEventLoopDelay()` of Node.js does not see a standstill that begins just after its `reset()`, so it would miss each of those
 * that follow each other without a break.
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
