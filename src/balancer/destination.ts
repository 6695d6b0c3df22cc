import type { DestinationOptions } from "./destination-options.ts";
import { BalancerError } from "./errors.ts";
import { type CapacityFeed, checkResources, type ResourceSpec } from "./resources.ts";

/** Where a destination is reached: `ip` is IPv4 or IPv6 without brackets; `port` 0 stands for every port. */
export interface Address {
  readonly ip: string;
  readonly port: number;
  readonly transport: "udp" | "tcp" | "tls" | "ws" | "wss";
  /** Of the SRV record that led there; absent when none did. */
  readonly srv?: SrvPlace;
}

/** What an SRV record says of its place among the others of its name (RFC 2782). */
export interface SrvPlace {
  /** The same for all addresses of one record. */
  readonly entry: number;
  /** Lower ones come first. */
  readonly priority: number;
  readonly weight: number;
}

/** A row of the `load_balancer` table, checked and resolved. */
export interface DestinationRow {
  /** Primary key, not negative. */
  readonly id: number;
  /** Not negative. */
  readonly group: number;
  readonly uri: string;
  readonly resources: readonly ResourceSpec[];
  /** 0 never, 1 when disabled, 2 always. */
  readonly probeMode: 0 | 1 | 2;
  readonly attrs: string | undefined;
  readonly description: string | undefined;
  /** Resolved addresses, at least one. */
  readonly addresses: readonly Address[];
}

/** A resource of a destination: its name, and the cell of the load table that holds its load and its `max_load`. */
export interface DestinationResource {
  readonly name: string;
  readonly cell: number;
  /** Who tells the capacity, when it is not the row. */
  readonly feed?: CapacityFeed;
}

/** A destination as calls see it. A reload makes a new object unless nothing of the row changed. */
export interface Destination {
  readonly id: number;
  readonly group: number;
  readonly uri: string;
  /** Identity over reloads: id, group and URI without regard to case. */
  readonly key: string;
  /** In the order of the `resources` column. */
  readonly resources: readonly DestinationResource[];
  /** A resource of it has a feed. */
  readonly isFed: boolean;
  readonly probeMode: 0 | 1 | 2;
  readonly attrs: string | undefined;
  /** What {@link attrs} say to the balancer. */
  readonly options: DestinationOptions;
  readonly description: string | undefined;
  readonly addresses: readonly Address[];
}

/** What a reload did, as destination ids. A row whose group or URI changed is a new destination: its id stands in `added` and in `removed`. */
export interface TableChange {
  readonly added: readonly number[];
  readonly removed: readonly number[];
  /** Same identity, other resources, attributes, description, probe mode or addresses. */
  readonly changed: readonly number[];
  readonly kept: readonly number[];
  /** Sentences on rows that are used, but not as they say: options that cannot be read, capacities of a pool that differ. */
  readonly problems: readonly string[];
}

/** Who changed a status: a management command, the route of a call, a probe, the end of a drain, a server that registered again, or another node of the cluster. */
export type StatusCause = "mi" | "script" | "probe" | "drain" | "registration" | "cluster";

/** A change of `enabled` or of `autoReenable`; `wasEnabled` differs from `enabled` when calls are concerned. */
export interface StatusChange {
  readonly destination: Destination;
  readonly enabled: boolean;
  readonly wasEnabled: boolean;
  readonly autoReenable: boolean;
  readonly cause: StatusCause;
}

/** Identity of a destination over reloads: id, group and URI without regard to case (OpenSIPS `load_balancer.c`, inheriting of states). */
export function identityKey(row: { readonly id: number; readonly group: number; readonly uri: string }): string {
  return `${row.id} ${row.group} ${row.uri.toLowerCase()}`;
}

/** Throws {@link BalancerError} unless every row can be used and ids are unique. */
export function checkRows(rows: readonly DestinationRow[]): void {
  const ids = new Set<number>();
  for (const row of rows) {
    if (!Number.isSafeInteger(row.id) || row.id < 0) {
      throw new BalancerError("BAD_DESTINATION", `Cannot load destination "${row.uri}": id ${row.id} must be a whole number from 0`);
    }
    if (!Number.isSafeInteger(row.group) || row.group < 0) {
      throw new BalancerError("BAD_DESTINATION", `Cannot load destination ${row.id}: group ${row.group} must be a whole number from 0`);
    }
    if (ids.has(row.id)) {
      throw new BalancerError("DUPLICATE_DESTINATION", `Cannot load destination ${row.id}: the id stands twice; want each id once`);
    }
    ids.add(row.id);
    checkResources(row.resources);
  }
}

/** True when nothing of the row differs from what `destination` was made of, its capacities being `capacities`. */
export function isUnchanged(destination: Destination, capacities: readonly number[], row: DestinationRow): boolean {
  return (
    destination.uri === row.uri &&
    destination.probeMode === row.probeMode &&
    destination.attrs === row.attrs &&
    destination.description === row.description &&
    destination.resources.length === row.resources.length &&
    row.resources.every(({ name, capacity, feed }, i) => {
      const before = destination.resources[i];
      return before?.name === name && sameFeed(before.feed, feed) && capacities[i] === capacity;
    }) &&
    destination.addresses.length === row.addresses.length &&
    row.addresses.every((address, i) => sameAddress(address, destination.addresses[i]))
  );
}

function sameFeed(a: CapacityFeed | undefined, b: CapacityFeed | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

function sameAddress(a: Address, b: Address | undefined): boolean {
  if (b === undefined || a.ip !== b.ip || a.port !== b.port || a.transport !== b.transport) return false;
  return a.srv?.entry === b.srv?.entry && a.srv?.priority === b.srv?.priority && a.srv?.weight === b.srv?.weight;
}
