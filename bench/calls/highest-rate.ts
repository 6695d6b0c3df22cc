/** The highest rate that is looked for, calls a second: beyond it the generator is the limit. */
export const MAX_RATE = 20_000;

/** Looks for the highest rate that is held: up in steps until one is not, then halves the distance until it is a quarter of a step. */
export class HighestRate {
  readonly #step: number;
  #held = 0;
  #notHeld = Number.POSITIVE_INFINITY;
  #next: number;

  /** @param start the first rate, calls a second  @param step of the way up */
  constructor(start: number, step: number) {
    this.#step = step;
    this.#next = start;
  }

  /** The rate to try; undefined when enough is known. */
  get next(): number | undefined {
    return this.#notHeld - this.#held <= this.#step / 4 || this.#held >= MAX_RATE ? undefined : this.#next;
  }

  /** The highest rate that was held, calls a second; 0: none was. */
  get held(): number {
    return this.#held;
  }

  /** Takes what became of {@link next}. */
  took(isHeld: boolean): void {
    if (isHeld) this.#held = this.#next;
    else this.#notHeld = this.#next;
    const halfway = Math.round((this.#held + this.#notHeld) / 2);
    this.#next = Number.isFinite(halfway) ? halfway : Math.min(MAX_RATE, this.#held + this.#step);
  }
}
