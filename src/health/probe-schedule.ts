/**
 * When destinations are probed. Each has a slot of its own in the interval, so that probes are spread evenly over it; `jitter` moves a single probe
 * about its slot without moving the slots after it. All times are milliseconds on one clock.
 */

/** First slot of the `k`-th of `n` destinations that are scheduled together: at once for the first, and spread over the interval. */
export function firstSlot(nowMs: number, k: number, n: number, intervalMs: number): number {
  return nowMs + (k * intervalMs) / n;
}

/** The slot after `slotMs`: always a later one, and none that is over. Slots that were missed are left out. */
export function nextSlot(slotMs: number, nowMs: number, intervalMs: number): number {
  const passed = Math.floor((nowMs - slotMs) / intervalMs) + 1;
  return slotMs + Math.max(1, passed) * intervalMs;
}

/**
 * How far a probe is moved from its time.
 *
 * @param jitter share of the interval, 0 to 0.5: at 0.5 a probe comes near its neighbour and never overtakes it
 * @param random uniform in [0, 1)
 */
export function jitterOffset(intervalMs: number, jitter: number, random: number): number {
  return (2 * random - 1) * jitter * intervalMs;
}
