import type { Balancer, Destination, StatusChange, TableChange } from "../balancer/index.ts";
import type { Keys } from "../cluster/keys.ts";
import type { ClusterClock, ClusterLink, ClusterLog } from "../cluster/ports.ts";
import { msOf, nodeOf, versionOf } from "../cluster/status/hlc.ts";
import type { StatusBeats } from "../cluster/status/status-ports.ts";
import type { Aspect, AspectStates, RecordOf, StatusRecord } from "../cluster/status/status-record.ts";
import { StatusReplica } from "../cluster/status/status-replica.ts";
import type { Wire } from "../cluster/wire.ts";
import type { BreakerChange, CallOutcomes, DestinationState, DrainChange, Drains } from "../health/index.ts";

const UNDONE: AspectStates["drain"] = { draining: false, deadlineMs: 0, bye: false };
const UNTOUCHED: AspectStates["status"] = { enabled: true, autoReenable: true, cause: "probe" };
const ASPECTS = ["status", "drain", "breaker"] as const satisfies readonly Aspect[];

export interface ClusterStatusPorts {
  readonly link: ClusterLink;
  readonly keys: Keys;
  readonly wire: Wire;
  readonly nodeId: number;
  readonly clock: ClusterClock;
  readonly beats: StatusBeats;
  readonly balancer: Pick<Balancer, "destination" | "destinations" | "adoptStatus" | "isEnabled">;
  readonly drains: Pick<Drains, "adopt" | "adoptUndo" | "keepTerms" | "of" | "drained" | "overrule" | "rememberDrained">;
  /** The tag of the node whose probes count; absent: those of every node do. */
  readonly tag?: { readonly name: string; isActive(): boolean; epoch(): number } | undefined;
  /** How long a breaker stays open, ms. */
  readonly breakerOpenMs: number;
  readonly log: ClusterLog;
}

/**
 * Lets all nodes of the cluster say the same of each destination: what is decided here goes to the others, and what they decided is put into force here, for
 * every row with exactly that group and URI. Each node ends its own drains, and lets its own trial calls through.
 */
export class ClusterStatus {
  readonly replica: StatusReplica;
  readonly #ports: ClusterStatusPorts;
  #outcomes: Pick<CallOutcomes, "adopt"> | undefined;
  #rows = new Map<string, Destination[]>();
  /** Keys of the rows whose drains have ended here and are not undone. */
  readonly #ended = new Set<string>();
  /** Keys of the rows for which this node found something that is its own: it probed without the tag, as Redis was away, or lost the tag meanwhile. */
  readonly #ownFindings = new Set<string>();
  /** What is being put into force, and whether it may be old news. */
  #applied: { readonly record: StatusRecord; readonly isQuiet: boolean } | undefined;

  constructor(ports: ClusterStatusPorts) {
    this.#ports = ports;
    const { link, keys, wire, nodeId, clock, beats, log } = ports;
    const apply = (record: StatusRecord, isSync: boolean): void => this.#apply(record, isSync);
    const forget = (record: StatusRecord): void => this.#forget(record);
    const isListed = (group: number, uri: string): boolean => this.#rows.has(nameOf({ group, uri }));
    this.replica = new StatusReplica({ link, keys, wire, nodeId, clock, beats, log, apply, forget, isListed });
    beats.onBeat(() => this.#takeBack());
  }

  /** True while something is put into force that was found by comparing with the cluster, or for new rows: it is no news to the world. */
  get isQuiet(): boolean {
    return this.#applied?.isQuiet ?? false;
  }

  get counters(): Record<string, number> {
    const { counters, pendingCount, size } = this.replica;
    return { ...counters, status_records: size, status_unsynced: pendingCount };
  }

  /** When what is being decided was decided, by Redis's clock, ms since 1970: now, or when another node did it. */
  decidedAtMs(): number {
    return this.#applied === undefined ? this.#ports.beats.redisNowMs() : msOf(this.#applied.record.version);
  }

  /** Brings in what operators decided before the start, which competes with what the cluster has. To be called before {@link sync}. */
  seed(states: Iterable<DestinationState>): void {
    for (const { group, uri, enabled, draining, drainDeadlineMs, drainBye, changedAtMs, cause } of states) {
      if (!enabled && cause === "mi") this.replica.seed("status", group, uri, { enabled, autoReenable: false, cause }, changedAtMs);
      if (draining) this.replica.seed("drain", group, uri, { draining, deadlineMs: drainDeadlineMs, bye: drainBye }, changedAtMs);
      // Its terms are known no more, so whatever the cluster says of the drain is better.
      else if (!enabled && cause === "drain") this.replica.seed("drain", group, uri, { draining: true, deadlineMs: 0, bye: false }, 0);
    }
  }

  /** Compares all with the cluster. False when Redis was not there. Never rejects. */
  sync(): Promise<boolean> {
    return this.replica.sync();
  }

  stop(): void {
    this.replica.stop();
  }

  /** To be told of what judges calls, once it is there: breakers that are open in the cluster are so here. */
  useOutcomes(outcomes: Pick<CallOutcomes, "adopt"> | undefined): void {
    this.#outcomes = outcomes;
    for (const destination of this.#ports.balancer.destinations()) {
      const record = this.replica.record("breaker", destination.group, destination.uri);
      if (record !== undefined) this.#adopt(destination, record, true);
    }
  }

  /** To be told of every change of a status. */
  statusChanged({ destination, enabled, autoReenable, cause }: StatusChange): void {
    if (this.#applied !== undefined || cause === "cluster" || cause === "registration" || cause === "drain") return;
    const { tag, drains } = this.#ports;
    const isProbe = cause === "probe";
    if (isProbe && tag?.isActive() === false) {
      this.#ownFindings.add(destination.key);
      return;
    }
    const fence = isProbe && tag !== undefined ? { tag: tag.name, epoch: tag.epoch() } : undefined;
    this.#share("status", destination, { enabled, autoReenable, cause }, fence);
    // Who enables a destination wants calls there, also where it is drained and this node has not heard of that. A drain that is under way here tells of itself.
    if (!enabled || isProbe || drains.of(destination) !== undefined) return;
    this.#ended.delete(destination.key);
    this.#share("drain", destination, UNDONE);
  }

  /** To be told of every change of a drain. */
  drainChanged({ destination, kind, deadlineMs, bye, cause }: DrainChange): void {
    if (kind === "ended") this.#ended.add(destination.key);
    else this.#ended.delete(destination.key);
    if (this.#applied !== undefined || cause === "cluster" || kind === "ended") return;
    this.#share("drain", destination, kind === "undone" ? UNDONE : { draining: true, deadlineMs, bye });
  }

  /** To be told when an operator disables what a drain had disabled. */
  drainOverruled(destination: Destination): void {
    if (this.#applied === undefined) this.#share("status", destination, { enabled: false, autoReenable: false, cause: "mi" });
  }

  /** To be told of every change of a breaker. */
  breakerChanged({ destination, phase, cause }: BreakerChange): void {
    if (this.#applied !== undefined || cause === "cluster" || phase === "trials") return;
    const open = phase === "open";
    this.#share("breaker", destination, { open, untilMs: open ? this.#ports.beats.redisNowMs() + this.#ports.breakerOpenMs : 0 });
  }

  /** To be told of a new table in the same step: what the cluster says holds for new rows before the next call comes. */
  tableChanged({ added }: Pick<TableChange, "added">): void {
    const { balancer, drains } = this.#ports;
    this.#rows = new Map();
    const keys = new Set<string>();
    for (const destination of balancer.destinations()) {
      keys.add(destination.key);
      const name = nameOf(destination);
      const rows = this.#rows.get(name);
      if (rows === undefined) this.#rows.set(name, [destination]);
      else rows.push(destination);
    }
    for (const found of [this.#ended, this.#ownFindings]) for (const key of found) if (!keys.has(key)) found.delete(key);
    for (const id of added) {
      const destination = balancer.destination(id);
      if (destination === undefined) continue;
      if (drains.drained(destination) !== undefined) this.#ended.add(destination.key); // before a restart, or before the row was gone for a while
      this.#adoptAll(destination);
    }
  }

  #share<A extends "status" | "drain" | "breaker">(
    aspect: A,
    destination: Destination,
    state: AspectStates[A],
    fence?: { readonly tag: string; readonly epoch: number },
  ): void {
    const { group, uri, id } = destination;
    this.replica.set(aspect, group, uri, state, fence);
    const record = this.replica.record(aspect, group, uri);
    if (record === undefined) return;
    for (const row of this.#rows.get(nameOf(destination)) ?? []) if (row.id !== id) this.#adopt(row, record, false);
  }

  /** What this node found alone counts no longer once it knows what the cluster says. */
  #takeBack(): void {
    if (this.#ownFindings.size === 0 || !this.replica.isSynced) return;
    for (const destination of this.#ports.balancer.destinations()) {
      if (!this.#ownFindings.has(destination.key)) continue;
      this.#adopt(destination, this.replica.record("status", destination.group, destination.uri) ?? this.#nobodys(destination), false);
    }
    this.#ownFindings.clear();
  }

  /** What this node's probes found came too late: it has lost the tag, and the others know of nothing. */
  #forget(record: StatusRecord): void {
    if (record.aspect === "status") this.#apply(this.#nobodys(record), false);
  }

  #nobodys({ group, uri }: { readonly group: number; readonly uri: string }): RecordOf<"status"> {
    return { aspect: "status", group, uri, version: versionOf(0, 0, this.#ports.nodeId), state: UNTOUCHED };
  }

  #apply(record: StatusRecord, isSync: boolean): void {
    for (const destination of this.#rows.get(nameOf(record)) ?? []) this.#adopt(destination, record, isSync);
  }

  #adoptAll(destination: Destination): void {
    const { group, uri } = destination;
    const records = ASPECTS.flatMap((aspect) => this.replica.record(aspect, group, uri) ?? []);
    // In the order of the decisions: what an operator did to a drain comes after the drain.
    for (const record of records.sort((a, b) => (a.version < b.version ? -1 : 1))) this.#adopt(destination, record, true);
  }

  #adopt(destination: Destination, record: StatusRecord, isQuiet: boolean): void {
    const before = this.#applied;
    this.#applied = { record, isQuiet };
    try {
      if (record.aspect === "status") this.#adoptStatus(destination, record);
      else if (record.aspect === "drain") this.#adoptDrain(destination, record);
      else this.#adoptBreaker(destination, record);
    } finally {
      this.#applied = before;
    }
  }

  #adoptStatus(destination: Destination, record: RecordOf<"status">): void {
    const { balancer, drains } = this.#ports;
    const { enabled, autoReenable } = record.state;
    const isClosedByOperator = !enabled && !autoReenable;
    if (isClosedByOperator || !this.#isDrained(destination)) this.#setStatus(destination, record);
    else {
      // Its drain has ended here and is not undone: it stays closed, and this is what undoing it brings back.
      balancer.adoptStatus(destination.id, { enabled: false, autoReenable: false });
      drains.rememberDrained(destination, enabled ? "up" : "down");
    }
    if (isClosedByOperator) drains.overrule(destination.id);
  }

  #adoptDrain(destination: Destination, { group, uri, state }: RecordOf<"drain">): void {
    const { drains } = this.#ports;
    if (state.draining) {
      if (this.#ended.has(destination.key)) drains.keepTerms(destination.id, state);
      else drains.adopt(destination.id, state);
      return;
    }
    const hasEnded = this.#ended.delete(destination.key);
    const status = this.replica.record("status", group, uri);
    drains.adoptUndo(destination.id, status === undefined);
    if (hasEnded && status !== undefined) this.#setStatus(destination, status);
  }

  /** Whether a drain that is not undone has ended here. */
  #isDrained(destination: Destination): boolean {
    return this.#ended.has(destination.key) && this.replica.get("drain", destination.group, destination.uri)?.draining === true;
  }

  #adoptBreaker({ id }: Destination, { state: { open, untilMs } }: RecordOf<"breaker">): void {
    this.#outcomes?.adopt(id, open ? untilMs - this.#ports.beats.redisNowMs() : undefined);
  }

  #setStatus(destination: Destination, { state, version }: RecordOf<"status">): void {
    const { balancer, log } = this.#ports;
    const { id, group, uri } = destination;
    const wasEnabled = balancer.isEnabled(destination);
    balancer.adoptStatus(id, state);
    if (state.enabled === wasEnabled) return;
    const { enabled, cause } = state;
    const node = nodeOf(version);
    log.info(
      { id, group, uri, enabled, cause, node },
      `${enabled ? "enable" : "disable"} destination ${id} <${uri}>, as node ${node} of the cluster (${cause})`,
    );
  }
}

function nameOf({ group, uri }: { readonly group: number; readonly uri: string }): string {
  return `${group} ${uri}`;
}
