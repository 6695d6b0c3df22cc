import { type Destination, type DestinationSet, type Dispatcher, printFlags, STATE_FLAGS, type StateChange } from "../dispatch/index.ts";
import type { Log } from "../proxy/index.ts";
import { type DispatcherStateTable, within } from "../store/index.ts";

/** How long a state waits for others to be written with it, ms. */
const WRITE_DELAY_MS = 50;
/** Longest wait between attempts while writing fails, ms. */
const LAST_RETRY_MS = 30_000;
const FIRST_RETRY_MS = 250;
/** States of one write: they are copied to another thread in one piece. */
const MAX_BATCH = 500;
/** Failed attempts in a row of which the log tells: another program may be writing for a moment. */
const TOLD_FAILURES = 3;
/** How long one who asks waits until all is written, and how long the stop does, ms. */
const SETTLE_MS = 1_000;
const CLOSE_MS = 5_000;
const RETRY_MS = 50;

export interface DispatchStatesPorts {
  readonly table: DispatcherStateTable;
  readonly dispatcher: Pick<Dispatcher, "keepState">;
  readonly wallMs: () => number;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly log: Log;
}

/**
 * States that operators set for destinations of the dispatcher (`dispatcher.set_state`), kept through restarts; Kamailio forgets them. Such a state
 * is kept until something else changes it: a probe, a script, other flags in the record, or an operator who sets what the record says.
 */
export class DispatchStates {
  readonly counters = { states_written: 0, state_write_failures: 0 };
  readonly #ports: DispatchStatesPorts;
  /** Bits of the flags by the key of the destination, with the time at which they were set. */
  readonly #kept = new Map<string, { readonly state: number; readonly atMs: number }>();
  /** Keys of those that differ from what is written down. */
  readonly #changed = new Set<string>();
  #known: ReadonlySet<Destination> = new Set();
  #stopTimer: (() => void) | undefined;
  #writing: Promise<boolean> | undefined;
  /** Failed attempts in a row. */
  #failures = 0;
  #isClosed = false;

  constructor(ports: DispatchStatesPorts) {
    this.#ports = ports;
  }

  /** States that wait to be written. */
  get pending(): number {
    return this.#changed.size;
  }

  /** Reads what was set before the start. To be called before the first load of the sets. @throws Error when the database cannot be read */
  async load(): Promise<void> {
    const { log, table } = this.#ports;
    for (const { destination, state, changed_at: atMs } of await table.read()) {
      const isGood = typeof destination === "string" && Number.isInteger(state) && (state & ~STATE_FLAGS) === 0;
      if (isGood) this.#kept.set(destination, { state, atMs: Number(atMs) || 0 });
      else
        log.warn(
          {},
          `Cannot use the saved state of dispatcher destination "${String(destination).slice(0, 60)}": want flags from 0 to ${STATE_FLAGS}`,
        );
    }
  }

  /** To be told of each load of the sets, in the same step: new destinations get their states back before the next request comes. */
  setsChanged(sets: readonly DestinationSet[]): void {
    const { dispatcher, log } = this.#ports;
    const before = this.#known;
    this.#known = new Set(sets.flatMap(({ destinations }) => destinations));
    if (this.#kept.size === 0) return;
    for (const destination of this.#known) {
      const kept = before.has(destination) ? undefined : this.#kept.get(destination.key);
      if (kept === undefined) continue;
      dispatcher.keepState(destination, kept.state);
      const { setId, uri } = destination;
      const flags = printFlags(destination.flags);
      log.info(
        { set: setId, uri, flags },
        `dispatcher destination <${uri}> of set ${setId} stays ${flags}, as it was set at ${new Date(kept.atMs).toISOString()}`,
      );
    }
  }

  /** To be told of each change of a state. */
  changed({ destination, after, cause }: StateChange): void {
    const { key, recordFlags } = destination;
    const state = after & STATE_FLAGS;
    if (cause === "operator" && state !== (recordFlags & STATE_FLAGS)) this.#kept.set(key, { state, atMs: this.#ports.wallMs() });
    else if (!this.#kept.delete(key)) return;
    this.#changed.add(key);
    this.#arm(WRITE_DELAY_MS);
  }

  /** Whether all that was set so far is on the disk; false after a second, or when it cannot be written. Never rejects. */
  settled(): Promise<boolean> {
    return this.#writeUntil(SETTLE_MS, TOLD_FAILURES);
  }

  /** Writes what waits, gives up after five seconds, and ends. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    await this.#writeUntil(CLOSE_MS, Number.POSITIVE_INFINITY);
    if (this.#changed.size > 0)
      this.#ports.log.error({ destinations: this.#changed.size }, "States of dispatcher destinations are lost at the stop");
  }

  async #writeUntil(limitMs: number, mostFailures: number): Promise<boolean> {
    const untilMs = performance.now() + limitMs;
    while (this.#changed.size > 0 || this.#writing !== undefined) {
      const worked = await within(this.#write(), Math.max(0, untilMs - performance.now()));
      if (worked === true) continue;
      if (performance.now() >= untilMs || this.#failures >= mostFailures) return false;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    return true;
  }

  #arm(ms: number): void {
    if (this.#isClosed || this.#changed.size === 0) return;
    this.#stopTimer ??= this.#ports.after(ms, () => {
      this.#stopTimer = undefined;
      void this.#write();
    });
  }

  /** Writes a batch, or waits for the one that is being written. Answers whether it worked. */
  #write(): Promise<boolean> {
    this.#writing ??= this.#writeBatch().finally(() => {
      this.#writing = undefined;
      this.#arm(this.#failures === 0 ? WRITE_DELAY_MS : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 16)));
    });
    return this.#writing;
  }

  async #writeBatch(): Promise<boolean> {
    const { log, table } = this.#ports;
    const batch = [...this.#changed].slice(0, MAX_BATCH);
    for (const key of batch) this.#changed.delete(key);
    const saved = batch.flatMap((destination) => {
      const kept = this.#kept.get(destination);
      return kept === undefined ? [] : [{ destination, state: kept.state, changed_at: Math.trunc(kept.atMs) }];
    });
    try {
      await table.write({ saved, removed: batch.filter((key) => !this.#kept.has(key)) });
    } catch (error) {
      for (const key of batch) this.#changed.add(key);
      this.counters.state_write_failures++;
      if (++this.#failures === TOLD_FAILURES) log.error({ err: error }, "Cannot write states of dispatcher destinations, trying again");
      return false;
    }
    this.counters.states_written += batch.length;
    if (this.#failures >= TOLD_FAILURES) log.info({}, "States of dispatcher destinations can be written again");
    this.#failures = 0;
    return true;
  }
}
