import type { Candidates } from "./candidates.ts";
import { isAnyOpen, type LoadState, NOT_TRIED, type RowState, select } from "./selection.ts";
import type { Chance } from "./slot-index.ts";

/** A session that has tried one of so many candidates costs the index as much as looking at all of them. */
const CANDIDATES_A_TRIED_ROW = 16;

/**
 * One choice by the rules of {@link select}: through the index where the candidates have one, else by looking at each of them.
 *
 * @param stamp rows with this value in `triedStamps` are passed over
 * @param closed a row with any of these status bits is not available
 * @returns the position among the candidates, or `NO_CAPACITY`, or `NO_DESTINATION`
 */
export function pick(
  candidates: Candidates,
  flags: number,
  loads: LoadState,
  rows: RowState,
  stamp: number,
  closed: number,
  chance: Chance,
): number {
  const { indexes } = candidates;
  if (indexes !== undefined && (stamp === NOT_TRIED || rows.triedCount * CANDIDATES_A_TRIED_ROW < candidates.rows.length)) {
    return indexes.of(flags, closed).pick(flags, stamp, chance);
  }
  const found = select(candidates, flags, loads, rows, stamp, closed);
  if (found <= 0) return found;
  if (found > 1) return rows.best[chance.below(found)] ?? rows.best[0]!;
  return rows.best[0]!;
}

/** Whether a candidate is available, tried or not; full ones count. */
export function isAnyAvailable(candidates: Candidates, flags: number, rows: RowState, closed: number): boolean {
  const { indexes } = candidates;
  return indexes === undefined ? isAnyOpen(candidates, rows, NOT_TRIED, closed) : indexes.of(flags, closed).isAnyOpen();
}
