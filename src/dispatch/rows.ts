import { quote, writeAttributes } from "./attributes.ts";
import { Problems, type WrittenRecord } from "./records.ts";
import { atOnce, STEP_SIZE, type Steps } from "./steps.ts";

/** A row of the table `dispatcher`, version 4, as a database driver gives it. Columns that may be absent are those of older versions. */
export interface TableRow {
  readonly id?: unknown;
  readonly setid: unknown;
  readonly destination: unknown;
  readonly flags?: unknown;
  readonly priority?: unknown;
  readonly attrs?: unknown;
  readonly description?: unknown;
  /** Columns of `ds_db_extra_attrs`. */
  readonly [column: string]: unknown;
}

/** A destination in a configuration. */
export interface ConfiguredDestination {
  readonly uri: string;
  readonly flags?: number;
  readonly priority?: number;
  /** As in the table, or by name. */
  readonly attrs?: string | Readonly<Record<string, string | number | boolean>>;
  readonly description?: string;
}

/** A set in a configuration. */
export interface ConfiguredSet {
  readonly id: number;
  readonly destinations: readonly ConfiguredDestination[];
}

/** Records, and a sentence for each row that is left out. */
export interface ReadRows {
  readonly records: readonly WrittenRecord[];
  readonly problems: readonly string[];
}

/**
 * The records of the table, in the order of the rows, which for equal priorities matters: Kamailio asks for none, and gets them as the database
 * stores them, by `id` as a rule. NULL is 0 or "".
 *
 * @param extra attribute by column, such as `socket` → `socket`: `ds_db_extra_attrs`
 */
export function readRows(rows: readonly TableRow[], extra: Readonly<Record<string, string>> = {}): ReadRows {
  return atOnce(readRowSteps(rows, extra));
}

/** {@link readRows} in steps. */
export function* readRowSteps(rows: readonly TableRow[], extra: Readonly<Record<string, string>> = {}): Steps<ReadRows> {
  const problems = new Problems();
  const records: WrittenRecord[] = [];
  for (const [index, row] of rows.entries()) {
    if (index % STEP_SIZE === STEP_SIZE - 1) yield;
    const id = row.id ?? index + 1;
    const place = `row ${String(id).slice(0, 20)}`;
    const numbers = [row.setid, row.flags ?? 0, row.priority ?? 0].map(numberOf);
    const [setId, flags, priority] = numbers as [number, number, number];
    const uri = textOf(row.destination);
    const attrs = [textOf(row.attrs).replace(/;$/, "")];
    for (const [attribute, column] of Object.entries(extra)) {
      const value = textOf(row[column]);
      if (value !== "") attrs.push(`${attribute}=${value}`);
    }
    if (numbers.some((number) => !Number.isInteger(number))) {
      problems.add(`Cannot use the destination ${quote(uri)} of ${place}: want whole numbers for setid, flags and priority`);
      continue;
    }
    const written = attrs.filter((item) => item !== "").join(";");
    records.push({ setId, uri, flags, priority, attrs: written, description: textOf(row.description), place });
  }
  return { records, problems: problems.sentences() };
}

/** The records of a configuration, set by set. */
export function readSets(sets: readonly ConfiguredSet[]): ReadRows {
  const problems = new Problems();
  const records: WrittenRecord[] = [];
  for (const { id, destinations } of sets) {
    for (const [index, { uri, flags = 0, priority = 0, attrs = "", description = "" }] of destinations.entries()) {
      const place = `set ${id}, destination ${index + 1}`;
      const text = typeof attrs === "string" ? attrs : writeAttributes(attrs);
      if (text === undefined) {
        problems.add(
          `Cannot use the destination ${quote(uri)} of ${place}: want attributes without blanks in names, or both quotes in a value`,
        );
        continue;
      }
      records.push({ setId: id, uri, flags, priority, attrs: text, description, place });
    }
  }
  return { records, problems: problems.sentences() };
}

/** A driver may give a number as text, and a large one as `bigint`. */
function numberOf(value: unknown): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  return typeof value === "string" && /^\s*-?\d{1,10}\s*$/.test(value) ? Number(value) : Number.NaN;
}

function textOf(value: unknown): string {
  return value === null || value === undefined ? "" : String(value);
}
