import { type Config, ConfigError, type DispatcherSetup, hasDispatcher, missingSets, readDispatcherSetup } from "../config/index.ts";
import { Dispatcher, readRows, type WrittenRecord } from "../dispatch/index.ts";
import { dispatchTarget } from "../routing/index.ts";
import { inspectDispatcherTable, StoreError } from "../store/index.ts";
import type { Findings } from "./check-findings.ts";

/** Looks at the sets of the dispatcher as a start would: what keeps it from beginning is an error, what is left out of them a notice. */
export async function checkDispatcher(
  config: Config,
  { findings, summary }: { readonly findings: Findings; readonly summary: string[] },
): Promise<void> {
  const tellMissing = (sets: readonly number[]) => {
    for (const text of missingSets(config.routing, sets)) findings.notice(text);
  };
  if (!hasDispatcher(config)) return tellMissing([]);
  try {
    const setup = readDispatcherSetup(config);
    const table = await readTable(setup, findings);
    const dispatcher = new Dispatcher({ below: () => 0, nowMs: () => 0, parseUri: dispatchTarget });
    const records = [...setup.fromFile, ...table.records, ...setup.fromSets];
    const { problems } = dispatcher.replace(records);
    const usable = dispatcher.sets.reduce((sum, { destinations }) => sum + destinations.length, 0);
    summary.push(`${usable} destinations in ${dispatcher.sets.length} sets of the dispatcher can be used`);
    tellMissing(dispatcher.sets.map(({ id }) => id));
    for (const problem of [...setup.problems, ...table.problems, ...problems]) {
      if (setup.isStrict) findings.error(`dispatcher: ${problem}`);
      else findings.notice(`dispatcher: ${problem}`);
    }
  } catch (cause) {
    if (!(cause instanceof ConfigError || cause instanceof StoreError)) throw cause;
    for (const line of cause.message.split("\n")) findings.error(line);
  }
}

/** The rows of the table. One that is not there yet is no mistake: a start makes it. */
async function readTable(
  { table }: DispatcherSetup,
  findings: Findings,
): Promise<{ records: readonly WrittenRecord[]; problems: readonly string[] }> {
  if (table === undefined) return { records: [], problems: [] };
  try {
    return readRows(await inspectDispatcherTable({ ...table, columns: Object.values(table.extra) }), table.extra);
  } catch (cause) {
    if (!(cause instanceof StoreError) || (cause.code !== "NO_DATABASE" && cause.code !== "NO_TABLE")) throw cause;
    findings.notice(`${cause.message}; headroom start makes it`);
    return { records: [], problems: [] };
  }
}
