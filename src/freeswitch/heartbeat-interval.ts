/** Gaps whose median is taken for the interval. */
const GAPS = 5;
/** At an interval of 1 s FreeSWITCH's gaps are 0.5 to 1.5 s; a shorter one is not to be believed. */
const MIN_INTERVAL_MS = 1000;
/** Largest gap that is taken for an interval. */
const MAX_INTERVAL_MS = 10 * 60_000;

/** Learns in which interval a FreeSWITCH sends heartbeats; they do not say it. The median of the last gaps: one gap that is out of line changes nothing. */
export class HeartbeatInterval {
  readonly #defaultMs: number;
  #lastMs: number | undefined;
  #gapsMs: number[] = [];

  /** @param defaultMs holds until enough heartbeats were seen; FreeSWITCH's own default is 20 s */
  constructor(defaultMs: number) {
    this.#defaultMs = defaultMs;
  }

  get ms(): number {
    if (this.#gapsMs.length < GAPS) return this.#defaultMs;
    const median = this.#gapsMs.toSorted((a, b) => a - b)[GAPS >> 1]!;
    return Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, median));
  }

  observe(nowMs: number): void {
    if (this.#lastMs !== undefined) this.#gapsMs = [...this.#gapsMs, nowMs - this.#lastMs].slice(-GAPS);
    this.#lastMs = nowMs;
  }

  /** The connection was lost, or FreeSWITCH started again: the next gap is none. */
  interrupt(): void {
    this.#lastMs = undefined;
  }
}
