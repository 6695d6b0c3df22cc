import type { CallLoad } from "./call-load.ts";
import { CellTable, NO_POOL } from "./cell-table.ts";
import type { SharedLoads } from "./shared-loads.ts";
import { NO_OWNER, Tally, type TallyDifference } from "./tally.ts";

/** A cell whose load is not what the calls hold. */
export interface LoadDifference {
  readonly cell: number;
  /** What the load table says. */
  readonly counted: number;
  /** What the leases of the calls add up to. */
  readonly actual: number;
}

/** Who is told what happens in a {@link Ledger}. */
export interface LedgerPorts {
  onFault(text: string): void;
  /** A lease in a watched cell has ended. */
  onWatchedEnd(call: CallLoad, cell: number): void;
  /** A call was counted in a watched cell that the balancer did not choose for it. */
  onWatchedForced(call: CallLoad, cell: number): void;
}

/**
 * The only place where loads change. Each unit of load is a lease of one call, so a load can neither fall below zero nor be left over
 * when its calls are gone; should the two ever disagree, the fault is reported and the load stays at zero or above.
 * A lease names the destination's own cell, and counts in the cell of its pool too.
 */
export class Ledger {
  readonly cells: CellTable;
  readonly #ports: LedgerPorts;
  /** Calls without a dialog that hold something: requests that a route counted and that have no answer yet. */
  readonly #loose = new Set<CallLoad>();
  #tally: Tally | undefined;

  /** @param shared where several threads count; absent: nobody else does */
  constructor(ports: LedgerPorts, shared?: SharedLoads) {
    this.#ports = ports;
    this.cells = new CellTable(shared);
  }

  /** Counts the call once more in a cell. */
  lease(call: CallLoad, cell: number): void {
    this.#note(call, cell);
    this.cells.count(cell, 1);
    const shared = this.cells.pool[cell]!;
    if (shared !== NO_POOL) this.cells.count(shared, 1);
  }

  /**
   * Counts the call in cells of one destination on behalf of its current pick, each if there is room, and all of them or none: other threads count there, too.
   *
   * @param ownCells the destination's cells, from `first`, so many as `count`
   * @param isHeld a share of its pool is all that the destination may have
   * @returns false when somebody else was quicker
   */
  reservePick(call: CallLoad, ownCells: Int32Array, first: number, count: number, isHeld: boolean): boolean {
    for (let k = first; k < first + count; k++) {
      if (this.#reserve(ownCells[k]!, isHeld)) continue;
      for (let done = first; done < k; done++) this.#giveUp(ownCells[done]!);
      this.cells.changes.cell(this.cells.slotCell(ownCells[k]!)); // what is known of it is old
      return false;
    }
    for (let k = first; k < first + count; k++) {
      this.#note(call, ownCells[k]!);
      call.picked.push(ownCells[k]!);
    }
    return true;
  }

  /** First where there may be no room: in the pool. */
  #reserve(cell: number, isHeld: boolean): boolean {
    const { changes, pool } = this.cells;
    const shared = this.cells.shared!;
    const poolCell = pool[cell]!;
    if (poolCell === NO_POOL) {
      if (!shared.reserve(cell)) return false;
    } else {
      if (!shared.reserve(poolCell)) return false;
      if (!isHeld) shared.count(cell, 1);
      else if (!shared.reserve(cell)) {
        shared.count(poolCell, -1);
        return false;
      }
      changes.cell(poolCell);
    }
    changes.cell(cell);
    return true;
  }

  #giveUp(cell: number): void {
    this.cells.count(cell, -1);
    const shared = this.cells.pool[cell]!;
    if (shared !== NO_POOL) this.cells.count(shared, -1);
  }

  /** The call holds one more unit. */
  #note(call: CallLoad, cell: number): void {
    call.own();
    const { owner, ownerCalls } = this.cells;
    const isNew = !this.#holds(call, owner[cell]!);
    if (isNew) ownerCalls[owner[cell]!]!++;
    if (this.#tally !== undefined) this.#tally.leased(call, cell, isNew ? owner[cell]! : NO_OWNER);
    if (!call.opened) this.#loose.add(call);
    call.leases.push(cell);
  }

  /** Counts the call once more in a cell, on behalf of its current pick. */
  leasePick(call: CallLoad, cell: number): void {
    this.lease(call, cell);
    call.picked.push(cell);
  }

  /** Counts the call once more in a cell that the balancer did not choose for it. */
  force(call: CallLoad, cell: number): void {
    this.lease(call, cell);
    if (this.cells.watched[cell] === 1) this.#ports.onWatchedForced(call, cell);
  }

  /** The same on behalf of its current pick. */
  forcePick(call: CallLoad, cell: number): void {
    this.leasePick(call, cell);
    if (this.cells.watched[cell] === 1) this.#ports.onWatchedForced(call, cell);
  }

  /** Ends the leases of the current pick, those that were undone excepted. */
  endPick(call: CallLoad): void {
    const { picked } = call.own();
    for (let cell = picked.pop(); cell !== undefined; cell = picked.pop()) this.#end(call, cell);
  }

  /** Takes back one unit in a cell: one that was counted without choosing if there is one, else that of the pick. Nothing to take back is no fault. */
  undo(call: CallLoad, cell: number): void {
    const { leases, picked } = call.own();
    const at = leases.indexOf(cell);
    if (at === -1) return;
    const pickedAt = picked.indexOf(cell);
    if (pickedAt !== -1 && leases.lastIndexOf(cell) === at) picked.splice(pickedAt, 1);
    this.#end(call, cell);
  }

  /** Ends every lease of the call. */
  release(call: CallLoad): void {
    if (call.leases.length === 1) {
      // Nearly all calls; a copy of what they share, to take one lease out of it, were 300 bytes.
      const cell = call.leases[0]!;
      call.letGo();
      this.#ended(call, cell);
      return;
    }
    const { leases, picked } = call.own();
    while (picked.length > 0) picked.pop();
    for (let cell = leases.pop(); cell !== undefined; cell = leases.pop()) this.#ended(call, cell);
  }

  /** Adds up the leases of all calls and answers the cells whose load differs, in cell order. */
  recount(calls: Iterable<CallLoad>): LoadDifference[] {
    const actual = new Map<number, number>();
    for (let cell = 0; cell < this.cells.size; cell++) actual.set(cell, 0);
    for (const call of calls) {
      for (const cell of call.leases) {
        actual.set(cell, (actual.get(cell) ?? 0) + 1);
        const shared = this.cells.slotCell(cell);
        if (shared !== cell) actual.set(shared, (actual.get(shared) ?? 0) + 1);
      }
    }
    const differences: LoadDifference[] = [];
    for (const [cell, count] of actual) {
      const counted = this.cells.ownCalls(cell);
      if (counted !== count) differences.push({ cell, counted, actual: count });
    }
    return differences.sort((a, b) => a.cell - b.cell);
  }

  /** Begins an audit in parts, in place of another one: {@link tally} each call, then {@link endTally}. */
  beginTally(): void {
    this.#tally = new Tally(this.cells);
  }

  /** Counts what a call holds for the audit. */
  tally(call: CallLoad): void {
    this.#tally?.count(call);
  }

  /** Ends the audit, once every call that has a dialog was counted, and answers how many calls there were, and what is counted otherwise. */
  endTally(): { readonly calls: number; readonly differences: readonly TallyDifference[] } {
    const tally = this.#tally;
    if (tally === undefined) return { calls: 0, differences: [] };
    for (const call of this.#loose) tally.count(call);
    this.#tally = undefined;
    return { calls: tally.calls, differences: tally.differences() };
  }

  /** Counts as the audit has found it. To be called in the same step as {@link endTally}. */
  heal({ resource, number, counted, actual }: TallyDifference): void {
    if (resource === undefined) this.cells.ownerCalls[number]! += actual - counted;
    else this.cells.count(number, actual - counted);
  }

  #end(call: CallLoad, cell: number): void {
    const { leases } = call.own();
    const at = leases.lastIndexOf(cell);
    if (at === -1) {
      this.#ports.onFault(`Cannot end a lease in cell ${cell}: the call has none there`);
      return;
    }
    const last = leases.pop()!;
    if (at < leases.length) leases[at] = last;
    this.#ended(call, cell);
  }

  /** A lease in that cell is none of the call's any more. */
  #ended(call: CallLoad, cell: number): void {
    this.#discount(cell);
    this.#leaveOwner(call, cell);
    if (this.cells.watched[cell] === 1) this.#ports.onWatchedEnd(call, cell);
  }

  #holds({ leases }: CallLoad, owner: number): boolean {
    for (let i = 0; i < leases.length; i++) if (this.cells.owner[leases[i]!] === owner) return true;
    return false;
  }

  /** The call has given a unit back: it is none of the owner's calls any more unless it holds another. */
  #leaveOwner(call: CallLoad, cell: number): void {
    const { owner, ownerCalls } = this.cells;
    const number = owner[cell]!;
    const hasLeft = !this.#holds(call, number);
    if (hasLeft && ownerCalls[number]! > 0) ownerCalls[number]!--;
    if (this.#tally !== undefined) this.#tally.ended(call, cell, hasLeft ? number : NO_OWNER);
    if (!call.opened && call.leases.length === 0) this.#loose.delete(call);
  }

  /** On the path of every call, so a cell without a pool costs one more look and no more. */
  #discount(cell: number): void {
    const { load, pool, shared: loads } = this.cells;
    const count = (loads === undefined ? load[cell] : loads.own[cell]) ?? 0;
    if (count <= 0) {
      this.#ports.onFault(`Cannot end a lease in cell ${cell}: its load is ${count}`);
      return;
    }
    this.cells.count(cell, -1);
    const shared = pool[cell]!;
    if (shared !== NO_POOL) this.#discount(shared);
  }
}
