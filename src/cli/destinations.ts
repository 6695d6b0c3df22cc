import { type Command, InvalidArgumentError, Option } from "commander";
import { ConfigError, loadConfig } from "../config/index.ts";
import { faultsOf, openStore, type StoredRow, StoreError } from "../store/index.ts";
import { formatCsv, ImportError } from "./destination-file.ts";
import { add, type ChangeOptions, importFile, type RowOptions, remove, update } from "./destinations-change.ts";
import { COLUMNS, shown } from "./destinations-plan.ts";
import { feedsOf } from "./feeds.ts";
import { TOKEN_HELP } from "./mi.ts";
import { printableJson, processTerminal, type Terminal, visible } from "./terminal.ts";
import { writeNewFile } from "./write-file.ts";

interface CommonOptions {
  config?: string;
}
interface ListOptions extends CommonOptions {
  json?: boolean;
  showPasswords?: boolean;
}
interface ExportOptions extends CommonOptions {
  format: "csv" | "json";
  output?: string;
  force?: boolean;
  showPasswords?: boolean;
}

/** `headroom destinations`: shows and changes the rows of the database that the balancer loads. */
export function register(program: Command, terminal: Terminal = processTerminal): void {
  const destinations = program.command("destinations").description("show or change the destinations in the database");
  const withConfig = (name: string, description: string) =>
    destinations
      .command(name)
      .description(description)
      .option("-c, --config <file>", "configuration file (default: ./headroom.yaml when there is one)");
  const changing = (name: string, description: string) =>
    withConfig(name, description)
      .option("--dry-run", "say what would change, and write nothing")
      .option("-y, --yes", "do not ask")
      .option("--reload", "have the running balancer load the table afterwards, and say what came of it")
      .option("--url <url>", "address of its management interface (default: as the configuration says)")
      .option("--token <token>", TOKEN_HELP)
      .option("--json", "print what has changed as JSON, and do not ask");

  withConfig("list", "show every destination as it stands in the database")
    .option("--json", "as a JSON array, which import reads")
    .option("--show-passwords", "with the passwords of FreeSWITCHes, which are *** otherwise")
    .action((options: ListOptions) => run(terminal, () => list(options, terminal)));
  withConfig("export", "write every destination in a form that import reads, with its id")
    .addOption(new Option("--format <format>", "csv, or json").choices(["csv", "json"]).default("csv"))
    .option("-o, --output <file>", "write there, for nobody else to read (default: standard output)")
    .option("--force", "replace the output file when it is there")
    .option("--show-passwords", "with the passwords of FreeSWITCHes, which are *** otherwise")
    .action((options: ExportOptions) => run(terminal, () => exportRows(options, terminal)));
  changing("add", "add a destination")
    .requiredOption("--group <number>", "group of destinations that it belongs to", wholeNumber)
    .requiredOption("--uri <uri>", 'where calls go, such as "sip:192.0.2.1:5060"')
    .requiredOption("--resources <list>", 'what it has and how much, such as "transc=32;conf=20"')
    .option("--probe-mode <number>", "0 never, 1 when disabled, 2 always", wholeNumber, 0)
    .option("--attrs <text>", "text for the route, as it stands")
    .option("--description <text>", "text for people")
    .action((options: ChangeOptions & RowOptions) => run(terminal, () => add(options, terminal)));
  changing("update", "change a destination: what is not named stays")
    .argument("<id>", "its id, as list shows it", wholeNumber)
    .option("--group <number>", "group of destinations that it belongs to", wholeNumber)
    .option("--uri <uri>", "where calls go")
    .option("--resources <list>", "what it has and how much: all of them")
    .option("--probe-mode <number>", "0 never, 1 when disabled, 2 always", wholeNumber)
    .option("--attrs <text>", 'text for the route; "" for none')
    .option("--description <text>", 'text for people; "" for none')
    .action((id: number, options: ChangeOptions & RowOptions) => run(terminal, () => update(id, options, terminal)));
  changing("remove", "remove a destination")
    .argument("<id>", "its id, as list shows it", wholeNumber)
    .action((id: number, options: ChangeOptions) => run(terminal, () => remove(id, options, terminal)));
  changing("import <file>", "add the destinations of a CSV file with a header line, or of a JSON array: all of them or none")
    .option("--merge", "change those that are there already, by their id, or by group and URI")
    .addOption(new Option("--replace", "as --merge, and remove what is not in the file").conflicts("merge"))
    .action((file: string, options: ChangeOptions & { merge?: boolean; replace?: boolean }) =>
      run(terminal, () => importFile(file, { ...options, mode: options.replace ? "replace" : options.merge ? "merge" : "add" }, terminal)),
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
  const rows = await readRows(config, showPasswords, terminal);
  if (json) {
    terminal.print(printableJson(rows, 2));
    return;
  }
  if (rows.length === 0) {
    terminal.print('No destinations. Add one: headroom destinations add --group 1 --uri sip:192.0.2.1:5060 --resources "pstn=30"');
    return;
  }
  for (const line of table(rows)) terminal.print(line);
}

async function exportRows({ config, format, output, force, showPasswords }: ExportOptions, terminal: Terminal): Promise<void> {
  const rows = await readRows(config, showPasswords, terminal);
  const feeds = feedsOf(loadConfig(config, terminal.environment));
  const text = format === "json" ? `${JSON.stringify(rows, undefined, 2)}\n` : formatCsv(rows);
  if (output !== undefined) writeNewFile(output, text, force === true);
  else terminal.print(text.trimEnd());
  for (const row of rows) {
    const [fault] = faultsOf(row, feeds);
    if (fault !== undefined) terminal.complain(visible(`notice: destination ${row.id} is not one that import takes: ${fault}`));
  }
  if (output !== undefined)
    terminal.print(visible(`Exported ${rows.length} ${rows.length === 1 ? "destination" : "destinations"} to ${output}`));
}

/** Every row. Where nothing was ever put there is an empty list. */
async function readRows(
  file: string | undefined,
  showPasswords: boolean | undefined,
  { environment }: Terminal,
): Promise<readonly StoredRow[]> {
  const config = loadConfig(file, environment);
  const { db_url: dbUrl, db_table: table } = config.load_balancer;
  try {
    const store = await openStore(dbUrl, { table, mode: "inspect", feeds: feedsOf(config) });
    try {
      const rows = await store.list();
      return showPasswords ? rows : rows.map((row) => ({ ...row, resources: shown(row.resources) }));
    } finally {
      await store.close();
    }
  } catch (cause) {
    if (cause instanceof StoreError && (cause.code === "NO_DATABASE" || cause.code === "NO_TABLE")) return [];
    throw cause;
  }
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("want a whole number from 0");
  return Number(text);
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
