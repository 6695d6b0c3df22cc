import {
  CALL_LOAD,
  HASH_AUTH_USER,
  HASH_CALL_ID,
  HASH_EXPRESSION,
  HASH_FROM_URI,
  HASH_REQUEST_URI,
  HASH_TO_URI,
  LATENCY,
  LEAST_OUTSTANDING,
  OVERLOAD,
  RANDOM,
  RELATIVE_WEIGHT,
  RENDEZVOUS,
  ROUND_ROBIN,
  ROUND_ROBIN_OR_SERIAL,
  SRV,
  WEIGHT,
} from "./algorithms.ts";
import type { Destination, Entry } from "./destination.ts";
import type { EntrySet } from "./destination-set.ts";
import { mix } from "./hash.ts";
import { MAX_SET_SIZE } from "./records.ts";

/** Whole numbers 0 … n-1 by chance. */
export type Below = (n: number) => number;

/** What a pick depends on beside the set. */
export interface PickInput {
  readonly algorithm: number;
  /** Hash of the key of a hashing algorithm; `undefined` when the request has none. */
  readonly hash: number | undefined;
  /** A call begins: only then algorithms that count calls look at loads. */
  readonly isCall: boolean;
  /** Whether a destination has room, as others than the dispatcher know; absent: each has. */
  readonly isFree: ((destination: Destination) => boolean) | undefined;
  readonly below: Below;
  readonly nowMs: number;
  /** For {@link RENDEZVOUS}: how far above its share of the calls a destination may get, from 1. */
  readonly loadFactor: number;
}

/** How often a destination is drawn that cannot be used, before those that can are counted. */
const DRAWS = 6;
/** The part that one is of all numbers of 32 bits. */
const ONE_OF_ALL = 1 / 4_294_967_296;
/** Weights of those that have none. */
const ONES = /* @__PURE__ */ new Int32Array(MAX_SET_SIZE).fill(1);

/** No destination of the span can be picked. */
export const NONE = -1;

/** Whether the destination at a position may get a request now. */
export function isUsable(set: EntrySet, position: number, isFree: PickInput["isFree"]): boolean {
  return set.open[position] === 1 && (isFree === undefined || isFree(set.destinations[position]!));
}

/** Whether a destination has room for one more call by its own `maxload`. */
export function isBelowMaxLoad({ load, maxLoad }: EntrySet, position: number): boolean {
  return load[position]! < maxLoad[position]!;
}

/**
 * The position of the destination that an algorithm picks, or {@link NONE}. It moves rotations on, and counts no call. Source: Kamailio dispatcher
 * (`ds_manage_routes`), seen on 5.6.3 for algorithms 0 to 13.
 *
 * Kamailio passes over destinations that cannot be used to the next one that can, which gets the whole share of those before it. Here that is so only
 * where it does no harm, in rotations; a hash whose slot is closed, chance and weights are spread over all that can be used.
 */
export function pick(set: EntrySet, input: PickInput): number {
  switch (input.algorithm) {
    case HASH_AUTH_USER: // without credentials it is a rotation
    case HASH_CALL_ID:
    case HASH_FROM_URI:
    case HASH_TO_URI:
    case HASH_REQUEST_URI:
    case HASH_EXPRESSION:
      return input.hash === undefined ? pickNext(set, input) : pickByHash(set, input.hash, input);
    case ROUND_ROBIN:
    case OVERLOAD:
      return pickNext(set, input);
    case RANDOM:
      return pickAny(set, input);
    case WEIGHT:
      return pickByWeight(set, input);
    case RELATIVE_WEIGHT:
      return pickByRelativeWeight(set, input);
    case CALL_LOAD:
      return input.isCall ? pickLeastLoaded(set, input) : pickFirst(set, input);
    case LATENCY:
      return pickFastest(set, input);
    case ROUND_ROBIN_OR_SERIAL:
      return set.isLevel ? pickNext(set, input) : pickFirst(set, input);
    case SRV:
      return pickLowest(set, input);
    case RENDEZVOUS:
      return pickRendezvous(set, input.hash ?? 0, input);
    case LEAST_OUTSTANDING:
      return pickOfTwo(set, input);
    default:
      return pickFirst(set, input);
  }
}

function pickFirst(set: EntrySet, { isFree }: PickInput): number {
  for (let at = 0; at < set.span; at++) if (isUsable(set, at, isFree)) return at;
  return NONE;
}

/** The slot of the hash, or when it is closed one of all that can be used: that which the hash likes best, so that nothing else moves when others close or open. */
function pickByHash(set: EntrySet, hash: number, { isFree }: PickInput): number {
  const { span, seed } = set;
  const own = hash % span;
  if (isUsable(set, own, isFree)) return own;
  const spread = mix(hash);
  let best = NONE;
  let bestScore = -1;
  for (let at = 0; at < span; at++) {
    const score = mix(spread ^ seed[at]!);
    if (score > bestScore && isUsable(set, at, isFree)) {
      best = at;
      bestScore = score;
    }
  }
  return best;
}

function pickNext(set: EntrySet, input: PickInput): number {
  const { destinations, span } = set;
  const { isFree, algorithm, nowMs } = input;
  let at = set.last % span;
  for (let looked = 0; looked < span; looked++) {
    if (isUsable(set, at, isFree) && !(algorithm === OVERLOAD && isKeptAway(destinations[at]!, nowMs))) {
      set.last = (at + 1) % destinations.length;
      return at;
    }
    at = at + 1 === span ? 0 : at + 1;
  }
  return NONE;
}

/** Whether overload control keeps this request away: `rate` of each hundred, evenly spread. */
function isKeptAway({ overload }: Entry, nowMs: number): boolean {
  if (overload.untilMs < nowMs) return false;
  overload.owed += overload.rate;
  if (overload.owed < 100) return false;
  overload.owed -= 100;
  return true;
}

/** Writes the positions that can be used to `set.usable`. */
function collect(set: EntrySet, isFree: PickInput["isFree"], onlyBelowMaxLoad: boolean): number {
  const { span, usable, open, load, maxLoad } = set;
  let found = 0;
  for (let at = 0; at < span; at++) {
    if (open[at] === 0 || (onlyBelowMaxLoad && load[at]! >= maxLoad[at]!)) continue;
    if (isFree === undefined || isFree(set.destinations[at]!)) usable[found++] = at;
  }
  return found;
}

function pickAny(set: EntrySet, { isFree, below }: PickInput): number {
  for (let draw = 0; draw < DRAWS; draw++) {
    const at = below(set.span);
    if (isUsable(set, at, isFree)) return at;
  }
  const found = collect(set, isFree, false);
  return found === 0 ? NONE : set.usable[below(found)]!;
}

function pickByWeight(set: EntrySet, input: PickInput): number {
  const position = takeTurn(set, 0, set.span, set.percentWeight, set.owedPercent, input.isFree);
  return position === NONE ? pickFirst(set, input) : position;
}

function pickByRelativeWeight(set: EntrySet, input: PickInput): number {
  const position = takeTurn(set, 0, set.span, set.relativeWeight, set.owedRelative, input.isFree);
  return position === NONE ? pickFirst(set, input) : position;
}

/**
 * Whose turn it is from `start` to before `end`: each is owed its weight more, and who is owed most gives back the sum. In as many turns as the weights add up
 * to, each has exactly its weight, evenly spread; Kamailio has that too, in an order drawn by chance.
 *
 * @returns {@link NONE} when no destination with a weight can be used
 */
function takeTurn(set: EntrySet, start: number, end: number, weights: Int32Array, owed: Int32Array, isFree: PickInput["isFree"]): number {
  const { open } = set;
  let total = 0;
  let best = NONE;
  let bestOwed = 0;
  for (let at = start; at < end; at++) {
    const weight = weights[at]!;
    if (weight === 0 || open[at] === 0 || (isFree !== undefined && !isFree(set.destinations[at]!))) continue;
    const mine = owed[at]! + weight;
    owed[at] = mine;
    total += weight;
    if (best !== NONE && mine <= bestOwed) continue;
    best = at;
    bestOwed = mine;
  }
  if (best !== NONE) owed[best] = bestOwed - total;
  return best;
}

/**
 * The lowest priority that can be used, which stands last, and in it whose turn it is by weight. Those without weight get requests only when no other of their
 * priority can be used (RFC 2782 wants a very small share for them).
 */
function pickLowest(set: EntrySet, { isFree }: PickInput): number {
  const { priority, weight, owedSrv } = set;
  let end = set.span;
  while (end > 0) {
    const lowest = priority[end - 1]!;
    let start = end - 1;
    while (start > 0 && priority[start - 1] === lowest) start--;
    const position = takeTurn(set, start, end, weight, owedSrv, isFree);
    if (position !== NONE) return position;
    const unweighted = takeTurn(set, start, end, ONES, owedSrv, isFree);
    if (unweighted !== NONE) return unweighted;
    end = start;
  }
  return NONE;
}

function pickLeastLoaded(set: EntrySet, { isFree }: PickInput): number {
  const { span, load, maxLoad } = set;
  let best = NONE;
  let bestLoad = Number.MAX_SAFE_INTEGER;
  for (let at = 0; at < span; at++) {
    const own = load[at]!;
    if (own >= bestLoad || own >= maxLoad[at]! || !isUsable(set, at, isFree)) continue;
    best = at;
    bestLoad = own;
  }
  return best;
}

/** Where algorithm 13 begins to look: with `use_default`, Kamailio goes on behind the first destination when the turn would be the default's. */
export function fastestFrom(span: number, last: number): number {
  return last < span ? last : 1 % span;
}

/** Round-robin among those of the highest adjusted priority. */
function pickFastest(set: EntrySet, { isFree }: PickInput): number {
  const { destinations, span, adjustedPriority } = set;
  let best = NONE;
  let bestPriority = 0;
  let at = fastestFrom(span, set.last);
  for (let looked = 0; looked < span; looked++) {
    const priority = adjustedPriority[at]!;
    if ((best === NONE || priority > bestPriority) && isUsable(set, at, isFree)) {
      best = at;
      bestPriority = priority;
    }
    at = at + 1 === span ? 0 : at + 1;
  }
  if (best !== NONE) set.last = (best + 1) % destinations.length;
  return best;
}

/**
 * How much a key likes a destination, among destinations of different weights: each wins a share of the keys as large as its share of the weights, and a key
 * moves only when its destination closes, or a better one opens (weighted rendezvous hashing).
 */
export function affinity(hash: number, { seed, attributes }: Entry): number {
  return -(attributes.weight || 1) / Math.log(unit(mix(hash ^ seed)));
}

/** A number of 32 bits as one above 0 and below 1. */
function unit(bits: number): number {
  return (bits + 0.5) * ONE_OF_ALL;
}

/**
 * The destination that the key likes best of those that are below their bound: `loadFactor` times their share, by weight, of all calls and this one
 * (consistent hashing with bounded loads, Mirrokni, Thorup, Zadimoghaddam 2016). `maxload` bounds, too. When all others are at their bounds, as some are full by
 * `maxload` or the table that bounds the set, shares are of those alone that are not.
 */
function pickRendezvous(set: EntrySet, hash: number, input: PickInput): number {
  const { isFree, isCall, loadFactor } = input;
  if (!isCall) return favourite(set, hash, input, Number.POSITIVE_INFINITY);
  const position = favourite(set, hash, input, (loadFactor * (set.openLoads + 1)) / set.openWeights);
  if (position !== NONE) return position;
  const { usable, load, ownWeight } = set;
  let calls = 1;
  let weights = 0;
  for (let i = collect(set, isFree, true) - 1; i >= 0; i--) {
    calls += load[usable[i]!]!;
    weights += ownWeight[usable[i]!]!;
  }
  return weights === 0 ? NONE : favourite(set, hash, input, (loadFactor * calls) / weights);
}

function favourite(set: EntrySet, hash: number, { isFree, isCall }: PickInput, callsPerWeight: number): number {
  const { span, load, ownWeight, heaviest, seed } = set;
  let best = NONE;
  let bestScore = 0;
  let fewest = 0; // bits that even the heaviest one needs to win: as 1 - x ≤ -ln x, few get as far as the logarithm, which is dear
  for (let at = 0; at < span; at++) {
    const bits = mix(hash ^ seed[at]!);
    if (bits < fewest) continue;
    const weight = ownWeight[at]!;
    if (load[at]! >= callsPerWeight * weight || (isCall && !isBelowMaxLoad(set, at))) continue;
    const score = -weight / Math.log(unit(bits));
    if (score <= bestScore || !isUsable(set, at, isFree)) continue;
    best = at;
    bestScore = score;
    fewest = Math.trunc((1 - heaviest / score) / ONE_OF_ALL) - 1;
  }
  return best;
}

/** Draws two and takes the one with less load for its weight: nearly as even as to look at all, and no herd runs to the emptiest one. */
function pickOfTwo(set: EntrySet, input: PickInput): number {
  const { load, ownWeight } = set;
  const one = drawOther(set, input, NONE);
  if (one === NONE) return NONE;
  const two = drawOther(set, input, one);
  if (two === NONE) return one;
  return load[one]! * ownWeight[two]! <= load[two]! * ownWeight[one]! ? one : two;
}

/** Any one that can be used and has room, but for the one at `taken`. */
function drawOther(set: EntrySet, { isFree, isCall, below }: PickInput, taken: number): number {
  for (let draw = 0; draw < DRAWS; draw++) {
    const at = below(set.span);
    if (at !== taken && (!isCall || isBelowMaxLoad(set, at)) && isUsable(set, at, isFree)) return at;
  }
  const { usable } = set;
  const found = collect(set, isFree, isCall);
  const own = taken === NONE ? -1 : usable.subarray(0, found).indexOf(taken);
  const others = own === -1 ? found : found - 1;
  if (others === 0) return NONE;
  const drawn = below(others);
  return usable[own === -1 || drawn < own ? drawn : drawn + 1]!;
}
