import type { Candidates } from "./candidates.ts";
import { FLAG_NEGATIVE, FLAG_RANDOM, type LbCode } from "./codes.ts";
import type { Destination } from "./destination.ts";
import type { LookOutcome, TableLook } from "./look.ts";
import { parseRequestedResources } from "./resources.ts";
import { type LoadState, type RowState, select, slotOf, weighted } from "./selection.ts";
import {
  CLOSED,
  CLOSED_FAILING_OPEN,
  STATUS_BREAKER,
  STATUS_DISABLED,
  STATUS_DRAINING,
  STATUS_LEAVING,
  STATUS_NO_AUTO_REENABLE,
  STATUS_OVER_RATE,
  STATUS_RESTING,
  STATUS_TRIED,
  STATUS_WITHDRAWN,
} from "./status.ts";

/** Why a destination was not chosen: the first of these that holds. "later-tier", "lower-score" and "equal" could have taken the call. */
export type SkipReason =
  | "lacks-resource"
  | "caller"
  | "tried"
  | "disabled-by-operator"
  | "disabled"
  | "draining"
  | "leaving"
  | "withdrawn"
  | "breaker-open"
  | "resting"
  | "calls-per-second"
  | "slow-start"
  | "full"
  | "later-tier"
  | "lower-score"
  | "equal";

/** A resource of a {@link DestinationView}: `slot` is in calls, or with flag `r` in percent. Load and capacity are those of its pool, if it has one. */
export interface ResourceView {
  readonly name: string;
  readonly load: number;
  readonly max: number;
  readonly slot: number;
  /** What the destination itself has and may have of its pool, while that is less than the pool allows (slow start). */
  readonly own?: { readonly load: number; readonly max: number };
}

/** One destination of a {@link TableView}. */
export interface DestinationView {
  readonly id: number;
  readonly uri: string;
  readonly tier: number;
  readonly weight: number;
  /** In the order of the request. */
  readonly resources: readonly ResourceView[];
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
  /** At most `MAX_LOOK_DESTINATIONS`, in order of their ids. */
  readonly destinations: readonly DestinationView[];
  /** How many more the group has. */
  readonly omitted: number;
}

/** The view of a request that names no usable resources; its code says why. */
export const EMPTY_VIEW: TableView = { code: -1, chosen: undefined, equals: [], failedOpen: false, destinations: [], omitted: 0 };

/** The numbers of a look as selection wants them: rows and cells are positions in it. */
interface OpenLook extends LookOutcome {
  readonly passedOver: readonly string[];
  readonly destinations: readonly Destination[];
  readonly candidates: Candidates;
  readonly status: Uint16Array;
  readonly loads: LoadState;
  readonly slots: readonly number[];
}

function open(look: TableLook, names: readonly string[]): OpenLook {
  const { displacing, flags, numbers, shape } = look;
  const { width } = shape;
  const destinations = displacing === undefined ? shape.destinations : shape.destinations.with(-1, displacing);
  const count = destinations.length;
  const stride = 1 + 2 * width;
  const pick = (from: number): Int32Array =>
    Int32Array.from({ length: count * width }, (_, j) => numbers[Math.floor(j / width) * stride + 1 + 2 * (j % width) + from]!);
  const loads: LoadState = { load: pick(0), maxLoad: pick(1) };
  const cells = Int32Array.from(loads.load, (_, i) => i);
  const candidates: Candidates = {
    rows: Int32Array.from(destinations, (_, i) => i),
    cells,
    ownCells: cells,
    width,
    asked: names.length,
    tiers: Int32Array.from(destinations, ({ options }) => options.priority),
    weights: Int32Array.from(destinations, ({ options }) => Math.round(options.weight * 100)),
    ranked: true,
    lacking: [],
    indexes: undefined,
  };
  const slots = destinations.map((_, i) => slotOf(candidates, i, flags, loads));
  const status = Uint16Array.from(destinations, (_, i) => numbers[i * stride]!);
  return { ...look, destinations, candidates, status, loads, slots };
}

/** Makes a look readable. */
export function readLook(closedLook: TableLook): TableView {
  const names = parseRequestedResources(closedLook.shape.resources) ?? [];
  const look = open(closedLook, names);
  const { candidates, destinations, position, slots } = look;
  const equals = equalsOf(look);
  const views = destinations.map((destination, i): DestinationView => {
    const resources = names.map((name, k) => resourceView(look, i, name, k));
    const score = weighted(slots[i]!, candidates.weights[i]!) / 100;
    return { ...named(destination), resources, score, skipped: i === position ? undefined : skipReason(look, i, equals) };
  });
  const lacking = closedLook.shape.lacking.map(
    (destination): DestinationView => ({ ...named(destination), resources: [], score: undefined, skipped: "lacks-resource" }),
  );
  return {
    code: look.code,
    chosen: destinations[position]?.id,
    equals: equals.length > 1 ? equals.map((i) => destinations[i]!.id) : [],
    failedOpen: look.failedOpen,
    destinations: [...views, ...lacking].sort((a, b) => a.id - b.id),
    omitted: closedLook.shape.omitted,
  };
}

function named({ id, uri, options }: Destination): Pick<DestinationView, "id" | "uri" | "tier" | "weight"> {
  return { id, uri, tier: options.priority, weight: options.weight };
}

function resourceView({ candidates, flags, loads }: OpenLook, i: number, name: string, k: number): ResourceView {
  const { asked, width } = candidates;
  const at = i * width + k;
  const cells = width > asked ? Int32Array.of(at, at + asked) : Int32Array.of(at);
  const slot = slotOf({ ...candidates, cells, width: cells.length }, 0, flags, loads);
  const { load, maxLoad } = loads;
  const isHeld = width > asked && maxLoad[at + asked]! < maxLoad[at]!;
  const own = isHeld && { own: { load: load[at + asked]!, max: maxLoad[at + asked]! } };
  return { name, load: load[at]!, max: maxLoad[at]!, slot, ...own };
}

function skipReason(look: OpenLook, i: number, equals: readonly number[]): SkipReason {
  const { candidates, flags, position, slots } = look;
  const status = look.status[i]!;
  const closed = status & (closedBits(look) | STATUS_TRIED | STATUS_OVER_RATE);
  if ((closed & STATUS_TRIED) !== 0) return look.passedOver.includes(look.destinations[i]!.key) ? "caller" : "tried";
  if ((status & STATUS_NO_AUTO_REENABLE) !== 0) return "disabled-by-operator";
  if ((closed & STATUS_DISABLED) !== 0) return "disabled";
  if ((closed & STATUS_DRAINING) !== 0) return "draining";
  if ((closed & STATUS_LEAVING) !== 0) return "leaving";
  if ((closed & STATUS_WITHDRAWN) !== 0) return "withdrawn";
  if ((closed & STATUS_BREAKER) !== 0) return "breaker-open";
  if ((closed & STATUS_RESTING) !== 0) return "resting";
  if ((closed & STATUS_OVER_RATE) !== 0) return "calls-per-second";
  const isFull = slots[i]! <= 0 && ((flags & FLAG_NEGATIVE) === 0 || position === -1 || slots[position]! > 0);
  if (isFull) return slotOfPool(look, i) > 0 ? "slow-start" : "full";
  if (position === -1) return "full";
  if (candidates.tiers[i]! > candidates.tiers[position]!) return "later-tier";
  return equals.includes(i) ? "equal" : "lower-score";
}

/** The slot without what the destination itself is held to. */
function slotOfPool({ candidates, flags, loads }: OpenLook, i: number): number {
  const { asked, cells, width } = candidates;
  return slotOf({ ...candidates, cells: cells.subarray(i * width, i * width + asked), width: asked }, 0, flags, loads);
}

function closedBits({ failedOpen }: LookOutcome): number {
  return failedOpen ? CLOSED_FAILING_OPEN : CLOSED;
}

/** Selection again, on the copy: positions that share the best score. */
function equalsOf(look: OpenLook): number[] {
  const { candidates, flags, loads, status } = look;
  const best = new Int32Array(look.destinations.length);
  const triedStamps = Int32Array.from(status, (bits) => bits & STATUS_TRIED);
  const rows: RowState = { status, triedStamps, tried: best, triedCount: 0, best };
  const found = select(candidates, flags | FLAG_RANDOM, loads, rows, STATUS_TRIED, closedBits(look));
  return found > 0 ? [...best.subarray(0, found)] : [];
}
