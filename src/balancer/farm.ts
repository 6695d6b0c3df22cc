import { Availability, type BreakerState } from "./availability.ts";
import type { Candidates } from "./candidates.ts";
import { Capacities } from "./capacities.ts";
import { type Address, checkRows, type Destination, type DestinationRow, type StatusCause, type TableChange } from "./destination.ts";
import { isAnyAvailable } from "./pick.ts";
import { buildTable } from "./reload.ts";
import { checkSharedRows } from "./shared-rows.ts";
import {
  CLOSED,
  CLOSED_FAILING_OPEN,
  STATUS_DISABLED,
  STATUS_DRAINING,
  STATUS_LEAVING,
  STATUS_NO_AUTO_REENABLE,
  STATUS_OVER_RATE,
  STATUS_WITHDRAWN,
} from "./status.ts";

/** The destinations with their loads, capacities and states, as those who manage them see it; the calls are the `Balancer`'s. */
export class Farm extends Capacities {
  protected availability = new Availability(this.table, undefined);
  /** How often a destination was enabled, or came new to the table: tells what was chosen before from what was chosen after it, without a clock. */
  protected enablings = 0;
  /** Rows of pools that may have only a share of their pool now. */
  #limitedRows = 0;

  /**
   * Replaces the destinations, all or none: throws `BalancerError` and changes nothing when a row cannot be used or an id stands twice.
   * Destinations whose identity (id, group, URI) stays keep loads and status, and a resized capacity unless the row's own capacity changed.
   * Load of a row that is gone stays counted until its calls end, and is found again by a row that comes back. Order of `rows` does not matter.
   */
  replaceTable(rows: readonly DestinationRow[]): TableChange {
    checkRows(rows);
    if (this.cells.shared?.isKeeper) checkSharedRows(rows, this.cells, this.cells.shared);
    const { table, change } = buildTable(rows, this.table, this.cells, this.options.indexFrom);
    const availability = new Availability(table, this.options.nowMs === undefined ? undefined : (this.options.maxCallsPerSecond ?? 0));
    table.enabledAt.fill(++this.enablings);
    availability.inherit(this.availability);
    this.table = table;
    this.availability = availability;
    this.#limitedRows = 0;
    for (let row = 0; row < table.destinations.length; row++) if (availability.factors[row] !== 1) this.#open(row, 1);
    this.counters.reloads++;
    return change;
  }

  /**
   * The first destination in id order that has this address. Source: OpenSIPS `lb_is_destination`.
   *
   * @param port 0 matches every port
   * @param group -1 matches every group
   * @param activeOnly passes over disabled destinations
   */
  isDestination(ip: string, port: number, group = -1, activeOnly = false): Destination | undefined {
    const { destinations, status } = this.table;
    const row = this.table.rowOfAddress(
      ip,
      port,
      (candidate) =>
        (group === -1 || destinations[candidate]!.group === group) && !(activeOnly && (status[candidate]! & STATUS_DISABLED) !== 0),
    );
    return destinations[row];
  }

  /** The destinations that have one of these addresses, those of the first address first, each in id order; port 0 matches every port. */
  destinationsAt(addresses: readonly Pick<Address, "ip" | "port">[]): readonly Destination[] {
    const found = new Set<Destination>();
    for (const { ip, port } of addresses) {
      this.table.rowOfAddress(ip, port, (row) => {
        found.add(this.table.destinations[row]!);
        return false;
      });
    }
    return [...found];
  }

  /** False also for a destination that the table holds no more. */
  isEnabled(destination: Destination): boolean {
    return (this.#statusOf(destination) & STATUS_DISABLED) === 0;
  }

  /** Whether a probe may enable the destination again; false also for one that the table holds no more. */
  isAutoReenable(destination: Destination): boolean {
    return (this.#statusOf(destination) & STATUS_NO_AUTO_REENABLE) === 0;
  }

  /**
   * Enables or disables a destination. Disabling by "mi" or "drain" also keeps probes from enabling it again; enabling by others than "probe"
   * and "registration" lifts that too; these two do nothing while it stands. Answers false when there is no such destination.
   */
  setStatus(id: number, enabled: boolean, cause: StatusCause): boolean {
    const row = this.table.rowOfId(id);
    if (row === -1) return false;
    if (!enabled) {
      this.changeStatus(row, cause === "mi" || cause === "drain" ? STATUS_DISABLED | STATUS_NO_AUTO_REENABLE : STATUS_DISABLED, 0, cause);
    } else if (cause !== "probe" && cause !== "registration") {
      // Who says that an enabled destination is well vouches for it as much.
      this.#noteEnabled(row);
      this.changeStatus(row, 0, STATUS_DISABLED | STATUS_NO_AUTO_REENABLE, cause);
    } else if ((this.table.status[row]! & STATUS_NO_AUTO_REENABLE) === 0) {
      this.changeStatus(row, 0, STATUS_DISABLED, cause);
    }
    return true;
  }

  /**
   * Takes over what another node of the cluster has decided, with cause "cluster": both bits exactly, whatever they were. One that is told to be enabled
   * may be enabled by probes later, too. Answers false when there is no such destination.
   */
  adoptStatus(id: number, { enabled, autoReenable }: { readonly enabled: boolean; readonly autoReenable: boolean }): boolean {
    return this.#withRow(id, (row) => {
      const bits = enabled ? 0 : autoReenable ? STATUS_DISABLED : STATUS_DISABLED | STATUS_NO_AUTO_REENABLE;
      this.changeStatus(row, bits, (STATUS_DISABLED | STATUS_NO_AUTO_REENABLE) & ~bits, "cluster");
    });
  }

  /**
   * Leaves a disabled destination to the probes again: it stays disabled until one enables it. Nothing changes for one that they may enable already.
   * Answers false when there is no such destination.
   */
  allowReenable(id: number, cause: StatusCause): boolean {
    return this.#withRow(id, (row) => this.changeStatus(row, 0, STATUS_NO_AUTO_REENABLE, cause));
  }

  /** Keeps new calls from a destination while those that it has go on. Answers false when there is no such destination. */
  setDraining(id: number, draining: boolean): boolean {
    return this.#withRow(id, (row) => this.availability.setDraining(row, draining));
  }

  /** Keeps new calls from a destination whose registration has ended; as {@link setDraining}, and independent of it. Answers false when there is no such destination. */
  setLeaving(id: number, leaving: boolean): boolean {
    return this.#withRow(id, (row) => this.availability.setLeaving(row, leaving));
  }

  /** As {@link setLeaving}, because those who feed the destination say so. Survives a reload. Answers false when there is no such destination. */
  setWithdrawn(id: number, withdrawn: boolean): boolean {
    return this.#withRow(id, (row) => this.availability.setWithdrawn(row, withdrawn));
  }

  isWithdrawn(destination: Destination): boolean {
    return (this.#statusOf(destination) & STATUS_WITHDRAWN) !== 0;
  }

  isLeaving(destination: Destination): boolean {
    return (this.#statusOf(destination) & STATUS_LEAVING) !== 0;
  }

  isDraining(destination: Destination): boolean {
    return (this.#statusOf(destination) & STATUS_DRAINING) !== 0;
  }

  /**
   * Opens or closes the breaker of a destination, or lets the next `trials` calls through, after which it is open until it is set again.
   * Answers false when there is no such destination.
   */
  setBreaker(id: number, state: "closed" | "open" | { readonly trials: number }): boolean {
    if (typeof state === "string") return this.#withRow(id, (row) => this.availability.setBreaker(row, state, 0));
    return this.#withRow(id, (row) => this.availability.setBreaker(row, "trials", Math.max(0, Math.trunc(state.trials))));
  }

  breaker(destination: Destination): BreakerState {
    return this.#ofRow(destination, "closed", (row) => this.availability.breaker(row));
  }

  /** Keeps new calls from a destination until `atMs` by `nowMs()`; a time that has come ends its rest. Answers false when there is no such destination. */
  restUntil(id: number, atMs: number): boolean {
    return this.#withRow(id, (row) => this.availability.restUntil(row, this.options.nowMs === undefined ? 0 : atMs, this.nowMs()));
  }

  /** When the rest of a destination ends, by `nowMs()`; 0 when it does not rest. */
  restsUntilMs(destination: Destination): number {
    this.#wake();
    return this.#ofRow(destination, 0, (row) => this.availability.restsUntilMs(row));
  }

  /** How much longer the rest of a destination lasts, ms; 0 when it does not rest. */
  restMs(destination: Destination): number {
    const untilMs = this.restsUntilMs(destination);
    return untilMs === 0 ? 0 : Math.max(0, untilMs - this.nowMs());
  }

  /** Most calls within a second that a destination, or its whole pool, gets; 0 for no limit. */
  callsPerSecond(destination: Destination): number {
    return this.#ofRow(destination, 0, (row) => this.availability.callsPerSecond(row));
  }

  /** Whether a destination had all calls that it may get within a second. */
  isOverRate(destination: Destination): boolean {
    this.#wake();
    return (this.#statusOf(destination) & STATUS_OVER_RATE) !== 0;
  }

  /**
   * Opens a share of the capacities of a destination, 0 to 1: the whole number below `capacity * factor`, and at least one call unless the capacity is 0.
   * In a pool it is the share that this destination's own calls may have; the pool itself is open as far as the row that is furthest, so that one that
   * is warm has all of it, and a server that is warming up in all its rows does not get a share for each. Survives a reload.
   * Answers false when there is no such destination.
   */
  setCapacityFactor(id: number, factor: number): boolean {
    return this.#withRow(id, (row) => {
      const before = this.availability.factors[row]!;
      this.availability.factors[row] = factor >= 0 && factor <= 1 ? factor : 1;
      this.#open(row, before);
    });
  }

  capacityFactor(destination: Destination): number {
    return this.#ofRow(destination, 1, (row) => this.availability.factors[row]!);
  }

  /** Whether the destination gets calls as far as its status, drain, breaker and rest are concerned; how full it is does not matter. */
  isAvailable(destination: Destination): boolean {
    this.#wake();
    return (this.#statusOf(destination) & CLOSED) === 0;
  }

  /** Status bits that close a destination to this request, brought up to date. */
  protected closedBits(candidates: Candidates, flags: number): number {
    if (this.availability.wakesAtMs !== Number.POSITIVE_INFINITY) this.#wake();
    return this.options.failOpen === true && !isAnyAvailable(candidates, flags, this.table, CLOSED) ? CLOSED_FAILING_OPEN : CLOSED;
  }

  protected changeStatus(row: number, set: number, clear: number, cause: StatusCause): void {
    const { status, destinations } = this.table;
    const before = status[row]!;
    const after = (before | set) & ~clear;
    if (after === before) return;
    this.table.setStatus(row, after);
    if ((before & ~after & STATUS_DISABLED) !== 0) this.#noteEnabled(row);
    try {
      this.options.onStatus?.({
        destination: destinations[row]!,
        enabled: (after & STATUS_DISABLED) === 0,
        wasEnabled: (before & STATUS_DISABLED) === 0,
        autoReenable: (after & STATUS_NO_AUTO_REENABLE) === 0,
        cause,
      });
    } catch (error) {
      this.fault(`Cannot report the status of destination ${destinations[row]!.id}: ${String(error)}`);
    }
  }

  #noteEnabled(row: number): void {
    this.table.enabledAt[row] = ++this.enablings;
  }

  /** Opens the row's share of its capacities, and its pool as far as the row that is furthest. */
  #open(row: number, before: number): void {
    const { destinations } = this.table;
    const { factors } = this.availability;
    const { resources, options } = destinations[row]!;
    for (const { name, cell } of resources) {
      this.cells.open(cell, factors[row]!);
      const pool = this.cells.slotCell(cell);
      if (pool === cell) continue;
      let furthest = 0;
      for (const other of this.table.rowsOfPool(options.shared!)) {
        if (destinations[other]!.resources.some((resource) => resource.name === name)) furthest = Math.max(furthest, factors[other]!);
      }
      this.cells.open(pool, furthest);
    }
    if (options.shared === undefined) return;
    this.#limitedRows += Number(factors[row] !== 1) - Number(before !== 1);
    this.table.candidates.limitRows(this.#limitedRows > 0);
  }

  /** Both bits of {@link setStatus} for a destination that the table holds no more. */
  #statusOf(destination: Destination): number {
    return this.#ofRow(destination, STATUS_DISABLED | STATUS_NO_AUTO_REENABLE, (row) => this.table.status[row]!);
  }

  #ofRow<T>(destination: Destination, absent: T, read: (row: number) => T): T {
    const row = this.table.rowOfKey(destination.key);
    return row === -1 ? absent : read(row);
  }

  #withRow(id: number, act: (row: number) => void): boolean {
    const row = this.table.rowOfId(id);
    if (row !== -1) act(row);
    return row !== -1;
  }

  /** Ends rests and opens limits whose time has come. */
  #wake(): void {
    const nowMs = this.nowMs();
    if (nowMs >= this.availability.wakesAtMs) this.availability.wake(nowMs);
  }

  protected nowMs(): number {
    return this.options.nowMs?.() ?? 0;
  }
}
