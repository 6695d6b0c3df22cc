import type { ClusterClock, ClusterLink } from "../ports.ts";
import type { Hold, SlotLeases } from "./lease-holds.ts";
import { type LeaseAnswer, RESERVE_TTL_MS } from "./lease-scripts.ts";
import type { LeaseSender } from "./lease-sender.ts";

/** How often it is looked which leases are due. */
const TICK_MS = 1000;

/** What {@link Renewals} works with. */
export interface RenewalOptions {
  readonly clock: ClusterClock;
  readonly sender: LeaseSender;
  readonly link: ClusterLink;
  /** Time to live of a lease, milliseconds: each is renewed after a third of it. */
  readonly leaseMs: number;
  slots(): Iterable<SlotLeases>;
}

/** Renews leases before they expire, those of a slot that fall due in the same second together. */
export class Renewals {
  readonly #options: RenewalOptions;
  /** By the tick in which they fall due. A hold that was rescheduled or dropped stands there for nothing. */
  readonly #due = new Map<number, Hold[]>();
  #stop: (() => void) | undefined;

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  start(): void {
    const tickMs = Math.min(TICK_MS, this.#options.leaseMs / 6);
    const run = (): void => {
      this.#stop = this.#options.clock.after(tickMs, run);
      this.#tick();
    };
    this.#stop = this.#options.clock.after(tickMs, run);
  }

  close(): void {
    this.#stop?.();
  }

  /**
   * Says what became of a hold. One that was reserved has the shorter time to live of a reservation; one of which nobody is sure whether Redis has it,
   * as it was added without asking, or the former owner of the call may just be giving it back, is told again at the next tick.
   */
  schedule(hold: Hold, state: "reserved" | "renewed" | "uncertain"): void {
    const { leaseMs, clock } = this.#options;
    const inMs =
      state === "renewed" ? leaseMs / 3 : state === "uncertain" ? Math.min(TICK_MS, leaseMs / 6) : Math.min(leaseMs, RESERVE_TTL_MS) / 3;
    hold.dueMs = clock.nowMs() + inMs;
    const tick = Math.floor(hold.dueMs / TICK_MS);
    const others = this.#due.get(tick);
    if (others === undefined) this.#due.set(tick, [hold]);
    else others.push(hold);
  }

  /**
   * Schedules a hold by what a reservation of it was answered. News of a settling may overtake the answer: then the hold was not among those that were
   * added again, and is at once.
   */
  asked(hold: Hold, answer: LeaseAnswer | undefined): void {
    const isDone = answer?.outcome === "done";
    if (isDone && answer.reliableFromMs < hold.slot.owner.addedFor) this.#renew(hold.slot, [hold]);
    else this.schedule(hold, isDone ? "reserved" : "uncertain");
  }

  /** Tells Redis all that this node has there, and what it has no more. */
  restore(slot: SlotLeases): void {
    this.#options.sender.payDebts(slot);
    this.#renew(slot, [...slot.holds]);
  }

  #tick(): void {
    const { clock, link, sender } = this.#options;
    const nowMs = clock.nowMs();
    const due = new Map<SlotLeases, Set<Hold>>();
    for (const [tick, holds] of this.#due) {
      if (tick * TICK_MS > nowMs) continue;
      this.#due.delete(tick);
      for (const hold of holds) {
        if (!hold.slot.holds.has(hold) || Math.floor(hold.dueMs / TICK_MS) !== tick) continue;
        const others = due.get(hold.slot);
        if (others === undefined) due.set(hold.slot, new Set([hold]));
        else others.add(hold);
      }
    }
    if (!link.isUp) return; // everything is told when it is up again
    if (sender.owed > 0) {
      for (const slot of this.#options.slots()) {
        if (slot.owed.size === 0) continue;
        due.delete(slot);
        this.restore(slot);
      }
    }
    for (const [slot, holds] of due) this.#renew(slot, [...holds]);
  }

  #renew(slot: SlotLeases, holds: readonly Hold[]): void {
    for (const hold of holds) this.schedule(hold, "renewed");
    this.#options.sender.renew(slot, holds).then((isDone) => {
      if (!isDone) for (const hold of holds) if (slot.holds.has(hold)) this.schedule(hold, "uncertain");
    });
  }
}
