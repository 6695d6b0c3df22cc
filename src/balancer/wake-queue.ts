const NOWHERE = -1;

/** Items, numbered from 0, in the order of their times: a heap in arrays of a fixed size, so that neither a change nor a look at the first walks over all. */
export class WakeQueue {
  /** By item; of those in the queue only. */
  readonly #times: Float64Array;
  /** Items: each is not later than those at twice its place and one or two more. */
  readonly #heap: Int32Array;
  /** By item. */
  readonly #placeOf: Int32Array;
  #count = 0;

  /** @param items how many there are */
  constructor(items: number) {
    this.#times = new Float64Array(items);
    this.#heap = new Int32Array(items);
    this.#placeOf = new Int32Array(items).fill(NOWHERE);
  }

  /** Time of the first; positive infinity when there is none. */
  get firstAtMs(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#times[this.#heap[0]!]!;
  }

  /** Puts an item in, or changes its time. */
  set(item: number, atMs: number): void {
    let place = this.#placeOf[item]!;
    if (place === NOWHERE) place = this.#count++;
    this.#times[item] = atMs;
    this.#sink(this.#rise(place, item), item);
  }

  /** Takes the first out; there must be one. */
  shift(): number {
    const first = this.#heap[0]!;
    this.#placeOf[first] = NOWHERE;
    this.#count--;
    if (this.#count > 0) this.#sink(0, this.#heap[this.#count]!);
    return first;
  }

  /** Puts the item where those before it are not later, from `place` on; answers where. */
  #rise(place: number, item: number): number {
    const heap = this.#heap;
    const times = this.#times;
    let at = place;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above]!;
      if (times[other]! <= times[item]!) break;
      this.#put(at, other);
      at = above;
    }
    this.#put(at, item);
    return at;
  }

  /** Puts the item where those behind it are not earlier, from `place` on. */
  #sink(place: number, item: number): void {
    const heap = this.#heap;
    const times = this.#times;
    let at = place;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= this.#count) break;
      if (below + 1 < this.#count && times[heap[below + 1]!]! < times[heap[below]!]!) below++;
      const other = heap[below]!;
      if (times[other]! >= times[item]!) break;
      this.#put(at, other);
      at = below;
    }
    this.#put(at, item);
  }

  #put(place: number, item: number): void {
    this.#heap[place] = item;
    this.#placeOf[item] = place;
  }
}
