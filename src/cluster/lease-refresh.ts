import { type Balancer, parseRequestedResources } from "../balancer/index.ts";
import type { LeaseOwner, SlotLeases } from "./lease-holds.ts";

/** Owners that are asked about for one call: those of which most is taken by other nodes. */
export const MAX_REFRESHED_OWNERS = 64;

/** Of whom it is worth asking what other nodes hold, for calls that find every destination of a group full. */
export interface RefreshPlan {
  readonly owners: readonly LeaseOwner[];
  /** Whether any destination of the group has room now, as far as this node knows. */
  hasRoom(): boolean;
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
    let remote = 0;
    for (const cell of cells) if (slotOf.has(cell)) remote += balancer.remoteLoad(cell);
    if (remote === 0) continue; // it is full of our own calls
    rows.push(cells);
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
