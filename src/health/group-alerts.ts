import type { Balancer, Destination } from "../balancer/index.ts";

/** How often groups are looked at, ms: what lasts for less raises no alert. */
export const ALERT_CHECK_MS = 1_000;
/** By how much the free share must be above the limit to end an alert, in percent of all: a group at the limit does not come and go with each call. */
export const RECOVERY_MARGIN_PERCENT = 1;

/** How much of a resource a group has. What belongs to destinations that get no calls now is capacity, but not free. */
export interface Headroom {
  readonly resource: string;
  readonly free: number;
  readonly capacity: number;
  /** 0 to 100, with one decimal. */
  readonly freePercent: number;
}

/** An alert begins or ends. "none-available": no destination of the group gets calls. */
export type GroupAlert =
  | { readonly kind: "none-available"; readonly group: number; readonly raised: boolean }
  | ({ readonly kind: "low-headroom"; readonly group: number; readonly raised: boolean } & Headroom);

export interface GroupAlertPorts {
  readonly balancer: Pick<Balancer, "destinations" | "isAvailable" | "capacity" | "freeSlots">;
  /** 0 to 100; 0: headroom raises no alert. */
  readonly lowPercent: number;
  readonly onAlert: (alert: GroupAlert) => void;
}

/** Watches groups: each alert is raised once, until it recovers. */
export class GroupAlerts {
  readonly #ports: GroupAlertPorts;
  readonly #empty = new Set<number>();
  /** Group and resource, with a blank between them. */
  readonly #low = new Set<string>();

  constructor(ports: GroupAlertPorts) {
    this.#ports = ports;
  }

  /** Alerts that have not recovered. */
  get raised(): number {
    return this.#empty.size + this.#low.size;
  }

  /** Looks at all groups. To be called every {@link ALERT_CHECK_MS}. */
  check(): void {
    const { balancer, lowPercent, onAlert } = this.#ports;
    const groups = Map.groupBy(balancer.destinations(), ({ group }) => group);
    for (const group of [...this.#empty]) if (!groups.has(group)) this.#empty.delete(group); // a reload took it: there is nothing to recover
    const resources = new Set<string>();
    for (const [group, destinations] of groups) {
      const isEmpty = !destinations.some((destination) => balancer.isAvailable(destination));
      if (isEmpty !== this.#empty.has(group)) {
        if (isEmpty) this.#empty.add(group);
        else this.#empty.delete(group);
        onAlert({ kind: "none-available", group, raised: isEmpty });
      }
      if (lowPercent <= 0) continue;
      for (const headroom of headroomOf(balancer, destinations)) {
        const key = `${group} ${headroom.resource}`;
        resources.add(key);
        const isLow = headroom.freePercent < this.#limitOf(key);
        if (isLow === this.#low.has(key)) continue;
        if (isLow) this.#low.add(key);
        else this.#low.delete(key);
        onAlert({ kind: "low-headroom", group, raised: isLow, ...headroom });
      }
    }
    for (const key of [...this.#low]) if (!resources.has(key)) this.#low.delete(key);
  }

  #limitOf(key: string): number {
    const { lowPercent } = this.#ports;
    return this.#low.has(key) ? Math.min(100, lowPercent + RECOVERY_MARGIN_PERCENT) : lowPercent;
  }
}

/** Headroom of each resource of a group with any capacity. A pool counts once, however many rows share it. */
function headroomOf(balancer: GroupAlertPorts["balancer"], destinations: readonly Destination[]): Headroom[] {
  const sums = new Map<string, { free: number; capacity: number }>();
  const pools = new Map<string, number>();
  for (const destination of destinations) {
    const isAvailable = balancer.isAvailable(destination);
    for (const { name, cell } of destination.resources) {
      const sum = sums.get(name) ?? { free: 0, capacity: 0 };
      sums.set(name, sum);
      const pool = destination.options.shared === undefined ? undefined : `${destination.options.shared} ${name}`;
      const free = isAvailable ? Math.max(0, balancer.freeSlots(cell)) : 0;
      const counted = pool === undefined ? undefined : pools.get(pool);
      if (counted === undefined) sum.capacity += balancer.capacity(cell);
      sum.free += Math.max(0, free - (counted ?? 0));
      if (pool !== undefined) pools.set(pool, Math.max(free, counted ?? 0));
    }
  }
  return [...sums]
    .filter(([, { capacity }]) => capacity > 0)
    .map(([resource, { free, capacity }]) => ({ resource, free, capacity, freePercent: Math.round((free / capacity) * 1000) / 10 }));
}
