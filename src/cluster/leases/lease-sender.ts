import type { ClusterLink, LuaScript } from "../ports.ts";
import type { LeaseCounters } from "./lease-counters.ts";
import type { Hold, LeaseOwner, SlotLeases } from "./lease-holds.ts";
import {
  LEASE_COUNT,
  LEASE_RELEASE,
  LEASE_RENEW,
  LEASE_RESERVE,
  type LeaseAnswer,
  readLeaseAnswer,
  reserveArguments,
  SETTLING_MS,
} from "./lease-scripts.ts";

/** Members in one run of a script: Redis does nothing else meanwhile, some 0.5 ms. */
export const MAX_BATCH = 500;
/** Leases that are owed to Redis at a time; what is beyond that expires by itself. */
export const MAX_OWED = 100_000;

/** What a {@link LeaseSender} works with. */
export interface SenderOptions {
  readonly link: ClusterLink;
  readonly counters: LeaseCounters;
  /** Milliseconds that a lease lives when it is not renewed, and one that was just reserved. */
  readonly leaseMs: number;
  readonly reserveMs: number;
  /** Answers tell how many leases a slot has, or has at least; called after {@link SlotLeases.acknowledged} was brought up to date. */
  onCount(slot: SlotLeases, count: number, isReliable: boolean): void;
  /** Redis does not know all leases of an owner. */
  onUnready(owner: LeaseOwner, answer: LeaseAnswer): void;
}

/** One slot of a reservation: the last `asking` units of the hold are asked for. */
export interface Asked {
  readonly hold: Hold;
  readonly capacity: number;
}

/**
 * Sends the scripts and keeps account of what Redis has: answers come in the order of what was sent, so after each one it is known exactly. What was not
 * answered may have been done; it is kept for there, given back later, and expires otherwise.
 */
export class LeaseSender {
  /** Which process of Redis has the leases; "" when that is not known. */
  process = "";
  readonly #options: SenderOptions;
  #owed = 0;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Leases that Redis may have though nobody uses them. */
  get owed(): number {
    return this.#owed;
  }

  /** Asks for leases of one owner, all or none. Undefined: nobody knows what became of it. Never rejects. */
  async reserve(owner: LeaseOwner, asked: readonly Asked[]): Promise<LeaseAnswer | undefined> {
    const { reserveMs } = this.#options;
    const requests = asked.map(({ hold, capacity }) => ({
      key: hold.slot.key,
      capacity,
      members: hold.members(hold.sent, hold.sent + hold.asking),
    }));
    for (const { hold } of asked)
      for (const member of hold.members(hold.sent, hold.sent + hold.asking)) this.#settleDebt(hold.slot, member);
    const units = asked.map(({ hold }) => {
      hold.sent += hold.asking;
      return { hold, asking: hold.asking, sent: hold.sent };
    });
    const answer = await this.#run(LEASE_RESERVE, owner, requests, [reserveMs, ...reserveArguments(requests)]);
    if (answer?.outcome === "done") for (const { hold, sent } of units) hold.acknowledge(Math.max(hold.acknowledged, sent));
    else if (answer !== undefined) for (const { hold, asking } of units) hold.sent -= asking;
    this.#note(
      owner,
      asked.map(({ hold }) => hold.slot),
      answer,
    );
    return answer;
  }

  /** Adds or renews what the holds have settled, all of one slot. True when Redis has them. Never rejects. */
  async renew(slot: SlotLeases, holds: readonly Hold[]): Promise<boolean> {
    const { counters, leaseMs } = this.#options;
    let isDone = true;
    for (let first = 0; first < holds.length; first += MAX_BATCH) {
      const units: { hold: Hold; settled: number }[] = [];
      const members: string[] = [];
      for (const hold of holds.slice(first, first + MAX_BATCH)) {
        const { settled } = hold;
        if (settled === 0) continue;
        hold.sent = Math.max(hold.sent, settled);
        units.push({ hold, settled });
        for (const member of hold.members(0, settled)) {
          members.push(member);
          this.#settleDebt(slot, member);
        }
      }
      if (members.length === 0) continue;
      const answer = await this.#run(LEASE_RENEW, slot.owner, [slot], [leaseMs, ...members]);
      if (answer === undefined) {
        isDone = false;
        continue;
      }
      counters.renewed += members.length;
      for (const { hold, settled } of units) hold.acknowledge(Math.max(hold.acknowledged, Math.min(settled, hold.sent)));
      this.#note(slot.owner, [slot], answer);
    }
    return isDone;
  }

  /** Gives back what a hold has sent above `keep` units. */
  async release(hold: Hold, keep: number): Promise<void> {
    const { slot } = hold;
    const members = hold.members(keep, hold.sent);
    hold.sent = keep;
    if (members.length === 0) return;
    const answer = await this.#release(slot, members);
    hold.acknowledge(Math.min(hold.acknowledged, keep));
    this.#note(slot.owner, [slot], answer);
  }

  /** Gives back leases that no call of this node has. While Redis cannot be told they are left to expire. */
  giveBack(slot: SlotLeases, members: readonly string[]): void {
    if (!this.#options.link.isUp) return;
    this.#release(slot, members).then((answer) => this.#note(slot.owner, [slot], answer));
  }

  /**
   * Gives back what could not be given back before; all is sent at once. The slot is to be renewed right after it: a call may have come by a lease of the
   * same name again.
   */
  payDebts(slot: SlotLeases): void {
    const members = [...slot.owed];
    for (const member of members) this.#settleDebt(slot, member);
    for (let first = 0; first < members.length; first += MAX_BATCH) {
      const batch = members.slice(first, first + MAX_BATCH);
      this.#release(slot, batch).then((answer) => this.#note(slot.owner, [slot], answer));
    }
  }

  /** Counts the leases of an owner. False when nobody knows. Never rejects. */
  async count(owner: LeaseOwner): Promise<boolean> {
    const slots = [...owner.slots];
    if (slots.length === 0) return true;
    const answer = await this.#run(LEASE_COUNT, owner, slots, []);
    this.#note(owner, slots, answer);
    return answer !== undefined;
  }

  /** What Redis could not be told is owed to it. */
  async #release(slot: SlotLeases, members: readonly string[]): Promise<LeaseAnswer | undefined> {
    const { link, counters } = this.#options;
    slot.releasing++;
    const answer = link.isUp ? await this.#run(LEASE_RELEASE, slot.owner, [slot], members) : undefined;
    slot.releasing--;
    if (answer === undefined) this.#owe(slot, members);
    else counters.released += members.length;
    return answer;
  }

  async #run(
    script: LuaScript,
    owner: LeaseOwner,
    keys: readonly { readonly key: string }[],
    args: readonly (string | number)[],
  ): Promise<LeaseAnswer | undefined> {
    const { link, counters } = this.#options;
    const names = [owner.readyKey, ...keys.map(({ key }) => key)];
    const answer = await link.run(script, names, [this.process, SETTLING_MS, ...args]).catch(() => undefined);
    const read = readLeaseAnswer(answer, keys.length);
    if (read === undefined && answer !== undefined) counters.malformed++;
    return read;
  }

  #note(owner: LeaseOwner, slots: readonly SlotLeases[], answer: LeaseAnswer | undefined): void {
    if (answer === undefined) return;
    const isReliable = answer.outcome === "done" || answer.outcome === "full";
    for (const [i, slot] of slots.entries()) this.#options.onCount(slot, answer.counts[i]!, isReliable);
    if (!isReliable) this.#options.onUnready(owner, answer);
  }

  #owe(slot: SlotLeases, members: readonly string[]): void {
    const { counters } = this.#options;
    for (const member of members) {
      if (slot.owed.has(member)) continue;
      if (this.#owed >= MAX_OWED) counters.owed_forgotten++;
      else {
        slot.owed.add(member);
        this.#owed++;
        counters.owed++;
      }
    }
  }

  #settleDebt(slot: SlotLeases, member: string): void {
    if (slot.owed.delete(member)) this.#owed--;
  }
}
