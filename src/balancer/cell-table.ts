import { Changes } from "./changes.ts";
import { grown } from "./grown.ts";
import { poolKey } from "./pool-key.ts";
import { MAX_CAPACITY } from "./resources.ts";
import { SharedChanges } from "./shared-changes.ts";
import type { SharedLoads } from "./shared-loads.ts";

/** Capacity of a cell that no row names. */
const UNNAMED = -1;

/** In {@link CellTable.pool}: the cell stands for itself. */
export const NO_POOL = -1;

const NO_CELLS: readonly number[] = [];

/** First size of the table, in cells; it doubles when it is full. */
const INITIAL_CELLS = 64;

/** Most calls of others, and of other nodes: together with ours they fit into 32 bits. */
export const MAX_FOREIGN_LOAD = 1_000_000_000;

/** Instead of a destination id: the cell of a pool. Ids are not negative. */
const POOL_ID = -1;

/** Instead of a destination id: the cell is free. */
const NOBODY_ID = -2;

/**
 * The load table: flat typed arrays with one **cell** for each pair of destination identity and resource name.
 * A cell lives while a row names it or it carries load; a reload gives the numbers of the others to new cells.
 *
 * Destinations of one pool have a cell each, with their own calls, and one **pool cell** for each resource, with the sum. Calls hold the own cells, so
 * a row may join or leave a pool while it has calls: the sum is made anew. The slot of such a destination is that of the pool cell, and while it is
 * warming up no more than its own cell leaves it of the pool.
 */
export class CellTable {
  /** Is told of each change of {@link load} and {@link maxLoad}, by whoever makes it. */
  readonly changes: Changes;
  /** Where the loads are when several threads count; undefined when this one is alone. */
  readonly shared: SharedLoads | undefined;
  /** Calls that are counted, by cell, those of others, of other nodes and of other threads among them. */
  load: Int32Array;
  /** Of {@link load}, calls of others: no lease stands for them. */
  foreign = new Int32Array(INITIAL_CELLS);
  /** Of {@link load}, calls of other nodes of the cluster. */
  remote = new Int32Array(INITIAL_CELLS);
  /** By cell: 1 where somebody wants to know of leases. */
  watched = new Uint8Array(INITIAL_CELLS);
  /** Calls that are allowed now, by cell: the capacity, less while the destination is warming up. At a cell with a pool, what it may have of the pool's. */
  maxLoad: Int32Array;
  /** By cell: the pool cell that counts its calls too, or {@link NO_POOL}. */
  pool = new Int32Array(INITIAL_CELLS).fill(NO_POOL);
  /** By cell: the number of its owner. */
  owner = new Int32Array(INITIAL_CELLS);
  /** By number of an owner: calls that hold load of it, each once however many of its cells it holds. The ledger keeps it. */
  ownerCalls = new Int32Array(INITIAL_CELLS);
  /** Capacity from the row or from a resize, by cell. */
  #capacity: Int32Array;
  /** Capacity in the row, by cell, or {@link UNNAMED}: it differs from the capacity after a resize. For a pool cell, the smallest of its rows. */
  #rowCapacity = new Int32Array(INITIAL_CELLS);
  /** Keys of the feeds in the row, by cell; empty where the row gives the capacity itself. */
  #feedKeys: string[] = [];
  /** Share of the capacity that is open, by cell. */
  #factor = new Float64Array(INITIAL_CELLS);
  /** Whether a row of the table that is being loaded names the cell. */
  #named = new Uint8Array(INITIAL_CELLS);
  #resourceNames: (string | undefined)[] = [];
  #ownerKeys: (string | undefined)[] = [];
  #destinationIds: number[] = [];
  #byName = new Map<string, Map<string, number>>();
  /** Cells by the identity of their owner. Lists are replaced, not changed, so whoever was given one may keep it. */
  #byOwner = new Map<string, readonly number[]>();
  #ownerNumbers = new Map<string, number>();
  #freeOwners: number[] = [];
  #freeCells: number[] = [];
  /** Another thread says what capacities there are, and what others count. */
  readonly #isFollower: boolean;

  constructor(shared?: SharedLoads) {
    this.shared = shared;
    this.#isFollower = shared?.isKeeper === false;
    this.changes = shared === undefined ? new Changes() : new SharedChanges(shared);
    this.load = shared?.load ?? new Int32Array(INITIAL_CELLS);
    this.maxLoad = shared?.maxLoad ?? new Int32Array(INITIAL_CELLS);
    this.#capacity = shared?.capacity ?? new Int32Array(INITIAL_CELLS);
  }

  /** Number of cells in use or to be used again: cells are numbered from 0 to `size - 1`. */
  get size(): number {
    return this.#resourceNames.length;
  }

  /** The cell of a destination's resource, or -1. */
  find(destinationKey: string, resource: string): number {
    return this.#byName.get(resource)?.get(destinationKey) ?? -1;
  }

  /** Every cell of a destination, also of resources that its row lacks and of a row that is gone; in no order. */
  cellsOf(destinationKey: string): readonly number[] {
    return this.#byOwner.get(destinationKey) ?? NO_CELLS;
  }

  /** Calls that hold load of a destination, each once. */
  callsOfOwner(destinationKey: string): number {
    const owner = this.#ownerNumbers.get(destinationKey);
    return owner === undefined ? 0 : this.ownerCalls[owner]!;
  }

  /**
   * The cell of a destination's resource, made when there is none yet.
   *
   * @param poolName the pool that a new cell joins
   */
  intern(destinationKey: string, destinationId: number, resource: string, poolName: string | undefined): number {
    const known = this.find(destinationKey, resource);
    if (known !== -1) return known;
    const cell = this.#make(destinationKey, destinationId, resource);
    if (poolName !== undefined) this.pool[cell] = this.#internPool(poolName, resource);
    return cell;
  }

  /** The cell whose load and `max_load` make the slot: the pool's, or the cell itself. */
  slotCell(cell: number): number {
    const pool = this.pool[cell] ?? NO_POOL;
    return pool === NO_POOL ? cell : pool;
  }

  /** Begins the loading of rows: no cell is named until {@link nameFromRow} says so, and every cell is open whole. */
  beginRows(): void {
    this.#named.fill(0);
    this.#factor.fill(1);
  }

  /**
   * A row names the cell. A capacity that was resized or fed stays unless the row's own changed, or its feed.
   *
   * @param feedKey empty when the row gives the capacity itself
   */
  nameFromRow(cell: number, capacity: number, feedKey: string): void {
    this.#named[cell] = 1;
    if (this.#rowCapacity[cell] === capacity && this.#feedKeys[cell] === feedKey) return;
    this.#rowCapacity[cell] = capacity;
    if (!this.#isFollower) this.#capacity[cell] = capacity;
    this.#feedKeys[cell] = feedKey;
    this.setForeign(cell, 0);
  }

  /**
   * Ends the loading of rows: puts cells into the pools of their destinations and adds the pools up. Cells that no row names go, unless calls are
   * still counted in them; those of a destination that is gone stay in the pool, as its calls go on where they are.
   *
   * @param poolNames the pool, if any, of each destination in the table, by identity
   */
  endRows(poolNames: ReadonlyMap<string, string | undefined>): void {
    for (const [pool, { capacity, feedKeys }] of this.#assignPools(poolNames)) {
      this.nameFromRow(pool, capacity, [...feedKeys].sort().join(" "));
    }
    if (this.shared === undefined) this.#sumPools();
    for (let cell = 0; cell < this.size; cell++) {
      if (this.#named[cell] === 1 || this.#resourceNames[cell] === undefined) continue;
      this.#rowCapacity[cell] = UNNAMED;
      this.setForeign(cell, 0);
      this.#setRemote(cell, 0);
      if (this.load[cell] === 0 && this.shared === undefined) this.#free(cell);
    }
    for (let cell = 0; cell < this.size; cell++) this.#limit(cell);
    this.changes.all();
  }

  /** Capacity that the row gives, whatever a resize made of it; -1 when no row names the cell. */
  rowCapacity(cell: number): number {
    return this.#rowCapacity[cell] ?? UNNAMED;
  }

  /** Calls that leases stand for, of all threads. */
  calls(cell: number): number {
    return (this.load[cell] ?? 0) - (this.foreign[cell] ?? 0) - (this.remote[cell] ?? 0);
  }

  /** Those of them that this thread knows. */
  ownCalls(cell: number): number {
    return this.shared === undefined ? this.calls(cell) : this.shared.own[cell]!;
  }

  /** Counts calls of this thread, or takes them back. */
  count(cell: number, calls: number): void {
    if (this.shared === undefined) this.load[cell]! += calls;
    else this.shared.count(cell, calls);
    this.changes.cell(cell);
  }

  /** Counts calls of others, {@link MAX_FOREIGN_LOAD} at most, in place of those that were counted before. */
  setForeign(cell: number, calls: number): void {
    const counted = Math.min(calls, MAX_FOREIGN_LOAD);
    this.#add(cell, counted - this.foreign[cell]!);
    this.foreign[cell] = counted;
  }

  /** Counts calls of other nodes, {@link MAX_FOREIGN_LOAD} at most, in place of those that were counted before. None at a cell that no row names. */
  setRemote(cell: number, calls: number): void {
    if (this.rowCapacity(cell) === UNNAMED) return;
    this.#setRemote(cell, Math.min(calls, MAX_FOREIGN_LOAD));
  }

  /** Marks these cells in place of those that were marked before; of those that are in use. */
  watch(cells: ReadonlySet<number>): void {
    this.watched.fill(0);
    for (const cell of cells) if (this.#resourceNames[cell] !== undefined) this.watched[cell] = 1;
  }

  /** Who owns a cell: the identity of a destination, or the key of a pool. */
  ownerKey(cell: number): string | undefined {
    return this.#ownerKeys[cell];
  }

  resourceName(cell: number): string | undefined {
    return this.#resourceNames[cell];
  }

  /** Capacity from the row, a resize or a feed. */
  capacity(cell: number): number {
    return this.#capacity[cell] ?? 0;
  }

  /** Sets the capacity, not above {@link MAX_CAPACITY}. */
  resize(cell: number, capacity: number): void {
    if (this.#isFollower) return;
    this.#capacity[cell] = Math.min(capacity, MAX_CAPACITY);
    this.#limit(cell);
    if (this.#destinationIds[cell] !== POOL_ID) return;
    for (const other of this.#byName.get(this.#resourceNames[cell]!)?.values() ?? []) if (this.pool[other] === cell) this.#limit(other);
  }

  /** Opens a share of the capacity, 0 to 1: the whole number below it, and at least one call where the capacity is not 0. For a cell with a pool, of the pool's. */
  open(cell: number, factor: number): void {
    this.#factor[cell] = factor;
    this.#limit(cell);
  }

  /**
   * Whether the capacity of a destination's resource, or of its pool, is used up, slow start or not. Never for a resource that neither its row nor its
   * pool has: there is no capacity to use up.
   */
  isFull(destinationKey: string, resource: string, poolName: string | undefined): boolean {
    const own = this.find(destinationKey, resource);
    if (own === -1 && poolName === undefined) return false;
    const cell = own === -1 ? this.find(poolKey(poolName!), resource) : this.slotCell(own);
    return cell !== -1 && this.rowCapacity(cell) !== UNNAMED && this.load[cell]! >= this.capacity(cell);
  }

  /** Load of a resource on every destination, or on those with one id, also of rows that are gone; `undefined` when nobody has such a resource. */
  sum(resource: string, destinationId: number | undefined): number | undefined {
    const cells = this.#byName.get(resource);
    let total = 0;
    for (const cell of cells?.values() ?? []) {
      const id = this.#destinationIds[cell]!;
      if (id !== POOL_ID && (destinationId === undefined || id === destinationId)) total += this.calls(cell);
    }
    return cells === undefined ? undefined : total;
  }

  #setRemote(cell: number, calls: number): void {
    this.#add(cell, calls - this.remote[cell]!);
    this.remote[cell] = calls;
  }

  #add(cell: number, calls: number): void {
    if (this.shared === undefined) this.load[cell]! += calls;
    else this.shared.add(cell, calls);
    this.changes.cell(cell);
  }

  #limit(cell: number): void {
    if (this.#isFollower) return;
    const capacity = this.#capacity[this.slotCell(cell)]!;
    const open = Math.floor(capacity * this.#factor[cell]!);
    this.maxLoad[cell] = capacity > 0 && open < 1 ? 1 : open;
    this.changes.cell(cell);
  }

  /** Answers the smallest row capacity of each pool cell that a row names, and the feeds of these rows. */
  #assignPools(poolNames: ReadonlyMap<string, string | undefined>): Map<number, { capacity: number; feedKeys: Set<string> }> {
    const pools = new Map<number, { capacity: number; feedKeys: Set<string> }>();
    // The pool cells that are made meanwhile come last, and have no pool themselves.
    const before = this.size;
    for (let cell = 0; cell < before; cell++) {
      const key = this.#ownerKeys[cell];
      if (key === undefined || this.#destinationIds[cell] === POOL_ID || !poolNames.has(key)) continue;
      const poolName = poolNames.get(key);
      if (poolName === undefined) {
        this.pool[cell] = NO_POOL;
        continue;
      }
      const pool = this.#internPool(poolName, this.#resourceNames[cell]!);
      this.pool[cell] = pool;
      this.setForeign(cell, 0); // they count in the pool
      this.#setRemote(cell, 0);
      if (this.#named[cell] !== 1) continue;
      const found = pools.get(pool) ?? { capacity: MAX_CAPACITY, feedKeys: new Set() };
      found.capacity = Math.min(found.capacity, this.#rowCapacity[cell]!);
      if (this.#feedKeys[cell] !== "") found.feedKeys.add(this.#feedKeys[cell]!);
      pools.set(pool, found);
    }
    return pools;
  }

  #sumPools(): void {
    for (let cell = 0; cell < this.size; cell++) {
      if (this.#destinationIds[cell] === POOL_ID) this.load[cell] = this.foreign[cell]! + this.remote[cell]!;
    }
    for (let cell = 0; cell < this.size; cell++) {
      const pool = this.pool[cell]!;
      if (pool !== NO_POOL) this.load[pool]! += this.calls(cell);
    }
  }

  #internPool(poolName: string, resource: string): number {
    const key = poolKey(poolName);
    const known = this.find(key, resource);
    return known === -1 ? this.#make(key, POOL_ID, resource) : known;
  }

  #make(ownerKey: string, destinationId: number, resource: string): number {
    const cell = this.shared?.numberFor(ownerKey, resource) ?? this.#freeCells.pop() ?? this.size;
    while (cell >= this.owner.length) this.#grow();
    let cells = this.#byName.get(resource);
    if (cells === undefined) {
      cells = new Map();
      this.#byName.set(resource, cells);
    }
    cells.set(ownerKey, cell);
    this.#byOwner.set(ownerKey, [...this.cellsOf(ownerKey), cell]);
    this.owner[cell] = this.#numberOf(ownerKey);
    this.#resourceNames[cell] = resource;
    this.#ownerKeys[cell] = ownerKey;
    this.#destinationIds[cell] = destinationId;
    this.foreign[cell] = 0;
    this.remote[cell] = 0;
    this.watched[cell] = 0;
    this.#feedKeys[cell] = "";
    this.pool[cell] = NO_POOL;
    if (this.shared === undefined) {
      this.load[cell] = 0;
      this.maxLoad[cell] = 0;
      this.#capacity[cell] = 0;
    }
    this.#rowCapacity[cell] = UNNAMED;
    this.#factor[cell] = 1;
    this.#named[cell] = 0;
    return cell;
  }

  #free(cell: number): void {
    const resource = this.#resourceNames[cell]!;
    const ownerKey = this.#ownerKeys[cell]!;
    const cells = this.#byName.get(resource);
    cells?.delete(ownerKey);
    if (cells?.size === 0) this.#byName.delete(resource);
    const left = this.cellsOf(ownerKey).filter((other) => other !== cell);
    if (left.length === 0) {
      this.#byOwner.delete(ownerKey);
      this.#freeOwners.push(this.owner[cell]!);
      this.#ownerNumbers.delete(ownerKey);
    } else this.#byOwner.set(ownerKey, left);
    this.#resourceNames[cell] = undefined;
    this.#ownerKeys[cell] = undefined;
    this.#destinationIds[cell] = NOBODY_ID;
    this.pool[cell] = NO_POOL;
    this.#capacity[cell] = 0;
    this.#freeCells.push(cell);
  }

  /** There are no more owners than cells. */
  #numberOf(ownerKey: string): number {
    const known = this.#ownerNumbers.get(ownerKey);
    if (known !== undefined) return known;
    const number = this.#freeOwners.pop() ?? this.#ownerNumbers.size;
    this.#ownerNumbers.set(ownerKey, number);
    this.ownerCalls[number] = 0;
    return number;
  }

  #grow(): void {
    const size = this.owner.length * 2;
    this.owner = grown(this.owner, new Int32Array(size));
    this.ownerCalls = grown(this.ownerCalls, new Int32Array(size));
    this.foreign = grown(this.foreign, new Int32Array(size));
    this.remote = grown(this.remote, new Int32Array(size));
    this.watched = grown(this.watched, new Uint8Array(size));
    this.pool = grown(this.pool, new Int32Array(size).fill(NO_POOL));
    if (this.shared === undefined) {
      this.load = grown(this.load, new Int32Array(size));
      this.maxLoad = grown(this.maxLoad, new Int32Array(size));
      this.#capacity = grown(this.#capacity, new Int32Array(size));
    }
    this.#rowCapacity = grown(this.#rowCapacity, new Int32Array(size));
    this.#factor = grown(this.#factor, new Float64Array(size));
    this.#named = grown(this.#named, new Uint8Array(size));
  }
}
