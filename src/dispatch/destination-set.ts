import type { Destination, Entry } from "./destination.ts";

/** What weights of algorithm 9 add up to in Kamailio: they are percent. */
const PERCENT = 100;

/** A set as others than its dispatcher see it. */
export interface DestinationSet {
  readonly id: number;
  /** By priority, the highest first; of equal ones what was written last. */
  readonly destinations: readonly Destination[];
}

/** {@link DestinationSet} for its dispatcher, with the figures that picks read. */
export class EntrySet implements DestinationSet {
  readonly id: number;
  readonly destinations: readonly Entry[];
  /**
   * Destinations that algorithms choose from: all, or with `use_default` all but the last one, which comes when no other is left. A set of one has
   * no default.
   */
  readonly span: number;
  /** Weights of algorithm 9 by position; all 0 when no record has one. */
  readonly weights: readonly number[];
  /** Where the next round-robin begins to look. */
  last = 0;
  /** All priorities are the same and above 0: what algorithm 14 asks. */
  readonly isLevel: boolean;
  /** Scratch: positions that may be picked, and their weights. */
  readonly usable: Int32Array;
  readonly usableWeights: Int32Array;

  constructor(id: number, entries: readonly Entry[], useDefault: boolean) {
    this.id = id;
    this.destinations = inOrder(entries);
    this.span = useDefault && entries.length > 1 ? entries.length - 1 : entries.length;
    this.weights = percentWeights(this.destinations, this.span);
    const [first] = this.destinations;
    this.isLevel = first !== undefined && first.priority > 0 && this.destinations.every(({ priority }) => priority === first.priority);
    this.usable = new Int32Array(entries.length);
    this.usableWeights = new Int32Array(entries.length);
  }

  /** The destination of `use_default`. */
  get default(): Entry | undefined {
    return this.destinations[this.span];
  }
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
function percentWeights(entries: readonly Entry[], span: number): readonly number[] {
  const weights = entries.map(({ attributes }) => attributes.weight);
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
