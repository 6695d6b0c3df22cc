import type { CallLoad, LbSession } from "./call-load.ts";
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
  STATUS_LEAVING,
  STATUS_NO_AUTO_REENABLE,
  STATUS_OVER_RATE,
  STATUS_RESTING,
  STATUS_TRIED,
  STATUS_WITHDRAWN,
} from "./status.ts";

/** Most candidates that a {@link TableLook} of a real call keeps: somebody has to read it, and a thousand of them are remembered. */
export const MAX_LOOK_CANDIDATES = 64;

/** Numbers for each look that is kept: enough for {@link MAX_LOOK_CANDIDATES} with one resource. Where looks are larger, fewer are kept. */
const NUMBERS_A_LOOK = MAX_LOOK_CANDIDATES * 3;

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

/** What all looks at the same candidates have in common. */
interface Shape {
  readonly group: number;
  /** Requested resources, as in the request. */
  readonly resources: string;
  /** The destinations of the group that have the resources, in table order. */
  readonly destinations: readonly Destination[];
  /** How many more there were. */
  readonly omitted: number;
  /** Those of the group that lack a resource, in table order. */
  readonly lacking: readonly Destination[];
  /** Cells that make a slot. */
  readonly width: number;
}

/** One decision, as {@link Looks} remembers it. */
export interface RememberedLook {
  /** By the clock that was given. */
  readonly atMs: number;
  readonly group: number;
  readonly resources: string;
  /** Bit set of `FLAG_*`. */
  readonly flags: number;
  /** 1 for a start, one more for each destination that the session had tried before. */
  readonly attempt: number;
  readonly view: TableView;
}

/** The numbers of one look, and what they are about. */
interface TableLook extends LookOutcome {
  readonly shape: Shape;
  /** In place of the last of the shape's destinations, when it stands behind them: who was chosen. */
  readonly displacing: Destination | undefined;
  readonly passedOver: readonly string[];
  /** For each destination `STATUS_*` bits, then for each of `width` cells load and `max_load`. */
  readonly numbers: Int32Array;
}

/** Numbers before those of the destinations: flags, code, failed open, position among those that are kept, attempt. */
const HEADER = 5;

/**
 * Remembers what the latest starts and nexts looked at, as numbers, to be made readable when somebody asks. It is written in each call, so it is laid out
 * for that: numbers one after the other in one array, round and round, references only where they differ from what stands there; nothing is allocated,
 * and memory is written in order. Finding a call takes a walk over all.
 */
export class Looks {
  readonly #size: number;
  readonly #limit: number;
  readonly #clock: () => number;
  #numbers: Int32Array;
  /** Where the next numbers go, without turning round: places are taken modulo the length. */
  #end = 0;
  /** Looks that were ever taken; the next one's place is that modulo the size. */
  #taken = 0;
  /** By place. */
  readonly #callIds: string[] = [];
  readonly #shapes: Shape[] = [];
  readonly #displacing: (Destination | undefined)[] = [];
  readonly #passedOver: (readonly string[])[] = [];
  readonly #starts: Float64Array;
  readonly #times: Float64Array;
  /** They live as long as their candidates, that is until the next reload, or as long as a look tells of them. */
  readonly #shapeOf = new WeakMap<Candidates, Shape>();

  /**
   * @param size looks that are kept at most, from 1
   * @param clock tells when each was taken
   * @param limit candidates of each that are kept
   */
  constructor(size: number, clock: () => number, limit = MAX_LOOK_CANDIDATES) {
    this.#size = size;
    this.#limit = limit;
    this.#clock = clock;
    this.#numbers = new Int32Array(size * NUMBERS_A_LOOK);
    this.#starts = new Float64Array(size);
    this.#times = new Float64Array(size);
  }

  /** Looks that were ever taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Writes down what a selection among these candidates looks at: as many as are kept of each, and the chosen one in any case. */
  take(
    call: CallLoad,
    { group, resources, tried }: Pick<LbSession, "group" | "resources" | "tried">,
    candidates: Candidates,
    all: readonly Destination[],
    { load, maxLoad }: LoadState,
    { status, triedStamps }: RowState,
    stamp: number,
    { flags, code, failedOpen, position }: LookOutcome,
  ): void {
    const shape = this.#shapeOf.get(candidates) ?? this.#newShape(candidates, group, resources, all);
    const { cells, rows, width } = candidates;
    const count = shape.destinations.length;
    let n = this.#reserve(HEADER + count * (1 + 2 * width));
    const place = this.#taken++ % this.#size;
    this.#starts[place] = this.#end;
    this.#times[place] = this.#clock();
    const numbers = this.#numbers;
    const from = n;
    numbers[n++] = flags;
    numbers[n++] = code;
    numbers[n++] = failedOpen ? 1 : 0;
    numbers[n++] = position < count ? position : count - 1;
    numbers[n++] = tried.length + 1;
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
    this.#end += n - from;
    this.#callIds[place] = ownText(call.callId);
    if (this.#shapes[place] !== shape) this.#shapes[place] = shape;
    if (this.#passedOver[place] !== call.passedOver) this.#passedOver[place] = call.passedOver;
    const displacing = position < count ? undefined : all[rows[position]!];
    if (this.#displacing[place] !== displacing) this.#displacing[place] = displacing;
  }

  /** What is kept of the call with this Call-ID, oldest first. */
  of(callId: string): RememberedLook[] {
    const found: RememberedLook[] = [];
    for (let look = Math.max(0, this.#taken - this.#size); look < this.#taken; look++) {
      const place = look % this.#size;
      if (this.#callIds[place] === callId && this.#isKept(place)) found.push(this.#read(place));
    }
    return found;
  }

  /** Makes room for `wanted` numbers in one piece, and answers where it begins. */
  #reserve(wanted: number): number {
    if (wanted > this.#numbers.length) {
      this.#end = 0;
      this.#taken = 0;
      this.#numbers = new Int32Array(wanted);
    }
    const at = this.#end % this.#numbers.length;
    if (at + wanted <= this.#numbers.length) return at;
    this.#end += this.#numbers.length - at;
    return 0;
  }

  /** Later looks have not written over its numbers. */
  #isKept(place: number): boolean {
    return this.#starts[place]! >= this.#end - this.#numbers.length;
  }

  #read(place: number): RememberedLook {
    const shape = this.#shapes[place]!;
    const { group, resources, destinations, width } = shape;
    const start = this.#starts[place]! % this.#numbers.length;
    const [flags = 0, code = 0, failedOpen = 0, position = 0, attempt = 0] = this.#numbers.subarray(start);
    const view = readLook({
      flags,
      code: code as LbCode,
      failedOpen: failedOpen === 1,
      position,
      shape,
      displacing: this.#displacing[place],
      passedOver: this.#passedOver[place]!,
      numbers: this.#numbers.slice(start + HEADER, start + HEADER + destinations.length * (1 + 2 * width)),
    });
    return { atMs: this.#times[place]!, group, resources, flags, attempt, view };
  }

  #newShape(candidates: Candidates, group: number, resources: string, all: readonly Destination[]): Shape {
    const { rows, lacking, width } = candidates;
    const destinations = Array.from(rows.subarray(0, this.#limit), (row) => all[row]!);
    const shape: Shape = { group, resources, destinations, omitted: rows.length - destinations.length, lacking, width };
    this.#shapeOf.set(candidates, shape);
    return shape;
  }
}

/**
 * The text without the message that it was cut from: a Call-ID that is remembered would keep all of that in memory, which is up to a whole datagram.
 */
function ownText(text: string): string {
  return ` ${text}`.slice(1);
}

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
  readonly destinations: readonly DestinationView[];
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
  };
  const slots = destinations.map((_, i) => slotOf(candidates, i, flags, loads));
  const status = Uint16Array.from(destinations, (_, i) => numbers[i * stride]!);
  return { ...look, destinations, candidates, status, loads, slots };
}

/** Makes a look readable. */
function readLook(closedLook: TableLook): TableView {
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
  const rows: RowState = { status, triedStamps: Int32Array.from(status, (bits) => bits & STATUS_TRIED), best };
  const found = select(candidates, flags | FLAG_RANDOM, loads, rows, STATUS_TRIED, closedBits(look));
  return found > 0 ? [...best.subarray(0, found)] : [];
}
