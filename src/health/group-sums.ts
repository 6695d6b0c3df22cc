import type { Balancer, Destination } from "../balancer/index.ts";

/** How much of a resource a group has. What belongs to destinations that get no calls now is capacity, but not free. */
export interface Headroom {
  readonly resource: string;
  readonly free: number;
  readonly capacity: number;
  /** 0 to 100, with one decimal. */
  readonly freePercent: number;
}

/** What a look at a group found of one resource. `capacity` may be 0 when {@link isHeld}. */
export interface FoundHeadroom extends Headroom {
  /** Somebody outside tells a capacity of it that is used up for now: it may be only closed for a moment. */
  readonly isHeld: boolean;
  /** {@link freePercent} without the capacities that are used up so; 100 when nothing else is there. */
  readonly freePercentOfRest: number;
}

type Farm = Pick<
  Balancer,
  "isAvailable" | "breaker" | "isAutoReenable" | "isDraining" | "isWithdrawn" | "isLeaving" | "restMs" | "capacity" | "freeSlots"
>;

/** Free calls of the available destinations, and of all that get calls when the group fails open. A pool counts once, however many rows share it. */
interface Sum {
  isAvailable: boolean;
  free: number;
  freeFailingOpen: number;
  capacity: number;
  isHeld: boolean;
  heldCapacity: number;
  readonly pools: Map<string, { free: number; freeFailingOpen: number; isHeldCounted: boolean }>;
}

/** Adds up the destinations of one group. */
export class GroupSums {
  /** Whether a destination of the group gets calls: one whose capacities are all 0 does not, unless calls overfill it. Trial calls of a breaker are no sign that one is well again. */
  isAvailable = false;
  /** Whether an available destination has no capacity only as somebody outside says so, who may say otherwise in a second. */
  isHeld = false;
  readonly #balancer: Farm;
  readonly #failOpen: boolean;
  readonly #withHeadroom: boolean;
  readonly #overfills: boolean;
  #hasFailingOpen = false;
  readonly #sums = new Map<string, Sum>();

  /** @param overfills calls go to the group's destinations beyond their capacities, too */
  constructor(balancer: Farm, { failOpen, lowPercent }: { readonly failOpen: boolean; readonly lowPercent: number }, overfills: boolean) {
    this.#balancer = balancer;
    this.#failOpen = failOpen;
    this.#withHeadroom = lowPercent > 0;
    this.#overfills = overfills;
  }

  /** Whether calls go to destinations that are down, as the group has no other. */
  get failsOpen(): boolean {
    return !this.isAvailable && !this.isHeld && this.#hasFailingOpen;
  }

  add(destination: Destination): void {
    const balancer = this.#balancer;
    const isAvailable = balancer.isAvailable(destination) && balancer.breaker(destination) === "closed";
    const failsOpen = this.#failOpen && (isAvailable || this.#isOpenToAll(destination));
    if ((isAvailable || failsOpen) && (this.#overfills || destination.resources.some(({ cell }) => balancer.capacity(cell) > 0))) {
      if (isAvailable) this.isAvailable = true;
      if (failsOpen) this.#hasFailingOpen = true;
    } else if (isAvailable && destination.isFed) {
      this.isHeld = true;
    }
    if (!this.#withHeadroom) return;
    for (const { name, cell, feed } of destination.resources) {
      const sum = this.#sumOf(name);
      if (isAvailable) sum.isAvailable = true;
      const slot = isAvailable || failsOpen ? Math.max(0, balancer.freeSlots(cell)) : 0;
      const free = isAvailable ? slot : 0;
      const freeFailingOpen = failsOpen ? slot : 0;
      const { shared } = destination.options;
      const counted = shared === undefined ? undefined : sum.pools.get(shared);
      if (counted === undefined) sum.capacity += balancer.capacity(cell);
      const isHeld = feed !== undefined && isAvailable && slot === 0;
      if (isHeld) {
        sum.isHeld = true;
        if (counted?.isHeldCounted !== true) sum.heldCapacity += balancer.capacity(cell);
      }
      sum.free += Math.max(0, free - (counted?.free ?? 0));
      sum.freeFailingOpen += Math.max(0, freeFailingOpen - (counted?.freeFailingOpen ?? 0));
      if (shared === undefined) continue;
      sum.pools.set(shared, {
        free: Math.max(free, counted?.free ?? 0),
        freeFailingOpen: Math.max(freeFailingOpen, counted?.freeFailingOpen ?? 0),
        isHeldCounted: isHeld || counted?.isHeldCounted === true,
      });
    }
  }

  /** Headroom of each resource that has any capacity, or may have some again in a moment. */
  headroom(): FoundHeadroom[] {
    return [...this.#sums]
      .filter(([, { capacity, isHeld }]) => capacity > 0 || isHeld)
      .map(([resource, { isAvailable, capacity, isHeld, heldCapacity, ...sum }]) => {
        const free = isAvailable ? sum.free : sum.freeFailingOpen;
        return {
          resource,
          free,
          capacity,
          freePercent: percent(free, capacity, 0),
          isHeld,
          freePercentOfRest: percent(free, capacity - heldCapacity, 100),
        };
      });
  }

  /** Whether nobody wants it closed: a probe, a script or its breaker only believe that it is down (`CLOSED_FAILING_OPEN` of the balancer). */
  #isOpenToAll(destination: Destination): boolean {
    const balancer = this.#balancer;
    const isAway = balancer.isDraining(destination) || balancer.isWithdrawn(destination) || balancer.isLeaving(destination);
    return balancer.isAutoReenable(destination) && !isAway && balancer.restMs(destination) === 0;
  }

  #sumOf(resource: string): Sum {
    let sum = this.#sums.get(resource);
    if (sum === undefined) {
      sum = { isAvailable: false, free: 0, freeFailingOpen: 0, capacity: 0, isHeld: false, heldCapacity: 0, pools: new Map() };
      this.#sums.set(resource, sum);
    }
    return sum;
  }
}

/** With one decimal. */
function percent(free: number, capacity: number, ofNothing: number): number {
  return capacity > 0 ? Math.round((free / capacity) * 1000) / 10 : ofNothing;
}
