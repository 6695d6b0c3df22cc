import { BalancerError } from "./errors.ts";

/** One resource of a destination: `capacity` is the number of calls it takes at a time, 0 to {@link MAX_CAPACITY}. */
export interface ResourceSpec {
  readonly name: string;
  readonly capacity: number;
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

/**
 * Parses the `resources` column of a destination, such as `transc=32; conf=20`. Spaces around names and numbers are allowed, and a last `;`.
 * Throws {@link BalancerError} `BAD_RESOURCES` for anything that OpenSIPS skips the row for, and for a name that stands twice.
 */
export function parseResources(column: string): ResourceSpec[] {
  const resources: ResourceSpec[] = [];
  for (const item of splitList(column)) {
    if (resources.length === MAX_RESOURCES_PER_DESTINATION) throw refuse(column, `want at most ${MAX_RESOURCES_PER_DESTINATION} of them`);
    const equals = item.indexOf("=");
    if (equals === -1) throw refuse(column, `"${clip(item)}" has no capacity; want name=number, such as "transc=32"`);
    const name = item.slice(0, equals).trim();
    const capacity = item.slice(equals + 1).trim();
    checkName(name, column);
    if (!CAPACITY.test(capacity) || Number(capacity) > MAX_CAPACITY) {
      throw refuse(column, `capacity "${clip(capacity)}" of "${name}" must be a whole number from 0 to ${MAX_CAPACITY}`);
    }
    if (resources.some((resource) => resource.name === name)) throw refuse(column, `"${name}" stands twice; want each name once`);
    resources.push({ name, capacity: Number(capacity) });
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

function isCapacity(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= MAX_CAPACITY;
}

/** Items between `;`, trimmed; what follows the last `;` is no item when it is blank. */
function splitList(text: string): string[] {
  const items = text.split(";").map((item) => item.trim());
  if (items.at(-1) === "") items.pop();
  return items;
}

function checkName(name: string, column: string): void {
  if (name.length > MAX_RESOURCE_NAME_CHARS || !RESOURCE_NAME.test(name)) {
    const want = `1 to ${MAX_RESOURCE_NAME_CHARS} letters, digits, "_" or "-", then optionally "/s" or "/b"`;
    throw refuse(column, `name "${clip(name)}" must be ${want}`);
  }
}

function refuse(column: string, why: string): BalancerError {
  return new BalancerError("BAD_RESOURCES", `Cannot parse resources "${clip(column)}": ${why}`);
}

/** Error sentences stay readable whatever the column holds. */
function clip(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}...` : text;
}
