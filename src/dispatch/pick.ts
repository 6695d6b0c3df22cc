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
import { isOpen } from "./state.ts";

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

/** No destination of the span can be picked. */
export const NONE = -1;

/** Rotations by weight: indexes of `Entry.owed`. */
const TURN_WEIGHT = 0;
const TURN_RELATIVE_WEIGHT = 1;
const TURN_SRV = 2;

/** Whether a destination may get a request now. */
export function isUsable(entry: Entry, isFree: PickInput["isFree"]): boolean {
  return isOpen(entry.flags) && !entry.isGone && (isFree === undefined || isFree(entry));
}

/** Whether a destination has room for one more call by its own `maxload`. */
export function isBelowMaxLoad({ attributes: { maxLoad }, load }: Entry): boolean {
  return maxLoad === 0 || load < maxLoad;
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

function pickFirst({ destinations, span }: EntrySet, { isFree }: PickInput): number {
  for (let at = 0; at < span; at++) if (isUsable(destinations[at]!, isFree)) return at;
  return NONE;
}

/** The slot of the hash, or when it is closed one of all that can be used: that which the hash likes best, so that nothing else moves when others close or open. */
function pickByHash({ destinations, span }: EntrySet, hash: number, { isFree }: PickInput): number {
  const own = hash % span;
  if (isUsable(destinations[own]!, isFree)) return own;
  const spread = mix(hash);
  let best = NONE;
  let bestScore = -1;
  for (let at = 0; at < span; at++) {
    const entry = destinations[at]!;
    const score = mix(spread ^ entry.seed);
    if (score > bestScore && isUsable(entry, isFree)) {
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
    const entry = destinations[at]!;
    if (isUsable(entry, isFree) && !(algorithm === OVERLOAD && isKeptAway(entry, nowMs))) {
      set.last = (at + 1) % destinations.length;
      return at;
    }
    at = at + 1 === span ? 0 : at + 1;
  }
  return NONE;
}

/** Whether overload control keeps this request away: `rate` of each hundred, evenly spread. */
export function isKeptAway({ overload }: Entry, nowMs: number): boolean {
  if (overload.untilMs < nowMs) return false;
  overload.owed += overload.rate;
  if (overload.owed < 100) return false;
  overload.owed -= 100;
  return true;
}

/** Writes the positions that can be used to `set.usable`. */
function collect({ destinations, span, usable }: EntrySet, isFree: PickInput["isFree"], onlyBelowMaxLoad: boolean): number {
  let found = 0;
  for (let at = 0; at < span; at++) {
    const entry = destinations[at]!;
    if (isUsable(entry, isFree) && (!onlyBelowMaxLoad || isBelowMaxLoad(entry))) usable[found++] = at;
  }
  return found;
}

function pickAny(set: EntrySet, { isFree, below }: PickInput): number {
  const found = collect(set, isFree, false);
  return found === 0 ? NONE : set.usable[below(found)]!;
}

function pickByWeight(set: EntrySet, input: PickInput): number {
  const { destinations, span, weights } = set;
  let found = 0;
  for (let at = 0; at < span; at++) {
    const weight = weights[at]!;
    if (weight > 0 && isUsable(destinations[at]!, input.isFree)) found = note(set, found, at, weight);
  }
  return found === 0 ? pickFirst(set, input) : takeTurn(set, found, TURN_WEIGHT);
}

function pickByRelativeWeight(set: EntrySet, input: PickInput): number {
  const { destinations, span } = set;
  let found = 0;
  for (let at = 0; at < span; at++) {
    const entry = destinations[at]!;
    if (entry.relativeWeight > 0 && isUsable(entry, input.isFree)) found = note(set, found, at, entry.relativeWeight);
  }
  return found === 0 ? pickFirst(set, input) : takeTurn(set, found, TURN_RELATIVE_WEIGHT);
}

/** The lowest priority that can be used, in it by weight; those without weight only when none has one (RFC 2782 wants a very small share for them). */
function pickLowest(set: EntrySet, { isFree }: PickInput): number {
  const { destinations, usable, usableWeights } = set;
  let found = 0;
  let heaviest = 0;
  for (let at = set.span - 1, lowest = 0; at >= 0; at--) {
    const entry = destinations[at]!;
    if (found > 0 && entry.priority !== lowest) break; // the set is sorted: what follows is higher
    if (!isUsable(entry, isFree)) continue;
    lowest = entry.priority;
    heaviest = Math.max(heaviest, entry.attributes.weight);
    found = note(set, found, at, entry.attributes.weight);
  }
  if (heaviest === 0) usableWeights.fill(1, 0, found);
  usable.subarray(0, found).reverse(); // equals are taken in the order of the set
  usableWeights.subarray(0, found).reverse();
  return found === 0 ? NONE : takeTurn(set, found, TURN_SRV);
}

/** Writes a position and its weight to the scratch of the set. @returns how many stand there now */
function note({ usable, usableWeights }: EntrySet, found: number, position: number, weight: number): number {
  usable[found] = position;
  usableWeights[found] = weight;
  return found + 1;
}

/**
 * Whose turn it is among the first `found` of the scratch: each is owed its weight more, and who is owed most gives back the sum. In as many turns as the
 * weights add up to, each has exactly its weight, evenly spread; Kamailio has that too, in an order drawn by chance. At least one weight is above 0.
 */
function takeTurn({ destinations, usable, usableWeights }: EntrySet, found: number, turn: number): number {
  let total = 0;
  let best = usable[0]!;
  let bestOwed = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < found; i++) {
    const weight = usableWeights[i]!;
    const { owed } = destinations[usable[i]!]!;
    const mine = owed[turn]! + weight;
    owed[turn] = mine;
    total += weight;
    if (mine <= bestOwed || weight === 0) continue;
    best = usable[i]!;
    bestOwed = mine;
  }
  destinations[best]!.owed[turn]! -= total;
  return best;
}

function pickLeastLoaded({ destinations, span }: EntrySet, { isFree }: PickInput): number {
  let best = NONE;
  let bestLoad = Number.MAX_SAFE_INTEGER;
  for (let at = 0; at < span; at++) {
    const entry = destinations[at]!;
    if (entry.load >= bestLoad || !isBelowMaxLoad(entry) || !isUsable(entry, isFree)) continue;
    best = at;
    bestLoad = entry.load;
  }
  return best;
}

/**
 * Priority as latency lowers it, for algorithm 13: by one for each time that the latency holds the priority, in whole ms, and not below 1. With
 * congestion control the latency is what is above normal.
 */
export function adjustedPriority({ priority, latency, attributes }: Entry): number {
  if (priority <= 0) return priority;
  const ms = Math.trunc(attributes.congestionControl ? latency.estimate - latency.average : latency.estimate);
  const handicap = ms > priority ? Math.trunc(ms / priority) : 0;
  return Math.max(1, priority - handicap);
}

/** Where algorithm 13 begins to look: with `use_default`, Kamailio goes on behind the first destination when the turn would be the default's. */
export function fastestFrom(span: number, last: number): number {
  return last < span ? last : 1 % span;
}

/** Round-robin among those of the highest adjusted priority. */
function pickFastest(set: EntrySet, { isFree }: PickInput): number {
  const { destinations, span } = set;
  let best = NONE;
  let bestPriority = 0;
  let at = fastestFrom(span, set.last);
  for (let looked = 0; looked < span; looked++) {
    const entry = destinations[at]!;
    const priority = adjustedPriority(entry);
    if ((best === NONE || priority > bestPriority) && isUsable(entry, isFree)) {
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
export function affinity(hash: number, entry: Entry): number {
  return -weightOf(entry) / Math.log(unit(mix(hash ^ entry.seed)));
}

/** A number of 32 bits as one above 0 and below 1. */
function unit(bits: number): number {
  return (bits + 0.5) / 2 ** 32;
}

/** Weight of our own algorithms: 1 without the attribute. */
function weightOf({ attributes }: Entry): number {
  return attributes.weight || 1;
}

/**
 * The destination that the key likes best of those that are below their bound: `loadFactor` times their share, by weight, of all calls and this one
 * (consistent hashing with bounded loads, Mirrokni, Thorup, Zadimoghaddam 2016). `maxload` bounds, too.
 */
function pickRendezvous(set: EntrySet, hash: number, { isFree, isCall, loadFactor }: PickInput): number {
  const { destinations, usable } = set;
  const found = collect(set, isFree, isCall);
  let loads = 1;
  let weights = 0;
  if (isCall) {
    for (let i = 0; i < found; i++) {
      const entry = destinations[usable[i]!]!;
      loads += entry.load;
      weights += weightOf(entry);
    }
  }
  const callsPerWeight = isCall ? (loadFactor * loads) / weights : 0;
  let best = NONE;
  let bestScore = 0;
  for (let i = 0; i < found; i++) {
    const entry = destinations[usable[i]!]!;
    const weight = weightOf(entry);
    if (isCall && entry.load >= Math.ceil(callsPerWeight * weight)) continue;
    const x = unit(mix(hash ^ entry.seed));
    if (weight <= bestScore * (1 - x)) continue; // 1 - x ≤ -ln x: it cannot win, and a logarithm is dear
    const score = -weight / Math.log(x);
    if (score > bestScore) {
      best = usable[i]!;
      bestScore = score;
    }
  }
  return best;
}

/** Draws two and takes the one with less load for its weight: nearly as even as to look at all, and no herd runs to the emptiest one. */
function pickOfTwo(set: EntrySet, { isFree, isCall, below }: PickInput): number {
  const { destinations, usable } = set;
  const found = collect(set, isFree, isCall);
  if (found === 0) return NONE;
  const first = below(found);
  if (found === 1) return usable[first]!;
  const other = below(found - 1);
  const second = other < first ? other : other + 1;
  const one = destinations[usable[first]!]!;
  const two = destinations[usable[second]!]!;
  return one.load * weightOf(two) <= two.load * weightOf(one) ? usable[first]! : usable[second]!;
}
