/** Lets so many pieces of work run at once; others wait for their turn. */
export class Turns {
  readonly #parallel: number;
  readonly #maxWaiting: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(parallel: number, maxWaiting: number) {
    this.#parallel = parallel;
    this.#maxWaiting = maxWaiting;
  }

  /** Runs it in its turn; undefined when too much is waiting. Rejects when it does. */
  async run<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#running < this.#parallel) this.#running++;
    else if (this.#waiting.length >= this.#maxWaiting) return undefined;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
