import { MAX_BACKOFF_MS, MIN_BACKOFF_MS } from "./limits.ts";

/** How far chance moves a wait, up and down: many connections lost at the same moment do not come back at the same moment. */
const SPREAD = 0.2;

/**
 * The wait before a connection is tried again: doubling from 1 to 30 s.
 *
 * @param failures tries that failed one after the other, from 1
 * @param random uniform in [0, 1)
 * @returns milliseconds, 1000 to 30,000
 */
export function backoffMs(failures: number, random: () => number): number {
  const wait = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** Math.min(failures - 1, 16));
  const moved = wait * (1 - SPREAD + 2 * SPREAD * random());
  return Math.round(Math.min(MAX_BACKOFF_MS, Math.max(MIN_BACKOFF_MS, moved)));
}
