/** Share of its capacity that a destination begins with. */
const FIRST_SHARE = 0.1;

/** Share of its capacity, 0.1 to 1, that a destination has `elapsedMs` after it was enabled again: it grows evenly over `durationMs`. */
export function slowStartShare(elapsedMs: number, durationMs: number): number {
  if (elapsedMs >= durationMs) return 1;
  return FIRST_SHARE + (1 - FIRST_SHARE) * Math.max(0, elapsedMs / durationMs);
}
