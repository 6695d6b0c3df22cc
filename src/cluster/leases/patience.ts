/** Answers in a row that came too late, after which nobody waits for Redis. */
export const MAX_LATE_IN_A_ROW = 3;

/** Whether it is worth waiting for Redis: not after it was late several times in a row, until it has answered something in time again. */
export class Patience {
  readonly #limitMs: () => number;
  #late = 0;
  #lateAtMs = Number.NEGATIVE_INFINITY;

  /** @param limitMs longest time that an answer may take */
  constructor(limitMs: () => number) {
    this.#limitMs = limitMs;
  }

  get isLost(): boolean {
    return this.#late >= MAX_LATE_IN_A_ROW;
  }

  /** An answer came to what was sent at `sentMs`. */
  answered(sentMs: number, nowMs: number): void {
    if (nowMs - sentMs <= this.#limitMs()) this.#late = 0;
    else this.late(sentMs, nowMs);
  }

  /** No answer came in time to what was sent at `sentMs`. Many that waited through one pause count once. */
  late(sentMs: number, nowMs: number): void {
    if (sentMs < this.#lateAtMs) return;
    this.#late++;
    this.#lateAtMs = nowMs;
  }
}
