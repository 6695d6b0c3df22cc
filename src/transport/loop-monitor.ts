import { monitorEventLoopDelay, performance } from "node:perf_hooks";

/** Distance of the looks at the event loop, milliseconds: a standstill that is shorter is not seen. */
const RESOLUTION_MS = 10;
const NS_PER_MS = 1_000_000;

/**
 * Tells in equal distances how the event loop does: the longest time that it stood still, and the share of its time that it was busy. The first is measured
 * outside of JavaScript; a flood of datagrams shows in the second only, as timers have their turn between any two handfuls of them.
 *
 * @param everyMs distance of two samples
 * @param tell its sample has `lagMs` and `utilization` from 0 to 1
 * @returns how to stop it
 */
export function startLoopMonitor(everyMs: number, tell: (sample: { lagMs: number; utilization: number }) => void): () => void {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  let last = performance.eventLoopUtilization();
  const interval = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    const lagMs = Math.max(0, delays.max / NS_PER_MS - RESOLUTION_MS);
    delays.reset();
    tell({ lagMs, utilization });
  }, everyMs);
  return () => {
    clearInterval(interval);
    delays.disable();
  };
}
