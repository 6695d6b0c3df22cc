import type { Balancer, CallLoad, Destination } from "../balancer/index.ts";

/** Calls that are ended at a time when a deadline comes, so that live calls get their turn between the BYEs. */
export const ENDED_A_STEP = 100;

/** Names of a destination from which on it is looked which of their calls go on, so that those that ended take no room. */
const PRUNE_FROM = 1_000;

/** What a drain does when its time is over. */
export interface DrainTerms {
  /** Wall clock, ms since 1970; 0: it waits for as long as calls last. */
  readonly deadlineMs: number;
  /** Calls that are left at the deadline are ended; else they stay. */
  readonly bye: boolean;
}

export interface DrainCallPorts {
  readonly balancer: Pick<Balancer, "destination" | "cellsOf">;
  /** Milliseconds since 1970: a deadline is the same after a restart. */
  readonly wallMs: () => number;
  /** Names of the calls that count on a destination now. */
  readonly calls: (destination: Destination) => readonly string[];
  /** Ends a call if it is still there and still counts on the destination. Answers whether it did. */
  readonly endCall: (name: string, destination: Destination) => boolean;
}

const NO_TERMS: DrainTerms = { deadlineMs: 0, bye: false };

/** A destination whose drain is over here, and the calls that came from other nodes since. */
interface Ended {
  destination: Destination;
  terms: DrainTerms;
  readonly names: Set<string>;
  pruneAt: number;
}

/**
 * Drains that have ended on this node while calls of their destinations went on on others. When such a call comes here, as its node is gone or somebody
 * asks this one for it, the terms of the drain still hold for it: it is hung up at the deadline, at once when that has passed.
 */
export class EndedDrains {
  readonly #ports: DrainCallPorts;
  /** By the destination's key. */
  readonly #ended = new Map<string, Ended>();

  constructor(ports: DrainCallPorts) {
    this.#ports = ports;
  }

  /** A drain has ended here, or the terms of one that has are others. Without terms it is not known yet which they are. */
  keep(destination: Destination, terms?: DrainTerms): void {
    const known = this.#ended.get(destination.key);
    if (known === undefined)
      this.#ended.set(destination.key, { destination, terms: terms ?? NO_TERMS, names: new Set(), pruneAt: PRUNE_FROM });
    else if (terms !== undefined) known.terms = terms;
  }

  forget({ key }: Pick<Destination, "key">): void {
    this.#ended.delete(key);
  }

  /** To be told of a new table: rows that are gone are forgotten. */
  tableChanged(): void {
    for (const [key, ended] of this.#ended) {
      const current = this.#ports.balancer.destination(ended.destination.id);
      if (current?.key === key) ended.destination = current;
      else this.#ended.delete(key);
    }
  }

  /** A call of another node is here now. @param startedAtMs wall clock at which it was answered; 0: it still rings */
  adopted(name: string, { leases }: Pick<CallLoad, "leases">, startedAtMs: number): void {
    for (const ended of this.#ended.values()) {
      const { destination, names, terms } = ended;
      // It began when the drain was over: whoever let it through wants it.
      if (terms.deadlineMs !== 0 && startedAtMs > terms.deadlineMs) continue;
      const cells = this.#ports.balancer.cellsOf(destination);
      if (!leases.some((cell) => cells.includes(cell))) continue;
      names.add(name);
      if (names.size >= ended.pruneAt) this.#prune(ended);
    }
  }

  /** When calls are to be hung up next, wall clock, ms since 1970; `undefined`: none are. */
  get dueMs(): number | undefined {
    let dueMs: number | undefined;
    for (const { terms, names } of this.#ended.values()) {
      if (names.size === 0 || !terms.bye || terms.deadlineMs === 0) continue;
      dueMs = Math.min(dueMs ?? terms.deadlineMs, terms.deadlineMs);
    }
    return dueMs;
  }

  /** Hangs up the next calls that are due, {@link ENDED_A_STEP} of each destination at most. Answers how many it hung up. */
  hangUp(): number {
    const { endCall, wallMs } = this.#ports;
    let count = 0;
    for (const { destination, terms, names } of [...this.#ended.values()]) {
      if (!terms.bye || terms.deadlineMs === 0 || wallMs() < terms.deadlineMs) continue;
      let left = ENDED_A_STEP;
      for (const name of names) {
        if (left-- === 0) break;
        names.delete(name);
        if (endCall(name, destination)) count++;
      }
    }
    return count;
  }

  #prune(ended: Ended): void {
    const { destination, names } = ended;
    const present = new Set(this.#ports.calls(destination));
    for (const name of names) if (!present.has(name)) names.delete(name);
    ended.pruneAt = Math.max(PRUNE_FROM, names.size * 2);
  }
}
