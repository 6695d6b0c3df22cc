import { identityKey } from "../balancer/index.ts";
import type { DestinationState } from "../health/index.ts";
import type { StoreError } from "./errors.ts";
import type { LoadedStates } from "./state-row.ts";
import { within } from "./within.ts";

/** Most destinations whose states wait to be written: as many as there may be destinations. */
const MAX_PENDING = 100_000;
/** States of one write: they are copied to another thread in one piece, which is kept well below a millisecond. */
const MAX_BATCH = 500;
/** How long a state waits for others to be written with it. */
const WRITE_DELAY_MS = 50;
/** Waits between attempts while writing fails: the first, doubled up to the last. */
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 30_000;
/** Failed attempts in a row that the log tells of: another program may be writing for a moment. */
const TOLD_FAILURES = 3;
/** A write that takes longer than this hangs: the log tells of it. */
const SLOW_WRITE_MS = 5_000;
/** How long a flush goes on trying, how long one who asks waits until all is settled, and how often both try. */
const FLUSH_MS = 5_000;
const SETTLE_MS = 1_000;
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
  /** How often the thread that writes ended by itself, and was started again. */
  state_writer_crashes: number;
}

/** What operators decided for destinations, kept through restarts. */
export interface DestinationStateStore {
  readonly counters: Readonly<StateCounters>;
  /** Destinations whose states wait to be written. */
  readonly pending: number;
  /** Whether the database cannot be written, as far as is known: what is saved does not survive a restart while that is so. */
  readonly isUnwritable: boolean;
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
  /**
   * Writes what waits, now, and tells whether everything that was saved before is on the disk. False after a second, or at once when it is known
   * that the database cannot be written. Never rejects.
   */
  settled(): Promise<boolean>;
  /** Writes what waits, now; gives up after five seconds, also when the write hangs. Never rejects. */
  flush(): Promise<void>;
  /** Flushes, and ends: what is saved afterwards is lost, and counted. Never rejects. */
  close(): Promise<void>;
}

/** The table behind the queue. Both reject when the database cannot be used. */
export interface StateTable {
  read(): Promise<LoadedStates>;
  /** All or none; they are durable when it is done. The same state may be written twice. */
  write(states: readonly DestinationState[]): Promise<void>;
  /** How often the thread that writes ended by itself; undefined: there is none. */
  readonly crashes?: number;
}

/** Sizes and times that a test may change, and what is known of the database. */
export interface StateQueueOptions {
  readonly maxPending?: number;
  readonly flushMs?: number;
  readonly settleMs?: number;
  /** Why the database cannot be written, when that has shown itself before. */
  readonly unwritable?: StoreError | undefined;
}

/** A state that waits to be written. */
interface Waiting {
  readonly state: DestinationState;
  /** The number of the save that brought it. */
  readonly save: number;
  /** The number of the first save of this destination that is not written, neither itself nor by a later one. */
  readonly since: number;
}

/** Writes states behind the back of those who save them: in batches, one state a destination, again and again until it works. */
export class QueuedStateStore implements DestinationStateStore {
  readonly #counters = { states_written: 0, state_write_failures: 0, states_lost: 0 };
  readonly #table: StateTable;
  readonly #log: StateLog;
  readonly #maxPending: number;
  readonly #flushMs: number;
  readonly #settleMs: number;
  /** By identity, the longest waiting first. */
  readonly #pending = new Map<string, Waiting>();
  #saves = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The write that is under way; it never rejects. */
  #writing: Promise<boolean> | undefined;
  /** Failed attempts in a row. */
  #failures = 0;
  /** Why the latest of them failed. */
  #reason = "the write does not end";
  /** Whether the log has told that states cannot be written. */
  #isTold = false;
  #isFull = false;
  #isClosed = false;

  constructor(
    table: StateTable,
    log: StateLog,
    { maxPending = MAX_PENDING, flushMs = FLUSH_MS, settleMs = SETTLE_MS, unwritable }: StateQueueOptions = {},
  ) {
    this.#table = table;
    this.#log = log;
    this.#maxPending = maxPending;
    this.#flushMs = flushMs;
    this.#settleMs = settleMs;
    if (unwritable === undefined) return;
    this.#failures = TOLD_FAILURES;
    this.#tell({ err: unwritable }, `What operators decide for destinations is lost at a restart: ${unwritable.message}`);
  }

  get counters(): StateCounters {
    return { ...this.#counters, state_writer_crashes: this.#table.crashes ?? 0 };
  }

  get pending(): number {
    return this.#pending.size;
  }

  get isUnwritable(): boolean {
    return this.#isTold;
  }

  async load(): Promise<LoadedStates> {
    const { states, problems } = await this.#table.read();
    const merged = new Map(states.map((state) => [identityKey(state), state]));
    for (const [key, { state }] of this.#pending) merged.set(key, state);
    return { states: [...merged.values()], problems };
  }

  save(state: DestinationState): void {
    const key = identityKey(state);
    const before = this.#pending.get(key);
    if (this.#isClosed || (this.#pending.size >= this.#maxPending && before === undefined)) {
      this.#lose(state);
      return;
    }
    const save = ++this.#saves;
    this.#pending.set(key, { state, save, since: before?.since ?? save });
    if (this.#writing === undefined) this.#timer ??= this.#after(WRITE_DELAY_MS);
  }

  async settled(): Promise<boolean> {
    const last = this.#saves;
    const isWritten = (): boolean => [...this.#pending.values()].every(({ since }) => since > last);
    return !this.#isFull && (await this.#writeUntil(isWritten, this.#settleMs, TOLD_FAILURES)) && !this.#isFull;
  }

  async flush(): Promise<void> {
    await this.#writeUntil(() => this.#pending.size === 0, this.#flushMs);
  }

  async close(): Promise<void> {
    await this.flush();
    this.#isClosed = true;
    this.#stopTimer();
    const lost = this.#pending.size;
    this.#pending.clear();
    if (lost === 0) return;
    this.#counters.states_lost += lost;
    this.#log.error({ destinations: lost }, `States of ${lost} destinations are lost at the stop: ${this.#reason}`);
  }

  /** Writes batch after batch until it is enough. Answers false when the time or the attempts were not. */
  async #writeUntil(isEnough: () => boolean, limitMs: number, mostFailures = Number.POSITIVE_INFINITY): Promise<boolean> {
    const untilMs = performance.now() + limitMs;
    const leftMs = (): number => Math.max(0, untilMs - performance.now());
    while (!isEnough()) {
      if (this.#isClosed) return false;
      this.#stopTimer();
      const worked = await within(this.#write(), leftMs());
      if (worked) continue;
      if (worked === undefined || leftMs() === 0 || this.#failures >= mostFailures) return isEnough();
      await new Promise((resolve) => setTimeout(resolve, Math.min(FLUSH_RETRY_MS, leftMs())));
    }
    return true;
  }

  /** Writes a batch, or waits for the one that is being written. Answers whether it worked. */
  #write(): Promise<boolean> {
    this.#writing ??= this.#writeBatch().finally(() => {
      this.#writing = undefined;
      this.#goOn();
    });
    return this.#writing;
  }

  async #writeBatch(): Promise<boolean> {
    const batch = [...this.#pending].slice(0, MAX_BATCH);
    const slow = setTimeout(() => {
      const message = `Writing states of destinations takes more than ${SLOW_WRITE_MS / 1000} s: the disk may be stuck`;
      this.#tell({ destinations: this.#pending.size }, message);
    }, SLOW_WRITE_MS).unref();
    try {
      await this.#table.write(batch.map(([, { state }]) => state));
    } catch (error) {
      if (!this.#isClosed) this.#failed(error);
      return false;
    } finally {
      clearTimeout(slow);
    }
    for (const [key, { save }] of batch) {
      const now = this.#pending.get(key);
      if (now?.save === save) this.#pending.delete(key);
      else if (now !== undefined) this.#pending.set(key, { ...now, since: now.save }); // a newer state came meanwhile and still waits
    }
    this.#counters.states_written += batch.length;
    this.#isFull = false;
    if (this.#isTold) this.#log.info({ destinations: batch.length }, "States of destinations can be written again");
    this.#isTold = false;
    this.#failures = 0;
    return true;
  }

  #failed(error: unknown): void {
    this.#counters.state_write_failures++;
    this.#reason = error instanceof Error ? error.message : String(error);
    if (++this.#failures < TOLD_FAILURES) return;
    this.#tell({ err: error, destinations: this.#pending.size }, `Cannot write states of destinations, trying again: ${this.#reason}`);
  }

  /** Says once that states cannot be written, until they can again. */
  #tell(fields: object, message: string): void {
    if (!this.#isTold) this.#log.error(fields, message);
    this.#isTold = true;
  }

  #goOn(): void {
    if (this.#isClosed || this.#pending.size === 0 || this.#timer !== undefined) return;
    const retryMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, 16));
    this.#timer = this.#after(this.#failures === 0 ? WRITE_DELAY_MS : retryMs);
  }

  #after(ms: number): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, ms);
    return timer.unref(); // a stop flushes
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lose({ id, uri }: DestinationState): void {
    this.#counters.states_lost++;
    if (this.#isFull) return;
    this.#isFull = true;
    const reason = this.#isClosed ? "the store is closed" : `${this.#maxPending} others wait to be written`;
    this.#log.error({ id, uri }, `State of destination ${id} <${uri}> is lost: ${reason}`);
  }
}
