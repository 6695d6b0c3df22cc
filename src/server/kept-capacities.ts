import type { Balancer } from "../balancer/index.ts";
import type { SavedCapacity } from "../store/index.ts";

/** Most capacities that are kept: no table has more destinations. */
const MAX_KEPT = 100_000;

export type CapacityPorts = Pick<Balancer, "capacity" | "destinations" | "foreignLoad" | "resize" | "rowCapacity" | "slotCell">;
/** What a feed has told of a capacity: identity of the destination, resource, and calls that we may have there. */
export type FedCapacity = readonly [key: string, resource: string, capacity: number];

/** The capacities that are others than the rows say, of destinations whose capacity no feed tells. */
export function resizedCapacities(balancer: CapacityPorts): SavedCapacity[] {
  const resized: SavedCapacity[] = [];
  for (const { isFed, key, resources } of balancer.destinations()) {
    if (isFed) continue;
    for (const { cell, name } of resources) {
      const ofRow = balancer.rowCapacity(balancer.slotCell(cell));
      const capacity = balancer.capacity(cell);
      if (capacity !== ofRow && resized.length < MAX_KEPT) resized.push([key, name, capacity, ofRow]);
    }
  }
  return resized;
}

/** Sets them again, each unless its row has another capacity than it had when somebody set it. What was written may be anything. Answers how many were set. */
export function restoreCapacities(balancer: CapacityPorts, saved: readonly SavedCapacity[]): number {
  const byKey = new Map(balancer.destinations().map((destination) => [destination.key, destination]));
  let count = 0;
  for (const [key, resource, capacity, rowCapacity] of saved.slice(0, MAX_KEPT)) {
    const destination = byKey.get(key);
    const cell = destination?.resources.find(({ name }) => name === resource)?.cell;
    if (destination === undefined || destination.isFed || cell === undefined) continue;
    if (balancer.rowCapacity(balancer.slotCell(cell)) !== rowCapacity) continue;
    if (balancer.resize(destination.id, resource, capacity) === "ok") count++;
  }
  return count;
}

/** What feeds have told, less what others use of it. */
export function fedCapacities(balancer: CapacityPorts): FedCapacity[] {
  return balancer
    .destinations()
    .filter(({ isFed }) => isFed)
    .flatMap(({ key, resources }) =>
      resources
        .filter(({ feed }) => feed !== undefined)
        .map(({ cell, name }) => [key, name, Math.max(0, balancer.capacity(cell) - balancer.foreignLoad(cell))] as const),
    );
}

/** Another process has heard of its feeds what this one will be told by the next heartbeat only: until then it holds, as a capacity that somebody has set. */
export function adoptFedCapacities(balancer: CapacityPorts, fed: readonly FedCapacity[]): void {
  const byKey = new Map(balancer.destinations().map((destination) => [destination.key, destination]));
  for (const [key, resource, capacity] of fed) {
    const destination = byKey.get(key);
    const isFed = destination?.resources.some(({ name, feed }) => name === resource && feed !== undefined);
    if (destination !== undefined && isFed) balancer.resize(destination.id, resource, capacity);
  }
}
