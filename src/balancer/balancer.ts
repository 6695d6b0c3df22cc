import type { CallLoad } from "./call-load.ts";
import type { Candidates } from "./candidates.ts";
import { FLAG_RANDOM, type LbCode, parseFlags } from "./codes.ts";
import { type BalancerCounters, newCounters } from "./counters.ts";
import {
  checkRows,
  type Destination,
  type DestinationRow,
  identityKey,
  isUnchanged,
  type StatusCause,
  type StatusChange,
  type TableChange,
} from "./destination.ts";
import { DestinationTable } from "./destination-table.ts";
import { Ledger, type LoadDifference } from "./ledger.ts";
import { parseRequestedResources } from "./resources.ts";
import { NO_CAPACITY, STATUS_DISABLED, STATUS_NO_AUTO_REENABLE, select } from "./selection.ts";

/** What the balancer needs from outside. */
export interface BalancerOptions {
  /** A uniform random integer from 0 to `n - 1`. */
  below(n: number): number;
  /** A destination's `enabled` or `autoReenable` changed. What it throws goes to `onFault`. */
  onStatus?(change: StatusChange): void;
  /** Something inside contradicts itself; the call goes on with the safe reading. */
  onFault?(text: string): void;
}

/** What {@link Balancer.resize} answers. */
export type ResizeResult = "ok" | "no-destination" | "no-resource" | "bad-capacity";

/**
 * The capacity-aware balancer of the OpenSIPS module load_balancer: destinations, their loads, and the choice for each call.
 * It knows nothing of SIP. Every method is one uninterrupted step, so choosing and counting cannot oversubscribe.
 * None throws into a call; only {@link replaceTable} throws, for rows that cannot be used.
 */
export class Balancer {
  readonly counters: BalancerCounters = newCounters();
  readonly #options: BalancerOptions;
  readonly #ledger = new Ledger((text) => this.#fault(text));
  readonly #cells = this.#ledger.cells;
  #table = new DestinationTable([]);

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  /**
   * Replaces the destinations, all or none: throws `BalancerError` and changes nothing when a row cannot be used or an id stands twice.
   * Destinations whose identity (id, group, URI) stays keep loads and status, and a resized capacity unless the row's own capacity changed.
   * Load of a row that is gone stays counted until its calls end, and is found again by a row that comes back. Order of `rows` does not matter.
   */
  replaceTable(rows: readonly DestinationRow[]): TableChange {
    checkRows(rows);
    const sorted = [...rows].sort((a, b) => a.id - b.id);
    const old = this.#table;
    const change = { added: [] as number[], removed: [] as number[], changed: [] as number[], kept: [] as number[] };
    const destinations = sorted.map((row) => {
      const before = old.destinations[old.rowOfKey(identityKey(row))];
      if (before !== undefined && this.#isUnchanged(before, row)) {
        change.kept.push(row.id);
        return before;
      }
      (before === undefined ? change.added : change.changed).push(row.id);
      return this.#makeDestination(row);
    });
    this.#cells.beginRows();
    for (const [i, row] of sorted.entries()) {
      for (const [k, { capacity }] of row.resources.entries()) this.#cells.nameFromRow(destinations[i]!.resources[k]!.cell, capacity);
    }
    this.#cells.endRows();
    const table = new DestinationTable(destinations);
    for (const [row, { id, key }] of old.destinations.entries()) {
      const newRow = table.rowOfKey(key);
      if (newRow === -1) change.removed.push(id);
      else table.status[newRow] = old.status[row]!;
    }
    this.#table = table;
    this.counters.reloads++;
    return change;
  }

  /**
   * Begins an LB session: ends the pick of the session before, then chooses the destination of `group` with the largest slot and counts the call there.
   * A session that finds nothing (-2, -3) is begun all the same; -1 and -4 leave everything as it was. Source: OpenSIPS `lb_start`.
   *
   * @param resources names with `;` between them
   * @param flags letters `n`, `r`, `s`; others are ignored
   */
  start(call: CallLoad, group: number, resources: string, flags = ""): LbCode {
    this.counters.starts++;
    if (call.closed) return this.#refuse(-1);
    const candidates = this.#table.candidates.find(group, resources);
    if (typeof candidates === "number") return this.#refuse(candidates);
    this.#ledger.endPick(call);
    const bits = parseFlags(flags);
    call.beginSession(group, resources, bits);
    return this.#choose(call, candidates, bits, -1);
  }

  /**
   * Chooses the next destination of the session, passing over those that it chose before, also when the table was reloaded meanwhile.
   * The pick before is un-counted first and stays so when nothing is found. -1 without a session. Source: OpenSIPS `lb_next`.
   */
  next(call: CallLoad): LbCode {
    this.counters.nexts++;
    const session = call.session;
    if (session === undefined || call.closed) return this.#refuse(-1);
    this.#ledger.endPick(call);
    const candidates = this.#table.candidates.find(session.group, session.resources);
    if (typeof candidates === "number") {
      // A reload took the last destination that has the resource: nobody can take the call.
      call.currentDestination = undefined;
      return this.#refuse(-3);
    }
    return this.#choose(call, candidates, session.flags, this.#table.stampTried(session.tried));
  }

  /** {@link next} while there is a session, whatever the arguments say, else {@link start}. Source: OpenSIPS `lb_start_or_next`. */
  startOrNext(call: CallLoad, group: number, resources: string, flags = ""): LbCode {
    return this.isStarted(call) ? this.next(call) : this.start(call, group, resources, flags);
  }

  /** Older name of {@link startOrNext}. */
  loadBalance(call: CallLoad, group: number, resources: string, flags = ""): LbCode {
    return this.startOrNext(call, group, resources, flags);
  }

  /** Ends the session and un-counts its pick; what countCall counted stays. -1 when the call has no dialog, or is up or over. Source: OpenSIPS `lb_reset`. */
  reset(call: CallLoad): LbCode {
    this.counters.resets++;
    if (!call.opened || call.closed) return this.#refuse(-1);
    this.#ledger.endPick(call);
    call.endSession();
    return 1;
  }

  /** True while there is an LB session, also one that found nothing. Source: OpenSIPS `lb_is_started`. */
  isStarted(call: CallLoad): boolean {
    return call.started;
  }

  /** Disables the current pick; a probe may enable it again. -1 when there is none or its row is gone. Source: OpenSIPS `lb_disable_dst`. */
  disableDestination(call: CallLoad): LbCode {
    const row = call.destination === undefined ? -1 : this.#table.rowOfKey(call.destination.key);
    if (row === -1) return this.#refuse(-1);
    this.counters.disables++;
    this.#changeStatus(row, STATUS_DISABLED, 0, "script");
    return 1;
  }

  /**
   * The first destination in id order that has this address. Source: OpenSIPS `lb_is_destination`.
   *
   * @param port 0 matches every port
   * @param group -1 matches every group
   * @param activeOnly passes over disabled destinations
   */
  isDestination(ip: string, port: number, group = -1, activeOnly = false): Destination | undefined {
    const { destinations, status } = this.#table;
    const row = this.#table.rowOfAddress(
      ip,
      port,
      (candidate) =>
        (group === -1 || destinations[candidate]!.group === group) && !(activeOnly && (status[candidate]! & STATUS_DISABLED) !== 0),
    );
    return destinations[row];
  }

  /**
   * Counts a call for the destination with this address without choosing: for calls that a destination makes. Capacity and status do not matter, and
   * a resource that this destination lacks is counted out of sight. With `undo` one unit of each resource is taken back, if this call has one.
   * -1 when nothing has the address or a resource is unknown. Source: OpenSIPS `lb_count_call`.
   */
  countCall(call: CallLoad, ip: string, port: number, group: number, resources: string, undo = false): LbCode {
    const destination = this.isDestination(ip, port, group);
    const names = parseRequestedResources(resources);
    if (call.closed || destination === undefined || names === undefined || !this.#allKnown(names)) return this.#refuse(-1);
    for (const name of names) {
      if (undo) this.#ledger.undo(call, this.#cells.find(destination.key, name));
      else this.#ledger.lease(call, this.#cells.intern(destination.key, destination.id, name));
    }
    if (undo) this.counters.uncounted++;
    else this.counters.counted++;
    return 1;
  }

  /** The cells that the current pick holds, as a new array: to be given to {@link moveTo} together with the destination. */
  pickedCells(call: CallLoad): readonly number[] {
    return [...call.picked];
  }

  /**
   * A branch that was given up answered 2xx after all: ends the current pick and counts `cells` of `destination` again, even above capacity.
   * Also for a call whose leases were released. The destination becomes the current pick; the LB session stays as it is.
   */
  moveTo(call: CallLoad, destination: Destination, cells: readonly number[]): void {
    this.#ledger.endPick(call);
    call.currentDestination = destination;
    for (const cell of cells) {
      const name = destination.resources.find((resource) => resource.cell === cell)?.name;
      if (name === undefined) {
        this.#fault(`Cannot count a call for destination ${destination.id}: cell ${cell} is none of its resources`);
        continue;
      }
      // The number may belong to another resource by now, when a reload took the row and no call held the cell.
      const current = this.#cells.intern(destination.key, destination.id, name);
      if (!call.picked.includes(current)) this.#ledger.leasePick(call, current);
    }
  }

  /** Ends every lease of the call. Calling it again changes nothing. The session and the current pick stay readable. */
  release(call: CallLoad): void {
    this.#ledger.release(call);
  }

  /** Attributes of the current pick; "" when it has none, after a failure and after a reset. */
  attrs(call: CallLoad): string {
    return call.destination?.attrs ?? "";
  }

  /** All destinations in id order. */
  destinations(): readonly Destination[] {
    return this.#table.destinations;
  }

  destination(id: number): Destination | undefined {
    return this.#table.destinations[this.#table.rowOfId(id)];
  }

  /** Calls that are counted in a cell. */
  load(cell: number): number {
    return this.#cells.load[cell] ?? 0;
  }

  /** Calls that a cell allows. */
  maxLoad(cell: number): number {
    return this.#cells.maxLoad[cell] ?? 0;
  }

  /** False also for a destination that the table holds no more. */
  isEnabled(destination: Destination): boolean {
    const row = this.#table.rowOfKey(destination.key);
    return row !== -1 && (this.#table.status[row]! & STATUS_DISABLED) === 0;
  }

  /** Whether a probe may enable the destination again; false also for one that the table holds no more. */
  isAutoReenable(destination: Destination): boolean {
    const row = this.#table.rowOfKey(destination.key);
    return row !== -1 && (this.#table.status[row]! & STATUS_NO_AUTO_REENABLE) === 0;
  }

  /**
   * Changes a capacity in memory. A capacity above 2147483647 is that; one below 0 or no whole number is refused, where OpenSIPS makes 4294967295 of -1.
   */
  resize(id: number, resource: string, capacity: number): ResizeResult {
    const destination = this.destination(id);
    if (destination === undefined) return "no-destination";
    const cell = destination.resources.find(({ name }) => name === resource)?.cell;
    if (cell === undefined) return "no-resource";
    if (!Number.isInteger(capacity) || capacity < 0) return "bad-capacity";
    this.#cells.resize(cell, capacity);
    return "ok";
  }

  /**
   * Enables or disables a destination. "mi" disabling also keeps probes from enabling it again; enabling by "mi" or "script" lifts that too;
   * enabling by "probe" does nothing while it stands. Answers false when there is no such destination.
   */
  setStatus(id: number, enabled: boolean, cause: StatusCause): boolean {
    const row = this.#table.rowOfId(id);
    if (row === -1) return false;
    if (!enabled) {
      this.#changeStatus(row, cause === "mi" ? STATUS_DISABLED | STATUS_NO_AUTO_REENABLE : STATUS_DISABLED, 0, cause);
    } else if (cause !== "probe") {
      this.#changeStatus(row, 0, STATUS_DISABLED | STATUS_NO_AUTO_REENABLE, cause);
    } else if ((this.#table.status[row]! & STATUS_NO_AUTO_REENABLE) === 0) {
      this.#changeStatus(row, 0, STATUS_DISABLED, cause);
    }
    return true;
  }

  /** Calls counted for a resource everywhere or on one destination id, rows that are gone included; `undefined` for a resource that nobody has. */
  profileSize(resource: string, destinationId?: number): number | undefined {
    return this.#cells.sum(resource, destinationId);
  }

  /** Names of the resources that destinations have, in the order of their first row. */
  resourceNames(): string[] {
    return [...this.#table.resourceNames];
  }

  /** Audit: adds up the leases of all calls and answers each cell whose load differs. An empty answer is the only right one. */
  recount(calls: Iterable<CallLoad>): readonly LoadDifference[] {
    return this.#ledger.recount(calls);
  }

  #choose(call: CallLoad, candidates: Candidates, flags: number, stamp: number): LbCode {
    const found = select(candidates, flags, this.#cells, this.#table, stamp);
    if (found < 0) {
      call.currentDestination = undefined;
      return this.#refuse(found === NO_CAPACITY ? -2 : -3);
    }
    const { best } = this.#table;
    const position = (found > 1 && (flags & FLAG_RANDOM) !== 0 ? best[this.#options.below(found)] : best[0]) ?? best[0]!;
    const destination = this.#table.destinations[candidates.rows[position]!]!;
    const first = position * candidates.width;
    for (let k = first; k < first + candidates.width; k++) this.#ledger.leasePick(call, candidates.cells[k]!);
    call.currentDestination = destination;
    call.session?.tried.push(destination.key);
    this.counters.selected++;
    return 1;
  }

  #refuse<Code extends -1 | -2 | -3 | -4>(code: Code): Code {
    if (code === -1) this.counters.internal_error++;
    else if (code === -2) this.counters.no_capacity++;
    else if (code === -3) this.counters.no_destination++;
    else this.counters.bad_resource++;
    return code;
  }

  #changeStatus(row: number, set: number, clear: number, cause: StatusCause): void {
    const { status, destinations } = this.#table;
    const before = status[row]!;
    const after = (before | set) & ~clear;
    if (after === before) return;
    status[row] = after;
    try {
      this.#options.onStatus?.({
        destination: destinations[row]!,
        enabled: (after & STATUS_DISABLED) === 0,
        wasEnabled: (before & STATUS_DISABLED) === 0,
        autoReenable: (after & STATUS_NO_AUTO_REENABLE) === 0,
        cause,
      });
    } catch (error) {
      this.#fault(`Cannot report the status of destination ${destinations[row]!.id}: ${String(error)}`);
    }
  }

  #fault(text: string): void {
    this.counters.faults++;
    this.#options.onFault?.(text);
  }

  #allKnown(names: readonly string[]): boolean {
    return new Set(names).size === names.length && names.every((name) => this.#table.resourceNames.has(name));
  }

  #isUnchanged(destination: Destination, row: DestinationRow): boolean {
    const capacities = destination.resources.map(({ cell }) => this.#cells.rowCapacity(cell));
    return isUnchanged(destination, capacities, row);
  }

  #makeDestination(row: DestinationRow): Destination {
    const { id, group, uri, probeMode, attrs, description, addresses } = row;
    const key = identityKey(row);
    const resources = row.resources.map(({ name }) => ({ name, cell: this.#cells.intern(key, id, name) }));
    return { id, group, uri, key, resources, probeMode, attrs, description, addresses: [...addresses] };
  }
}
