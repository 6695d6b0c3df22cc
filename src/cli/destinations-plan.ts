import { isDeepStrictEqual } from "node:util";
import { withoutPasswords } from "../freeswitch/index.ts";
import type { NewRow, RowChanges, StoredRow } from "../store/index.ts";
import { type FileEntry, ImportError } from "./destination-file.ts";
import { visible } from "./terminal.ts";

/** The columns of the table, in their order. */
export const COLUMNS = ["id", "group_id", "dst_uri", "resources", "probe_mode", "attrs", "description"] as const;
const VALUES = COLUMNS.slice(1);

/** How the destinations of a file meet those of the table: as further ones, as others for the same ones too, or in place of all. */
export type ImportMode = "add" | "merge" | "replace";

/** What is to become of the table. */
export interface Plan extends RowChanges {
  /** Rows that the command named and that are so already. */
  readonly unchanged: number;
}

/** A change of one row; a plan without any when it is so already. */
export function planUpdate(before: StoredRow, values: Partial<StoredRow>): Plan {
  const after = { ...before, ...values, id: before.id };
  const isSame = isDeepStrictEqual({ ...before }, after);
  return { added: [], changed: isSame ? [] : [{ before, after }], removed: [], unchanged: isSame ? 1 : 0 };
}

/**
 * What an import changes. Which row of the table an entry means is said by its id; without one it is the only row of its group with its URI. What a file has no column
 * for stays as it is, and so does a password that it shows as `***`.
 *
 * @throws {ImportError} when it cannot be told which row is meant, or an id is taken
 */
export function planImport(entries: readonly FileEntry[], rows: readonly StoredRow[], mode: ImportMode): Plan {
  if (mode === "add") {
    refuseTaken(entries, rows);
    return { added: entries.map(({ row }) => row), changed: [], removed: [], unchanged: 0 };
  }
  const byId = new Map(rows.map((row) => [row.id, row]));
  const byTarget = Map.groupBy(rows, targetOf);
  const meant = new Map<StoredRow, string>();
  const ids = new Map<number, string>();
  const plan = { added: [] as NewRow[], changed: [] as { before: StoredRow; after: StoredRow }[], unchanged: 0 };
  const problems: string[] = [];
  for (const { row, columns, place } of entries) {
    const alike = row.id === undefined ? (byTarget.get(targetOf(row)) ?? []) : [];
    if (alike.length > 1) {
      const found = alike.map(({ id }) => id).join(", ");
      problems.push(
        `${place}: group ${row.group_id ?? 0} has "${row.dst_uri}" as destinations ${found}, want the id of the one that is meant`,
      );
      continue;
    }
    const before = row.id === undefined ? alike[0] : byId.get(row.id);
    const earlier = before === undefined ? row.id !== undefined && ids.get(row.id) : meant.get(before);
    if (earlier) {
      problems.push(`${place}: destination ${before?.id ?? row.id} stands at ${earlier} already, want each once`);
      continue;
    }
    if (row.id !== undefined) ids.set(row.id, place);
    if (before === undefined) {
      plan.added.push(row);
      continue;
    }
    meant.set(before, place);
    const { changed } = planUpdate(before, valuesOf(row, columns, before));
    if (changed.length === 0) plan.unchanged++;
    plan.changed.push(...changed);
  }
  refuse(problems);
  return { ...plan, removed: mode === "replace" ? rows.filter((row) => !meant.has(row)) : [] };
}

/** One line for each row that a plan changes. It shows no password. */
export function linesOf({ added, changed, removed }: RowChanges): string[] {
  return [
    ...removed.map((row) => `- destination ${row.id}: ${describe(row)}`),
    ...changed.map(({ before, after }) => `~ destination ${before.id}, ${String(before.dst_uri)}: ${differencesOf(before, after)}`),
    ...added.map((row) => `+ destination${row.id === undefined ? "" : ` ${row.id}`}: ${describe(row)}`),
  ].map(visible);
}

/** Such as "2 added, 1 changed, 0 removed, 7 as they were". */
export function countsOf({ added, changed, removed, unchanged }: Plan): string {
  return `${added.length} added, ${changed.length} changed, ${removed.length} removed, ${unchanged} as they were`;
}

export function isEmpty({ added, changed, removed }: RowChanges): boolean {
  return added.length + changed.length + removed.length === 0;
}

/** A row for people, without passwords. */
export function describe({ group_id: group, dst_uri: uri, resources }: NewRow): string {
  return `group ${group ?? 0}, ${uri}, ${shown(resources)}`;
}

/** The resources without passwords. A database may hold anything in any column. */
export function shown<T>(resources: T): T | string {
  return typeof resources === "string" ? withoutPasswords(resources) : resources;
}

function differencesOf(before: StoredRow, after: StoredRow): string {
  const changed = VALUES.filter((column) => before[column] !== after[column]);
  return changed.map((column) => `${column} ${change(column, before[column], after[column])}`).join("; ");
}

function change(column: string, before: unknown, after: unknown): string {
  const [from, to] = column === "resources" ? [shown(before), shown(after)] : [before, after];
  return `${quoted(from)} -> ${from === to ? "the same with another password" : quoted(to)}`;
}

function quoted(value: unknown): string {
  if (value === null) return "none";
  return typeof value === "string" ? `"${value}"` : String(value);
}

function valuesOf(row: NewRow, columns: readonly string[], before: StoredRow): Partial<StoredRow> {
  const { group_id = 0, dst_uri, probe_mode = 0, attrs = null, description = null } = row;
  const resources = row.resources === shown(before.resources) ? before.resources : row.resources;
  const values = { group_id, dst_uri, resources, probe_mode, attrs, description };
  return Object.fromEntries(Object.entries(values).filter(([column]) => columns.includes(column)));
}

function targetOf({ group_id: group, dst_uri: uri }: NewRow): string {
  return `${group ?? 0} ${uri}`;
}

function refuseTaken(entries: readonly FileEntry[], rows: readonly StoredRow[]): void {
  const taken = new Map(rows.map(({ id, dst_uri: uri }) => [id, `by "${uri}" in the database`]));
  const problems: string[] = [];
  for (const { row, place } of entries) {
    if (row.id === undefined) continue;
    const by = taken.get(row.id);
    const hint = by?.startsWith("by") ? " (--merge changes that row)" : "";
    if (by !== undefined) problems.push(`${place}: id ${row.id} is taken ${by}, want another or none${hint}`);
    else taken.set(row.id, `at ${place}`);
  }
  refuse(problems);
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new ImportError([...problems, "Nothing was imported"]);
}
