import type { SourceKey } from "./source-key.ts";

/** Places in which a source may stand. */
const WAYS = 8;
const GOLDEN = 0x9e3779b1;
const MIX_1 = 0x85ebca6b;
const MIX_2 = 0xc2b2ae35;

/**
 * Counts of sources in flat arrays of a fixed size: no source costs memory. A new source takes the place of one whose window is over, else of the one with the
 * fewest requests among the few places that it may stand in. So who sends much stays, however many others are made up meanwhile; what a source loses with its
 * place is its count, never its right to send. Banned sources keep their places.
 */
export class SourceTable {
  /** Start of the window in which `count` was counted, monotonic milliseconds. */
  readonly windowMs: Float64Array;
  readonly count: Uint32Array;
  /** When the ban ends, monotonic milliseconds; 0: not banned. */
  readonly bannedUntilMs: Float64Array;
  /** Sources that lost their place to another one within their window. */
  evicted = 0;
  readonly #hi: Uint32Array;
  readonly #lo: Uint32Array;
  readonly #buckets: number;
  readonly #seed: number;

  /**
   * @param size places; a power of two from 8
   * @param seed 32 random bits: nobody outside can know which sources stand beside each other
   */
  constructor(size: number, seed: number) {
    this.windowMs = new Float64Array(size).fill(-Infinity);
    this.count = new Uint32Array(size);
    this.bannedUntilMs = new Float64Array(size);
    this.#hi = new Uint32Array(size);
    this.#lo = new Uint32Array(size);
    this.#buckets = size / WAYS;
    this.#seed = seed | 0;
  }

  /** The place of this source; -1 when it has none. */
  find({ hi, lo }: Readonly<SourceKey>): number {
    const first = this.#bucketOf(hi, lo);
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.#lo[slot] === lo && this.#hi[slot] === hi && this.count[slot] !== 0) return slot;
    }
    return -1;
  }

  /**
   * A place for a source that has none, with a count of 1.
   *
   * @param unitMs windows that began this long ago are over
   * @returns -1 when all its places belong to banned sources
   */
  insert({ hi, lo }: Readonly<SourceKey>, nowMs: number, unitMs: number): number {
    const first = this.#bucketOf(hi, lo);
    let best = -1;
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.bannedUntilMs[slot] !== 0) continue;
      if (nowMs - this.windowMs[slot]! >= unitMs) {
        best = slot;
        break;
      }
      if (best === -1 || this.count[slot]! < this.count[best]!) best = slot;
    }
    if (best === -1) return -1;
    if (nowMs - this.windowMs[best]! < unitMs) this.evicted++;
    this.#hi[best] = hi;
    this.#lo[best] = lo;
    this.windowMs[best] = nowMs;
    this.count[best] = 1;
    return best;
  }

  /** How many sources have sent within their window of `unitMs`. Looks at all places: for statistics, not for a message. */
  liveCount(nowMs: number, unitMs: number): number {
    let live = 0;
    for (let slot = 0; slot < this.count.length; slot++) if (nowMs - this.windowMs[slot]! < unitMs) live++;
    return live;
  }

  keyAt(slot: number): SourceKey {
    return { hi: this.#hi[slot]!, lo: this.#lo[slot]! };
  }

  #bucketOf(hi: number, lo: number): number {
    let mixed = Math.imul(hi ^ this.#seed, GOLDEN) ^ lo;
    mixed = Math.imul(mixed ^ (mixed >>> 16) ^ this.#seed, MIX_1);
    mixed = Math.imul(mixed ^ (mixed >>> 13), MIX_2);
    return ((mixed ^ (mixed >>> 16)) & (this.#buckets - 1)) * WAYS;
  }
}
