import { BalancerError } from "./errors.ts";

/** Somebody outside who tells a capacity while the program runs. The balancer only compares them. */
export interface CapacityFeed {
  /** Stays the same as long as it is the same source. Holds nothing secret. */
  readonly key: string;
  /** Whether the other says the same in everything, also in what {@link key} leaves out. */
  equals(other: CapacityFeed): boolean;
}

/** Resources whose column names a feed in place of a capacity. */
export interface FeedOptions {
  /** Reads what stands in place of a capacity; `undefined` when it is no feed. @throws Error that says what is wanted and repeats nothing secret */
  parse(text: string): CapacityFeed | undefined;
  /** Capacity until the feed has told another, 0 to {@link MAX_CAPACITY}. */
  readonly initialCapacity: number;
}

/** One resource of a destination: `capacity` is the number of calls it takes at a time, 0 to {@link MAX_CAPACITY}; with a feed, until that tells another. */
export interface ResourceSpec {
  readonly name: string;
  readonly capacity: number;
  readonly feed?: CapacityFeed;
}

/** Largest capacity: loads and capacities are 32-bit signed numbers in the load table. OpenSIPS clamps at the same value. */
export const MAX_CAPACITY = 2_147_483_647;

/** Most resources of one destination: a 255-character `resources` column, as OpenSIPS defines it, holds 64 at the shortest. */
export const MAX_RESOURCES_PER_DESTINATION = 64;

/** Longest resource name: OpenSIPS turns it into the name of a dialog profile, and nobody types more. */
export const MAX_RESOURCE_NAME_CHARS = 64;

/** Longest resource list that a call may ask for: a route may build the list from what the caller sent. */
export const MAX_REQUEST_CHARS = 4096;

/** OpenSIPS allows these in a profile name; `/s` and `/b` ask for a counter that is shared by a cluster and are part of the name. */
const RESOURCE_NAME = /^[A-Za-z0-9_-]+(?:\/[sb])?$/;

const CAPACITY = /^[0-9]+$/;

/** All up to and with the first `://`, or what is meant as that of an `fs://`. */
const URL_START = /^.*?(?:fs:\/{0,2}|fs\/\/|:\/\/)/is;

/**
 * Parses the `resources` column of a destination, such as `transc=32; conf=20`. Spaces around names and numbers are allowed, and a last `;`.
 * Throws {@link BalancerError} `BAD_RESOURCES` for anything that OpenSIPS skips the row for, and for a name that stands twice. Nothing behind the
 * first URL is quoted then: it may hold a password.
 *
 * @param feeds what may stand in place of a capacity; numbers alone when it is left out
 */
export function parseResources(column: string, feeds?: FeedOptions): ResourceSpec[] {
  const resources: ResourceSpec[] = [];
  for (const item of splitList(column)) {
    if (resources.length === MAX_RESOURCES_PER_DESTINATION) throw refuse(column, `want at most ${MAX_RESOURCES_PER_DESTINATION} of them`);
    const equals = item.indexOf("=");
    if (equals === -1) throw refuse(column, `"${quotable(item, column)}" has no capacity; want name=number, such as "transc=32"`);
    const name = item.slice(0, equals).trim();
    const text = item.slice(equals + 1).trim();
    checkName(name, column);
    if (resources.some((resource) => resource.name === name))
      throw refuse(column, `"${quotable(name, column)}" stands twice; want each name once`);
    resources.push({ name, ...capacityOf(text, name, column, feeds) });
  }
  if (resources.length === 0) throw refuse(column, `the list is empty; want name=number, such as "transc=32"`);
  return resources;
}

/** Checks resources that did not come through {@link parseResources}. Throws {@link BalancerError} `BAD_RESOURCES`. */
export function checkResources(resources: readonly ResourceSpec[]): void {
  const text = resources.map(({ name, capacity }) => `${name}=${capacity}`).join(";");
  if (resources.length === 0) throw refuse(text, "the list is empty; want at least one resource");
  if (resources.length > MAX_RESOURCES_PER_DESTINATION) throw refuse(text, `want at most ${MAX_RESOURCES_PER_DESTINATION} of them`);
  const names = new Set<string>();
  for (const { name, capacity } of resources) {
    checkName(name, text);
    if (!isCapacity(capacity)) throw refuse(text, `capacity ${capacity} of "${name}" must be a whole number from 0 to ${MAX_CAPACITY}`);
    if (names.has(name)) throw refuse(text, `"${name}" stands twice; want each name once`);
    names.add(name);
  }
}

/**
 * Parses the list that a call asks for, such as `transcoding;conference`. Answers the names in their order, with repetitions,
 * or `undefined` when the list is empty, has an empty item before the last `;` or a `=`, as OpenSIPS reads it.
 */
export function parseRequestedResources(list: string): string[] | undefined {
  if (list.length > MAX_REQUEST_CHARS) return undefined;
  const names = splitList(list);
  if (names.length === 0) return undefined;
  for (const name of names) {
    if (name === "" || name.includes("=")) return undefined;
  }
  return names;
}

function capacityOf(text: string, name: string, column: string, feeds: FeedOptions | undefined): Omit<ResourceSpec, "name"> {
  if (CAPACITY.test(text) && Number(text) <= MAX_CAPACITY) return { capacity: Number(text) };
  let feed: CapacityFeed | undefined;
  try {
    feed = feeds?.parse(text);
  } catch (cause) {
    throw refuse(column, `"${quotable(name, column)}": ${(cause as Error).message}`);
  }
  if (feeds !== undefined && feed !== undefined) return { capacity: feeds.initialCapacity, feed };
  throw refuse(
    column,
    `capacity "${quotable(text, column)}" of "${quotable(name, column)}" must be a whole number from 0 to ${MAX_CAPACITY}`,
  );
}

function isCapacity(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= MAX_CAPACITY;
}

/** Items between `;`, trimmed; what follows the last `;` is no item when it is blank. */
function splitList(text: string): string[] {
  const items = text.split(";").map((item) => item.trim());
  if (items.at(-1) === "") items.pop();
  return items;
}

/** Whether a destination can have a resource of that name. */
export function isResourceName(name: string): boolean {
  return name.length <= MAX_RESOURCE_NAME_CHARS && RESOURCE_NAME.test(name);
}

function checkName(name: string, column: string): void {
  if (!isResourceName(name)) {
    const want = `1 to ${MAX_RESOURCE_NAME_CHARS} letters, digits, "_" or "-", then optionally "/s" or "/b"`;
    throw refuse(column, `name "${quotable(name, column)}" must be ${want}`);
  }
}

function refuse(column: string, why: string): BalancerError {
  return new BalancerError("BAD_RESOURCES", `Cannot parse resources "${quotable(column, column)}": ${why}`);
}

/** A part of a column as a sentence may quote it: from the first URL on nothing, as a password that is cut in two by its own `;` is one still. */
function quotable(part: string, column: string): string {
  const shown = URL_START.exec(column)?.[0];
  return shown === undefined || shown.includes(part) ? clip(part) : part === column ? `${clip(shown)}…` : "…";
}

/** Error sentences stay readable whatever the column holds. */
function clip(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}...` : text;
}
