import { setImmediate } from "node:timers/promises";
import type { Destination } from "../balancer/index.ts";
import { fromWire, toWire } from "./describe-dialog.ts";
import type { ManagedDialog, ManagementPorts } from "./ports.ts";

/** Calls that are looked at before it is looked at the clock. */
const CALLS_A_CHECK = 100;
/** Longest time that a part of a search takes, ms, give or take these. */
const PART_MS = 1;

/** What a search has found. */
export interface FoundDialogs {
  /** The latest ones, those that came last first. */
  readonly dialogs: readonly ManagedDialog[];
  /** How many there are in all. */
  readonly matches: number;
}

type SearchPorts = Pick<ManagementPorts, "dialogs"> & { readonly balancer: Pick<ManagementPorts["balancer"], "destinations" | "cellsOf"> };

/** One search of a table at a time: each has its part of a turn of the event loop, and many must not have many. */
const searches = new WeakMap<object, Promise<unknown>>();

/**
 * Finds ongoing calls whose Call-ID, From URI, To URI or the URI of a destination has the text in it, whatever the case of letters. All calls are looked at, in parts of
 * a millisecond: those that begin meanwhile may be left out.
 */
export function findDialogs(pattern: string, count: number, ports: SearchPorts): Promise<FoundDialogs> {
  const before = searches.get(ports.dialogs) ?? Promise.resolve();
  const search = before.catch(() => undefined).then(() => searchAll(pattern, count, ports));
  searches.set(ports.dialogs, search);
  return search;
}

async function searchAll(pattern: string, count: number, { dialogs, balancer }: SearchPorts): Promise<FoundDialogs> {
  const wanted = new RegExp(escaped(toWire(pattern)), "i");
  const latest = new Latest(count);
  let destinations: readonly Destination[] | undefined;
  let cells: ReadonlySet<number> = new Set();
  let left = dialogs.size; // more come while it is searched, for as long as they like
  let untilMs = performance.now() + PART_MS;
  for (const dialog of dialogs.list()) {
    if (left-- === 0) break;
    if (left % CALLS_A_CHECK === 0 && performance.now() >= untilMs) {
      await setImmediate();
      untilMs = performance.now() + PART_MS;
    }
    if (destinations !== balancer.destinations()) {
      destinations = balancer.destinations();
      cells = cellsOf(destinations, new RegExp(escaped(pattern), "i"), balancer);
    }
    const isFound =
      wanted.test(dialog.callId) ||
      wanted.test(dialog.fromUri) ||
      wanted.test(dialog.toUri) ||
      (cells.size > 0 && dialog.load.leases.some((cell) => cells.has(cell)));
    if (isFound) latest.add(dialog);
  }
  return { dialogs: latest.newestFirst(), matches: latest.seen };
}

/** For each call the destinations that have it, with the resources that it counts there. Those that the table holds no more are left out. */
export function describeFound(found: readonly ManagedDialog[], { balancer }: SearchPorts): object[] {
  const wanted = new Set(found.flatMap(({ load }) => load.leases));
  const places = new Map<number, readonly [Destination, string]>();
  for (const destination of wanted.size === 0 ? [] : balancer.destinations()) {
    for (const { name, cell } of destination.resources) if (wanted.has(cell)) places.set(cell, [destination, name]);
  }
  return found.map((dialog) => ({
    ID: dialog.did,
    callid: fromWire(dialog.callId),
    from_uri: fromWire(dialog.fromUri),
    to_uri: fromWire(dialog.toUri),
    state: dialog.state,
    timestart: Math.floor(dialog.startedAtMs / 1000),
    destinations: destinationsOf(dialog, places),
  }));
}

function destinationsOf({ load }: ManagedDialog, places: ReadonlyMap<number, readonly [Destination, string]>): object[] {
  const held = new Map<Destination, Set<string>>();
  for (const cell of load.leases) {
    const [destination, resource] = places.get(cell) ?? [];
    if (destination === undefined || resource === undefined) continue;
    const resources = held.get(destination);
    if (resources === undefined) held.set(destination, new Set([resource]));
    else resources.add(resource);
  }
  return [...held].map(([{ id, uri }, resources]) => ({ id, uri, resources: [...resources] }));
}

function cellsOf(destinations: readonly Destination[], pattern: RegExp, balancer: SearchPorts["balancer"]): ReadonlySet<number> {
  return new Set(destinations.filter(({ uri }) => pattern.test(uri)).flatMap((destination) => balancer.cellsOf(destination)));
}

/** The last few of many. */
class Latest {
  seen = 0;
  readonly #count: number;
  readonly #kept: ManagedDialog[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  add(dialog: ManagedDialog): void {
    this.#kept[this.seen++ % this.#count] = dialog;
  }

  newestFirst(): readonly ManagedDialog[] {
    const next = this.seen % this.#count;
    const isFull = this.seen > this.#count;
    return (isFull ? [...this.#kept.slice(next), ...this.#kept.slice(0, next)] : [...this.#kept]).reverse();
  }
}

/** Every character stands for itself in a regular expression. */
function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
