import type { Balancer, CallLoad, Destination, StatusChange } from "../balancer/index.ts";
import { type DrainCallPorts, type DrainTerms, ENDED_A_STEP, EndedDrains } from "./ended-drains.ts";

/** How often it is looked whether the calls of draining destinations have ended, ms. Calls may also leave by a failover, which no dialog tells of. */
export const DRAIN_CHECK_MS = 500;
/** Time between two such steps, ms. */
export const END_STEP_MS = 50;
/** Longest time that a drain can be given, s: 30 days. */
export const MAX_DRAIN_S = 2_592_000;
/** Shortest wait for a deadline, ms: a wall clock that is set back a little must not make the timer spin. */
const SHORTEST_WAIT_MS = 10;
/** Longest wait for a deadline, ms: the wall clock may be set right meanwhile. */
const LONGEST_WAIT_MS = 60_000;

/** A drain that is under way. */
export interface DrainProgress extends DrainTerms {
  /**
   * Load that is left, with that of other nodes where it is known: that of the resource with the largest, those that its row lacks included. 0 exactly when
   * there is none at all. What other nodes have of a pool is not known by destination: of one in a pool only the calls of this node count.
   */
  readonly load: number;
}

/**
 * "changed": the same drain got other terms. "undone": new calls come again, unless the destination is disabled. "ended": the destination is disabled,
 * because its calls have ended ("idle") or the time was over ("deadline").
 */
export interface DrainChange extends DrainProgress {
  readonly destination: Destination;
  readonly kind: "started" | "changed" | "undone" | "ended";
  /** Of "ended" only. */
  readonly reason?: "idle" | "deadline";
  /** Another node of the cluster has decided it; absent: it was decided here. */
  readonly cause?: "cluster";
}

/** How often each thing happened since the start; `draining` is how many destinations are being drained now. */
export interface DrainCounters {
  draining: number;
  drains_started: number;
  drains_undone: number;
  drains_ended: number;
  /** Calls that deadlines ended. */
  drain_calls_ended: number;
}

export interface DrainPorts extends DrainCallPorts {
  readonly balancer: Pick<
    Balancer,
    | "destination"
    | "setDraining"
    | "setStatus"
    | "allowReenable"
    | "isEnabled"
    | "isAutoReenable"
    | "ownLoad"
    | "remoteLoad"
    | "slotCell"
    | "cellsOf"
  >;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly onChange?: (change: DrainChange) => void;
  /** An operator disabled what a drain had disabled before: it is no longer for an undo to enable. */
  readonly onOverruled?: (destination: Destination) => void;
}

interface Draining {
  destination: Destination;
  deadlineMs: number;
  bye: boolean;
  /** Calls that are being ended, once the deadline has come. */
  ending: string[] | undefined;
  /** How many of them had their turn. */
  ended: number;
}

/**
 * Empties destinations without cutting calls: no new ones come, and when the last has ended the destination is disabled, as by an operator. At a deadline
 * it is disabled all the same, with its calls left to themselves or ended. Calls of other nodes of the cluster are waited for where their number is known,
 * and those that come here once the drain is over are ended at its deadline.
 */
export class Drains {
  readonly counters: DrainCounters = { draining: 0, drains_started: 0, drains_undone: 0, drains_ended: 0, drain_calls_ended: 0 };
  readonly #ports: DrainPorts;
  /** By the destination's key. */
  readonly #draining = new Map<string, Draining>();
  /** Keys of those that a drain has disabled, and no operator has decided about since; the status that {@link undo} gives back: whether it was enabled. */
  readonly #drained = new Map<string, boolean>();
  readonly #over: EndedDrains;
  #stopTimer: (() => void) | undefined;

  constructor(ports: DrainPorts) {
    this.#ports = ports;
    this.#over = new EndedDrains(ports);
  }

  /**
   * Begins a drain, or gives one that is under way other terms. One without load ends at once. Answers false when there is no such destination.
   *
   * @param deadlineS from now, 0 to {@link MAX_DRAIN_S}; 0: no deadline
   */
  begin(id: number, deadlineS: number, bye: boolean): boolean {
    const destination = this.#ports.balancer.destination(id);
    if (destination === undefined) return false;
    const deadlineMs = deadlineS > 0 ? this.#ports.wallMs() + deadlineS * 1000 : 0;
    const known = this.#draining.has(destination.key);
    const draining = this.#enter(destination, { deadlineMs, bye });
    if (!known) this.counters.drains_started++;
    this.#tell(draining, known ? "changed" : "started");
    this.#step(draining);
    this.#arm();
    return true;
  }

  /**
   * Ends the drain, also one that has ended, and gives the destination the status from before its end back: enabled, or down and left to the probes
   * when a probe or a script had found it so. One that an operator disabled stays so. "not-draining" when there was nothing to undo.
   */
  undo(id: number): "undone" | "not-draining" | "no-destination" {
    return this.#undo(id, "mi", true);
  }

  /**
   * Takes over a drain from another node of the cluster, or other terms of one. Each node ends it by itself: where it has ended already nothing happens.
   * One that starts does not know yet which calls the others have, and ends it at once; what it gets of them later, {@link adopted} is told of. Answers false
   * when there is no such destination.
   */
  adopt(id: number, { deadlineMs, bye }: DrainTerms): boolean {
    const destination = this.#ports.balancer.destination(id);
    if (destination === undefined) return false;
    const known = this.#draining.get(destination.key);
    if (known === undefined ? this.#drained.has(destination.key) : known.deadlineMs === deadlineMs && known.bye === bye) return true;
    const draining = this.#enter(destination, { deadlineMs, bye });
    if (known === undefined) this.counters.drains_started++;
    this.#tell(draining, known ? "changed" : "started", { cause: "cluster" });
    this.#step(draining);
    this.#arm();
    return true;
  }

  /** Takes over the terms of a drain that has ended here from another node of the cluster: they hold for calls that come from other nodes. */
  keepTerms(id: number, { deadlineMs, bye }: DrainTerms): void {
    const destination = this.#ports.balancer.destination(id);
    if (destination === undefined || this.#draining.has(destination.key)) return;
    this.#over.keep(destination, { deadlineMs, bye });
    this.#arm();
  }

  /**
   * To be told that a call of another node is here now: the deadline of a drain holds for it, also when the drain has ended here.
   *
   * @param startedAtMs wall clock at which it was answered; 0: it still rings
   */
  adopted(name: string, load: Pick<CallLoad, "leases">, startedAtMs: number): void {
    for (const { destination, ending } of this.#draining.values()) {
      const cells = ending && this.#ports.balancer.cellsOf(destination);
      if (cells !== undefined && load.leases.some((cell) => cells.includes(cell))) ending?.push(name);
    }
    this.#over.adopted(name, load, startedAtMs);
    if (this.#over.dueMs !== undefined) this.#arm();
  }

  /**
   * Takes over from another node of the cluster that a drain is undone. Answers false when there is no such destination.
   *
   * @param givesBack as {@link undo} the status from before its end; false: somebody else says what the status is
   */
  adoptUndo(id: number, givesBack: boolean): boolean {
    return this.#undo(id, "cluster", givesBack) !== "no-destination";
  }

  #undo(id: number, cause: "mi" | "cluster", givesBack: boolean): ReturnType<Drains["undo"]> {
    const { balancer } = this.#ports;
    const destination = balancer.destination(id);
    if (destination === undefined) return "no-destination";
    const { key } = destination;
    this.#over.forget(destination);
    const draining = this.#draining.get(key);
    const wasEnabled = this.#drained.get(key);
    if (draining === undefined && wasEnabled === undefined) return "not-draining";
    this.#drained.delete(key);
    if (draining !== undefined) this.#leave(draining);
    if (givesBack && wasEnabled === true) balancer.setStatus(id, true, cause);
    else if (givesBack && wasEnabled === false) balancer.allowReenable(id, cause);
    this.counters.drains_undone++;
    this.#tell(draining ?? { destination, deadlineMs: 0, bye: false }, "undone", cause === "cluster" ? { cause } : {});
    this.#arm();
    return "undone";
  }

  /** To be told when an operator disables a destination, which changes no status when a drain has disabled it before: an undo must not enable it then. */
  overrule(id: number): void {
    const destination = this.#ports.balancer.destination(id);
    if (destination !== undefined && this.#drained.delete(destination.key)) this.#ports.onOverruled?.(destination);
  }

  /** The drain of a destination that is under way. */
  of({ key }: Destination): DrainProgress | undefined {
    const draining = this.#draining.get(key);
    return draining && this.#progress(draining);
  }

  /**
   * What a drain that has disabled the destination found: "up", or "down" when a probe or a script had disabled it before. `undefined` when no drain has
   * disabled it, or an operator has decided otherwise since.
   */
  drained({ key }: Destination): "up" | "down" | undefined {
    const wasEnabled = this.#drained.get(key);
    return wasEnabled === undefined ? undefined : wasEnabled ? "up" : "down";
  }

  /** Takes up a drain from before a restart, or from before a reload that took the row away. It is looked at with the next check, not at once. */
  resume(destination: Destination, terms: DrainTerms): void {
    this.#enter(destination, terms);
    this.#arm();
  }

  /** Remembers that a drain has disabled this destination, before a restart or a reload that took its row away. */
  rememberDrained(destination: Destination, found: "up" | "down"): void {
    this.#drained.set(destination.key, found === "up");
    if (!this.#draining.has(destination.key)) this.#over.keep(destination);
  }

  /** To be told of every change of a status. */
  statusChanged({ destination, enabled }: StatusChange): void {
    if (!enabled) return;
    this.#drained.delete(destination.key); // whoever enables it, even a script: there is nothing left to undo
    this.#over.forget(destination);
  }

  /** To be told of a new table: drains of rows that are gone are forgotten. */
  tableChanged(): void {
    const { balancer } = this.#ports;
    for (const draining of [...this.#draining.values()]) {
      const current = balancer.destination(draining.destination.id);
      if (current?.key === draining.destination.key) draining.destination = current;
      else this.#forget(draining);
    }
    this.#over.tableChanged();
    this.#arm();
  }

  /** Lets no timer outlive it. */
  stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #enter(destination: Destination, terms: DrainTerms): Draining {
    const draining: Draining = { destination, ...terms, ending: undefined, ended: 0 };
    this.#draining.set(destination.key, draining);
    this.#over.forget(destination);
    this.counters.draining = this.#draining.size;
    this.#ports.balancer.setDraining(destination.id, true);
    return draining;
  }

  #leave(draining: Draining): void {
    this.#forget(draining);
    this.#ports.balancer.setDraining(draining.destination.id, false);
  }

  #forget({ destination }: Draining): void {
    this.#draining.delete(destination.key);
    this.counters.draining = this.#draining.size;
  }

  #check(): void {
    this.#stopTimer = undefined;
    try {
      for (const draining of [...this.#draining.values()]) this.#step(draining);
      this.counters.drain_calls_ended += this.#over.hangUp();
    } finally {
      this.#arm();
    }
  }

  #step(draining: Draining): void {
    const { wallMs, calls } = this.#ports;
    const { destination, deadlineMs, bye } = draining;
    if (this.#draining.get(destination.key) !== draining) return; // a listener has undone it meanwhile, or given it other terms
    if (draining.ending === undefined && this.#loadOf(destination) === 0) {
      this.#end(draining, "idle");
    } else if (deadlineMs !== 0 && wallMs() >= deadlineMs) {
      if (bye) draining.ending ??= [...calls(destination)];
      if (this.#endCalls(draining)) this.#end(draining, "deadline");
    }
  }

  /** Ends the next calls; answers whether all had their turn. One that throws had it too. */
  #endCalls(draining: Draining): boolean {
    const { destination, ending = [] } = draining;
    const until = Math.min(ending.length, draining.ended + ENDED_A_STEP);
    while (draining.ended < until) {
      const name = ending[draining.ended++]!;
      if (this.#ports.endCall(name, destination)) this.counters.drain_calls_ended++;
    }
    return until === ending.length;
  }

  #end(draining: Draining, reason: "idle" | "deadline"): void {
    const { balancer } = this.#ports;
    const { destination } = draining;
    // What an operator disabled before the drain is not for an undo to enable.
    if (balancer.isAutoReenable(destination)) this.#drained.set(destination.key, balancer.isEnabled(destination));
    this.#forget(draining);
    this.#over.keep(destination, { deadlineMs: draining.deadlineMs, bye: draining.bye });
    balancer.setStatus(destination.id, false, "drain");
    balancer.setDraining(destination.id, false);
    this.counters.drains_ended++;
    this.#tell(draining, "ended", { reason });
  }

  #tell(
    draining: Pick<Draining, "destination" | "deadlineMs" | "bye">,
    kind: DrainChange["kind"],
    more: Pick<DrainChange, "reason" | "cause"> = {},
  ): void {
    const { destination } = draining;
    this.#ports.onChange?.({ destination, kind, ...this.#progress(draining), ...more });
  }

  #progress({ destination, deadlineMs, bye }: Pick<Draining, "destination" | "deadlineMs" | "bye">): DrainProgress {
    return { load: this.#loadOf(destination), deadlineMs, bye };
  }

  #loadOf(destination: Destination): number {
    const { balancer } = this.#ports;
    let largest = 0;
    for (const cell of balancer.cellsOf(destination)) {
      const remote = balancer.slotCell(cell) === cell ? balancer.remoteLoad(cell) : 0;
      largest = Math.max(largest, balancer.ownLoad(cell) + remote);
    }
    return largest;
  }

  #arm(): void {
    this.stop();
    const { dueMs } = this.#over;
    if (this.#draining.size === 0 && dueMs === undefined) return;
    const now = this.#ports.wallMs();
    let waitMs = this.#draining.size === 0 ? LONGEST_WAIT_MS : DRAIN_CHECK_MS;
    if (dueMs !== undefined) waitMs = Math.min(waitMs, Math.max(END_STEP_MS, dueMs - now));
    for (const { deadlineMs, ending } of this.#draining.values()) {
      if (ending !== undefined) waitMs = Math.min(waitMs, END_STEP_MS);
      else if (deadlineMs !== 0) waitMs = Math.min(waitMs, Math.max(SHORTEST_WAIT_MS, deadlineMs - now));
    }
    this.#stopTimer = this.#ports.after(waitMs, () => this.#check());
  }
}
