import type { Candidates } from "./candidates.ts";
import { FLAG_NEGATIVE, FLAG_RANDOM, FLAG_RELATIVE } from "./codes.ts";

/** Status bit: the destination gets no call. */
export const STATUS_DISABLED = 1;
/** Status bit: a probe must not enable the destination again. */
export const STATUS_NO_AUTO_REENABLE = 2;

/** Answer of {@link select}: destinations are up, and all are full. */
export const NO_CAPACITY = -2;
/** Answer of {@link select}: no enabled destination is left to try. */
export const NO_DESTINATION = -3;

/** The load table, by cell. */
export interface LoadState {
  readonly load: Int32Array;
  readonly maxLoad: Int32Array;
}

/** What selection knows of the rows. */
export interface RowState {
  /** `STATUS_*` bits by row. */
  readonly status: Uint8Array;
  /** By row: a row that holds the current stamp was tried before. */
  readonly triedStamps: Int32Array;
  /** Out: positions among the candidates that share the best score; as long as there are rows. */
  readonly best: Int32Array;
}

/** Below every absolute slot, which is at least 0 - 2147483647. */
const BELOW_ALL_SLOTS = -2_147_483_648;

/**
 * Finds the candidate whose scarcest requested resource has the largest available slot. The slot is `max_load - load`, or with flag `r` the whole
 * percentage that is free, `100 - trunc(100 * load / max_load)`, and 0 when `max_load` is 0. Without flag `n` a slot below 1 never qualifies.
 * Source: OpenSIPS `lb_data.c`.
 *
 * @param stamp rows with this value in `triedStamps` are passed over
 * @returns how many positions were written to `best`: the first of equals, or with flag `s` all of them; else {@link NO_CAPACITY} or {@link NO_DESTINATION}
 */
export function select(candidates: Candidates, flags: number, loads: LoadState, rows: RowState, stamp: number): number {
  const found =
    (flags & FLAG_RELATIVE) !== 0
      ? selectByPercentage(candidates, flags, loads, rows, stamp)
      : selectBySlot(candidates, flags, loads, rows, stamp);
  if (found > 0) return found;
  return isAnyOpen(candidates, rows, stamp) ? NO_CAPACITY : NO_DESTINATION;
}

/**
 * {@link select} without flag `r`. It runs over every candidate of every call, so it looks at a row's status only for a slot that would win, and keeps
 * to 32-bit numbers: merged with {@link selectByPercentage} it was measured at twice the time.
 */
function selectBySlot(candidates: Candidates, flags: number, loads: LoadState, rows: RowState, stamp: number): number {
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
      if (!isOpen(candidates, i, rows, stamp)) continue;
      bestScore = score;
      best[0] = i;
      found = 1;
    } else if (random && found > 0 && score === bestScore && isOpen(candidates, i, rows, stamp)) {
      best[found++] = i;
    }
  }
  return found;
}

/** {@link select} with flag `r`. */
function selectByPercentage(candidates: Candidates, flags: number, loads: LoadState, rows: RowState, stamp: number): number {
  const { best } = rows;
  const random = (flags & FLAG_RANDOM) !== 0;
  const count = candidates.rows.length;
  let found = 0;
  let bestScore = (flags & FLAG_NEGATIVE) !== 0 ? Number.NEGATIVE_INFINITY : 0;
  for (let i = 0; i < count; i++) {
    const score = freePercentage(candidates, i, loads);
    if (score > bestScore) {
      if (!isOpen(candidates, i, rows, stamp)) continue;
      bestScore = score;
      best[0] = i;
      found = 1;
    } else if (random && found > 0 && score === bestScore && isOpen(candidates, i, rows, stamp)) {
      best[found++] = i;
    }
  }
  return found;
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

/** Enabled and not tried before. */
function isOpen(candidates: Candidates, position: number, { status, triedStamps }: RowState, stamp: number): boolean {
  const row = candidates.rows[position]!;
  return (status[row]! & STATUS_DISABLED) === 0 && triedStamps[row] !== stamp;
}

function isAnyOpen(candidates: Candidates, rows: RowState, stamp: number): boolean {
  const count = candidates.rows.length;
  for (let i = 0; i < count; i++) {
    if (isOpen(candidates, i, rows, stamp)) return true;
  }
  return false;
}
