import { LATENCY, LEAST_OUTSTANDING, RENDEZVOUS, SRV } from "./algorithms.ts";
import type { Entry } from "./destination.ts";
import type { EntrySet } from "./destination-set.ts";
import { affinity, type Below, fastestFrom } from "./pick.ts";

/** A pick within a set, and what its failover list depends on. */
export interface PickedPlace {
  readonly set: EntrySet;
  readonly algorithm: number;
  /** Position of the pick. */
  readonly position: number;
  /** Where round-robin began to look, for the order of algorithm 13. */
  readonly startedAt: number;
  /** Of the key, for rendezvous hashing. */
  readonly hash: number;
}

/**
 * The destinations that come after the pick, in the order in which they are tried, whatever their states. The one of `use_default` is the last.
 *
 * For Kamailio's algorithms it is Kamailio's order: what follows the pick in the set, then what stands before it; for 13 by adjusted priority. Algorithm 15
 * goes on as SRV records do (RFC 2782), by priority and by chance as the weights say; rendezvous hashing with what the key likes next; two choices
 * with the least loaded.
 */
export function failoverOrder(place: PickedPlace, below: Below): readonly Entry[] {
  const { set, position } = place;
  const picked = set.destinations[position];
  const order = inSpan(place, below).filter((entry) => entry !== picked);
  const last = set.default;
  return last === undefined || last === picked ? order : [...order, last];
}

function inSpan(place: PickedPlace, below: Below): Entry[] {
  const { set, algorithm, position, startedAt, hash } = place;
  switch (algorithm) {
    case LATENCY: {
      const places = new Map(set.destinations.map((entry, at) => [entry, at])); // a reload may have moved them meanwhile
      return sortedBy(rotated(set, fastestFrom(set.span, startedAt)), (entry) => -set.adjustedPriority[places.get(entry)!]!);
    }
    case SRV:
      return drawn(rotated(set, 0), below);
    case RENDEZVOUS:
      return sortedBy(rotated(set, 0), (entry) => -affinity(hash, entry));
    case LEAST_OUTSTANDING:
      return sortedBy(rotated(set, position), (entry) => entry.load / (entry.attributes.weight || 1));
    default:
      return rotated(set, position);
  }
}

function rotated({ destinations, span }: EntrySet, start: number): Entry[] {
  const from = start % span;
  return [...destinations.slice(from, span), ...destinations.slice(0, from)];
}

/** Sorted by a number that is asked once for each. */
function sortedBy(entries: readonly Entry[], figureOf: (entry: Entry) => number): Entry[] {
  return entries
    .map((entry) => ({ entry, figure: figureOf(entry) }))
    .sort((a, b) => a.figure - b.figure)
    .map(({ entry }) => entry);
}

/** As fine as chance is asked for. */
const DRAWN_OF = 2 ** 30;

/**
 * The lowest priority first; within one drawn by weight, those without weight last. To draw one after the other is to sort by times that are exponential with
 * the weights as rates (Efraimidis, Spirakis 2006): of 1,000 destinations that takes a tenth of the time.
 */
function drawn(entries: readonly Entry[], below: Below): Entry[] {
  const timeOf = ({ attributes: { weight } }: Entry): number =>
    weight === 0 ? Number.MAX_VALUE : -Math.log((below(DRAWN_OF) + 0.5) / DRAWN_OF) / weight;
  return entries
    .map((entry) => ({ entry, time: timeOf(entry) }))
    .sort((a, b) => a.entry.priority - b.entry.priority || a.time - b.time)
    .map(({ entry }) => entry);
}
