import type { Log } from "../proxy/index.ts";
import type { BindingSnapshot, RegistrarPorts, RegistrarSnapshot } from "../registrar/index.ts";
import { type RegistrationTable, type SavedRegistration, within } from "../store/index.ts";

/** How long a change waits for others to be written with it, ms. What is not written when the program is killed is made up by the next renewal. */
const WRITE_DELAY_MS = 1_000;
/** Longest wait between attempts while writing fails, ms. */
const LAST_RETRY_MS = 30_000;
/** Registrations of one write: they are copied to another thread in one piece. */
const MAX_BATCH = 500;
/** Failed attempts in a row of which the log tells: another program may be writing for a moment. */
const TOLD_FAILURES = 3;
/** How long the stop goes on writing, ms. */
const CLOSE_MS = 5_000;
const CLOSE_RETRY_MS = 50;
/**
 * A registration that was good when the program ended lasts this long from the start, ms: while nobody took renewals none could come. A FreeSWITCH
 * that got no answer tries again after `retry-seconds`, by default 30 s, and then later and later.
 */
const GRACE_MS = 120_000;
/** One that ran out longer ago than this is not believed any more, ms. */
const LONGEST_STOP_MS = 3_600_000;

export interface SaverPorts {
  readonly table: RegistrationTable;
  /** Everything that there is to write. */
  readonly bindings: () => readonly BindingSnapshot[];
  readonly after: RegistrarPorts["after"];
  readonly log: Log;
}

/** Writes registrations down behind the back of the registrar, again and again until it works. */
export class RegistrationSaver {
  readonly counters = { registrations_written: 0, registration_write_failures: 0 };
  readonly #ports: SaverPorts;
  /** Ids of those that differ from what is written down. */
  readonly #changed = new Set<number>();
  #stopTimer: (() => void) | undefined;
  #writing: Promise<boolean> | undefined;
  /** Failed attempts in a row. */
  #failures = 0;
  #isClosed = false;

  constructor(ports: SaverPorts) {
    this.#ports = ports;
  }

  /** Something of the registration with this id is different, or it is gone. */
  changed(id: number): void {
    this.#changed.add(id);
    this.#arm();
  }

  /** Writes what waits, gives up after five seconds, and ends. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    await this.settled();
    if (this.#changed.size > 0) this.#ports.log.error({ registrations: this.#changed.size }, "Registrations are lost at the stop");
  }

  /** Writes what waits, and gives up after five seconds. Never rejects. */
  async settled(): Promise<void> {
    const untilMs = performance.now() + CLOSE_MS;
    while ((this.#changed.size > 0 || this.#writing !== undefined) && performance.now() < untilMs) {
      const worked = await within(this.#write(), untilMs - performance.now());
      if (worked !== true) await sleep(CLOSE_RETRY_MS);
    }
  }

  #arm(): void {
    if (this.#isClosed || this.#changed.size === 0) return;
    const waitMs = Math.min(LAST_RETRY_MS, WRITE_DELAY_MS * 2 ** Math.min(this.#failures, 16));
    this.#stopTimer ??= this.#ports.after(waitMs, () => {
      this.#stopTimer = undefined;
      void this.#write();
    });
  }

  /** Writes a batch, or waits for the one that is being written. Answers whether it worked. */
  #write(): Promise<boolean> {
    this.#writing ??= this.#writeBatch().finally(() => {
      this.#writing = undefined;
      this.#arm();
    });
    return this.#writing;
  }

  async #writeBatch(): Promise<boolean> {
    const { bindings, log, table } = this.#ports;
    const batch = [...this.#changed].slice(0, MAX_BATCH);
    const byId = new Map(bindings().map((binding) => [binding.id, binding]));
    for (const id of batch) this.#changed.delete(id);
    try {
      await table.write({
        saved: batch.filter((id) => byId.has(id)).map((id) => ({ id, binding: JSON.stringify(byId.get(id)) })),
        removed: batch.filter((id) => !byId.has(id)),
      });
    } catch (error) {
      for (const id of batch) this.#changed.add(id);
      this.counters.registration_write_failures++;
      if (++this.#failures === TOLD_FAILURES) log.error({ err: error }, "Cannot write registrations down, trying again");
      return false;
    }
    this.counters.registrations_written += batch.length;
    if (this.#failures >= TOLD_FAILURES) log.info({}, "Registrations can be written down again");
    this.#failures = 0;
    return true;
  }
}

/**
 * What was written down, for `Registrar.restore`, which checks it. Registrations that were good get time to be renewed.
 *
 * @param wallMs now, milliseconds since 1970
 */
export function readSaved(rows: readonly SavedRegistration[], wallMs: number): RegistrarSnapshot {
  const bindings = rows.map(({ binding }) => parsed(binding)).map((binding) => withGrace(binding, wallMs));
  return { version: 1, bindings: bindings as BindingSnapshot[] };
}

function withGrace(binding: unknown, wallMs: number): unknown {
  if (typeof binding !== "object" || binding === null) return binding;
  const { cause, expires_at_ms: expiresAtMs } = binding as Partial<BindingSnapshot>;
  if (cause !== null || typeof expiresAtMs !== "number" || expiresAtMs < wallMs - LONGEST_STOP_MS) return binding;
  return { ...binding, expires_at_ms: Math.max(expiresAtMs, wallMs + GRACE_MS) };
}

/** Undefined, which the registrar refuses, for what is no JSON. */
function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return undefined;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
