/**
 * When destinations are probed. Each has a slot of its own in the interval, so that probes are spread over it; `jitter` moves a single probe about its
 * slot without moving the slots after it. All times are milliseconds on one clock.
 */

/** The interval has so many windows, and in each that begins with a slot it is counted whether slots are spread. */
const WINDOWS = 10;
/** How many times its fair share of probes such a window may have, and one probe more. */
const MAX_SHARE = 2;
/** Steps of the search for a distance: enough for the last bit of a double. */
const SEARCH_STEPS = 60;

/**
 * The next slots of `n` destinations that share the interval evenly, the earliest first. They lie on one grid through `anchorMs`, so that tables that follow
 * each other in quick succession do not get a probe each at once.
 */
export function evenSlots(anchorMs: number, nowMs: number, n: number, intervalMs: number): number[] {
  const stepMs = intervalMs / n;
  const first = Math.ceil((nowMs - anchorMs) / stepMs);
  return Array.from({ length: n }, (_, k) => anchorMs + (first + k) * stepMs);
}

/**
 * Next slots, from `nowMs` on, for `n` more destinations: in the largest gaps between the slots that are taken. No two slots are then nearer to each
 * other than half of an even distance, unless they were before.
 *
 * @param taken at least one slot
 */
export function slotsInGaps(taken: readonly number[], nowMs: number, n: number, intervalMs: number): number[] {
  const phases = taken.map((slotMs) => phaseOf(slotMs - nowMs, intervalMs)).sort((a, b) => a - b);
  const gaps = phases.map((from, i) => ({
    from,
    ms: i + 1 < phases.length ? phases[i + 1]! - from : intervalMs + phases[0]! - from,
    parts: 1,
  }));
  // The smallest distance at which no more than n fit, all gaps divided by it; those left over go where the distance is largest then.
  let [low, high] = [0, intervalMs];
  for (let step = 0; step < SEARCH_STEPS; step++) {
    const middle = (low + high) / 2;
    let fit = 0;
    for (const { ms } of gaps) fit += partsOf(ms, middle) - 1;
    if (fit > n) low = middle;
    else high = middle;
  }
  let left = n;
  for (const gap of gaps) {
    gap.parts = partsOf(gap.ms, high);
    left -= gap.parts - 1;
  }
  const widest = [...gaps].sort((a, b) => b.ms / b.parts - a.ms / a.parts);
  for (let i = 0; left > 0; i = (i + 1) % widest.length, left--) widest[i]!.parts++;
  const slots: number[] = [];
  for (const { from, ms, parts } of gaps) for (let k = 1; k < parts; k++) slots.push(nowMs + phaseOf(from + (k * ms) / parts, intervalMs));
  return slots;
}

/** Whether some tenth of the interval has more than twice its share of the slots, and one: reloads have taken others away. */
export function isCrowded(slots: readonly number[], intervalMs: number): boolean {
  const phases = slots.map((slotMs) => phaseOf(slotMs, intervalMs)).sort((a, b) => a - b);
  const n = phases.length;
  const most = (MAX_SHARE * n) / WINDOWS + 1;
  for (let first = 0, end = 0; first < n; first++) {
    // The window begins with a slot; after the last phase the next interval goes on with the first one.
    while (end < first + n && phases[end % n]! + (end >= n ? intervalMs : 0) < phases[first]! + intervalMs / WINDOWS) end++;
    if (end - first > most) return true;
  }
  return false;
}

/** The slot after `slotMs`: always a later one, and none that is over. Slots that were missed are left out. */
export function nextSlot(slotMs: number, nowMs: number, intervalMs: number): number {
  const passed = Math.floor((nowMs - slotMs) / intervalMs) + 1;
  return slotMs + Math.max(1, passed) * intervalMs;
}

/**
 * The next turn at the fast interval, not before `earliestMs`: where the slot lies in the interval, the turn lies in the fast interval. So destinations
 * that begin to fail together are probed spread, too.
 */
export function nextFastTurn(slotMs: number, earliestMs: number, intervalMs: number, fastIntervalMs: number): number {
  const phase = (phaseOf(slotMs, intervalMs) / intervalMs) * fastIntervalMs;
  return earliestMs + phaseOf(phase - earliestMs, fastIntervalMs);
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

function partsOf(gapMs: number, distanceMs: number): number {
  return Math.max(1, Math.ceil(gapMs / distanceMs));
}

/** Where a time lies in its interval, from 0 to below the interval. */
function phaseOf(ms: number, intervalMs: number): number {
  const phase = ms % intervalMs;
  return phase < 0 ? phase + intervalMs : phase;
}
