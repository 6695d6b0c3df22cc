import type { CallLoad } from "./call-load.ts";
import { type CellTable, NO_POOL, poolOfKey } from "./cell-table.ts";

/** Something that is counted otherwise than the calls hold it: a bug, whatever the reason. */
export interface TallyDifference {
  /** Identity of a destination, {@link import("./destination.ts").Destination.key}, or the key of a pool. */
  readonly ownerKey: string;
  /** Name of the pool when it is one's. */
  readonly pool: string | undefined;
  /** Its load is counted otherwise; `undefined`: it is the number of calls of the destination, each once, that is. */
  readonly resource: string | undefined;
  /** Number of the cell; without a resource that of the owner. */
  readonly number: number;
  readonly counted: number;
  /** What the leases of the calls add up to. */
  readonly actual: number;
}

/** In place of the number of an owner: nothing changes for it. */
export const NO_OWNER = -1;

/** Numbers of tallies: a call knows by it which one has counted it last. */
let lastMark = 0;

/**
 * Adds up what the calls hold, a few at a time, while others begin and end: what changes in calls that were counted already, or that are new, is told
 * here by the ledger, and the rest is counted as it is when its turn comes. So the sum is exact at each moment once every call has had its turn.
 */
export class Tally {
  /** Calls that were counted. */
  calls = 0;
  readonly #mark = ++lastMark;
  readonly #held = new Map<number, number>();
  readonly #callsOf = new Map<number, number>();

  /** Counts what a call holds, unless it was counted. */
  count(call: CallLoad, owner: Int32Array): void {
    if (call.tallied === this.#mark) return;
    call.tallied = this.#mark;
    this.calls++;
    const { leases } = call;
    for (let i = 0; i < leases.length; i++) {
      add(this.#held, leases[i]!, 1);
      if (isFirstOfOwner(leases, i, owner)) add(this.#callsOf, owner[leases[i]!]!, 1);
    }
  }

  /** A call is about to hold one more unit. @param owner of the cell, or {@link NO_OWNER} when the call holds something of it already */
  leased(call: CallLoad, cell: number, owner: number): void {
    if (call.leases.length === 0) call.tallied = this.#mark; // it may never have its turn
    this.#change(call, cell, owner, 1);
  }

  /** A call has given a unit back. @param owner of the cell, or {@link NO_OWNER} when the call holds something else of it */
  ended(call: CallLoad, cell: number, owner: number): void {
    this.#change(call, cell, owner, -1);
  }

  /** Every place that is counted otherwise. To be asked in the same step as the last call was counted. */
  differences(cells: CellTable): TallyDifference[] {
    const found: TallyDifference[] = [];
    const pools = new Map<number, number>();
    const owners = new Set<number>();
    for (let cell = 0; cell < cells.size; cell++) {
      const shared = cells.pool[cell]!;
      if (shared !== NO_POOL) add(pools, shared, this.#held.get(cell) ?? 0);
    }
    for (let number = 0; number < cells.size; number++) {
      const ownerKey = cells.ownerKey(number);
      const resource = cells.resourceName(number);
      if (ownerKey === undefined || resource === undefined) continue; // free: the next who gets it begins at 0
      const pool = poolOfKey(ownerKey);
      const counted = cells.calls(number);
      const actual = (pool === undefined ? this.#held : pools).get(number) ?? 0;
      if (counted !== actual) found.push({ ownerKey, pool, resource, number, counted, actual });
      const owner = cells.owner[number]!;
      if (pool !== undefined || owners.has(owner)) continue;
      owners.add(owner);
      const calls = { counted: cells.ownerCalls[owner]!, actual: this.#callsOf.get(owner) ?? 0 };
      if (calls.counted !== calls.actual) found.push({ ownerKey, pool, resource: undefined, number: owner, ...calls });
    }
    return found;
  }

  #change(call: CallLoad, cell: number, owner: number, by: number): void {
    if (call.tallied !== this.#mark) return;
    add(this.#held, cell, by);
    if (owner !== NO_OWNER) add(this.#callsOf, owner, by);
  }
}

function isFirstOfOwner(leases: readonly number[], at: number, owner: Int32Array): boolean {
  for (let i = 0; i < at; i++) if (owner[leases[i]!] === owner[leases[at]!]) return false;
  return true;
}

function add(sums: Map<number, number>, key: number, by: number): void {
  sums.set(key, (sums.get(key) ?? 0) + by);
}
