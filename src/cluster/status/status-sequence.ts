/** Changes that are known to be later than one that is missing. */
const MAX_HEARD = 1_000;

/** Which of the numbered changes are known: numbers without a gap, and some that came before others. */
export class ChangeSequence {
  #last = 0;
  #lastAtBeat = 0;
  readonly #heard = new Set<number>();

  /** All changes up to this one are known. */
  get last(): number {
    return this.#last;
  }

  /** Whether a later change is known than one that is not. */
  get hasGap(): boolean {
    return this.#heard.size > 0;
  }

  /** A change came. */
  hear(seq: number): void {
    if (!Number.isSafeInteger(seq) || seq <= this.#last) return;
    if (this.#heard.size < MAX_HEARD) this.#heard.add(seq);
    this.#advance();
  }

  /** All changes up to this one were read. */
  read(seq: number): void {
    if (!Number.isSafeInteger(seq) || seq <= this.#last) return;
    this.#last = seq;
    for (const heard of this.#heard) if (heard <= seq) this.#heard.delete(heard);
    this.#advance();
  }

  /** What a beat says of the last change. "back": Redis counts from an earlier one again, as it has lost some. */
  compare(seq: number): "equal" | "missed" | "back" {
    // What was known when the beat before came was in Redis long before this one.
    const isBack = seq < this.#lastAtBeat;
    this.#lastAtBeat = this.#last;
    if (isBack) return "back";
    return seq > this.#last ? "missed" : "equal";
  }

  /** Nothing is known any more. */
  forget(): void {
    this.#last = 0;
    this.#lastAtBeat = 0;
    this.#heard.clear();
  }

  #advance(): void {
    while (this.#heard.delete(this.#last + 1)) this.#last++;
  }
}
