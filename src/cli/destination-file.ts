import type { NewRow } from "../store/index.ts";
import { csvCell, parseCsv } from "./csv.ts";

/** A file of destinations that cannot be used. `message` has one line for each reason. */
export class ImportError extends Error {
  override readonly name = "ImportError";
  constructor(reasons: readonly string[], options?: ErrorOptions) {
    super(reasons.join("\n"), options);
  }
}

/** One destination of a file. `place` says where it stands, for messages. */
export interface FileEntry {
  readonly row: NewRow;
  /** The columns that the file has, whatever they hold. */
  readonly columns: readonly string[];
  readonly place: string;
}

const NUMBER_COLUMNS = ["id", "group_id", "probe_mode"];
const TEXT_COLUMNS = ["dst_uri", "resources", "attrs", "description"];
const COLUMNS = [...NUMBER_COLUMNS, ...TEXT_COLUMNS];
const NEEDED = ["dst_uri", "resources"];
/** What the options of `destinations add` call the columns. */
const ALIASES: Readonly<Record<string, string>> = { group: "group_id", uri: "dst_uri" };

/**
 * Reads destinations from a JSON array of objects or from CSV with a header line; the columns of the table are the names in both.
 * What starts with a square bracket is JSON.
 *
 * Values are not checked further than to be numbers where numbers are wanted.
 *
 * @throws {ImportError} for a file in neither form, unknown or missing columns
 */
export function parseDestinations(text: string, file: string): FileEntry[] {
  return /^\s*\[/.test(text) ? fromJson(text, file) : fromCsv(text, file);
}

/** Destinations as CSV with a header line, as {@link parseDestinations} reads it: what comes back is the same, an empty text and none at all included. */
export function formatCsv(rows: readonly NewRow[]): string {
  const columns = ["id", "group_id", "dst_uri", "resources", "probe_mode", "attrs", "description"] as const;
  const cell = (value: unknown) => (value === null || value === undefined ? "" : csvCell(String(value)));
  return [columns.join(","), ...rows.map((row) => columns.map((column) => cell(row[column])).join(","))]
    .map((line) => `${line}\n`)
    .join("");
}

function fromJson(text: string, file: string): FileEntry[] {
  let entries: unknown;
  try {
    entries = JSON.parse(text);
  } catch (cause) {
    throw new ImportError([`Cannot import ${file}: it is not JSON: ${(cause as Error).message}`], { cause });
  }
  const problems: string[] = [];
  const read = (entries as unknown[]).map((entry, i) => {
    const place = `${file}, destination ${i + 1}`;
    if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
      problems.push(`${place}: want an object with ${NEEDED.join(", ")}`);
      return { row: { dst_uri: "", resources: "" }, columns: [], place };
    }
    const names = Object.keys(entry).map(columnOf);
    problems.push(...namesProblems(names).map((problem) => `${place}: ${problem}`));
    return { row: rowOf(names, Object.values(entry)), columns: names, place };
  });
  if (problems.length > 0) throw new ImportError([...problems, `Nothing was imported from ${file}`]);
  return read;
}

function fromCsv(text: string, file: string): FileEntry[] {
  let records: ReturnType<typeof parseCsv>;
  try {
    records = parseCsv(text);
  } catch (cause) {
    throw new ImportError([`Cannot import ${file}: ${(cause as Error).message}`], { cause });
  }
  const [header, ...lines] = records;
  if (!header) throw new ImportError([`Cannot import ${file}: it is empty, want a header line such as "group_id,dst_uri,resources"`]);
  const names = header.cells.map((name) => columnOf(name.trim().toLowerCase()));
  const problems = namesProblems(names).map((problem) => `${file}:${header.line}: ${problem}`);
  for (const { line, cells } of lines) {
    if (cells.length !== names.length) problems.push(`${file}:${line}: ${cells.length} values, want ${names.length} as in the header line`);
  }
  if (problems.length > 0) throw new ImportError([...problems, `Nothing was imported from ${file}`]);
  // An empty cell is no value: the column's default. Quotes make it an empty text, where a text may stand.
  return lines.map(({ line, cells, quoted }) => ({
    row: rowOf(
      names,
      cells.map((cell, i) => (cell === "" && !(quoted[i] && TEXT_COLUMNS.includes(names[i] ?? "")) ? null : cell)),
    ),
    columns: names,
    place: `${file}:${line}`,
  }));
}

function columnOf(name: string): string {
  return Object.hasOwn(ALIASES, name) ? (ALIASES[name] ?? name) : name;
}

function namesProblems(names: readonly string[]): string[] {
  const unknown = names.filter((name) => !COLUMNS.includes(name));
  const missing = NEEDED.filter((name) => !names.includes(name));
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  return [
    ...(unknown.length > 0 ? [`found ${unknown.map((name) => JSON.stringify(name)).join(", ")}, want only ${COLUMNS.join(", ")}`] : []),
    ...(missing.length > 0 ? [`found no ${missing.join(" and no ")}, want both dst_uri and resources`] : []),
    ...(twice.length > 0 ? [`found ${twice.join(", ")} twice, want each once`] : []),
  ];
}

/** A row with the values as they are, numbers in digits turned to numbers. The store's checks say what is wrong with the rest. */
function rowOf(names: readonly string[], values: readonly unknown[]): NewRow {
  const entries = names.map((name, i) => [name, cellValue(name, values[i])] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== null && value !== undefined)) as unknown as NewRow;
}

function cellValue(name: string, value: unknown): unknown {
  return NUMBER_COLUMNS.includes(name) && typeof value === "string" && /^\s*\d{1,15}\s*$/.test(value) ? Number(value) : value;
}
