/** A clock that moves only when told to, with timers. No test has to sleep. */
export class FakeClock {
  #nowMs: number;
  #timers: { readonly dueMs: number; readonly id: number; readonly run: () => void }[] = [];
  #lastId = 0;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** The clock as a function, for what takes one. */
  readonly now = (): number => this.#nowMs;

  /** Runs `run` once, `delayMs` from now. @returns stops it */
  after(delayMs: number, run: () => void): () => void {
    this.#lastId += 1;
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), id: this.#lastId, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Timers that have not fired yet. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves on by `ms`, firing what falls due in order of time, then of setting; each sees the time it was due at. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs || a.id - b.id)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = next.dueMs;
      next.run();
    }
    this.#nowMs = untilMs;
  }
}
