import type { Candidates } from "./candidates.ts";
import type { LbCode } from "./codes.ts";
import type { Destination } from "./destination.ts";
import type { LoadState, RowState } from "./selection.ts";
import { STATUS_TRIED } from "./status.ts";

/** Most destinations that a {@link TableLook} keeps: somebody has to read it, and a thousand of them may be remembered. */
export const MAX_LOOK_DESTINATIONS = 64;

/** What selection answered. */
export interface LookOutcome {
  /** Bit set of `FLAG_*`. */
  readonly flags: number;
  /** 1 for a choice. */
  readonly code: LbCode;
  /** Nobody was up, and those that were only believed to be down were used all the same. */
  readonly failedOpen: boolean;
  /** Position of the chosen one among the candidates, -1 for none. */
  readonly position: number;
}

/** A selection with all that it looked at, before the new pick is counted. */
export interface Decision extends LookOutcome {
  readonly candidates: Candidates;
  readonly table: Pick<RowState, "status" | "triedStamps"> & { readonly destinations: readonly Destination[] };
  readonly loads: LoadState;
  /** Rows with this value in `triedStamps` were passed over. */
  readonly stamp: number;
}

/** What all looks at the same candidates have in common. */
export interface LookShape {
  readonly group: number;
  /** Requested resources, as in the request. */
  readonly resources: string;
  /** The destinations of the group that have the resources, in table order. */
  readonly destinations: readonly Destination[];
  /** Those of the group that lack a resource, in table order. */
  readonly lacking: readonly Destination[];
  /** How many more there were of both. */
  readonly omitted: number;
  /** Cells that make a slot. */
  readonly width: number;
}

/** The numbers of one look, and what they are about. */
export interface TableLook extends LookOutcome {
  readonly shape: LookShape;
  /** In place of the last of the shape's destinations, when it stands behind them: who was chosen. */
  readonly displacing: Destination | undefined;
  /** Identities ({@link Destination.key}) that the call passes over because it comes from them. */
  readonly passedOver: readonly string[];
  /** What {@link writeNumbers} wrote. */
  readonly numbers: Int32Array;
}

/** Those that have the resources come first when there are more than {@link MAX_LOOK_DESTINATIONS}. */
export function shapeOf(group: number, resources: string, { candidates, table }: Pick<Decision, "candidates" | "table">): LookShape {
  const { rows, width } = candidates;
  const destinations = Array.from(rows.subarray(0, MAX_LOOK_DESTINATIONS), (row) => table.destinations[row]!);
  const lacking = candidates.lacking.slice(0, MAX_LOOK_DESTINATIONS - destinations.length);
  const omitted = rows.length - destinations.length + candidates.lacking.length - lacking.length;
  return { group, resources, destinations, lacking, omitted, width };
}

/** How many numbers a look of this shape has. */
export function numbersIn({ destinations, width }: LookShape): number {
  return destinations.length * (1 + 2 * width);
}

/**
 * Writes for each destination of the shape `STATUS_*` bits, then for each of `width` cells load and `max_load`. The last one's are those of the chosen
 * one, when that stands behind them.
 *
 * @param n index of the first
 */
export function writeNumbers(numbers: Int32Array, n: number, shape: LookShape, decision: Decision): void {
  const { position, stamp, loads, table } = decision;
  const { cells, rows, width } = decision.candidates;
  const { load, maxLoad } = loads;
  const { status, triedStamps } = table;
  const count = shape.destinations.length;
  for (let i = 0; i < count; i++) {
    const at = i === count - 1 && position > i ? position : i;
    const row = rows[at]!;
    numbers[n++] = status[row]! | (triedStamps[row] === stamp ? STATUS_TRIED : 0);
    for (let k = at * width; k < (at + 1) * width; k++) {
      const cell = cells[k]!;
      numbers[n++] = load[cell]!;
      numbers[n++] = maxLoad[cell]!;
    }
  }
}

/** Position of the chosen one among the destinations of the shape, -1 for none. */
export function keptPosition({ destinations }: LookShape, position: number): number {
  return position < destinations.length ? position : destinations.length - 1;
}

/** The chosen one, when it stands behind the destinations of the shape. */
export function displacingOne({ destinations }: LookShape, { position, candidates, table }: Decision): Destination | undefined {
  return position < destinations.length ? undefined : table.destinations[candidates.rows[position]!];
}

/** The look of a decision that nobody remembers. */
export function lookAt(group: number, resources: string, decision: Decision): TableLook {
  const shape = shapeOf(group, resources, decision);
  const numbers = new Int32Array(numbersIn(shape));
  writeNumbers(numbers, 0, shape, decision);
  const { flags, code, failedOpen } = decision;
  const position = keptPosition(shape, decision.position);
  return { flags, code, failedOpen, position, shape, displacing: displacingOne(shape, decision), passedOver: [], numbers };
}
