import { type Balancer, parseRequestedResources } from "../../balancer/index.ts";
import type { ClusterClock } from "../ports.ts";
import type { LeaseOwner, SlotLeases } from "./lease-holds.ts";

/** Owners that are asked about for one call: those of which most is taken by other nodes. */
export const MAX_REFRESHED_OWNERS = 64;
/** The answer may have come while this process was busy: it is read before anybody says that it is late. */
export const GRACE_MS = 5;

/** Of whom it is worth asking what other nodes hold, for calls that find every destination of a group full. */
export interface RefreshPlan {
  readonly owners: readonly LeaseOwner[];
  /** Whether any destination of the group has room now, as far as this node knows. */
  hasRoom(): boolean;
}

/** What {@link Refreshes} works with. */
export interface RefreshOptions {
  readonly clock: ClusterClock;
  /** Of whom to ask for a group and its resources. */
  plan(group: number, resources: string): RefreshPlan;
  /** Counts the leases of an owner. It has to end some time, and never rejects. */
  count(owner: LeaseOwner): Promise<unknown>;
  /** Longest time that a call waits now, milliseconds. */
  waitMs(): number;
  /** Redis is about to be asked. */
  onAsk(): void;
}

type Answer = PromiseWithResolvers<boolean>;

/** A question under way, and what calls wait for that came since. */
interface Questions {
  next: Answer | undefined;
}

/**
 * Asks what other nodes hold for calls that find every destination full. What a call is told was counted after it came: one that finds a question under
 * way, which may have been counted before a place was given back, waits for the next, together with all that come meanwhile. So there is one question at
 * a time, however many calls there are. A call waits {@link RefreshOptions.waitMs} and {@link GRACE_MS} at most; after that it goes by what is known.
 */
export class Refreshes {
  readonly #options: RefreshOptions;
  readonly #underWay = new Map<string, Questions>();

  constructor(options: RefreshOptions) {
    this.#options = options;
  }

  /** Questions under way. */
  get size(): number {
    return this.#underWay.size;
  }

  /** Whether any destination of the group has room. Never rejects. */
  ask(group: number, resources: string): Promise<boolean> {
    const underWay = this.#underWay.get(`${group} ${resources}`);
    if (underWay === undefined) return this.#within(this.#begin(group, resources, Promise.withResolvers()), group, resources);
    underWay.next ??= Promise.withResolvers();
    return this.#within(underWay.next.promise, group, resources);
  }

  #begin(group: number, resources: string, answer: Answer): Promise<boolean> {
    const key = `${group} ${resources}`;
    const { plan, count, onAsk } = this.#options;
    const { owners, hasRoom } = plan(group, resources);
    this.#underWay.delete(key);
    if (owners.length === 0) answer.resolve(hasRoom());
    else {
      const questions: Questions = { next: undefined };
      this.#underWay.set(key, questions);
      onAsk();
      Promise.all(owners.map(count)).then(() => {
        answer.resolve(hasRoom());
        if (questions.next === undefined) this.#underWay.delete(key);
        else this.#begin(group, resources, questions.next);
      });
    }
    return answer.promise;
  }

  #within(answer: Promise<boolean>, group: number, resources: string): Promise<boolean> {
    const { clock, plan, waitMs } = this.#options;
    return new Promise((resolve) => {
      const late = (): void => resolve(plan(group, resources).hasRoom());
      let stop = clock.after(waitMs(), () => {
        stop = clock.after(GRACE_MS, late);
      });
      answer.then((hasRoom) => {
        stop();
        resolve(hasRoom);
      });
    });
  }
}

/** @param slotOf slots of which exact loads are kept, by own cell */
export function refreshOwners(balancer: Balancer, slotOf: ReadonlyMap<number, SlotLeases>, group: number, resources: string): RefreshPlan {
  const names = parseRequestedResources(resources) ?? [];
  const found = new Map<LeaseOwner, number>();
  const rows: (readonly number[])[] = [];
  for (const destination of balancer.destinations()) {
    if (destination.group !== group || !balancer.isAvailable(destination)) continue;
    const cells = destination.resources.filter(({ name }) => names.includes(name)).map(({ cell }) => cell);
    if (cells.length !== names.length) continue;
    rows.push(cells);
    let remote = 0;
    for (const cell of cells) if (slotOf.has(cell)) remote += balancer.remoteLoad(cell);
    if (remote === 0) continue; // it is full of our own calls
    for (const cell of cells) {
      const owner = slotOf.get(cell)?.owner;
      if (owner !== undefined) found.set(owner, Math.max(found.get(owner) ?? 0, remote));
    }
  }
  const owners = [...found]
    .sort(([, a], [, b]) => b - a)
    .slice(0, MAX_REFRESHED_OWNERS)
    .map(([owner]) => owner);
  return { owners, hasRoom: () => rows.some((cells) => cells.every((cell) => balancer.freeSlots(cell) >= 1)) };
}
