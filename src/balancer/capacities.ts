import type { BalancerOptions, ResizeResult } from "./balancer-options.ts";
import type { CallLoad } from "./call-load.ts";
import type { CellTable } from "./cell-table.ts";
import { type BalancerCounters, newCounters } from "./counters.ts";
import type { Destination } from "./destination.ts";
import { DestinationTable } from "./destination-table.ts";
import { Ledger, type LedgerPorts } from "./ledger.ts";

/** The destinations with their loads and capacities; `Farm` adds their states. */
export class Capacities {
  readonly counters: BalancerCounters = newCounters();
  protected readonly options: BalancerOptions;
  protected readonly ledger: Ledger;
  protected readonly cells: CellTable;
  protected table: DestinationTable;

  constructor(options: BalancerOptions) {
    this.options = options;
    const ports: LedgerPorts = {
      onFault: (text) => this.fault(text),
      onWatchedEnd: (call, cell) => this.#tellWatched(call, cell, this.options.onWatchedEnd),
      onWatchedForced: (call, cell) => this.#tellWatched(call, cell, this.options.onWatchedForced),
    };
    this.ledger = new Ledger(ports, options.shared);
    this.cells = this.ledger.cells;
    this.table = new DestinationTable([], this.cells);
  }

  /** All destinations in id order. */
  destinations(): readonly Destination[] {
    return this.table.destinations;
  }

  destination(id: number): Destination | undefined {
    return this.table.destinations[this.table.rowOfId(id)];
  }

  /** Calls that count against the capacity of a cell: those of its whole pool, if it has one. */
  load(cell: number): number {
    return this.cells.calls(this.cells.slotCell(cell));
  }

  /** Calls that hold load of a destination, each once, whatever they hold of it; also of a row that is gone. */
  calls({ key }: Pick<Destination, "key">): number {
    return this.cells.callsOfOwner(key);
  }

  /** Calls of this destination alone, whatever its pool. */
  ownLoad(cell: number): number {
    return this.cells.calls(cell);
  }

  /** Calls of other nodes of the cluster that count against the capacity of a cell, or of its pool, as {@link setRemoteLoad} was told. */
  remoteLoad(cell: number): number {
    return this.cells.remote[this.cells.slotCell(cell)] ?? 0;
  }

  /** Calls of others that count against the capacity of a cell, or of its pool, as {@link feed} was told: nobody in the cluster has placed them. */
  foreignLoad(cell: number): number {
    return this.cells.foreign[this.cells.slotCell(cell)] ?? 0;
  }

  /**
   * Every cell that counts calls of this destination: those of its resources, and those of resources that its row lacks, where `countCall` counts out of
   * sight. Also while calls of a row that is gone go on. In no order; the list does not change any more, so a reload needs another look.
   */
  cellsOf({ key }: Pick<Destination, "key">): readonly number[] {
    return this.cells.cellsOf(key);
  }

  /** Calls that a cell, or its pool, allows now. */
  maxLoad(cell: number): number {
    return this.cells.maxLoad[this.cells.slotCell(cell)] ?? 0;
  }

  /** Calls that this destination alone may have now: less than {@link maxLoad} while it is warming up and others of its pool are further. */
  ownMaxLoad(cell: number): number {
    return this.cells.maxLoad[cell] ?? 0;
  }

  /** Calls that the destination can still be given, as selection counts them; below 0 above capacity. */
  freeSlots(cell: number): number {
    return Math.min(
      this.maxLoad(cell) - this.load(cell) - this.foreignLoad(cell) - this.remoteLoad(cell),
      this.ownMaxLoad(cell) - this.ownLoad(cell),
    );
  }

  /**
   * Whether a call that the destination makes would exceed the capacity of one of these resources, its own or its pool's. A slow start does not matter:
   * it holds back calls to a destination. Nor does a resource that neither its row nor its pool has. Counting right after it exceeds nothing.
   */
  isFull({ key, options }: Destination, resources: readonly string[]): boolean {
    return resources.some((name) => this.cells.isFull(key, name, options.shared));
  }

  /** Calls that a cell, or its pool, allows once it is warm: more than {@link maxLoad} during a slow start only. */
  capacity(cell: number): number {
    return this.cells.capacity(this.cells.slotCell(cell));
  }

  /**
   * Changes a capacity in memory, that of the whole pool if the destination shares one. A capacity above 2147483647 is that; one below 0 or no whole number is refused, where OpenSIPS makes 4294967295 of -1.
   */
  resize(id: number, resource: string, capacity: number): ResizeResult {
    const destination = this.destination(id);
    if (destination === undefined) return "no-destination";
    const cell = destination.resources.find(({ name }) => name === resource)?.cell;
    if (cell === undefined) return "no-resource";
    if (!Number.isInteger(capacity) || capacity < 0) return "bad-capacity";
    this.cells.resize(this.cells.slotCell(cell), capacity);
    this.options.onResized?.();
    return "ok";
  }

  /**
   * Sets what the feed of a cell tells, for the whole pool if it has one: the capacity, as {@link resize} does, and the calls of others to be counted
   * against it. Both stay until they are told anew, or the row names another feed or none.
   */
  feed(cell: number, capacity: number, foreignLoad: number): void {
    const slotCell = this.cells.slotCell(cell);
    this.cells.setForeign(slotCell, Math.max(0, Math.trunc(foreignLoad)));
    this.cells.resize(slotCell, Math.max(0, Math.trunc(capacity)));
  }

  /**
   * Counts calls of other nodes against the capacity of a cell, or of its pool, in place of those that were counted before: at most 1,000,000,000.
   * They survive a reload while a row names the cell, and count besides those of {@link feed}. Nothing happens at a cell that no row names: it has no
   * capacity.
   *
   * @param calls a whole number from 0; anything below is 0
   */
  setRemoteLoad(cell: number, calls: number): void {
    const slotCell = this.cells.slotCell(cell);
    const before = this.cells.remote[slotCell] ?? 0;
    this.cells.setRemote(slotCell, Math.max(0, Math.trunc(calls)));
    if (this.cells.remote[slotCell] !== before) this.tellFedOf(this.cells.ownerKey(slotCell));
  }

  /**
   * Whose leases `onWatchedEnd` and `onWatchedForced` are told of, in place of those before. To be said anew after each {@link replaceTable}, in the same
   * step: numbers of cells may have changed hands.
   *
   * @param cells own cells, not those of pools; those that are not in use are left out
   */
  watchCells(cells: ReadonlySet<number>): void {
    this.cells.watch(cells);
  }

  isWatched(cell: number): boolean {
    return this.cells.watched[cell] === 1;
  }

  /** The capacity that a row gives, whatever a resize or a feed made of it; of a pool the smallest. -1 when no row names the cell. */
  rowCapacity(cell: number): number {
    return this.cells.rowCapacity(cell);
  }

  /** The cell in which the capacity of a cell stands: that of its pool, or the cell itself. */
  slotCell(cell: number): number {
    return this.cells.slotCell(cell);
  }

  /** Calls of a destination with a feed are others now. What the listener throws is a fault. */
  protected tellFed(destination: Destination, isPick: boolean): void {
    try {
      if (isPick) this.options.onFedPick?.(destination);
      else this.options.onFedChange?.(destination);
    } catch (error) {
      this.fault(`Cannot report a call of destination ${destination.id}: ${String(error)}`);
    }
  }

  protected fault(text: string): void {
    this.counters.faults++;
    this.options.onFault?.(text);
  }

  /** Whoever feeds a capacity counts the calls of all nodes. */
  protected tellFedOf(ownerKey: string | undefined): void {
    for (const row of this.table.rowsOfOwner(ownerKey)) {
      const destination = this.table.destinations[row]!;
      if (destination.isFed) this.tellFed(destination, false);
    }
  }

  #tellWatched(call: CallLoad, cell: number, listener: BalancerOptions["onWatchedEnd"]): void {
    try {
      listener?.(call, cell);
    } catch (error) {
      this.fault(`Cannot report a lease in cell ${cell}: ${String(error)}`);
    }
  }
}
