/** Each node stands for so many of the level below, as a power of two: 16 numbers are two lines of the processor's cache. */
const BITS = 4;
const WIDTH = 1 << BITS;

/** In place of a score: the place cannot be chosen. */
export const CLOSED_SCORE = Number.NEGATIVE_INFINITY;

/**
 * Scores by place, with the largest of them, how many places share it and which these are, each known after a number of steps that grows with the logarithm of
 * the number of places. Every node knows the largest score below it and how often it stands there; a change goes up only as far as it
 * matters. Nothing is allocated once it is made.
 */
export class SlotTree {
  /** Largest scores: the places themselves, then the levels above them, each filled up with {@link CLOSED_SCORE} to whole nodes. */
  readonly #scores: Float64Array;
  /** By the same numbers: places below that have that score. */
  readonly #counts: Int32Array;
  /** Where each level begins. */
  readonly #starts: Int32Array;
  readonly #top: number;

  /** @param places from 1; all are closed until {@link fill} and {@link build}, or {@link set}, say otherwise */
  constructor(places: number) {
    const starts = [0];
    let size = wholeNodes(places);
    let end = size;
    while (size > 1) {
      starts.push(end);
      size = size >> BITS === 1 ? 1 : wholeNodes(size >> BITS);
      end += size;
    }
    this.#starts = Int32Array.from(starts);
    this.#top = end - 1;
    this.#scores = new Float64Array(end).fill(CLOSED_SCORE);
    this.#counts = new Int32Array(end).fill(1);
    this.build();
  }

  /** The largest score; {@link CLOSED_SCORE} when every place is closed. */
  get best(): number {
    return this.#scores[this.#top]!;
  }

  /** Places with the largest score, unless all are closed. */
  get equals(): number {
    return this.#counts[this.#top]!;
  }

  /** Sets a score without looking further: to be followed by {@link build}. */
  fill(place: number, score: number): void {
    this.#scores[place] = score;
  }

  /** Makes all levels anew. */
  build(): void {
    for (let level = 1; level < this.#starts.length; level++) {
      const start = this.#starts[level]!;
      const below = this.#starts[level - 1]!;
      const nodes = (start - below) >> BITS;
      for (let node = 0; node < nodes; node++) this.#sum(start + node, below + (node << BITS));
    }
  }

  set(place: number, score: number): void {
    const scores = this.#scores;
    const counts = this.#counts;
    const starts = this.#starts;
    let before = scores[place]!;
    if (before === score) return;
    scores[place] = score;
    let after = score;
    let countBefore = 1;
    let countAfter = 1;
    let index = place;
    for (let level = 1; level < starts.length; level++) {
      const first = starts[level - 1]! + ((index >> BITS) << BITS);
      index >>= BITS;
      const node = starts[level]! + index;
      const best = scores[node]!;
      const count = counts[node]!;
      if (after > best) {
        scores[node] = after;
        counts[node] = countAfter;
      } else if (before === best) {
        const left = count - countBefore + (after === best ? countAfter : 0);
        if (left > 0) counts[node] = left;
        else this.#sum(node, first);
      } else if (after === best) {
        counts[node] = count + countAfter;
      } else {
        return;
      }
      before = best;
      countBefore = count;
      after = scores[node]!;
      countAfter = counts[node]!;
    }
  }

  /**
   * The place of one that has the largest score, in the order of places.
   *
   * @param which 0 to `equals - 1`
   */
  nth(which: number): number {
    const scores = this.#scores;
    const counts = this.#counts;
    const best = scores[this.#top]!;
    let left = which;
    let index = 0;
    for (let level = this.#starts.length - 2; level >= 0; level--) {
      let node = this.#starts[level]! + (index << BITS);
      index <<= BITS;
      for (;;) {
        if (scores[node] === best) {
          if (left < counts[node]!) break;
          left -= counts[node]!;
        }
        node++;
        index++;
      }
    }
    return index;
  }

  #sum(node: number, first: number): void {
    const scores = this.#scores;
    const counts = this.#counts;
    let best = scores[first]!;
    let count = counts[first]!;
    for (let at = first + 1; at < first + WIDTH; at++) {
      const score = scores[at]!;
      if (score > best) {
        best = score;
        count = counts[at]!;
      } else if (score === best) {
        count += counts[at]!;
      }
    }
    scores[node] = best;
    counts[node] = count;
  }
}

function wholeNodes(count: number): number {
  return ((count + WIDTH - 1) >> BITS) << BITS;
}
