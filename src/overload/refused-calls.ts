/**
 * Remembers which INVITEs were refused without a transaction, so that a copy, sent because the answer was late or lost, is refused too: taken, it would ring
 * where nobody waits for an answer. Two generations, the older of which is dropped when the younger one is full or old: what is remembered is bounded, and under
 * a flood the memory is shorter.
 */
export class RefusedCalls {
  readonly #max: number;
  readonly #keepMs: number;
  #young = new Set<string>();
  #old = new Set<string>();
  #sinceMs = 0;

  /** @param max of each generation  @param keepMs how long each is remembered at least, as long as there is room */
  constructor(max: number, keepMs: number) {
    this.#max = max;
    this.#keepMs = keepMs;
  }

  add(key: string, nowMs: number): void {
    this.#turn(nowMs);
    this.#young.add(key);
  }

  has(key: string, nowMs: number): boolean {
    if (this.#young.size === 0 && this.#old.size === 0) return false;
    this.#turn(nowMs);
    return this.#young.has(key) || this.#old.has(key);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  #turn(nowMs: number): void {
    const ageMs = nowMs - this.#sinceMs;
    if (ageMs < this.#keepMs && this.#young.size < this.#max) return;
    this.#old = ageMs < 2 * this.#keepMs ? this.#young : new Set();
    this.#young = new Set();
    this.#sinceMs = nowMs;
  }
}
