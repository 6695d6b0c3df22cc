import { type Dialog, DialogState } from "../dialog/index.ts";
import { type DialogChanges, type SavedDialog, StoreError, within } from "../store/index.ts";
import type { KeeperPorts, SharedCalls } from "./keeper-ports.ts";
import { resizedCapacities, restoreCapacities } from "./kept-capacities.ts";
import { isOver, restoreDialogs } from "./kept-record.ts";
import { keptTextOf } from "./kept-text.ts";

/** How long a change waits for others to be written with it, ms. */
const WRITE_DELAY_MS = 25;
/** A batch is late when it is written longer than this after the oldest change in it, ms. */
const LATE_MS = 50;
/** Calls of one batch: putting one into text takes some 10 µs of the thread that handles calls. */
const MAX_BATCH = 250;
/** A batch has no more calls once it is this long: a call with many legs and long routes may take a thousand times as much as a usual one. */
const FULL_BATCH_CHARS = 524_288;
/** Waits between attempts while writing fails, ms: the first, doubled up to the last. */
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 1_000;
/** Failed attempts in a row of which the log tells. */
const TOLD_FAILURES = 3;
/** A write that takes longer than this hangs: the log tells of it, ms. */
const SLOW_WRITE_MS = 5_000;
/** How long the stop goes on writing, and how long one who asks waits until capacities are written, ms; and how often both try. */
const CLOSE_MS = 5_000;
const SETTLE_MS = 500;
const CLOSE_RETRY_MS = 50;
/** How long it is waited for Redis to say who has the calls, ms. */
const ASK_MS = 3_000;
/** Where calls are shared, it is written this often that this node lives, ms; and this long after that others are sure to have had its calls. A mark of a call that another node has ended stays in Redis for an hour. */
const BEAT_MS = 60_000;
const MAX_AWAY_MS = 1_800_000;

/**
 * Writes calls and what they hold down behind the back of those who handle them, and restores them at the start.
 *
 * Only names of calls wait, and what is written is their state at that moment. So as many wait at most as there are calls, and calls that are written
 * down; a disk that is slow or stuck holds up no call.
 */
export class DialogKeeper {
  readonly #ports: KeeperPorts;
  /** Dialogs that differ from what is written down, since when; the longest waiting first. */
  #changed = new Map<string, number>();
  /** Those of the batch that is being written, which is not on the disk yet. */
  #underWay: ReadonlyMap<string, number> = new Map();
  /** Dialogs that are, or may be, written down. */
  #stored = new Set<string>();
  /** The capacities that are written down, or on their way. */
  #capacities = "[]";
  #haveCapacitiesChanged = false;
  readonly #counters = {
    persist_batches: 0,
    persist_written: 0,
    persist_removed: 0,
    persist_failures: 0,
    persist_late_batches: 0,
    persist_restored: 0,
    persist_restored_ended: 0,
    persist_unreadable: 0,
    persist_unreachable: 0,
    persist_lost: 0,
  };
  #stopTimer: (() => void) | undefined;
  #writing: Promise<boolean> | undefined;
  /** Failed attempts in a row. */
  #failures = 0;
  /** Of the file that has what was written; undefined: of the one that was opened. */
  #fileName: string | undefined;
  #isRestored = false;
  #isBeatDue = false;
  #areCapacitiesUnderWay = false;
  #isClosed = false;
  #closing: Promise<string | undefined> | undefined;

  constructor(ports: KeeperPorts) {
    this.#ports = ports;
    void ports.former?.released.then(() => this.#say());
  }

  /** How often each thing happened since the start; how many calls wait to be written, and how long the first has waited. */
  get counters(): Record<string, number> {
    const sinceMs = firstOf(this.#underWay) ?? firstOf(this.#changed); // what is being written has waited longest
    return {
      ...this.#counters,
      persist_writer_crashes: this.#ports.store.crashes,
      persist_pending: this.#changed.size + this.#underWay.size,
      persist_lag_ms: sinceMs === undefined ? 0 : Math.max(0, Math.round(this.#ports.nowMs() - sinceMs)),
    };
  }

  /**
   * Goes on with the calls that are written down, once, when the destinations are there and before SIP is taken; where calls are shared,
   * {@link restoreShared} does. From then on every change is written down. A call whose listener is gone cannot be reached and is forgotten; one whose
   * destination is gone is counted out of sight.
   */
  #begin(): void {
    if (this.#isRestored) return;
    const { dialogs, store, former, earlyLifetimeMs, log, shared, balancer } = this.#ports;
    dialogs.earlyLifetimeMs = earlyLifetimeMs;
    for (const [did] of store.found) this.#stored.add(did);
    if (shared === undefined) {
      this.#restoreAll(store.found);
      store.letGo?.();
    }
    this.#capacities = JSON.stringify(store.capacities);
    const resized = restoreCapacities(balancer, store.capacities);
    if (resized > 0) log.info({ capacities: resized }, "Capacities that somebody has set were restored");
    const note = (did: string) => (former?.hasSwitched === false ? this.#stored.add(did) : this.#mark(did));
    dialogs.changeListeners.push(({ did }) => note(did));
    dialogs.byes.listeners.push(({ did }) => note(did));
    this.#isRestored = true;
  }

  /**
   * Goes on with the calls that are written down and that the cluster does not know: its Redis cannot be reached, or has lost what it had. What another node
   * has taken meanwhile, or has ended, is that node's. After a long absence nobody can say that any more, and others have had the time to take them all.
   * To be called once this node has what Redis knows, before SIP is taken. Never rejects.
   */
  async restoreShared(): Promise<void> {
    const { shared, store, dialogs, wallMs, log } = this.#ports;
    if (shared === undefined) return;
    this.#restoreEnded(shared, store.found.filter(isOver));
    const rest = store.found.filter((saved) => !dialogs.knows(saved[0]) && !isOver(saved));
    const awayMs = wallMs() - (store.aliveAtMs ?? 0);
    const own = new Set(awayMs > MAX_AWAY_MS ? [] : await this.#stillOwn(rest.map(([did]) => did)));
    const wanted = rest.filter(([did]) => own.has(did) && !dialogs.knows(did));
    for (const dialog of this.#restoreAll(wanted)) shared.regained(dialog);
    for (const [did] of rest) if (!own.has(did)) this.#mark(did);
    if (rest.length > own.size && awayMs > MAX_AWAY_MS)
      log.warn(
        { calls: rest.length },
        `Calls are not restored: this node was away for ${Math.round(awayMs / 60_000)} minutes, and other nodes may have had them meanwhile`,
      );
    else if (rest.length > own.size)
      log.info({ calls: rest.length - own.size }, "Calls that other nodes have, or have ended, are not restored");
    store.letGo?.();
    this.#beat();
  }

  /** Calls that had ended here, which Redis, and so another node, may not have heard of: it is told now. */
  #restoreEnded(shared: SharedCalls, over: readonly SavedDialog[]): void {
    const { dialogs } = this.#ports;
    for (const [did] of over) {
      const dialog = dialogs.byDid(did);
      if (dialog !== undefined) dialogs.surrender(dialog);
    }
    this.#restoreAll(over);
    for (const [did] of over) shared.over(did);
  }

  /** All of them when nobody can be asked: as soon as Redis is there it is found out who has which. */
  async #stillOwn(dids: readonly string[]): Promise<readonly string[]> {
    const { shared, after, log } = this.#ports;
    if (shared === undefined || dids.length === 0) return dids;
    const late = Promise.withResolvers<undefined>();
    const stop = after(ASK_MS, () => late.resolve(undefined));
    const own = await Promise.race([shared.stillOwn(dids).catch(() => undefined), late.promise]);
    stop();
    if (own === undefined) log.warn({ calls: dids.length }, "Redis cannot say who has the calls of this node: it goes on with all of them");
    return own ?? dids;
  }

  /** Writes now and then that this node lives. */
  #beat(): void {
    this.#say();
    if (!this.#isClosed) this.#ports.after(BEAT_MS, () => this.#beat());
  }

  #say(): void {
    this.#isBeatDue = true;
    this.#arm(0);
  }

  #restoreAll(all: readonly SavedDialog[]): readonly Dialog[] {
    const { restored, rejected } = restoreDialogs(this.#ports, all, this.#counters);
    for (const did of rejected) this.#mark(did);
    return restored;
  }

  /** To be called for each table, before calls are taken: restores with the first one, and sees which capacities still are others than those of the rows. */
  tableChanged(): void {
    this.#begin();
    this.capacitiesChanged();
  }

  /** To be called when somebody has set a capacity. */
  capacitiesChanged(): void {
    if (!this.#isRestored || JSON.stringify(resizedCapacities(this.#ports.balancer)) === this.#capacities) return;
    this.#haveCapacitiesChanged = true;
    this.#arm(WRITE_DELAY_MS);
  }

  /** To be called for each change of a state of a dialog (`DialogTable.onState`). */
  stateChanged({ did, state }: Dialog): void {
    if (this.#isRestored && state === DialogState.Deleted) this.#mark(did);
  }

  /**
   * Writes what waits, now, and tells whether all capacities that somebody has set are written. False after half a second, or at once when it is known that
   * they cannot be. Never rejects.
   */
  settled(): Promise<boolean> {
    return this.#writeUntil(() => !this.#haveCapacitiesChanged && !this.#areCapacitiesUnderWay, SETTLE_MS, TOLD_FAILURES);
  }

  /** Writes what waits, gives up after five seconds, and ends. Answers the name of the file that has everything, if one has. Never rejects. */
  close(): Promise<string | undefined> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<string | undefined> {
    this.#isClosed = true;
    await this.#writeUntil(() => !this.#isWaiting && this.#writing === undefined, CLOSE_MS);
    this.#stopTimer?.();
    const lost = this.#changed.size + this.#underWay.size;
    if (lost > 0) this.#ports.log.error({ calls: lost }, "Changes of calls are lost at the stop");
    await this.#ports.store.close();
    return lost > 0 ? undefined : this.#name;
  }

  get #name(): string {
    return this.#fileName ?? this.#ports.store.identity;
  }

  /** Writes batch after batch until it is enough. Answers false when the time or the attempts were not. */
  async #writeUntil(isEnough: () => boolean, limitMs: number, mostFailures = Number.POSITIVE_INFINITY): Promise<boolean> {
    const untilMs = performance.now() + limitMs; // real time: a stop ends whatever the clock of the calls does
    const leftMs = (): number => Math.max(0, untilMs - performance.now());
    while (!isEnough()) {
      const worked = await within(this.#write(), leftMs());
      if (worked) continue;
      if (worked === undefined || leftMs() === 0 || this.#failures >= mostFailures) return isEnough();
      await sleep(Math.min(CLOSE_RETRY_MS, leftMs()));
    }
    return true;
  }

  get #isWaiting(): boolean {
    return this.#changed.size > 0 || this.#haveCapacitiesChanged || this.#isBeatDue;
  }

  #mark(did: string): void {
    if (this.#changed.has(did)) return;
    this.#changed.set(did, this.#ports.nowMs());
    this.#arm(WRITE_DELAY_MS);
  }

  #arm(waitMs: number): void {
    if (this.#isClosed || this.#writing !== undefined || !this.#isWaiting) return;
    this.#stopTimer ??= this.#ports.after(waitMs, () => {
      this.#stopTimer = undefined;
      void this.#write();
    });
  }

  /** Writes a batch, or waits for the one that is being written. Answers whether it worked. */
  #write(): Promise<boolean> {
    this.#writing ??= this.#writeBatch().finally(() => {
      this.#writing = undefined;
      this.#arm(this.#nextWaitMs());
    });
    return this.#writing;
  }

  #nextWaitMs(): number {
    if (this.#failures > 0) return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, 16));
    const [sinceMs = 0] = this.#changed.values();
    return Math.max(0, sinceMs + WRITE_DELAY_MS - this.#ports.nowMs());
  }

  async #writeBatch(): Promise<boolean> {
    const { store, nowMs, log } = this.#ports;
    const { batch, ...calls } = this.#takeBatch();
    const capacities = this.#haveCapacitiesChanged ? resizedCapacities(this.#ports.balancer) : undefined;
    this.#areCapacitiesUnderWay = this.#haveCapacitiesChanged;
    this.#haveCapacitiesChanged = false;
    const aliveAtMs = this.#isBeatDue ? this.#ports.wallMs() : undefined;
    this.#isBeatDue = false;
    const changes: DialogChanges = { ...calls, capacities, aliveAtMs };
    const isNews = changes.saved.length > 0 || changes.removed.length > 0;
    if (!isNews && capacities === undefined && aliveAtMs === undefined) return true;
    for (const [did] of changes.saved) this.#stored.add(did);
    this.#underWay = batch;
    const stopWatch = this.#ports.after(SLOW_WRITE_MS, () =>
      log.error(
        { calls: this.#changed.size },
        `A write of calls takes longer than ${SLOW_WRITE_MS / 1000} s: a crash loses what changes meanwhile`,
      ),
    );
    try {
      this.#written(changes, await store.write(changes));
    } catch (error) {
      this.#haveCapacitiesChanged ||= capacities !== undefined;
      this.#failed(batch, error);
      return false;
    } finally {
      this.#underWay = new Map();
      this.#areCapacitiesUnderWay = false;
      stopWatch();
    }
    const [sinceMs = nowMs()] = batch.values();
    if (nowMs() - sinceMs > LATE_MS) this.#counters.persist_late_batches++;
    return true;
  }

  /** A call that was over for both its parties before it was written down needs no write at all. */
  #takeBatch(): { batch: Map<string, number> } & Pick<DialogChanges, "saved" | "removed"> {
    const { dialogs, balancer } = this.#ports;
    const batch = new Map<string, number>();
    const saved: SavedDialog[] = [];
    const removed: string[] = [];
    let chars = 0;
    for (const [did, sinceMs] of this.#changed) {
      if (batch.size === MAX_BATCH || chars >= FULL_BATCH_CHARS) break;
      batch.set(did, sinceMs);
      this.#changed.delete(did);
      const dialog = dialogs.byDid(did) ?? dialogs.lingering(did);
      // Before its INVITE went anywhere nobody can send anything inside it, and after a crash nobody would ever answer it.
      if (dialog?.calleeEndpoint !== undefined) {
        const record = keptTextOf(dialog, balancer.held(dialog.load));
        saved.push([did, record]);
        chars += record.length;
      } else if (this.#stored.has(did)) removed.push(did);
    }
    return { batch, saved, removed };
  }

  #written({ saved, removed, capacities }: DialogChanges, fileName: string): void {
    for (const did of removed) this.#stored.delete(did);
    if (capacities !== undefined) this.#capacities = JSON.stringify(capacities);
    this.#counters.persist_batches++;
    this.#counters.persist_written += saved.length;
    this.#counters.persist_removed += removed.length;
    if (this.#failures >= TOLD_FAILURES) this.#ports.log.info({}, "Calls can be written down again");
    this.#failures = 0;
    if (this.#name !== fileName) this.#startAnew(saved);
    this.#fileName = fileName;
  }

  /** Somebody took the file away, or a log of it: there is nothing for sure but the last batch. */
  #startAnew(saved: readonly SavedDialog[]): void {
    this.#ports.log.warn({}, "The file of calls is another one now: all calls are written into it");
    this.#stored = new Set(saved.map(([did]) => did));
    this.#haveCapacitiesChanged = true;
    const { dialogs } = this.#ports;
    for (const { did } of dialogs.list()) if (!this.#stored.has(did)) this.#mark(did);
    for (const { did } of dialogs.byes.list()) if (!this.#stored.has(did)) this.#mark(did);
    void this.#removeStrays();
  }

  /** A file that has lost something, or that others have had, may have calls that are over: a start would count them. */
  async #removeStrays(): Promise<void> {
    const { store, dialogs, after } = this.#ports;
    try {
      const found = new Set(store.found.map(([did]) => did)); // nobody has said yet what becomes of them
      for (const did of (await store.names?.()) ?? []) {
        if (found.has(did) || dialogs.byDid(did) !== undefined || dialogs.lingering(did) !== undefined) continue;
        this.#stored.add(did);
        this.#mark(did);
      }
    } catch {
      if (!this.#isClosed) after(LAST_RETRY_MS, () => void this.#removeStrays());
    }
  }

  #failed(batch: Map<string, number>, error: unknown): void {
    // What has changed once more meanwhile has waited since the first time.
    for (const [did, sinceMs] of this.#changed) if (!batch.has(did)) batch.set(did, sinceMs);
    this.#changed = batch;
    this.#counters.persist_failures++;
    if (error instanceof StoreError && error.code === "DAMAGED") this.#ports.log.error({}, error.message);
    if (++this.#failures === TOLD_FAILURES)
      this.#ports.log.error({ err: error }, "Cannot write calls down, trying again: a crash loses them");
  }
}

function firstOf(waiting: ReadonlyMap<string, number>): number | undefined {
  const [sinceMs] = waiting.values();
  return sinceMs;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
