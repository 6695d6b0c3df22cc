import { type Config, ConfigError, type DispatcherSetup, hasDispatcher, missingSets, readDispatcherSetup } from "../config/index.ts";
import { Dispatcher, readRows, type WrittenRecord } from "../dispatch/index.ts";
import { dispatchTarget } from "../routing/index.ts";
import { inspectDispatcherTable, StoreError } from "../store/index.ts";
import { type Terminal, visible } from "./terminal.ts";

/** Looks at the sets of the dispatcher as a start would, and answers what keeps it from beginning; what is left out of them is a notice. */
export async function checkDispatcher(config: Config, terminal: Terminal): Promise<string[]> {
  if (!hasDispatcher(config)) return tellMissing(config, [], terminal);
  try {
    const setup = readDispatcherSetup(config);
    const table = await readTable(setup, terminal);
    const dispatcher = new Dispatcher({ below: () => 0, nowMs: () => 0, parseUri: dispatchTarget });
    const records = [...setup.fromFile, ...table.records, ...setup.fromSets];
    const { problems } = dispatcher.replace(records);
    const usable = dispatcher.sets.reduce((sum, { destinations }) => sum + destinations.length, 0);
    terminal.print(`${usable} destinations in ${dispatcher.sets.length} sets of the dispatcher can be used`);
    const all = [...setup.problems, ...table.problems, ...problems];
    tellMissing(
      config,
      dispatcher.sets.map(({ id }) => id),
      terminal,
    );
    if (setup.isStrict) return all.map((problem) => `dispatcher: ${problem}`);
    for (const problem of all) terminal.print(`notice: ${visible(`dispatcher: ${problem}`)}`);
    return [];
  } catch (cause) {
    if (!(cause instanceof ConfigError || cause instanceof StoreError)) throw cause;
    return cause.message.split("\n");
  }
}

function tellMissing(config: Config, sets: readonly number[], terminal: Terminal): [] {
  for (const text of missingSets(config.routing, sets)) terminal.print(`notice: ${visible(text)}`);
  return [];
}

/** The rows of the table. One that is not there yet is no mistake: a start makes it. */
async function readTable(
  { table }: DispatcherSetup,
  terminal: Terminal,
): Promise<{ records: readonly WrittenRecord[]; problems: readonly string[] }> {
  if (table === undefined) return { records: [], problems: [] };
  try {
    return readRows(await inspectDispatcherTable({ ...table, columns: Object.values(table.extra) }), table.extra);
  } catch (cause) {
    if (!(cause instanceof StoreError) || (cause.code !== "NO_DATABASE" && cause.code !== "NO_TABLE")) throw cause;
    terminal.print(`notice: ${visible(cause.message)}; headroom start makes it`);
    return { records: [], problems: [] };
  }
}
