import type { Destination, Entry, Place } from "./destination.ts";
import { isOpen } from "./state.ts";

/** What weights of algorithm 9 add up to in Kamailio: they are percent. */
const PERCENT = 100;
/** `maxload` of a destination without one. */
const NO_LIMIT = 2_147_483_647;

/** A set as others than its dispatcher see it. */
export interface DestinationSet {
  readonly id: number;
  /** By priority, the highest first; of equal ones what was written last. */
  readonly destinations: readonly Destination[];
}

/**
 * {@link DestinationSet} for its dispatcher. Columns hold what picks read, by position: a pick may look at all destinations, and following each of
 * them to its attributes was measured at several times the time.
 */
export class EntrySet implements DestinationSet, Place {
  readonly id: number;
  readonly destinations: readonly Entry[];
  /**
   * Destinations that algorithms choose from: all, or with `use_default` all but the last one, which comes when no other is left. A set of one has
   * no default.
   */
  readonly span: number;
  /** Where the next round-robin begins to look. */
  last = 0;
  /** All priorities are the same and above 0: what algorithm 14 asks. */
  readonly isLevel: boolean;
  /** 1 for active and trying ones. */
  readonly open: Uint8Array;
  readonly load: Int32Array;
  readonly maxLoad: Int32Array;
  readonly seed: Int32Array;
  readonly priority: Int32Array;
  /** Priority as latency lowers it: of algorithm 13. */
  readonly adjustedPriority: Int32Array;
  /** Weights of algorithm 9; all 0 when no record has one. */
  readonly percentWeight: Int32Array;
  /** Weights of algorithm 11. */
  readonly relativeWeight: Int32Array;
  /** Weights as they are written: of algorithm 15. */
  readonly weight: Int32Array;
  /** Weights of our own algorithms: 1 for those without. */
  readonly ownWeight: Int32Array;
  readonly heaviest: number;
  /** Sums over active and trying ones of the span. */
  openLoads = 0;
  openWeights = 0;
  /** What rotations by weight owe: of algorithms 9, 11 and 15. */
  readonly owedPercent: Int32Array;
  readonly owedRelative: Int32Array;
  readonly owedSrv: Int32Array;
  /** Scratch: positions that may be picked. */
  readonly usable: Int32Array;

  /** @param former the set that this one replaces, whose turns go on */
  constructor(id: number, entries: readonly Entry[], useDefault: boolean, former?: EntrySet) {
    const size = entries.length;
    const column = (figureOf: (entry: Entry) => number) => Int32Array.from(this.destinations, figureOf);
    const owed = (of: (set: EntrySet) => Int32Array) =>
      column((entry) => (former !== undefined && entry.place === former ? of(former)[entry.position]! : 0));
    this.id = id;
    this.destinations = inOrder(entries);
    this.span = useDefault && size > 1 ? size - 1 : size;
    const [first] = this.destinations;
    this.isLevel = first !== undefined && first.priority > 0 && this.destinations.every(({ priority }) => priority === first.priority);
    this.last = (former?.last ?? 0) % Math.max(1, size);
    this.maxLoad = column(({ attributes }) => attributes.maxLoad || NO_LIMIT);
    this.seed = column(({ seed }) => seed);
    this.priority = column(({ priority }) => priority);
    this.weight = column(({ attributes }) => attributes.weight);
    this.ownWeight = column(({ attributes }) => attributes.weight || 1);
    this.heaviest = this.ownWeight.reduce((most, weight) => Math.max(most, weight), 1);
    this.percentWeight = percentWeights(this.weight, this.span);
    this.owedPercent = owed(({ owedPercent }) => owedPercent);
    this.owedRelative = owed(({ owedRelative }) => owedRelative);
    this.owedSrv = owed(({ owedSrv }) => owedSrv);
    this.open = new Uint8Array(size);
    this.load = new Int32Array(size);
    this.adjustedPriority = new Int32Array(size);
    this.relativeWeight = new Int32Array(size);
    this.usable = new Int32Array(size);
    for (const [position, entry] of this.destinations.entries()) {
      entry.place = this;
      entry.position = position;
      this.update(entry);
    }
  }

  update(entry: Entry): void {
    const { position } = entry;
    const isSpan = position < this.span;
    if (isSpan && this.open[position] === 1) {
      this.openLoads -= this.load[position]!;
      this.openWeights -= this.ownWeight[position]!;
    }
    if (isSpan && isOpen(entry.flags)) {
      this.openLoads += entry.load;
      this.openWeights += this.ownWeight[position]!;
    }
    this.open[position] = isOpen(entry.flags) ? 1 : 0;
    this.load[position] = entry.load;
    this.relativeWeight[position] = entry.relativeWeight;
    this.adjustedPriority[position] = adjustedPriority(entry);
  }

  /** The destination of `use_default`. */
  get default(): Entry | undefined {
    return this.destinations[this.span];
  }
}

/**
 * Priority as latency lowers it, for algorithm 13: by one for each time that the latency holds the priority, in whole ms, and not below 1. With
 * congestion control the latency is what is above normal. Source: Kamailio, `ds_manage_route_algo13`.
 */
function adjustedPriority({ priority, latency, attributes }: Entry): number {
  if (priority <= 0) return priority;
  const ms = Math.trunc(attributes.congestionControl ? latency.estimate - latency.average : latency.estimate);
  const handicap = ms > priority ? Math.trunc(ms / priority) : 0;
  return Math.max(1, priority - handicap);
}

/** The order of Kamailio: by priority, the highest first; of equal ones the last that was written comes first (seen on 5.6.3, for files and tables). */
function inOrder(entries: readonly Entry[]): readonly Entry[] {
  return [...entries].reverse().sort((a, b) => b.priority - a.priority);
}

/**
 * Shares of algorithm 9. Weights are percent: what is missing to 100 goes to the last destination, as in Kamailio; with `use_default` to the first one,
 * and so does the weight of the default itself, as Kamailio's index comes round there. Two things are mended: sums above 100 are shares, where
 * Kamailio ignores what is above, and the first destination need not have a weight.
 */
function percentWeights(written: Int32Array, span: number): Int32Array {
  const weights = Int32Array.from(written);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (sum === 0) return weights;
  const last = weights.length - 1;
  weights[last] = weights[last]! + Math.max(0, PERCENT - sum);
  if (span < weights.length) {
    weights[0] = weights[0]! + weights[last]!;
    weights[last] = 0;
  }
  return weights;
}
