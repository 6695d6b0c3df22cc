/** Parts of the window: what is forgotten is forgotten a tenth of the window at a time. */
const PARTS = 10;

/**
 * Calls and failed calls of the last moments. Each counts for at least nine tenths of the window and at most for all of it.
 * Its size does not depend on how many calls there are.
 */
export class OutcomeWindow {
  readonly #partMs: number;
  readonly #calls = new Int32Array(PARTS);
  readonly #failures = new Int32Array(PARTS);
  /** The latest part that was counted in, from the beginning of the clock. */
  #part = Number.NEGATIVE_INFINITY;

  /** @param windowMs above 0 */
  constructor(windowMs: number) {
    this.#partMs = windowMs / PARTS;
  }

  /** @param nowMs a clock that never goes back */
  countCall(nowMs: number): void {
    this.#calls[this.#turnTo(nowMs)]!++;
  }

  countFailure(nowMs: number): void {
    this.#failures[this.#turnTo(nowMs)]!++;
  }

  calls(nowMs: number): number {
    this.#turnTo(nowMs);
    return sum(this.#calls);
  }

  failures(nowMs: number): number {
    this.#turnTo(nowMs);
    return sum(this.#failures);
  }

  clear(): void {
    this.#calls.fill(0);
    this.#failures.fill(0);
  }

  /** Forgets the parts that are over and answers where the present one is kept. */
  #turnTo(nowMs: number): number {
    const part = Math.floor(nowMs / this.#partMs);
    if (part - this.#part >= PARTS) this.clear();
    else {
      for (let over = this.#part + 1; over <= part; over++) {
        this.#calls[over % PARTS] = 0;
        this.#failures[over % PARTS] = 0;
      }
    }
    this.#part = Math.max(this.#part, part);
    return this.#part % PARTS;
  }
}

function sum(parts: Int32Array): number {
  let total = 0;
  for (let i = 0; i < PARTS; i++) total += parts[i]!;
  return total;
}
