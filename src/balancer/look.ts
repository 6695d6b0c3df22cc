import type { Candidates } from "./candidates.ts";
import { FLAG_NEGATIVE, FLAG_RANDOM, type LbCode } from "./codes.ts";
import type { Destination } from "./destination.ts";
import { parseRequestedResources } from "./resources.ts";
import { type LoadState, type RowState, select, slotOf, weighted } from "./selection.ts";
import {
  CLOSED,
  CLOSED_FAILING_OPEN,
  STATUS_BREAKER,
  STATUS_DISABLED,
  STATUS_DRAINING,
  STATUS_NO_AUTO_REENABLE,
  STATUS_OVER_RATE,
  STATUS_RESTING,
  STATUS_TRIED,
} from "./status.ts";

/** Most candidates that a {@link TableLook} of a real call keeps: somebody has to read it, and a thousand of them are remembered. */
export const MAX_LOOK_CANDIDATES = 64;

/** What selection looked at, as numbers: {@link readLook} makes it readable. Nothing in it changes any more. */
export interface TableLook {
  /** Requested resources, as in the request. */
  readonly resources: string;
  /** Bit set of `FLAG_*`. */
  readonly flags: number;
  /** The answer; 1 for a choice. */
  readonly code: LbCode;
  /** Who was chosen. */
  readonly chosen: Destination | undefined;
  /** Nobody was up, and those that were only believed to be down were used all the same. */
  readonly failedOpen: boolean;
  /** The destinations of the group that have the resources, in table order. */
  readonly destinations: readonly Destination[];
  /** How many more there were. */
  readonly omitted: number;
  /** Those of the group that lack a resource, in table order. */
  readonly lacking: readonly Destination[];
  /**
   * For each destination `STATUS_*` bits, tier, weight in hundredths, then for each resource load and capacity. A plain list: it takes a fraction of
   * the time and the memory that typed arrays as short as these take.
   */
  readonly numbers: readonly number[];
}

/** The numbers of a look, each kind for itself. */
interface OpenLook extends TableLook {
  /** By destination: `STATUS_*` bits. */
  readonly status: Uint8Array;
  /** By destination and resource. */
  readonly loads: Int32Array;
  /** By destination and resource. */
  readonly maxLoads: Int32Array;
  /** By destination. */
  readonly tiers: Int32Array;
  /** By destination, in hundredths. */
  readonly weights: Int32Array;
}

/** Why a destination was not chosen: the first of these that holds. "later-tier", "lower-score" and "equal" could have taken the call. */
export type SkipReason =
  | "lacks-resource"
  | "tried"
  | "disabled-by-operator"
  | "disabled"
  | "draining"
  | "breaker-open"
  | "resting"
  | "calls-per-second"
  | "full"
  | "later-tier"
  | "lower-score"
  | "equal";

/** One destination of a {@link TableView}. */
export interface DestinationView {
  readonly id: number;
  readonly uri: string;
  readonly tier: number;
  readonly weight: number;
  /** In the order of the request; `slot` is in calls, or with flag `r` in percent. Loads and capacities are those of its pool, if it has one. */
  readonly resources: readonly { readonly name: string; readonly load: number; readonly max: number; readonly slot: number }[];
  /** Smallest slot times weight (below 0 divided by it); `undefined` for one that lacks a resource. */
  readonly score: number | undefined;
  /** `undefined` for the one that was chosen. */
  readonly skipped: SkipReason | undefined;
}

/** What selection looked at, readable. */
export interface TableView {
  readonly code: LbCode;
  readonly chosen: number | undefined;
  /** Ids that share the best score, when there are several: without flag `s` the first of them is chosen. */
  readonly equals: readonly number[];
  readonly failedOpen: boolean;
  readonly destinations: readonly DestinationView[];
  readonly omitted: number;
}

/** The view of a request that names no usable resources; its code says why. */
export const EMPTY_VIEW: TableView = { code: -1, chosen: undefined, equals: [], failedOpen: false, destinations: [], omitted: 0 };

/** Copies what a selection among these candidates looks at, `limit` of them at most and the chosen one in any case. */
export function takeLook(
  candidates: Candidates,
  all: readonly Destination[],
  cells: LoadState,
  rows: RowState,
  stamp: number,
  limit: number,
  outcome: Pick<TableLook, "resources" | "flags" | "code" | "failedOpen"> & { readonly position: number },
): TableLook {
  const { width } = candidates;
  const total = candidates.rows.length;
  const count = Math.min(total, limit);
  // Made in their full length: growing costs more than all the rest.
  const destinations = new Array<Destination>(count);
  const numbers = new Array<number>(count * (3 + 2 * width));
  let n = 0;
  for (let i = 0; i < count; i++) {
    const at = i === count - 1 && outcome.position > i ? outcome.position : i;
    const row = candidates.rows[at]!;
    destinations[i] = all[row]!;
    numbers[n++] = rows.status[row]! | (rows.triedStamps[row] === stamp ? STATUS_TRIED : 0);
    numbers[n++] = candidates.tiers[at]!;
    numbers[n++] = candidates.weights[at]!;
    for (let k = 0; k < width; k++) {
      const cell = candidates.cells[at * width + k]!;
      numbers[n++] = cells.load[cell]!;
      numbers[n++] = cells.maxLoad[cell]!;
    }
  }
  const { resources, flags, code, failedOpen, position } = outcome;
  const chosen = position === -1 ? undefined : all[candidates.rows[position]!];
  const { lacking } = candidates;
  return { resources, flags, code, chosen, failedOpen, destinations, omitted: total - count, lacking, numbers };
}

function open(look: TableLook, width: number): OpenLook {
  const count = look.destinations.length;
  const { numbers } = look;
  const stride = 3 + 2 * width;
  const pick = (from: number): number[] => Array.from({ length: count }, (_, i) => numbers[i * stride + from]!);
  const pickEach = (from: number): Int32Array =>
    Int32Array.from({ length: count * width }, (_, j) => numbers[Math.floor(j / width) * stride + 3 + 2 * (j % width) + from]!);
  return {
    ...look,
    status: Uint8Array.from(pick(0)),
    tiers: Int32Array.from(pick(1)),
    weights: Int32Array.from(pick(2)),
    loads: pickEach(0),
    maxLoads: pickEach(1),
  };
}

/** Makes a look readable. */
export function readLook(closedLook: TableLook): TableView {
  const names = parseRequestedResources(closedLook.resources) ?? [];
  const look = open(closedLook, names.length);
  const equals = equalsOf(look, names.length);
  const chosenAt = look.chosen === undefined ? -1 : look.destinations.indexOf(look.chosen);
  const candidates = candidatesOf(look, names.length);
  const loads: LoadState = { load: look.loads, maxLoad: look.maxLoads };
  const slots = look.destinations.map((_, i) => slotOf(candidates, i, look.flags, loads));
  const views = look.destinations.map((destination, i): DestinationView => {
    const resources = names.map((name, k) => {
      const at = i * names.length + k;
      const one: Candidates = { ...candidates, cells: Int32Array.of(at), width: 1 };
      return { name, load: look.loads[at]!, max: look.maxLoads[at]!, slot: slotOf(one, 0, look.flags, loads) };
    });
    const score = weighted(slots[i]!, look.weights[i]!) / 100;
    const skipped = i === chosenAt ? undefined : skipReason(look, i, chosenAt, slots, equals);
    return { ...named(destination), resources, score, skipped };
  });
  const lacking = look.lacking.map(
    (destination): DestinationView => ({ ...named(destination), resources: [], score: undefined, skipped: "lacks-resource" }),
  );
  return {
    code: look.code,
    chosen: look.chosen?.id,
    equals: equals.length > 1 ? equals.map((i) => look.destinations[i]!.id) : [],
    failedOpen: look.failedOpen,
    destinations: [...views, ...lacking].sort((a, b) => a.id - b.id),
    omitted: look.omitted,
  };
}

function named({ id, uri, options }: Destination): Pick<DestinationView, "id" | "uri" | "tier" | "weight"> {
  return { id, uri, tier: options.priority, weight: options.weight };
}

function skipReason(look: OpenLook, i: number, chosenAt: number, slots: readonly number[], equals: readonly number[]): SkipReason {
  const closed = look.status[i]! & (closedBits(look) | STATUS_TRIED | STATUS_OVER_RATE);
  if ((closed & STATUS_TRIED) !== 0) return "tried";
  if ((look.status[i]! & STATUS_NO_AUTO_REENABLE) !== 0) return "disabled-by-operator";
  if ((closed & STATUS_DISABLED) !== 0) return "disabled";
  if ((closed & STATUS_DRAINING) !== 0) return "draining";
  if ((closed & STATUS_BREAKER) !== 0) return "breaker-open";
  if ((closed & STATUS_RESTING) !== 0) return "resting";
  if ((closed & STATUS_OVER_RATE) !== 0) return "calls-per-second";
  if (chosenAt === -1 || (slots[i]! <= 0 && ((look.flags & FLAG_NEGATIVE) === 0 || slots[chosenAt]! > 0))) return "full";
  if (look.tiers[i]! > look.tiers[chosenAt]!) return "later-tier";
  return equals.includes(i) ? "equal" : "lower-score";
}

function closedBits({ failedOpen }: TableLook): number {
  return failedOpen ? CLOSED_FAILING_OPEN : CLOSED;
}

/** Selection again, on the copy: positions that share the best score. */
function equalsOf(look: OpenLook, width: number): number[] {
  const count = look.destinations.length;
  const best = new Int32Array(count);
  const triedStamps = Int32Array.from(look.status, (status) => status & STATUS_TRIED);
  const loads: LoadState = { load: look.loads, maxLoad: look.maxLoads };
  const rows: RowState = { status: look.status, triedStamps, best };
  const found = select(candidatesOf(look, width), look.flags | FLAG_RANDOM, loads, rows, STATUS_TRIED, closedBits(look));
  return found > 0 ? [...best.subarray(0, found)] : [];
}

/** The destinations of a look as candidates whose rows and cells are their positions in it. */
function candidatesOf({ destinations, loads, tiers, weights }: OpenLook, width: number): Candidates {
  const rows = Int32Array.from(destinations, (_, i) => i);
  const cells = Int32Array.from(loads, (_, i) => i);
  return { rows, cells, ownCells: cells, width, tiers, weights, ranked: true, lacking: [] };
}
