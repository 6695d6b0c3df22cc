import { readFileSync, statSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { ConfigError, loadConfig } from "../config/index.ts";
import { withoutPasswords } from "../freeswitch/index.ts";
import { type DestinationStore, faultsOf, type NewRow, openStore, type StoredRow, StoreError } from "../store/index.ts";
import { type FileEntry, ImportError, parseDestinations } from "./destination-file.ts";
import { feedsOf } from "./feeds.ts";
import { processTerminal, type Terminal, visible } from "./terminal.ts";

/** Largest file to import: 100,000 rows of the widest kind take less. */
const MAX_IMPORT_BYTES = 67_108_864;
const REMINDER = "A running balancer goes on with what it has loaded, until: headroom mi lb_reload";
const COLUMNS = ["id", "group_id", "dst_uri", "resources", "probe_mode", "attrs", "description"] as const;

interface CommonOptions {
  config?: string;
}
interface ListOptions extends CommonOptions {
  json?: boolean;
  showPasswords?: boolean;
}
interface AddOptions extends CommonOptions {
  group: number;
  uri: string;
  resources: string;
  probeMode: number;
  attrs?: string;
  description?: string;
}

/** `headroom destinations`: shows and changes the rows of the database that the balancer loads. */
export function register(program: Command, terminal: Terminal = processTerminal): void {
  const destinations = program.command("destinations").description("show or change the destinations in the database");
  const withConfig = (name: string, description: string) =>
    destinations
      .command(name)
      .description(description)
      .option("-c, --config <file>", "configuration file (default: ./headroom.yaml when there is one)");

  withConfig("list", "show every destination as it stands in the database")
    .option("--json", "as a JSON array, which import reads")
    .option("--show-passwords", "with the passwords of FreeSWITCHes, which are *** otherwise")
    .action((options: ListOptions) => run(terminal, () => list(options, terminal)));
  withConfig("add", "add a destination")
    .requiredOption("--group <number>", "group of destinations that it belongs to", wholeNumber)
    .requiredOption("--uri <uri>", 'where calls go, such as "sip:192.0.2.1:5060"')
    .requiredOption("--resources <list>", 'what it has and how much, such as "transc=32;conf=20"')
    .option("--probe-mode <number>", "0 never, 1 when disabled, 2 always", wholeNumber, 0)
    .option("--attrs <text>", "text for the route, as it stands")
    .option("--description <text>", "text for people")
    .action((options: AddOptions) => run(terminal, () => add(options, terminal)));
  withConfig("remove", "remove a destination")
    .argument("<id>", "its id, as list shows it", wholeNumber)
    .action((id: number, options: CommonOptions) => run(terminal, () => remove(id, options, terminal)));
  withConfig("import <file>", "add the destinations of a CSV file with a header line, or of a JSON array: all of them or none").action(
    (file: string, options: CommonOptions) => run(terminal, () => importFile(file, options, terminal)),
  );
}

/** Runs a command; what an operator can do something about is said in its own words, without a stack. */
async function run(terminal: Terminal, command: () => Promise<void>): Promise<void> {
  try {
    await command();
  } catch (cause) {
    if (!(cause instanceof StoreError || cause instanceof ConfigError || cause instanceof ImportError)) throw cause;
    for (const line of cause.message.split("\n")) terminal.complain(visible(line));
    terminal.exitCode(1);
  }
}

async function list({ config, json, showPasswords }: ListOptions, terminal: Terminal): Promise<void> {
  let rows: readonly StoredRow[] = [];
  try {
    rows = await withStore(config, terminal, "inspect", (store) => store.list());
    if (!showPasswords) rows = rows.map((row) => ({ ...row, resources: shown(row.resources) }));
  } catch (cause) {
    // Nothing was ever put there: that is an empty list.
    if (!(cause instanceof StoreError && (cause.code === "NO_DATABASE" || cause.code === "NO_TABLE"))) throw cause;
  }
  if (json) {
    terminal.print(JSON.stringify(rows, undefined, 2));
    return;
  }
  if (rows.length === 0) {
    terminal.print('No destinations. Add one: headroom destinations add --group 1 --uri sip:192.0.2.1:5060 --resources "pstn=30"');
    return;
  }
  for (const line of table(rows)) terminal.print(line);
}

async function add(options: AddOptions, terminal: Terminal): Promise<void> {
  const row: NewRow = {
    group_id: options.group,
    dst_uri: options.uri,
    resources: options.resources,
    probe_mode: options.probeMode,
    attrs: options.attrs ?? null,
    description: options.description ?? null,
  };
  // Before the database is opened: a slip should not make a file.
  const faults = faultsOf(row, feedsOf(loadConfig(options.config, terminal.environment)));
  if (faults.length > 0) throw new StoreError("BAD_ROW", `Cannot add the destination: ${faults.join("; ")}`);
  const id = await withStore(options.config, terminal, "migrate", (store) => store.add(row));
  terminal.print(visible(`Added destination ${id}: ${describe(row)}`));
  terminal.print(REMINDER);
}

async function remove(id: number, { config }: CommonOptions, terminal: Terminal): Promise<void> {
  const row = await withStore(config, terminal, "inspect", (store) => store.remove(id));
  if (!row)
    throw new StoreError("BAD_ROW", `Cannot remove destination ${id}: there is none with this id, headroom destinations list shows all`);
  terminal.print(visible(`Removed destination ${id}: ${describe(row)}`));
  terminal.print(REMINDER);
}

async function importFile(file: string, { config }: CommonOptions, terminal: Terminal): Promise<void> {
  const entries = parseDestinations(readText(file), file);
  const feeds = feedsOf(loadConfig(config, terminal.environment));
  refuse(
    entries.flatMap(({ row, place }) => faultsOf(row, feeds).map((fault) => `${place}: ${fault}`)),
    file,
  );
  if (entries.length === 0) {
    terminal.print(visible(`Imported nothing: ${file} has no destinations`));
    return;
  }
  const ids = await withStore(config, terminal, "migrate", async (store) => {
    refuse(takenIds(entries, await store.list()), file);
    return store.import(entries.map(({ row }) => row));
  });
  for (const [i, { row }] of entries.entries()) terminal.print(visible(`Added destination ${ids[i]}: ${describe(row)}`));
  terminal.print(visible(`Imported ${ids.length} ${ids.length === 1 ? "destination" : "destinations"} from ${file}`));
  terminal.print(REMINDER);
}

/** @throws {ImportError} when there are problems: nothing is imported then */
function refuse(problems: readonly string[], file: string): void {
  if (problems.length > 0) throw new ImportError([...problems, `Nothing was imported from ${file}`]);
}

function takenIds(entries: readonly FileEntry[], rows: readonly StoredRow[]): string[] {
  const taken = new Map(rows.map(({ id, dst_uri: uri }) => [id, `by "${uri}" in the database`]));
  const problems: string[] = [];
  for (const { row, place } of entries) {
    if (row.id === undefined) continue;
    const by = taken.get(row.id);
    if (by !== undefined) problems.push(`${place}: id ${row.id} is taken ${by}, want another or none`);
    else taken.set(row.id, `at ${place}`);
  }
  return problems;
}

async function withStore<T>(
  file: string | undefined,
  { environment }: Terminal,
  mode: "inspect" | "migrate",
  use: (store: DestinationStore) => Promise<T>,
): Promise<T> {
  const config = loadConfig(file, environment);
  const { db_url: dbUrl, db_table: table } = config.load_balancer;
  const store = await openStore(dbUrl, { table, mode, feeds: feedsOf(config) });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > MAX_IMPORT_BYTES) throw new ImportError([`Cannot import ${file}: it has ${size} bytes, want at most ${MAX_IMPORT_BYTES}`]);
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    if (cause instanceof ImportError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: "there is no such file",
      EISDIR: "it is a directory",
      EACCES: "this user may not read it",
      ERR_ENCODING_INVALID_ENCODED_DATA: "it is not UTF-8 text",
    };
    throw new ImportError([`Cannot import ${file}: ${reasons[code ?? ""] ?? message}`], { cause });
  }
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("want a whole number from 0");
  return Number(text);
}

function describe({ group_id: group, dst_uri: uri, resources }: NewRow): string {
  return `group ${group ?? 0}, ${uri}, ${shown(resources)}`;
}

/** A database may hold anything in any column. */
function shown<T>(resources: T): T | string {
  return typeof resources === "string" ? withoutPasswords(resources) : resources;
}

/** Columns under their names, each as wide as its widest value. */
function table(rows: readonly StoredRow[]): string[] {
  const cells = rows.map((row) => COLUMNS.map((column) => visible(String(row[column] ?? ""))));
  const widths = COLUMNS.map((name, i) => Math.max(name.length, ...cells.map((line) => line[i]?.length ?? 0)));
  return [[...COLUMNS], ...cells].map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
