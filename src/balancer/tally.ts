import type { CallLoad } from "./call-load.ts";
import { type CellTable, NO_POOL } from "./cell-table.ts";
import { poolOfKey } from "./pool-key.ts";

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
  readonly #cells: CellTable;
  /** Units, by cell. */
  #held: Int32Array;
  /** Calls, by number of an owner. */
  #callsOf: Int32Array;

  constructor(cells: CellTable) {
    this.#cells = cells;
    this.#held = new Int32Array(cells.load.length);
    this.#callsOf = new Int32Array(cells.load.length);
  }

  /** Counts what a call holds, unless it was counted. */
  count(call: CallLoad): void {
    if (call.tallied === this.#mark) return;
    call.tallied = this.#mark;
    this.calls++;
    const { leases } = call;
    const { owner } = this.#cells;
    for (let i = 0; i < leases.length; i++) {
      const cell = leases[i]!;
      this.#add(cell, isFirstOfOwner(leases, i, owner) ? owner[cell]! : NO_OWNER, 1);
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
  differences(): TallyDifference[] {
    const { load, pool, owner, ownerCalls, size } = this.#cells;
    this.#fit();
    const sums = this.#held.slice();
    for (let cell = 0; cell < size; cell++) {
      const shared = pool[cell]!;
      if (shared !== NO_POOL) sums[shared]! += this.#held[cell]!;
    }
    const found: TallyDifference[] = [];
    const owners = new Uint8Array(load.length);
    for (let cell = 0; cell < size; cell++) {
      if (this.#cells.ownerKey(cell) === undefined) continue; // free: the next who gets it begins at 0
      const counted = this.#cells.ownCalls(cell);
      if (counted !== sums[cell]!) found.push(this.#describe(cell, cell, this.#cells.resourceName(cell), counted, sums[cell]!));
      const number = owner[cell]!;
      if (owners[number] === 1) continue;
      owners[number] = 1;
      const calls = this.#callsOf[number]!;
      if (ownerCalls[number] !== calls) found.push(this.#describe(cell, number, undefined, ownerCalls[number]!, calls));
    }
    return found;
  }

  #describe(cell: number, number: number, resource: string | undefined, counted: number, actual: number): TallyDifference {
    const ownerKey = this.#cells.ownerKey(cell)!;
    return { ownerKey, pool: poolOfKey(ownerKey), resource, number, counted, actual };
  }

  #change(call: CallLoad, cell: number, owner: number, by: number): void {
    if (call.tallied === this.#mark) this.#add(cell, owner, by);
  }

  #add(cell: number, owner: number, by: number): void {
    if (cell >= this.#held.length) this.#fit();
    this.#held[cell]! += by;
    if (owner !== NO_OWNER) this.#callsOf[owner]! += by;
  }

  /** There may be more cells than at the beginning; there are no more owners than cells. */
  #fit(): void {
    const size = this.#cells.load.length;
    if (size === this.#held.length) return;
    this.#held = grown(this.#held, size);
    this.#callsOf = grown(this.#callsOf, size);
  }
}

function isFirstOfOwner(leases: readonly number[], at: number, owner: Int32Array): boolean {
  for (let i = 0; i < at; i++) if (owner[leases[i]!] === owner[leases[at]!]) return false;
  return true;
}

function grown(from: Int32Array, size: number): Int32Array {
  const to = new Int32Array(size);
  to.set(from);
  return to;
}
