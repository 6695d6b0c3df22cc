import type { CallLoad } from "./call-load.ts";
import type { CellTable } from "./cell-table.ts";
import type { Destination } from "./destination.ts";
import type { DestinationTable } from "./destination-table.ts";
import { isResourceName } from "./resources.ts";

/** One unit of load, as it is told to another node. */
export interface HeldLease {
  /** Identity of the destination ({@link Destination.key}), or what somebody beside the balancer has put there. */
  readonly key: string;
  readonly resource: string;
  /** The current pick holds it. */
  readonly picked: boolean;
}

/** Most leases of one call that are taken over: a pick with every resource that a row can have, and as many of `countCall` three times. */
export const MAX_HELD_LEASES = 256;

/** Longest identity that is taken over: an id, a group and the longest URI that the table has room for. */
const MAX_KEY_CHARS = 1024;

/** What `identityKey` makes. */
const KEY = /^(\d{1,15}) \d{1,15} .+$/;

/** Where a lease is to be counted. */
export interface HeldPlace {
  /** `undefined` when the table has no such row. */
  readonly destination: Destination | undefined;
  readonly key: string;
  readonly id: number;
}

/** What a call holds; in no order. */
export function heldBy({ leases, picked }: CallLoad, cells: CellTable): HeldLease[] {
  const ofPick = new Map<number, number>();
  for (const cell of picked) ofPick.set(cell, (ofPick.get(cell) ?? 0) + 1);
  return leases.map((cell) => {
    const left = ofPick.get(cell) ?? 0;
    if (left > 0) ofPick.set(cell, left - 1);
    return { key: cells.ownerKey(cell)!, resource: cells.resourceName(cell)!, picked: left > 0 };
  });
}

/**
 * The row with the identity; else, as ids may differ from node to node, the first with its group and URI, one that has the resource before others;
 * else none. `undefined` for what names no destination or no resource.
 */
export function placeOfHeld({ key, resource }: HeldLease, table: DestinationTable): HeldPlace | undefined {
  const id = key.length > MAX_KEY_CHARS ? undefined : KEY.exec(key)?.[1];
  if (id === undefined || !isResourceName(resource)) return undefined;
  const same = table.destinations[table.rowOfKey(key)];
  if (same !== undefined) return { destination: same, key, id: same.id };
  const others = table.rowsOfPlace(key).map((row) => table.destinations[row]!);
  const other = others.find(({ resources }) => resources.some(({ name }) => name === resource)) ?? others[0];
  return { destination: other, key, id: other?.id ?? Number(id) };
}
