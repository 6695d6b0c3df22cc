import { type Balancer, type Destination, identityKey, type TableChange } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import type { Log } from "../proxy/index.ts";
import {
  type BindingView,
  type DynamicRow,
  Registrar,
  type RegistrarPorts,
  type RowChange,
  registrarSettings,
} from "../registrar/index.ts";
import type { RegistrationTable } from "../store/index.ts";
import { digestHash } from "./digest-hash.ts";
import type { TableLoader } from "./load-table.ts";
import { RegistrationSaver, readSaved } from "./registration-saver.ts";
import { servedTransports } from "./served-transports.ts";

/** How long a server that has registered waits for others to come into the table with it, ms: the least, and the most. */
const APPLY_DELAY_MS = 20;
const LONGEST_APPLY_DELAY_MS = 1_000;
/** It waits so many times as long as the last table took to make: a storm of registrations leaves nine tenths of the time to calls. */
const APPLY_PAUSES = 10;
/** How often it is looked whether the calls of those that leave have ended, ms. */
const LEAVING_CHECK_MS = 500;

export interface RegistrationsPorts extends Pick<RegistrarPorts, "nowMs" | "after" | "chance" | "isOwn"> {
  readonly config: Pick<Config, "registrar" | "dialog" | "sip">;
  readonly balancer: Pick<Balancer, "destination" | "cellsOf" | "ownLoad" | "setLeaving" | "setStatus" | "isEnabled" | "isAutoReenable">;
  readonly loader: Pick<TableLoader, "prepare" | "apply" | "isStored">;
  readonly saved: RegistrationTable;
  readonly log: Log;
}

/** Servers that register: the registrar, what it changes of the table of destinations, and what of it a restart does not forget. */
export class Registrations {
  readonly registrar: Registrar;
  readonly #ports: RegistrationsPorts;
  readonly #saver: RegistrationSaver;
  /** Keys of rows that leave, with the time since when. */
  readonly #leaving = new Map<string, number>();
  #stopApplying: (() => void) | undefined;
  #applyDelayMs = APPLY_DELAY_MS;
  #stopChecking: (() => void) | undefined;
  #isClosed = false;

  constructor(ports: RegistrationsPorts) {
    const { after, chance, config, isOwn, loader, log, nowMs, saved } = ports;
    this.#ports = ports;
    this.registrar = new Registrar(registrarSettings(config.registrar, servedTransports(config.sip.listen)), {
      nowMs,
      wallMs: Date.now,
      after,
      chance,
      hash: digestHash,
      log,
      onChange: (change) => this.#changed(change),
      ...(isOwn && { isOwn }),
      isTakenId: (id) => loader.isStored(id),
      dateText: () => new Date().toUTCString(),
    });
    this.#saver = new RegistrationSaver({ table: saved, bindings: () => this.registrar.snapshot().bindings, after, log });
  }

  /** Those that are registered, and those that leave, as they are now. */
  rows(): DynamicRow[] {
    return this.registrar.rows();
  }

  bindings(): BindingView[] {
    return this.registrar.bindings();
  }

  get counters(): Record<string, number> {
    return { ...this.registrar.counters, ...this.#saver.counters };
  }

  /** Takes up what was written down before the start. To be called before the first table. @throws Error when the database cannot be read */
  async load(): Promise<void> {
    const { log, nowMs, saved } = this.#ports;
    const rows = await saved.read();
    if (rows.length === 0) return;
    const { restored, refused } = this.registrar.restore(readSaved(rows, Date.now()));
    const now = nowMs();
    const kept = new Set<number>();
    for (const { id, key, state } of this.rows()) {
      kept.add(id);
      if (state === "leaving") this.#leaving.set(key, now);
    }
    for (const { id } of rows) if (!kept.has(id)) this.#saver.changed(id);
    this.#armCheck();
    log.info({ restored, refused }, "registrations from before the start are taken up");
  }

  /** Writes down what waits for it, and goes on. Never rejects. */
  settled(): Promise<void> {
    return this.#saver.settled();
  }

  /** Writes down what waits for it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopApplying?.();
    this.#stopChecking?.();
    this.registrar.stop();
    await this.#saver.close();
  }

  #changed({ kind, row }: RowChange): void {
    this.#saver.changed(row.id);
    if (kind === "left") {
      this.#leaving.set(row.key, this.#ports.nowMs());
      this.#setLeaving(row, true);
      this.#armCheck();
    } else if (kind === "gone") {
      this.#applySoon();
    } else {
      this.#leaving.delete(row.key);
      if (kind === "returned") this.#returned(row);
      void this.#prepare(row);
    }
  }

  /** A row that has come, or says something else, or could not be used before. */
  async #prepare(row: DynamicRow): Promise<void> {
    if (await this.#ports.loader.prepare(row)) this.#applySoon();
  }

  #returned(row: DynamicRow): void {
    const { balancer, log } = this.#ports;
    this.#setLeaving(row, false);
    const destination = this.#inTable(row);
    if (destination === undefined || balancer.isEnabled(destination) || !balancer.isAutoReenable(destination)) return;
    // It was found down while it was away, which says nothing of the server that has registered now.
    balancer.setStatus(row.id, true, "registration");
    log.info({ id: row.id, group: row.group, uri: row.uri }, `destination ${row.id} <${row.uri}> is enabled: it has registered again`);
  }

  #setLeaving(row: DynamicRow, leaving: boolean): void {
    if (this.#inTable(row) !== undefined) this.#ports.balancer.setLeaving(row.id, leaving);
  }

  /** The destination that was made of the row: a row of the database may have taken its id. */
  #inTable(row: DynamicRow): Destination | undefined {
    const destination = this.#ports.balancer.destination(row.id);
    return destination?.key === identityKey(row) ? destination : undefined;
  }

  #applySoon(): void {
    if (this.#isClosed) return;
    const { after, loader, nowMs } = this.#ports;
    this.#stopApplying ??= after(this.#applyDelayMs, () => {
      this.#stopApplying = undefined;
      const beganMs = nowMs();
      this.#tellOf(loader.apply());
      const tookMs = nowMs() - beganMs;
      this.#applyDelayMs = Math.min(LONGEST_APPLY_DELAY_MS, Math.max(APPLY_DELAY_MS, tookMs * APPLY_PAUSES));
    });
  }

  #tellOf({ added, removed, changed }: TableChange): void {
    const { log } = this.#ports;
    if (added.length + removed.length + changed.length === 0) return;
    log.info(
      { added: added.length, removed: removed.length, changed: changed.length, registered: this.registrar.counters.active },
      "destinations changed by registrations",
    );
  }

  #armCheck(): void {
    if (this.#leaving.size === 0 || this.#isClosed) return;
    this.#stopChecking ??= this.#ports.after(LEAVING_CHECK_MS, () => {
      this.#stopChecking = undefined;
      this.#removeIdle();
      this.#armCheck();
    });
  }

  /** No call lasts longer than `dialog.default_timeout`: what still counts then is not worth a row. */
  #removeIdle(): void {
    const { config, nowMs } = this.#ports;
    const before = nowMs() - config.dialog.default_timeout * 1000;
    for (const [key, sinceMs] of [...this.#leaving]) {
      const row = this.registrar.row(key);
      if (row?.state === "leaving" && sinceMs > before && this.#hasCalls(row)) continue;
      this.#leaving.delete(key);
      this.registrar.removed(key);
    }
  }

  #hasCalls(row: DynamicRow): boolean {
    const { balancer } = this.#ports;
    return balancer.cellsOf({ key: identityKey(row) }).some((cell) => balancer.ownLoad(cell) > 0);
  }
}
