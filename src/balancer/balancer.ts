import { type CallLoad, type LbSession, NOBODY } from "./call-load.ts";
import type { Candidates } from "./candidates.ts";
import { codeOf, FLAG_NEGATIVE, FLAG_RANDOM, type LbCode, NO_CAPACITY, parseFlags } from "./codes.ts";
import { DecisionTally } from "./decision-tally.ts";
import type { Destination } from "./destination.ts";
import { Farm } from "./farm.ts";
import { type HeldLease, heldBy, MAX_HELD_LEASES, placeOfHeld } from "./held-lease.ts";
import { Holdings } from "./holdings.ts";
import type { Ledger, LoadDifference } from "./ledger.ts";
import { lookAt } from "./look.ts";
import { pick } from "./pick.ts";
import { parseRequestedResources } from "./resources.ts";
import { NOT_TRIED, slotOf } from "./selection.ts";
import { CLOSED, STATUS_DISABLED } from "./status.ts";
import { EMPTY_VIEW, readLook, type TableView } from "./table-view.ts";
import type { TallyDifference } from "./tally.ts";

/** Slots in a row that other threads may take from under a call before it is told that there is none: more than they can in the time of a pick. */
const MAX_RESERVE_TRIES = 10_000;

/**
 * The capacity-aware balancer of the OpenSIPS module load_balancer: destinations, their loads, and the choice for each call.
 * It knows nothing of SIP. Every method is one uninterrupted step, so choosing and counting cannot oversubscribe.
 * None throws into a call; only {@link replaceTable} throws, for rows that cannot be used.
 */
export class Balancer extends Farm {
  /** What start, next and reselect have answered. */
  readonly decisions = new DecisionTally();
  readonly #holdings = new Holdings();

  /**
   * Begins an LB session: ends the pick of the session before, then chooses the destination of `group` with the largest slot and counts the call there.
   * A session that finds nothing (-2, -3) is begun all the same; -1 and -4 leave everything as it was. Source: OpenSIPS `lb_start`.
   *
   * @param resources names with `;` between them
   * @param flags letters `n`, `r`, `s`; others are ignored
   */
  start(call: CallLoad, group: number, resources: string, flags = ""): LbCode {
    this.counters.starts++;
    if (call.closed) return this.#refuse(-1, group);
    const candidates = this.table.candidates.find(group, resources);
    if (typeof candidates === "number") return this.#refuse(candidates, group);
    this.#endPick(call);
    const session = call.beginSession(group, resources, parseFlags(flags));
    const stamp = call.passedOver === NOBODY ? NOT_TRIED : this.table.stampTried(NOBODY, call.passedOver);
    return this.#choose(call, candidates, session, stamp);
  }

  /**
   * Chooses the next destination of the session, passing over those that it chose before, also when the table was reloaded meanwhile.
   * The pick before is un-counted first and stays so when nothing is found. -1 without a session. Source: OpenSIPS `lb_next`.
   */
  next(call: CallLoad): LbCode {
    this.counters.nexts++;
    const session = call.session;
    if (session === undefined || call.closed) return this.#refuse(-1);
    return this.#chooseAgain(call, session);
  }

  /**
   * The cluster has no room for the pick: un-counts it, as if the session had not chosen it, and chooses again. It may be chosen again once the loads
   * of other nodes say that there is room. -1 without a session or a pick, and when the call is up or over.
   */
  reselect(call: CallLoad): LbCode {
    const { session, destination } = call;
    if (session === undefined || destination === undefined || call.closed) return this.#refuse(-1);
    if (session.tried.at(-1) === destination.key) session.tried.pop();
    const row = this.table.rowOfKey(destination.key);
    if (row !== -1) this.availability.unpicked(row);
    return this.#chooseAgain(call, session);
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
    this.#endPick(call);
    call.endSession();
    return 1;
  }

  /** True while there is an LB session, also one that found nothing. Source: OpenSIPS `lb_is_started`. */
  isStarted(call: CallLoad): boolean {
    return call.started;
  }

  /**
   * Disables the current pick; a probe may enable it again. -1 when there is none or its row is gone. Source: OpenSIPS `lb_disable_dst`.
   * One that was enabled after the call had chosen it stays enabled, and the answer is 1 all the same: what became of an older call says nothing
   * of what a probe or an operator has found since. OpenSIPS disables it.
   */
  disableDestination(call: CallLoad): LbCode {
    const row = call.destination === undefined ? -1 : this.table.rowOfKey(call.destination.key);
    if (row === -1) return this.#refuse(-1);
    if (this.table.enabledAt[row]! > call.pickedAt) {
      this.counters.disables_stale++;
      return 1;
    }
    this.counters.disables++;
    this.changeStatus(row, STATUS_DISABLED, 0, "script");
    return 1;
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
      if (undo) this.ledger.undo(call, this.cells.find(destination.key, name));
      else this.ledger.force(call, this.#intern(destination, name));
    }
    if (destination.isFed) this.tellFed(destination, false);
    if (undo) this.counters.uncounted++;
    else this.counters.counted++;
    return 1;
  }

  /**
   * Counts a call for a destination that somebody else has chosen, such as a list of the distributor, in place of the current pick; limits of calls
   * a second and the trials of breakers know of it as of one chosen here. Neither capacity nor status matters, and the LB session stays as it is.
   * Nothing happens to a call that is up or over.
   *
   * @param destination becomes the current pick; `undefined`: there is none any more
   * @param resources names of which those count that the destination has
   */
  place(call: CallLoad, destination: Destination | undefined, resources: readonly string[]): void {
    if (call.closed) return;
    this.#endPick(call);
    call.currentDestination = destination;
    call.pickedAt = this.enablings;
    if (destination === undefined) return;
    for (const { name } of destination.resources) {
      if (resources.includes(name)) this.ledger.forcePick(call, this.#intern(destination, name));
    }
    const row = this.table.rowOfKey(destination.key);
    if (row !== -1 && this.availability.watchesPicks) this.availability.picked(row, this.nowMs());
    if (destination.isFed) this.tellFed(destination, true);
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
    this.#endPick(call);
    call.currentDestination = destination;
    call.pickedAt = this.enablings;
    for (const cell of cells) {
      const name = destination.resources.find((resource) => resource.cell === cell)?.name;
      if (name === undefined) {
        this.fault(`Cannot count a call for destination ${destination.id}: cell ${cell} is none of its resources`);
        continue;
      }
      // The number may belong to another resource by now, when a reload took the row and no call held the cell.
      const current = this.#intern(destination, name);
      if (!call.picked.includes(current)) this.ledger.forcePick(call, current);
    }
    if (destination.isFed) this.tellFed(destination, false);
  }

  /** What the call holds, so that another node, or another incarnation of this one, can count it: in no order. */
  held(call: CallLoad): HeldLease[] {
    const held = heldBy(call, this.cells);
    const beside = this.options.beside?.held(call) ?? [];
    return beside.length === 0 ? held : [...held, ...beside];
  }

  /**
   * Counts what a call held elsewhere, whatever capacity and status say: at the row with that identity, else at the row of the same group and URI,
   * else out of sight under the identity until the call ends. The row of what was picked becomes the current pick; there is none when it is gone.
   * Answers how many were counted: those that name no destination and resource are left out, and all behind the first {@link MAX_HELD_LEASES}.
   */
  adopt(call: CallLoad, held: readonly HeldLease[]): number {
    let counted = this.options.beside?.adopt(call, held) ?? 0;
    for (const lease of held.slice(0, MAX_HELD_LEASES)) {
      const place = placeOfHeld(lease, this.table);
      if (place === undefined) continue;
      const { destination, key, id } = place;
      const cell =
        destination === undefined ? this.cells.intern(key, id, lease.resource, undefined) : this.#intern(destination, lease.resource);
      if (lease.picked) this.ledger.forcePick(call, cell);
      else this.ledger.force(call, cell);
      counted++;
      if (lease.picked && destination !== undefined) {
        call.currentDestination = destination;
        call.pickedAt = this.enablings;
      }
      if (destination?.isFed) this.tellFed(destination, false);
    }
    if (call.closed) this.settle(call);
    return counted;
  }

  /** The call is up: it will hold what it holds until it ends, and need no more memory for that than others with the same. */
  settle(call: CallLoad): void {
    call.share(this.#holdings);
  }

  /** Ends every lease of the call. Calling it again changes nothing. The session and the current pick stay readable. */
  release(call: CallLoad): void {
    this.ledger.release(call);
    this.options.beside?.release(call);
    if (call.destination?.isFed) this.tellFed(call.destination, false);
  }

  /** Attributes of the current pick; "" when it has none, after a failure and after a reset. */
  attrs(call: CallLoad): string {
    return call.destination?.attrs ?? "";
  }

  /**
   * What a start with these arguments would look at and answer now, without doing it.
   *
   * @param tried identities ({@link Destination.key}) that are passed over, as next does
   */
  describe(group: number, resources: string, flags = "", tried: readonly string[] = []): TableView {
    const candidates = this.table.candidates.find(group, resources);
    if (typeof candidates === "number") return { ...EMPTY_VIEW, code: candidates };
    const bits = parseFlags(flags);
    const stamp = this.table.stampTried(tried, []);
    const closed = this.closedBits(candidates, bits);
    const picked = pick(candidates, bits & ~FLAG_RANDOM, this.cells, this.table, stamp, closed, this.options);
    const code = codeOf(picked);
    const position = Math.max(picked, -1);
    const { table, cells: loads } = this;
    return readLook(
      lookAt(group, resources, { candidates, table, loads, stamp, flags: bits, code, failedOpen: closed !== CLOSED, position }),
    );
  }

  /** Calls counted for a resource everywhere or on one destination id, rows that are gone included; `undefined` for a resource that nobody has. */
  profileSize(resource: string, destinationId?: number): number | undefined {
    return this.cells.sum(resource, destinationId);
  }

  /** Names of the resources that destinations have, in the order of their first row. */
  resourceNames(): string[] {
    return [...this.table.resourceNames];
  }

  /** Audit: adds up the leases of all calls and answers each cell whose load differs. An empty answer is the only right one. */
  recount(calls: Iterable<CallLoad>): readonly LoadDifference[] {
    return this.ledger.recount(calls);
  }

  /** Begins an audit in parts, while calls begin and end: {@link tally} each call that has a dialog, a few at a time, then {@link endTally}. */
  beginTally(): void {
    this.ledger.beginTally();
  }

  /** Counts what a call holds for the audit; nothing happens when it was counted, or without an audit. */
  tally(call: CallLoad): void {
    this.ledger.tally(call);
  }

  /**
   * Ends the audit: the calls that it has met, and each place that is counted otherwise than they hold it, as of this moment. Calls without a dialog are
   * counted by itself. To be called in the same step as the last {@link tally}.
   */
  endTally(): ReturnType<Ledger["endTally"]> {
    return this.ledger.endTally();
  }

  /** Counts as the audit has found it, in the same step. Whoever feeds the destination is told. */
  heal(difference: TallyDifference): void {
    this.ledger.heal(difference);
    this.tellFedOf(difference.ownerKey);
  }

  /** The destination of an identity, {@link Destination.key}; `undefined` when the table holds it no more. */
  destinationOfKey(key: string): Destination | undefined {
    return this.table.destinations[this.table.rowOfKey(key)];
  }

  #chooseAgain(call: CallLoad, session: LbSession): LbCode {
    this.#endPick(call);
    const candidates = this.table.candidates.find(session.group, session.resources);
    if (typeof candidates === "number") {
      // A reload took the last destination that has the resource: nobody can take the call.
      call.currentDestination = undefined;
      return this.#refuse(-3, session.group);
    }
    return this.#choose(call, candidates, session, this.table.stampTried(session.tried, call.passedOver));
  }

  #choose(call: CallLoad, candidates: Candidates, session: LbSession, stamp: number): LbCode {
    const { flags } = session;
    const closed = this.closedBits(candidates, flags);
    const isShared = this.cells.shared !== undefined;
    const picked = isShared
      ? this.#reserve(call, candidates, flags, stamp, closed)
      : pick(candidates, flags, this.cells, this.table, stamp, closed, this.options);
    const code = codeOf(picked);
    const position = picked >= 0 ? picked : -1;
    if (this.options.looks !== undefined) {
      const { table, cells: loads } = this;
      this.options.looks.take(call, session, { candidates, table, loads, stamp, flags, code, failedOpen: closed !== CLOSED, position });
    }
    if (code !== 1) {
      call.currentDestination = undefined;
      return this.#refuse(code, session.group);
    }
    const row = candidates.rows[position]!;
    const destination = this.table.destinations[row]!;
    const first = position * candidates.asked;
    if (!isShared) for (let k = first; k < first + candidates.asked; k++) this.ledger.leasePick(call, candidates.ownCells[k]!);
    call.currentDestination = destination;
    call.pickedAt = this.enablings;
    session.tried.push(destination.key);
    if (this.availability.watchesPicks) this.availability.picked(row, this.nowMs());
    if (destination.isFed) this.tellFed(destination, true);
    if (closed !== CLOSED) this.counters.failed_open++;
    this.counters.selected++;
    this.decisions.count(session.group, 1);
    return 1;
  }

  /** Picks and counts while other threads do the same: who finds the slot taken chooses again. Somebody else has got a call each time, so it comes to an end. */
  #reserve(call: CallLoad, candidates: Candidates, flags: number, stamp: number, closed: number): number {
    const { asked, ownCells, width } = candidates;
    for (let tries = 0; tries < MAX_RESERVE_TRIES; tries++) {
      const picked = pick(candidates, flags, this.cells, this.table, stamp, closed, this.options);
      if (picked < 0) return picked;
      if (this.ledger.reservePick(call, ownCells, picked * asked, asked, width > asked)) return picked;
      if ((flags & FLAG_NEGATIVE) === 0 || slotOf(candidates, picked, flags, this.cells) > 0) continue;
      for (let k = picked * asked; k < (picked + 1) * asked; k++) this.ledger.leasePick(call, ownCells[k]!);
      return picked;
    }
    return NO_CAPACITY;
  }

  /** Ends the current pick. What was full may be so no longer, and whoever feeds it may see that otherwise. */
  #endPick(call: CallLoad): void {
    this.ledger.endPick(call);
    if (call.destination?.isFed) this.tellFed(call.destination, false);
  }

  /** @param group that a decision was wanted for; absent: it was another step */
  #refuse<Code extends -1 | -2 | -3 | -4>(code: Code, group?: number): Code {
    if (group !== undefined) this.decisions.count(group, code);
    if (code === -1) this.counters.internal_error++;
    else if (code === -2) this.counters.no_capacity++;
    else if (code === -3) this.counters.no_destination++;
    else this.counters.bad_resource++;
    return code;
  }

  #allKnown(names: readonly string[]): boolean {
    return new Set(names).size === names.length && names.every((name) => this.table.resourceNames.has(name));
  }

  /** The destination's cell for a resource. A pick may be older than the table: the pool that a new cell joins is that of the table. */
  #intern({ key, id, options }: Destination, resource: string): number {
    const current = this.table.destinations[this.table.rowOfKey(key)];
    return this.cells.intern(key, id, resource, (current?.options ?? options).shared);
  }
}
