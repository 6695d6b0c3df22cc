import type { Candidates } from "./candidates.ts";
import { FLAG_NEGATIVE, FLAG_RANDOM, FLAG_RELATIVE, NO_CAPACITY, NO_DESTINATION } from "./codes.ts";
import { STATUS_OVER_RATE } from "./status.ts";

/** A stamp that no row holds: nothing was tried before. */
export const NOT_TRIED = -1;

/** The load table, by cell. */
export interface LoadState {
  readonly load: Int32Array;
  readonly maxLoad: Int32Array;
}

/** What selection knows of the rows. */
export interface RowState {
  /** `STATUS_*` bits by row. */
  readonly status: Uint16Array;
  /** By row: a row that holds the current stamp was tried before. */
  readonly triedStamps: Int32Array;
  /** The rows that hold the stamp given last: the first `triedCount` of these. */
  readonly tried: Int32Array;
  readonly triedCount: number;
  /** Out: positions among the candidates that share the best score; as long as there are rows. */
  readonly best: Int32Array;
}

/** Below every absolute slot, which is at least 0 - 2147483647. */
const BELOW_ALL_SLOTS = -2_147_483_648;

/** Weights are kept in hundredths, so that products are whole numbers and equals stay equal. */
const ONE_WEIGHT = 100;

/**
 * Finds, by looking at each, the candidate whose scarcest requested resource has the largest available slot. The slot is `max_load - load`, or with flag `r` the whole
 * percentage that is free, `100 - trunc(100 * load / max_load)`, and 0 when `max_load` is 0. Without flag `n` a slot below 1 never qualifies.
 * Source: OpenSIPS `lb_data.c`.
 *
 * Tiers and weights are our own: a free slot in a lower tier goes first, then any free slot, then with flag `n` the lower tier again;
 * within a tier the largest product of slot and weight wins. A destination that got its calls of this second is passed over, also with flag `n`.
 *
 * @param stamp rows with this value in `triedStamps` are passed over
 * @param closed a row with any of these status bits is not available
 * @returns how many positions were written to `best`: the first of equals, or with flag `s` all of them; else {@link NO_CAPACITY} or {@link NO_DESTINATION}
 */
export function select(candidates: Candidates, flags: number, loads: LoadState, rows: RowState, stamp: number, closed: number): number {
  const blocked = closed | STATUS_OVER_RATE;
  let found: number;
  if (candidates.ranked) found = selectRanked(candidates, flags, loads, rows, stamp, blocked);
  else if ((flags & FLAG_RELATIVE) !== 0) found = selectByPercentage(candidates, flags, loads, rows, stamp, blocked);
  else found = selectBySlot(candidates, flags, loads, rows, stamp, blocked);
  if (found > 0) return found;
  return isAnyOpen(candidates, rows, stamp, closed) ? NO_CAPACITY : NO_DESTINATION;
}

/**
 * {@link select} without flag `r`, tiers and weights. It runs over every candidate of every call, so it looks at a row's status only for a slot that would win, and keeps
 * to 32-bit numbers: merged with {@link selectByPercentage} it was measured at twice the time.
 */
function selectBySlot(candidates: Candidates, flags: number, loads: LoadState, rows: RowState, stamp: number, closed: number): number {
  const { cells, width } = candidates;
  const { load, maxLoad } = loads;
  const { best } = rows;
  const random = (flags & FLAG_RANDOM) !== 0;
  const count = candidates.rows.length;
  let found = 0;
  let bestScore = (flags & FLAG_NEGATIVE) !== 0 ? BELOW_ALL_SLOTS : 0;
  for (let i = 0, first = 0; i < count; i++, first += width) {
    const cell = cells[first]!;
    let score = maxLoad[cell]! - load[cell]!;
    for (let k = first + 1; k < first + width && score >= bestScore; k++) {
      const other = cells[k]!;
      const slot = maxLoad[other]! - load[other]!;
      if (slot < score) score = slot;
    }
    if (score > bestScore) {
      if (!isOpen(candidates, i, rows, stamp, closed)) continue;
      bestScore = score;
      best[0] = i;
      found = 1;
    } else if (random && found > 0 && score === bestScore && isOpen(candidates, i, rows, stamp, closed)) {
      best[found++] = i;
    }
  }
  return found;
}

/** {@link select} with flag `r`, without tiers and weights. */
function selectByPercentage(
  candidates: Candidates,
  flags: number,
  loads: LoadState,
  rows: RowState,
  stamp: number,
  closed: number,
): number {
  const { best } = rows;
  const random = (flags & FLAG_RANDOM) !== 0;
  const count = candidates.rows.length;
  let found = 0;
  let bestScore = (flags & FLAG_NEGATIVE) !== 0 ? Number.NEGATIVE_INFINITY : 0;
  for (let i = 0; i < count; i++) {
    const score = freePercentage(candidates, i, loads);
    if (score > bestScore) {
      if (!isOpen(candidates, i, rows, stamp, closed)) continue;
      bestScore = score;
      best[0] = i;
      found = 1;
    } else if (random && found > 0 && score === bestScore && isOpen(candidates, i, rows, stamp, closed)) {
      best[found++] = i;
    }
  }
  return found;
}

/** {@link select} among candidates of several tiers or weights. */
function selectRanked(candidates: Candidates, flags: number, loads: LoadState, rows: RowState, stamp: number, closed: number): number {
  const { tiers, weights } = candidates;
  const { best } = rows;
  const random = (flags & FLAG_RANDOM) !== 0;
  const negative = (flags & FLAG_NEGATIVE) !== 0;
  const count = candidates.rows.length;
  let found = 0;
  let bestFree = false;
  let bestTier = 0;
  let bestScore = 0;
  for (let i = 0; i < count; i++) {
    const slot = slotOf(candidates, i, flags, loads);
    const free = slot > 0;
    if (!free && !negative) continue;
    const tier = tiers[i]!;
    const score = weighted(slot, weights[i]!);
    if (found > 0 && free === bestFree && tier === bestTier && score === bestScore) {
      if (random && isOpen(candidates, i, rows, stamp, closed)) best[found++] = i;
      continue;
    }
    const better = found === 0 || (free !== bestFree ? free : tier !== bestTier ? tier < bestTier : score > bestScore);
    if (!better || !isOpen(candidates, i, rows, stamp, closed)) continue;
    best[0] = i;
    found = 1;
    bestFree = free;
    bestTier = tier;
    bestScore = score;
  }
  return found;
}

/** The slot that is compared: of the scarcest resource, in calls, or with flag `r` in percent. */
export function slotOf(candidates: Candidates, position: number, flags: number, loads: LoadState): number {
  if ((flags & FLAG_RELATIVE) !== 0) return freePercentage(candidates, position, loads);
  const { cells, width } = candidates;
  const { load, maxLoad } = loads;
  let slot = Number.POSITIVE_INFINITY;
  for (let k = position * width; k < (position + 1) * width; k++) {
    const cell = cells[k]!;
    const free = maxLoad[cell]! - load[cell]!;
    if (free < slot) slot = free;
  }
  return slot;
}

/**
 * The slot times the weight, in hundredths. Below 0 the slot is divided instead, so that of two that are as far above their capacity the heavier
 * wins there too.
 */
export function weighted(slot: number, weight: number): number {
  return slot > 0 ? slot * weight : (slot * ONE_WEIGHT * ONE_WEIGHT) / weight;
}

/** Whole percents, 100 at most; below 0 when load is above capacity. */
function freePercentage({ cells, width }: Candidates, position: number, { load, maxLoad }: LoadState): number {
  let score = 100;
  for (let k = position * width; k < (position + 1) * width; k++) {
    const cell = cells[k]!;
    const max = maxLoad[cell]!;
    const slot = max === 0 ? 0 : 100 - Math.trunc((100 * load[cell]!) / max);
    if (slot < score) score = slot;
  }
  return score;
}

/** Whether a candidate is available that was not tried before; full ones count. */
export function isAnyOpen(candidates: Candidates, rows: RowState, stamp: number, closed: number): boolean {
  const count = candidates.rows.length;
  for (let i = 0; i < count; i++) {
    if (isOpen(candidates, i, rows, stamp, closed)) return true;
  }
  return false;
}

/** Available and not tried before. */
function isOpen(candidates: Candidates, position: number, { status, triedStamps }: RowState, stamp: number, closed: number): boolean {
  const row = candidates.rows[position]!;
  return (status[row]! & closed) === 0 && triedStamps[row] !== stamp;
}
