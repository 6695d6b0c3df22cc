import { type Balancer, type CallLoad, FLAG_NEGATIVE } from "../../balancer/index.ts";
import type { Admission } from "../../proxy/index.ts";
import type { Keys } from "../keys.ts";
import type { ClusterClock, ClusterLink, ClusterLog, NodeIdentity } from "../ports.ts";
import type { Wire } from "../wire.ts";
import { LateReturns } from "./late-returns.ts";
import { LeaseCounters } from "./lease-counters.ts";
import { Departures } from "./lease-departures.ts";
import { type Hold, Holds, type SlotLeases } from "./lease-holds.ts";
import { LeaseLoss } from "./lease-loss.ts";
import { LeaseReach, type ReachOptions } from "./lease-reach.ts";
import { GRACE_MS, Refreshes, refreshOwners } from "./lease-refresh.ts";
import { Renewals } from "./lease-renewals.ts";
import { type LeaseAnswer, RESERVE_TTL_MS } from "./lease-scripts.ts";
import { type Asked, LeaseSender } from "./lease-sender.ts";
import { type LeaseSlot, LeaseSlots } from "./lease-slots.ts";

/** Reservations under way at a time; beyond it calls do without. */
export const MAX_RESERVATIONS_UNDER_WAY = 10_000;

export interface LeaseBookOptions {
  readonly link: ClusterLink;
  readonly keys: Keys;
  readonly wire: Wire;
  readonly self: Pick<NodeIdentity, "incarnation">;
  readonly clock: ClusterClock;
  readonly log: ClusterLog;
  readonly balancer: Balancer;
  readonly slots: { readonly all: readonly LeaseSlot[]; bySlotCell(cell: number): LeaseSlot | undefined };
  /** All calls of this node that count something. */
  readonly calls: () => Iterable<CallLoad>;
  /** Time to live of a lease that is not renewed (`lease_time`), milliseconds. */
  readonly leaseMs: number;
  readonly redisLost: "fail_open" | "fail_closed";
  readonly rttMs?: ReachOptions["rttMs"];
}

type Answer = "reserved" | "full" | "closed";

/** Slots that a call is asking for, and how many units of each. */
interface Question extends Asked {
  readonly units: number;
}

/**
 * Exact loads: each unit of load in a slot with sharing "exact" has a lease in Redis, so that all nodes together never exceed a capacity. A lease is
 * asked for before the INVITE goes out, renewed while the call goes on, and given back with the lease of the balancer, or when the destination has agreed
 * to the BYE; what a dead node, or a lost message, leaves there expires. Calls wait for nothing but their own reservation, and for that {@link LeaseReach.waitMs} at most.
 *
 * The balancer's `onWatchedEnd` and `onWatchedForced` are to call {@link ended} and {@link forced}; {@link tableChanged} after each change of the table.
 */
export class LeaseBook implements Admission {
  readonly counters = new LeaseCounters();
  readonly #options: LeaseBookOptions;
  readonly #sender: LeaseSender;
  readonly #renewals: Renewals;
  readonly #reach: LeaseReach;
  readonly #slots: LeaseSlots;
  readonly #holds = new Holds();
  readonly departures: Departures;
  readonly #refreshes: Refreshes;
  readonly #late = new LateReturns();
  /** By own cell. */
  #slotOf: ReadonlyMap<number, SlotLeases> = new Map();
  #underWay = 0;
  #serial = 0;

  constructor(options: LeaseBookOptions) {
    this.#options = options;
    const { link, leaseMs, clock } = options;
    this.#slots = new LeaseSlots(options.keys);
    const loss = new LeaseLoss({
      ...options,
      counters: this.counters,
      owner: (name) => this.#slots.owner(name),
      addAgain: ({ slots }) => {
        for (const slot of slots) this.#renewals.restore(slot);
      },
    });
    this.#sender = new LeaseSender({
      link,
      counters: this.counters,
      leaseMs,
      reserveMs: Math.min(RESERVE_TTL_MS, leaseMs),
      onCount: (slot, count, isReliable) => this.#counted(slot, count, isReliable),
      onUnready: (owner, answer) => loss.found(owner, answer),
    });
    this.departures = new Departures(this.#sender);
    this.#renewals = new Renewals({ clock, sender: this.#sender, link, leaseMs, slots: () => this.#slots.all() });
    this.#reach = new LeaseReach({
      link,
      clock,
      sender: this.#sender,
      owners: () => this.#slots.owners(),
      rttMs: options.rttMs,
      onReady: () => this.restore(),
    });
    this.#refreshes = new Refreshes({
      clock,
      plan: (group, resources) => refreshOwners(options.balancer, this.#slotOf, group, resources),
      count: (owner) => this.#sender.count(owner),
      waitMs: () => this.#reach.waitMs,
      onAsk: () => this.counters.refreshes++,
    });
  }

  /** Begins to renew, and to ask Redis as soon as there is a connection. */
  start(): void {
    this.tableChanged();
    this.#renewals.start();
    this.#reach.start();
  }

  /** Ends the timers. Leases stay until they expire, unless their calls ended before, or are being hung up: nobody waits for answers any more. */
  close(): void {
    for (const load of this.#late.close()) this.#giveBack(load);
    this.#renewals.close();
    this.#reach.close();
  }

  /** Calls that have leases, or are asking for them. */
  get calls(): number {
    return this.#holds.size;
  }

  /** Leases that are to be given back as soon as Redis can be told. */
  get owed(): number {
    return this.#sender.owed;
  }

  /** Reservations are asked for and waited for. */
  get isExact(): boolean {
    return this.#reach.isWorthWaiting;
  }

  isNeeded(load: CallLoad): boolean {
    if (this.#slotOf.size === 0) return false;
    for (const cell of load.picked) {
      const slot = this.#slotOf.get(cell);
      if (slot !== undefined && this.#unitsOf(load, slot) > (this.#holds.find(load, slot)?.granted ?? 0)) return true;
    }
    return false;
  }

  reserve(load: CallLoad): Promise<Answer> {
    const { clock, balancer } = this.#options;
    const isForced = ((load.session?.flags ?? 0) & FLAG_NEGATIVE) !== 0;
    if (!isForced && this.#underWay >= MAX_RESERVATIONS_UNDER_WAY) this.counters.overflows++;
    const canAsk = !isForced && this.isExact && this.#underWay < MAX_RESERVATIONS_UNDER_WAY;
    const questions: Question[] = [];
    let isAlone = !canAsk;
    for (const slot of new Set(load.picked.map((cell) => this.#slotOf.get(cell)))) {
      if (slot === undefined) continue;
      const hold = this.#holdOf(load, slot);
      hold.wanted = hold.granted; // what was refused before is asked for again
      hold.refused = 0;
      const units = this.#unitsOf(load, slot) - hold.wanted;
      if (units <= 0) continue;
      hold.wanted += units;
      // An answer that came too late before is still under way.
      if (hold.asking > 0) isAlone = true;
      const cell = slot.slotCell;
      questions.push({ hold, units, capacity: Math.max(0, balancer.maxLoad(cell) - balancer.foreignLoad(cell)) });
    }
    if (isForced) {
      this.counters.forced += questions.length;
      for (const { hold } of questions) this.#force(hold);
      return Promise.resolve("reserved");
    }
    if (questions.length === 0) return Promise.resolve("reserved");
    if (isAlone) return Promise.resolve(this.#decideAlone(questions));
    for (const { hold, units } of questions) hold.asking = units;
    this.#underWay++;
    const sentMs = clock.nowMs();
    return new Promise((resolve) => {
      let decision: Answer | undefined;
      const late = (): void => {
        this.counters.late_answers++;
        this.#reach.late(sentMs);
        decision = this.#failMode(questions);
        resolve(decision);
      };
      let stop = clock.after(this.#reach.waitMs, () => {
        stop = clock.after(GRACE_MS, late);
      });
      this.#ask(questions).then((answers) => {
        stop();
        this.#underWay--;
        if (answers.some((answer) => answer !== undefined)) this.#reach.answered(sentMs);
        resolve(this.#settle(questions, answers, decision));
      });
    });
  }

  refresh(group: number, resources: string): Promise<boolean> {
    if (this.#slotOf.size === 0 || !this.isExact) return Promise.resolve(false);
    return this.#refreshes.ask(group, resources);
  }

  /** A lease of the balancer in a watched cell has ended. */
  ended(load: CallLoad, cell: number): void {
    const slot = this.#slotOf.get(cell);
    const hold = slot && this.#holds.find(load, slot);
    if (hold === undefined) return; // a pick that was never asked for
    const units = this.#unitsOf(load, hold.slot);
    if (units >= hold.wanted) return;
    hold.refused = Math.max(0, hold.refused - (hold.wanted - units));
    if (this.#late.has(load)) hold.keep(hold.wanted - units);
    hold.wanted = units;
    this.#reconcile(hold);
  }

  hold(load: CallLoad): void {
    this.#late.hold(load);
  }

  settle(load: CallLoad): void {
    if (this.#late.settle(load)) this.#giveBack(load);
  }

  /** A call was counted in a watched cell whatever the capacity: so it is in Redis. */
  forced(load: CallLoad, cell: number): void {
    const slot = this.#slotOf.get(cell);
    if (slot === undefined) return;
    const hold = this.#holdOf(load, slot);
    hold.wanted++;
    this.counters.forced++;
    this.#force(hold);
  }

  /** Another node has the call now, and with it the leases: they stay when it ends here. To be said before the balancer releases the call. */
  surrender(load: CallLoad): void {
    for (const hold of [...this.#holds.of(load)]) {
      this.departures.leave(hold);
      this.#holds.drop(hold);
    }
  }

  /** Tells Redis of all leases again: to be called when Redis has lost what it had. */
  restore(): void {
    if (!this.#options.link.isUp) return;
    for (const slot of this.#slots.all()) this.#renewals.restore(slot);
    this.#reach.count(this.#slots.owners());
  }

  /** Reads the slots of the table again. To be called after `slots.tableChanged()`, in the step in which the table was replaced. */
  tableChanged(): void {
    const { balancer, slots, calls } = this.#options;
    const before = this.#slotOf;
    const after = new Map<number, SlotLeases>();
    const known = new Set(this.#slots.all());
    this.#slots.begin();
    for (const destination of balancer.destinations()) {
      for (const { cell } of destination.resources) {
        const slot = slots.bySlotCell(balancer.slotCell(cell));
        if (slot?.sharing === "exact") after.set(cell, this.#slots.take(slot));
      }
    }
    const moved = new Set<CallLoad>();
    for (const load of this.#holds.calls()) {
      for (const cell of load.leases) {
        const old = before.get(cell);
        const now = after.get(cell);
        if (old === undefined || old === now) continue;
        if (now === undefined)
          after.set(cell, old); // its row is gone, the call goes on
        else moved.add(load);
      }
    }
    // What was counted out of sight, while no row had it, counts now.
    const isNew = (cell: number): boolean => after.has(cell) && !before.has(cell);
    if ([...after.keys()].some((cell) => isNew(cell) && balancer.ownLoad(cell) > 0))
      for (const load of calls()) if (load.leases.some(isNew)) moved.add(load);
    this.#slotOf = after;
    balancer.watchCells(new Set(after.keys()));
    for (const load of moved) this.#recount(load);
    this.#slots.end();
    this.#reach.count([...new Set([...this.#slots.all()].filter((slot) => !known.has(slot)).map(({ owner }) => owner))]);
  }

  #giveBack(load: CallLoad): void {
    for (const hold of [...this.#holds.of(load)]) {
      hold.keep(-hold.kept);
      this.#reconcile(hold);
    }
  }

  #holdOf(load: CallLoad, slot: SlotLeases): Hold {
    if (load.name === "") load.name = `~${this.#options.self.incarnation}.${++this.#serial}`;
    this.departures.back(load.name);
    return this.#holds.find(load, slot) ?? this.#holds.make(load, load.name, slot);
  }

  #unitsOf(load: CallLoad, slot: SlotLeases): number {
    let units = 0;
    for (const cell of load.leases) if (this.#slotOf.get(cell) === slot) units++;
    return units;
  }

  #ask(questions: readonly Question[]): Promise<(LeaseAnswer | undefined)[]> {
    const byOwner = Map.groupBy(questions, ({ hold }) => hold.slot.owner);
    const answers = new Map([...byOwner].map(([owner, asked]) => [owner, this.#sender.reserve(owner, asked)]));
    return Promise.all(questions.map(({ hold }) => answers.get(hold.slot.owner)!));
  }

  /** @param decision what the call was told before the answers came */
  #settle(questions: readonly Question[], answers: readonly (LeaseAnswer | undefined)[], decision: Answer | undefined): Answer {
    const outcome = decision ?? this.#outcomeOf(questions, answers);
    for (const [i, { hold }] of questions.entries()) {
      const units = Math.min(hold.asking, hold.wanted);
      hold.asking = 0;
      const isDone = answers[i]?.outcome === "done";
      if (outcome !== "reserved" && !isDone) hold.refused = Math.min(hold.wanted, hold.refused + units);
      this.#reconcile(hold);
      if (hold.settled > 0) this.#renewals.asked(hold, answers[i]);
    }
    return outcome;
  }

  #outcomeOf(questions: readonly Question[], answers: readonly (LeaseAnswer | undefined)[]): Answer {
    if (answers.every((answer) => answer?.outcome === "done")) {
      this.counters.reserved++;
      return "reserved";
    }
    if (answers.some((answer) => answer?.outcome === "full")) {
      this.counters.refused_full++;
      return "full";
    }
    if (answers.some((answer) => answer !== undefined)) this.counters.unready++;
    return this.#failMode(questions);
  }

  #failMode(questions: readonly Question[]): Answer {
    const { redisLost, balancer } = this.#options;
    if (redisLost === "fail_closed") {
      this.counters.failed_closed++;
      return "closed";
    }
    // Others may have told of further calls since the pick was chosen.
    if (questions.some(({ hold }) => hold.slot.slotCell !== -1 && balancer.freeSlots(hold.slot.slotCell) < 0)) {
      this.counters.refused_full++;
      return "full";
    }
    this.counters.failed_open++;
    return "reserved";
  }

  /** Nobody is asked: what this node knows decides, or the operator wants no call. */
  #decideAlone(questions: readonly Question[]): Answer {
    const outcome = this.#failMode(questions);
    for (const { hold, units } of questions) {
      if (outcome === "reserved") this.#force(hold);
      else hold.refused += units;
    }
    return outcome;
  }

  /** The lease is added as soon as Redis can be told. */
  #force(hold: Hold): void {
    this.#reconcile(hold);
    this.#renewals.schedule(hold, "uncertain");
  }

  /** Brings Redis to what the call counts, as far as that is settled. */
  #reconcile(hold: Hold): void {
    if (hold.asking > 0) return; // until the answer it is not known what is there
    const { settled } = hold;
    const isKept = this.#late.has(hold.load);
    if (hold.sent > settled && !isKept) this.#sender.release(hold, settled);
    else if (hold.sent < settled && this.#options.link.isUp) this.#sender.renew(hold.slot, [hold]);
    if (hold.wanted === 0 && !isKept) this.#holds.drop(hold);
  }

  /** While nodes tell their leases again, Redis has as many as it says at least. Places of which the balancer knows nothing are those of others to it. */
  #counted({ slotCell, acknowledged, kept }: SlotLeases, count: number, isReliable: boolean): void {
    const { balancer } = this.#options;
    const remote = Math.max(0, count - Math.max(0, acknowledged - kept));
    if (slotCell !== -1 && (isReliable || remote > balancer.remoteLoad(slotCell))) balancer.setRemoteLoad(slotCell, remote);
  }

  /** Its cells belong to other slots now. */
  #recount(load: CallLoad): void {
    const units = new Map<SlotLeases, number>(this.#holds.of(load).map(({ slot }) => [slot, 0]));
    for (const cell of load.leases) {
      const slot = this.#slotOf.get(cell);
      if (slot !== undefined) units.set(slot, (units.get(slot) ?? 0) + 1);
    }
    for (const [slot, wanted] of units) {
      const hold = this.#holdOf(load, slot);
      hold.wanted = wanted;
      hold.refused = Math.min(hold.refused, wanted);
      this.#force(hold);
    }
  }
}
