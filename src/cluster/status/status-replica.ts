import { HybridClock, msOf, nodeOf, type Version, versionAfter, versionOf } from "./hlc.ts";
import { type Fence, newStatusCounters, type StatusBeat, type StatusReplicaPorts } from "./status-ports.ts";
import { StatusPurge } from "./status-purge.ts";
import {
  type Aspect,
  type AspectStates,
  decodeHeld,
  decodeRecord,
  encodeRecord,
  fieldOf,
  isSameState,
  MAX_URI_CHARS,
  type StatusRecord,
} from "./status-record.ts";
import { MAX_STATUS_RECORDS, type PutOutcome, STATUS_PUT } from "./status-script.ts";
import { ChangeSequence } from "./status-sequence.ts";

/** Registers that are written at a time. */
const MAX_IN_FLIGHT = 64;
/** Records of a comparison that are looked at in one step: calls get their turn in between. */
const RECORDS_A_STEP = 1_000;
/** How long a message may be later than the number that tells of it, ms: it comes on another connection. */
const GRACE_MS = 250;
/** Wait before what failed is tried again while the connection is there, ms. */
const RETRY_MS = 500;
/** Difference between the time of a decision as it was stamped and as it is known now above which it is stamped anew, ms. */
const RESTAMP_MS = 5_000;

/** A record that Redis is to have. */
interface Pending {
  readonly record: StatusRecord;
  readonly fence: Fence | undefined;
  /** By the monotonic clock; undefined for what was not decided just now: its stamp stays. */
  readonly decidedAtMs: number | undefined;
  /** What was known when it was decided: it is newer than that, whatever the clock says. */
  readonly base: Version;
}

/**
 * What the nodes decided for destinations: one register for each aspect of each destination, of which the newest version wins. Decisions of this node go out
 * at once, or as soon as Redis is there; those of others come by message, and by comparing all when a message may have been lost.
 */
export class StatusReplica {
  readonly counters = newStatusCounters();
  readonly #ports: StatusReplicaPorts;
  readonly #hlc: HybridClock;
  readonly #records = new Map<string, StatusRecord>();
  /** By register; the longest waiting first. */
  readonly #pending = new Map<string, Pending>();
  readonly #inFlight = new Set<string>();
  readonly #sequence = new ChangeSequence();
  readonly #purge: StatusPurge;
  /** Undefined until the first beat: Redis's time is not known before. */
  #generation: string | undefined;
  #synced = false;
  #syncing: Promise<boolean> | undefined;
  #isStale = false;
  #stopLook: (() => void) | undefined;
  #stopRetry: (() => void) | undefined;
  #stopped = false;

  constructor(ports: StatusReplicaPorts) {
    this.#ports = ports;
    const { link, keys, nodeId, beats } = ports;
    this.#hlc = new HybridClock(() => beats.redisNowMs(), nodeId);
    this.#purge = new StatusPurge(ports, (seq) => this.#sequence.hear(seq));
    link.subscribe(keys.channel("status"), (message) => this.#receive(message));
    link.onUp(() => this.#resync());
    link.onDown(() => {
      this.#synced = false;
    });
    beats.onBeat((beat) => this.#beat(beat));
  }

  /** All that Redis has is known here, and no message was missed, as far as is known. */
  get isSynced(): boolean {
    return this.#synced;
  }

  /** Registers that Redis is still to be told of. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  get size(): number {
    return this.#records.size;
  }

  get<A extends Aspect>(aspect: A, group: number, uri: string): AspectStates[A] | undefined {
    return this.record(aspect, group, uri)?.state as AspectStates[A] | undefined;
  }

  /** The register with its version. */
  record<A extends Aspect>(aspect: A, group: number, uri: string): Extract<StatusRecord, { aspect: A }> | undefined {
    return this.#records.get(fieldOf(aspect, group, uri)) as Extract<StatusRecord, { aspect: A }> | undefined;
  }

  /** All registers, in no order. */
  records(): IterableIterator<StatusRecord> {
    return this.#records.values();
  }

  /** Decides something, now. Never waits and never throws: without Redis it is kept, the latest of each register, and merged by version later. */
  set<A extends Aspect>(aspect: A, group: number, uri: string, state: AspectStates[A], fence?: Fence): void {
    const field = fieldOf(aspect, group, uri);
    const before = this.#records.get(field);
    if (!this.#hasRoom(field, uri)) return;
    this.counters.status_set++;
    if (before !== undefined) this.#hlc.observe(before.version);
    const record = { aspect, group, uri, version: this.#hlc.next(), state } as StatusRecord;
    this.#records.set(field, record);
    // What waits was decided on the same knowledge, or Redis has it.
    const base = this.#pending.get(field)?.base ?? before?.version ?? "";
    this.#put(field, { record, fence, decidedAtMs: this.#ports.clock.nowMs(), base });
    this.#pump();
  }

  /**
   * Brings in what this node decided before it started: it competes with what the cluster has. Not told to `apply`. To be called before {@link sync}.
   *
   * @param decidedAtMs ms since 1970; a time that is still to come says that some clock was wrong: anything else wins then
   */
  seed<A extends Aspect>(aspect: A, group: number, uri: string, state: AspectStates[A], decidedAtMs: number): void {
    const field = fieldOf(aspect, group, uri);
    if (!this.#hasRoom(field, uri)) return;
    const stamp = versionOf(decidedAtMs, 0, this.#ports.nodeId);
    const version = this.#hlc.isAhead(stamp) ? versionOf(0, 0, this.#ports.nodeId) : stamp;
    const known = this.#records.get(field);
    if (known !== undefined && known.version >= version) return;
    const record = { aspect, group, uri, version, state } as StatusRecord;
    this.#records.set(field, record);
    this.#put(field, { record, fence: undefined, decidedAtMs: undefined, base: "" });
  }

  /**
   * Compares all with Redis: takes over what is newer there and writes what is newer here. False when Redis was not there or did not answer, or its time
   * is not known. Never rejects.
   */
  sync(): Promise<boolean> {
    this.#syncing ??= this.#sync().then(
      (isDone) => this.#syncEnded(isDone),
      (error: unknown) => {
        this.#ports.log.debug({ err: error }, "cannot compare statuses with Redis");
        return this.#syncEnded(false);
      },
    );
    return this.#syncing;
  }

  /** Lets no timer outlive it. */
  stop(): void {
    this.#stopped = true;
    this.#stopLook?.();
    this.#stopRetry?.();
  }

  async #sync(): Promise<boolean> {
    const { link, keys, wire } = this.#ports;
    this.#isStale = false;
    if (!link.isUp || this.#generation === undefined || this.#stopped) return false;
    this.counters.status_syncs++;
    // First the number: what comes after it is told by message, or read all the same.
    const [seq, flat] = await Promise.all([link.command("GET", keys.statusSeq), link.command("HGETALL", keys.status)]);
    const held = Array.isArray(flat) ? (flat as unknown[]) : [];
    const found = new Map<string, StatusRecord>();
    for (let i = 0; i + 1 < held.length; i += 2) {
      const field = String(held[i]);
      const record = decodeHeld(wire, field, held[i + 1]);
      if (record !== undefined) found.set(field, record);
      if (i % (2 * RECORDS_A_STEP) === 2 * (RECORDS_A_STEP - 1)) await this.#pause();
    }
    this.#restamp();
    for (const field of this.#purge.forgotten(found, this.#records))
      for (const all of [found, this.#records, this.#pending]) all.delete(field);
    // In the order of the decisions: what an operator did to a drain comes after the drain.
    const inOrder = [...found.values()].sort((a, b) => (a.version < b.version ? -1 : 1));
    for (const [i, record] of inOrder.entries()) {
      this.#take(record, true);
      if (i % RECORDS_A_STEP === RECORDS_A_STEP - 1) await this.#pause();
    }
    for (const [field, record] of this.#records) {
      const there = found.get(field);
      const isMissing = there === undefined || there.version < record.version || this.#hlc.isAhead(there.version);
      if (isMissing && !this.#pending.has(field)) this.#put(field, { record, fence: undefined, decidedAtMs: undefined, base: "" });
    }
    this.#sequence.read(Number(seq ?? 0));
    return true;
  }

  #syncEnded(isDone: boolean): boolean {
    this.#syncing = undefined;
    this.#synced = isDone && this.#ports.link.isUp && !this.#isStale;
    if (isDone) this.#stopLook?.(); // all that it would find is known now
    if (isDone) this.#stopLook = undefined;
    if (this.#isStale) this.#look(0);
    else if (!isDone) this.#look(RETRY_MS);
    this.#pump();
    return isDone;
  }

  #beat({ statusSeq, generation }: StatusBeat): void {
    this.#restamp();
    const compared = this.#sequence.compare(statusSeq);
    if (generation !== this.#generation || compared === "back") {
      this.#generation = generation;
      this.#sequence.forget();
      this.#resync();
    } else if (!this.#synced && this.#syncing === undefined) this.#resync();
    else if (compared === "missed") this.#missed();
    this.#pump();
  }

  #receive(message: string): void {
    if (this.#generation === undefined) return; // it is read with the first comparison; before, no clock says whether it is newer than what was decided here
    const at = message.indexOf(" ");
    const record = decodeRecord(this.#ports.wire, message.slice(at + 1));
    if (record === undefined) return;
    this.#take(record, false);
    this.#sequence.hear(Number(message.slice(0, at)));
    if (this.#sequence.hasGap) this.#missed();
  }

  /** Something is missing. It may be on its way: all is compared when it has not come a moment later. */
  #missed(): void {
    if (this.#stopLook !== undefined || !this.#synced) return;
    const before = this.#sequence.last;
    this.#look(GRACE_MS, () => this.#sequence.hasGap || this.#sequence.last === before);
  }

  #look(ms: number, isNeeded: () => boolean = () => true): void {
    if (this.#stopped) return;
    this.#stopLook?.();
    this.#stopLook = this.#ports.clock.after(ms, () => {
      this.#stopLook = undefined;
      if (!this.#ports.link.isUp || !isNeeded()) return;
      if (this.#synced) this.counters.status_gaps++;
      this.#resync();
    });
  }

  #resync(): void {
    this.#synced = false;
    if (this.#syncing !== undefined) this.#isStale = true;
    else void this.sync();
  }

  /** Takes what came from Redis if it is newer. */
  #take(record: StatusRecord, isSync: boolean): void {
    if (this.#wins(fieldOf(record.aspect, record.group, record.uri), record)) this.#adopt(record, isSync);
    else this.counters.status_old++;
  }

  /** Redis has the last word on two that were stamped alike. */
  #wins(field: string, record: StatusRecord): boolean {
    if (this.#hlc.isAhead(record.version)) {
      this.counters.status_refused_ahead++;
      return false;
    }
    const known = this.#records.get(field);
    if (known === undefined) return this.#hasRoom(field, record.uri);
    if (record.version === known.version) return !isSameState(known, record);
    return record.version > known.version || this.#hlc.isAhead(known.version);
  }

  #adopt(record: StatusRecord, isSync: boolean): void {
    const field = fieldOf(record.aspect, record.group, record.uri);
    if (this.#pending.get(field)?.decidedAtMs !== undefined) this.counters.status_lost++;
    this.#pending.delete(field);
    this.#hlc.observe(record.version);
    this.#records.set(field, record);
    this.counters.status_applied++;
    this.#guarded(record, () => this.#ports.apply(record, isSync));
  }

  #guarded({ aspect, uri }: StatusRecord, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#ports.log.error({ err: error }, `cannot take over the ${aspect} of <${uri}>`);
    }
  }

  #put(field: string, pending: Pending): void {
    this.#pending.delete(field); // so that it goes to the end
    this.#pending.set(field, pending);
  }

  #pump(): void {
    if (!this.#ports.link.isUp || !this.#synced || this.#syncing !== undefined) return;
    this.#restamp();
    for (const [field, pending] of this.#pending) {
      if (this.#inFlight.size >= MAX_IN_FLIGHT) return;
      if (!this.#inFlight.has(field)) void this.#send(field, pending);
    }
  }

  async #send(field: string, pending: Pending): Promise<void> {
    const { link, keys, wire } = this.#ports;
    const { record, fence } = pending;
    const text = encodeRecord(wire, record);
    this.#inFlight.add(field);
    try {
      const answer = await link.run(
        STATUS_PUT,
        [keys.status, keys.statusSeq, keys.tags],
        [field, record.version, text, keys.channel("status"), MAX_STATUS_RECORDS, fence?.tag ?? "", fence?.epoch ?? 0],
      );
      this.#inFlight.delete(field);
      const [outcome, rest] = Array.isArray(answer) ? (answer as [PutOutcome, unknown]) : [];
      this.#answered(field, pending, outcome, rest);
      if (outcome !== "ahead") this.#pump(); // that would be so again
    } catch (error) {
      this.#inFlight.delete(field);
      this.#ports.log.debug({ err: error }, "cannot write a status to Redis");
      this.#retry();
    }
  }

  #answered(field: string, pending: Pending, outcome: PutOutcome | undefined, rest: unknown): void {
    const isLatest = this.#pending.get(field) === pending;
    if (isLatest) this.#pending.delete(field);
    const held = typeof rest === "string" && rest !== "" ? decodeHeld(this.#ports.wire, field, rest) : undefined;
    if (outcome === "stored") this.#sequence.hear(Number(rest));
    else if (outcome === "fenced") this.#fenced(field, pending, held);
    else if (outcome === "ahead") this.#ahead(field, pending, isLatest);
    else if (outcome === "full") this.counters.status_overflows++;
    else if (held !== undefined && this.#wins(field, held)) {
      this.counters.status_lost++;
      this.#adopt(held, false);
    }
  }

  /** Somebody else has the tag, and what this node found counts no longer: what the cluster has holds again. */
  #fenced(field: string, { record }: Pending, held: StatusRecord | undefined): void {
    this.counters.status_fenced++;
    if (this.#records.get(field) !== record) return;
    if (held !== undefined) this.#adopt(held, false);
    else {
      this.#records.delete(field);
      this.#guarded(record, () => this.#ports.forget?.(record));
    }
  }

  /** The clock of this machine was wrong when it was decided, and is put right by now, or with the next beat. */
  #ahead(field: string, pending: Pending, isLatest: boolean): void {
    this.counters.status_refused_ahead++;
    if (!isLatest || pending.decidedAtMs === undefined) return;
    this.#put(field, pending);
    this.#retry(); // with the time that a beat has brought meanwhile
  }

  #retry(): void {
    if (this.#stopped || this.#stopRetry !== undefined) return;
    this.#stopRetry = this.#ports.clock.after(RETRY_MS, () => {
      this.#stopRetry = undefined;
      this.#pump();
    });
  }

  /** What waited gets the time at which it was decided, as it is known now; what is from before the start and too far ahead counts least of all. */
  #restamp(): void {
    for (const [field, pending] of this.#pending) {
      const { record } = pending;
      const version = this.#stampOf(pending);
      if (version === record.version) continue;
      const restamped = { ...record, version } as StatusRecord;
      if (this.#records.get(field) === record) this.#records.set(field, restamped);
      this.#pending.set(field, { ...pending, record: restamped });
      this.counters.status_restamped++;
    }
  }

  #stampOf({ record: { version }, decidedAtMs, base }: Pending): Version {
    const { clock, nodeId, beats } = this.#ports;
    if (decidedAtMs === undefined) return this.#hlc.isAhead(version) ? versionOf(0, 0, nodeOf(version)) : version;
    const ms = beats.redisNowMs() - (clock.nowMs() - decidedAtMs);
    if (Math.abs(ms - msOf(version)) <= RESTAMP_MS) return version;
    const stamp = versionOf(ms, 0, nodeId);
    return stamp > base || this.#hlc.isAhead(base) ? stamp : versionAfter(base, nodeId);
  }

  #hasRoom(field: string, uri: string): boolean {
    if (this.#records.has(field) || (this.#records.size < MAX_STATUS_RECORDS && uri.length <= MAX_URI_CHARS)) return true;
    this.counters.status_overflows++;
    return false;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#ports.clock.after(0, resolve));
  }
}
