import { isIP } from "node:net";
import { type DestinationRow, type FeedOptions, parseResources, type ResourceSpec } from "../balancer/index.ts";
import { locateAtOnce, SERVED_TRANSPORTS, type SipTarget, targetOfUri } from "../resolution/index.ts";
import { parseSipUri } from "../sip/index.ts";

/** Columns of OpenSIPS's load_balancer table, as a database gives them: SQLite keeps any type in any column. */
export interface RawRow {
  readonly id: unknown;
  readonly group_id: unknown;
  readonly dst_uri: unknown;
  readonly resources: unknown;
  readonly probe_mode: unknown;
  readonly attrs: unknown;
  readonly description: unknown;
}

/** A row whose columns are all right; its host is still to be resolved. */
export type CheckedRow = Omit<DestinationRow, "addresses"> & { readonly target: SipTarget };

/** Longest values of the text columns. */
export type ColumnLengths = Readonly<Record<"dst_uri" | "resources" | "attrs" | "description", number>>;
/** What OpenSIPS's columns hold, in every database. */
export const DECLARED_LENGTHS: ColumnLengths = { dst_uri: 128, resources: 255, attrs: 255, description: 128 };
/** What a row may hold that is there already: SQLite does not enforce the lengths, and OpenSIPS loads such a row. */
export const LOADED_LENGTHS: ColumnLengths = { dst_uri: 4096, resources: 4096, attrs: 4096, description: 4096 };
/** Group ids are C ints in OpenSIPS. */
const MAX_GROUP = 2_147_483_647;
/** How much of a bad value a message quotes. */
const MAX_QUOTED_LENGTH = 60;

/**
 * Checks the columns of one row.
 *
 * @param feeds what `resources` may name in place of capacities
 * @returns the row, or in `faults` everything that is wrong with it: the column, the value, what is wanted
 */
export function checkRow(
  raw: RawRow,
  lengths: ColumnLengths,
  feeds?: FeedOptions,
): { readonly row: CheckedRow } | { readonly faults: readonly string[] } {
  const faults: string[] = [];
  const text = (column: keyof ColumnLengths) => textOf(column, raw[column], lengths[column], faults);
  const id = wholeNumber("id", raw.id, Number.MAX_SAFE_INTEGER, faults);
  const group = wholeNumber("group_id", raw.group_id, MAX_GROUP, faults);
  const target = targetOf(text("dst_uri"), faults);
  const resources = resourcesOf(text("resources"), feeds, faults);
  const probeMode = probeModeOf(raw.probe_mode, faults);
  const attrs = raw.attrs === null ? undefined : text("attrs");
  const description = raw.description === null ? undefined : text("description");
  if (faults.length > 0 || !target || !resources || probeMode === undefined) return { faults };
  return { row: { id, group, uri: raw.dst_uri as string, resources, probeMode, attrs, description, target } };
}

function wholeNumber(column: string, value: unknown, most: number, faults: string[]): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most) return value;
  faults.push(`${column} ${show(value)}: want a whole number from 0 to ${most}`);
  return -1;
}

function targetOf(value: string | undefined, faults: string[]): SipTarget | undefined {
  if (value === undefined) return undefined;
  try {
    const uri = parseSipUri(value);
    if (uri.host.includes(":") && isIP(uri.host) === 0) throw new RangeError(`"${uri.host}" is not an IPv6 address`);
    const target = targetOfUri(uri);
    const location = locateAtOnce(target, SERVED_TRANSPORTS);
    if (location !== undefined && location.outcome !== "found") throw new RangeError(location.reason);
    return target;
  } catch (cause) {
    const message = (cause as Error).message;
    const wanted = /: (want .*)$/s.exec(message)?.[1];
    faults.push(`dst_uri ${show(value)}: ${wanted ?? message}`);
    return undefined;
  }
}

function resourcesOf(value: string | undefined, feeds: FeedOptions | undefined, faults: string[]): readonly ResourceSpec[] | undefined {
  if (value === undefined) return undefined;
  // Looked for first: the value holds a password, which no message should repeat.
  const freeswitch = feeds === undefined ? /(?:^|[;=])([^;=]*)=\s*fs:\/\//i.exec(value) : null;
  if (freeswitch) {
    const name = freeswitch[1]?.trim() ?? "";
    faults.push(`resources: "${name}=fs://…" takes its capacity from FreeSWITCH: want load_balancer.fetch_freeswitch_stats to be true`);
    return undefined;
  }
  try {
    return parseResources(value, feeds);
  } catch (cause) {
    faults.push((cause as Error).message.replace(/^Cannot parse resources/, "resources"));
    return undefined;
  }
}

function probeModeOf(value: unknown, faults: string[]): 0 | 1 | 2 | undefined {
  if (value === 0 || value === 1 || value === 2) return value;
  faults.push(`probe_mode ${show(value)}: want 0 (never), 1 (when disabled) or 2 (always)`);
  return undefined;
}

function textOf(column: keyof ColumnLengths, value: unknown, most: number, faults: string[]): string | undefined {
  if (typeof value !== "string") faults.push(`${column} ${show(value)}: want a text`);
  else if (value.length > most) faults.push(`${column} has ${value.length} characters: want at most ${most}`);
  else return value;
  return undefined;
}

/** A value as a message quotes it, on one line and cut when it is long. */
function show(value: unknown): string {
  if (value === undefined) return "is missing";
  if (value === null) return "NULL";
  if (value instanceof Uint8Array) return `of ${value.length} bytes`;
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > MAX_QUOTED_LENGTH ? `${value.slice(0, MAX_QUOTED_LENGTH)}…` : value);
}
