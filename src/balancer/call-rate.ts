/** The window in which calls are counted. */
const WINDOW_MS = 1000;

const INITIAL_TIMES = 16;

/**
 * Limits the calls that one server gets: never more than `limit` within any 1000 ms. It remembers when each of the last second's calls went out,
 * `limit` of them at most, so that there is no edge between two seconds at which twice as many could pass.
 */
export class CallRate {
  /** Table rows of the server: several when they share a pool. */
  rows: number[] = [];
  /** Among the rates of its table, from 0. */
  number = 0;
  /** Most calls within a second; 0 until it is set. */
  limit = 0;
  /** A ring whose size is a power of two. */
  #times = new Float64Array(INITIAL_TIMES);
  #first = 0;
  #count = 0;

  /** A call goes out now. */
  note(nowMs: number): void {
    this.#forget(nowMs);
    if (this.#count === this.#times.length) this.#grow();
    this.#times[(this.#first + this.#count) & (this.#times.length - 1)] = nowMs;
    this.#count++;
  }

  /** When the next call may go out; not after `nowMs` when it may now. */
  openAtMs(nowMs: number): number {
    this.#forget(nowMs);
    if (this.#count < this.limit) return nowMs;
    return this.#times[(this.#first + this.#count - this.limit) & (this.#times.length - 1)]! + WINDOW_MS;
  }

  #forget(nowMs: number): void {
    while (this.#count > 0 && this.#times[this.#first]! + WINDOW_MS <= nowMs) {
      this.#first = (this.#first + 1) & (this.#times.length - 1);
      this.#count--;
    }
  }

  #grow(): void {
    const old = this.#times;
    const times = new Float64Array(old.length * 2);
    for (let i = 0; i < this.#count; i++) times[i] = old[(this.#first + i) & (old.length - 1)]!;
    this.#times = times;
    this.#first = 0;
  }
}
