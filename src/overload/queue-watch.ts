/**
 * Says from looks at the queue of one socket whether what comes has to wait too long. A standing queue is meant: one that is more than half full and has not been
 * empty for a while. A queue that a standstill of the event loop has filled is soon read.
 */
export class QueueWatch {
  readonly #nowMs: () => number;
  /** Share of the queue from which on it is too full; 0: not looked at. */
  maxShare: number;
  #isCrowded = false;
  /** When it was first not empty; undefined while it is. */
  #sinceMs: number | undefined = undefined;
  #lookedMs = 0;

  /** @param maxShare from 0 to 1; 0: not looked at  @param nowMs monotonic milliseconds */
  constructor(maxShare: number, nowMs: () => number) {
    this.maxShare = maxShare;
    this.#nowMs = nowMs;
  }

  /** Takes how full the queue is after it was read, from 0, empty, to 1. */
  look(share: number): void {
    if (share === 0) {
      this.#sinceMs = undefined;
      this.#isCrowded = false;
      return;
    }
    const now = this.#nowMs();
    // Nobody has looked for a while: whether it was empty meanwhile cannot be known.
    if (now - this.#lookedMs > STANDING_MS) this.#sinceMs = now;
    this.#lookedMs = now;
    this.#sinceMs ??= now;
    if (this.#isCrowded) this.#isCrowded = share >= CALM_SHARE * this.maxShare;
    else this.#isCrowded = share >= this.maxShare && now - this.#sinceMs >= STANDING_MS;
  }

  /** Whether new calls are to be refused. What was seen long ago, of a socket that is closed since, does not count. */
  get isCrowded(): boolean {
    return this.#isCrowded && this.maxShare > 0 && this.#nowMs() - this.#lookedMs < STALE_MS;
  }
}

/** How long a queue has to be without an empty moment: what a standstill of 20 ms has filled is read within that time, as reading is quicker than what comes. */
export const STANDING_MS = 50;
/** Share of the limit below which new calls are taken again. Linux may count up to a quarter of the queue as full that is read already (`udp_rmem_release()`). */
const CALM_SHARE = 0.6;
const STALE_MS = 1_000;
