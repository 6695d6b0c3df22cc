import type { Clock } from "./ports.ts";

/** The clock of the system. Its timers keep no program running. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs).unref();
    return () => clearTimeout(timer);
  },
};
