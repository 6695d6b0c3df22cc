import type { Balancer, Destination } from "../balancer/index.ts";

/** Whether a destination has room for one more call of these resources, as selection sees it: a slow start and a limit of calls a second hold it back, too. */
export function hasRoom(
  balancer: Pick<Balancer, "isOverRate" | "freeSlots">,
  destination: Destination,
  resources: readonly string[],
): boolean {
  if (balancer.isOverRate(destination)) return false;
  // A FreeSWITCH that takes no further calls at the moment says so for calls that use none of its resources, too.
  const fed = destination.isFed ? destination.resources.filter(({ feed }) => feed !== undefined) : [];
  if (fed.length > 0 && fed.every(({ cell }) => balancer.freeSlots(cell) < 1)) return false;
  return !destination.resources.some(({ name, cell }) => resources.includes(name) && balancer.freeSlots(cell) < 1);
}
