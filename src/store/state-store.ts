import { identityKey } from "../balancer/index.ts";
import type { DestinationState } from "../health/index.ts";
import type { LoadedStates } from "./state-row.ts";

/** Most destinations whose states wait to be written: as many as there may be destinations. */
const MAX_PENDING = 100_000;
/** States of one write: SQLite works in the thread that handles calls, so a write is kept to a few milliseconds. */
const MAX_BATCH = 100;
/** How long a state waits for others to be written with it. */
const WRITE_DELAY_MS = 50;
/** Waits between attempts while writing fails: the first, doubled up to the last. */
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 30_000;
/** Failed attempts in a row that the log tells of: another program may be writing for a moment. */
const TOLD_FAILURES = 3;
/** How long a flush goes on trying, and how often. */
const FLUSH_MS = 2_000;
const FLUSH_RETRY_MS = 50;

/** Where the words for the operator go: the form of pino. */
export interface StateLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How often each thing happened since the start. */
export interface StateCounters {
  /** States written. */
  states_written: number;
  /** Attempts to write that failed; none is given up before the program stops. */
  state_write_failures: number;
  /** States that were never written, because too many waited or the program stopped. */
  states_lost: number;
}

/** What operators decided for destinations, kept through restarts. */
export interface DestinationStateStore {
  readonly counters: Readonly<StateCounters>;
  /** Destinations whose states wait to be written. */
  readonly pending: number;
  /**
   * Every state that is written down or waits for it.
   *
   * @throws {StoreError} when the database cannot be read
   */
  load(): Promise<LoadedStates>;
  /**
   * Writes a state down soon, in place of the one before of the same destination. It neither throws nor waits: while the database cannot be
   * written, the latest state of each destination is kept, tried again, and the log says so.
   */
  save(state: DestinationState): void;
  /** Writes what waits, now; gives up after two seconds. Never rejects. */
  flush(): Promise<void>;
  /** Flushes, and ends: what is saved afterwards is lost, and counted. Never rejects. */
  close(): Promise<void>;
}

/** The table behind the queue. Both reject when the database cannot be used. */
export interface StateTable {
  read(): Promise<LoadedStates>;
  /** All or none. Fails at once when another program is writing, rather than wait with everything that this thread does. */
  write(states: readonly DestinationState[]): Promise<void>;
}

/** Sizes and times that a test may change. */
export interface StateQueueOptions {
  readonly maxPending?: number;
  readonly flushMs?: number;
}

/** Writes states behind the back of those who save them: in batches, one state a destination, again and again until it works. */
export class QueuedStateStore implements DestinationStateStore {
  readonly counters: StateCounters = { states_written: 0, state_write_failures: 0, states_lost: 0 };
  readonly #table: StateTable;
  readonly #log: StateLog;
  readonly #maxPending: number;
  readonly #flushMs: number;
  /** By identity, the longest waiting first. */
  readonly #pending = new Map<string, DestinationState>();
  #timer: NodeJS.Timeout | undefined;
  /** The write that is under way; it never rejects. */
  #writing: Promise<boolean> | undefined;
  /** Failed attempts in a row. */
  #failures = 0;
  /** Why the latest of them failed. */
  #reason = "";
  #isFull = false;
  #isClosed = false;

  constructor(table: StateTable, log: StateLog, { maxPending = MAX_PENDING, flushMs = FLUSH_MS }: StateQueueOptions = {}) {
    this.#table = table;
    this.#log = log;
    this.#maxPending = maxPending;
    this.#flushMs = flushMs;
  }

  get pending(): number {
    return this.#pending.size;
  }

  async load(): Promise<LoadedStates> {
    const { states, skipped } = await this.#table.read();
    const merged = new Map(states.map((state) => [identityKey(state), state]));
    for (const [key, state] of this.#pending) merged.set(key, state);
    return { states: [...merged.values()], skipped };
  }

  save(state: DestinationState): void {
    const key = identityKey(state);
    if (this.#isClosed || (this.#pending.size >= this.#maxPending && !this.#pending.has(key))) {
      this.#lose(state);
      return;
    }
    this.#pending.set(key, state);
    if (this.#writing === undefined) this.#timer ??= this.#after(WRITE_DELAY_MS);
  }

  async flush(): Promise<void> {
    const until = performance.now() + this.#flushMs;
    this.#stopTimer();
    while (this.#pending.size > 0) {
      if (await this.#write()) continue;
      if (performance.now() >= until) break;
      await new Promise((resolve) => setTimeout(resolve, FLUSH_RETRY_MS));
    }
    this.#goOn();
  }

  async close(): Promise<void> {
    await this.flush();
    this.#isClosed = true;
    this.#stopTimer();
    await this.#writing;
    const lost = this.#pending.size;
    this.#pending.clear();
    if (lost === 0) return;
    this.counters.states_lost += lost;
    this.#log.error({ destinations: lost }, `States of ${lost} destinations are lost at the stop: ${this.#reason}`);
  }

  /** Writes a batch, or waits for the one that is being written. Answers whether it worked. */
  #write(): Promise<boolean> {
    this.#writing ??= this.#writeBatch().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeBatch(): Promise<boolean> {
    const batch = [...this.#pending].slice(0, MAX_BATCH);
    try {
      await this.#table.write(batch.map(([, state]) => state));
    } catch (error) {
      this.counters.state_write_failures++;
      this.#reason = error instanceof Error ? error.message : String(error);
      if (++this.#failures === TOLD_FAILURES) {
        this.#log.error(
          { err: error, destinations: this.#pending.size },
          `Cannot write states of destinations, trying again: ${this.#reason}`,
        );
      }
      return false;
    }
    // A newer state may have come meanwhile: that one still waits.
    for (const [key, state] of batch) if (this.#pending.get(key) === state) this.#pending.delete(key);
    this.counters.states_written += batch.length;
    this.#isFull = false;
    if (this.#failures >= TOLD_FAILURES) this.#log.info({ destinations: batch.length }, "States of destinations can be written again");
    this.#failures = 0;
    return true;
  }

  #goOn(): void {
    if (this.#isClosed || this.#pending.size === 0 || this.#timer !== undefined) return;
    const retryMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, 16));
    this.#timer = this.#after(this.#failures === 0 ? WRITE_DELAY_MS : retryMs);
  }

  #after(ms: number): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#write().then(() => this.#goOn());
    }, ms);
    return timer.unref(); // a stop flushes
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lose({ id, uri }: DestinationState): void {
    this.counters.states_lost++;
    if (this.#isFull) return;
    this.#isFull = true;
    const reason = this.#isClosed ? "the store is closed" : `${this.#maxPending} others wait to be written`;
    this.#log.error({ id, uri }, `State of destination ${id} <${uri}> is lost: ${reason}`);
  }
}
