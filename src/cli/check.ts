import type { Command } from "commander";
import { Balancer } from "../balancer/index.ts";
import { type Config, ConfigError, loadConfig, readDistributorSetup, tableNotices } from "../config/index.ts";
import { checkLists } from "../distributor/index.ts";
import { fillTemplate } from "../registrar/index.ts";
import { loadScript } from "../script-loader.ts";
import { faultsOf, openStore, StoreError } from "../store/index.ts";
import { feedsOf } from "./feeds.ts";
import { processTerminal, type Terminal, visible } from "./terminal.ts";

/** `headroom check`: says everything that is wrong with the configuration and the destinations, and changes nothing. */
export function register(program: Command, terminal: Terminal = processTerminal): void {
  program
    .command("check")
    .description("look for mistakes in the configuration and in the rows of the database, without changing anything")
    .option("-c, --config <file>", "configuration file (default: ./headroom.yaml when there is one)")
    .action(async (options: { config?: string }) => check(options.config, terminal));
}

async function check(file: string | undefined, terminal: Terminal): Promise<void> {
  const config = readConfig(file, terminal);
  if (!config) return;
  for (const notice of config.notices) terminal.print(`notice: ${visible(notice)}`);
  const errors = [
    ...(await checkScript(config)),
    ...checkDistributor(config, terminal),
    ...checkAccounts(config),
    ...(await checkDestinations(config, terminal)),
  ];
  for (const error of errors) terminal.complain(`error: ${visible(error)}`);
  const name = config.file ?? "the configuration of defaults";
  if (errors.length === 0) terminal.print(`${name} can be used`);
  else terminal.exitCode(1);
}

function readConfig(file: string | undefined, terminal: Terminal): Config | undefined {
  try {
    return loadConfig(file, terminal.environment);
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    for (const line of cause.message.split("\n")) terminal.complain(`error: ${visible(line)}`);
    terminal.exitCode(1);
    return undefined;
  }
}

async function checkScript({ routing }: Config): Promise<string[]> {
  if (routing.script === null) return [];
  try {
    await loadScript(routing.script);
    return [];
  } catch (cause) {
    return [(cause as Error).message];
  }
}

/** What is left out of the lists is a notice, what keeps a start from beginning is an error. */
function checkDistributor(config: Config, terminal: Terminal): string[] {
  try {
    const { lists, problems } = readDistributorSetup(config);
    for (const problem of [...problems, ...checkLists(lists).problems]) terminal.print(`notice: ${visible(problem)}`);
    return [];
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    return cause.message.split("\n");
  }
}

/** A row as each account would make it of a server that registers. */
function checkAccounts(config: Config): string[] {
  const sample = { host: "192.0.2.1", port: 5060, user: "user" };
  return config.registrar.accounts.flatMap(({ user, group, resources, attrs }) => {
    const row = { group_id: group, dst_uri: "sip:192.0.2.1:5060", resources: fillTemplate(resources, sample), attrs };
    return faultsOf(row, feedsOf(config)).map((fault) => `registrar: account "${user}" makes no destination: ${fault}`);
  });
}

/** Looks at the rows as a start would, and answers what is wrong. A database that is not there yet is none: a start makes it. */
async function checkDestinations(config: Config, terminal: Terminal): Promise<string[]> {
  const { db_url: dbUrl, db_table: table } = config.load_balancer;
  try {
    const store = await openStore(dbUrl, { table, mode: "inspect", feeds: feedsOf(config) });
    try {
      const { rows, skipped } = await store.loadDestinations();
      terminal.print(`${rows.length} of ${rows.length + skipped.length} destinations of table "${table}" can be used`);
      const probed = rows.filter(({ probeMode }) => probeMode !== 0).length;
      if (probed > 0 && config.load_balancer.probing_interval === 0)
        terminal.print(`notice: probe_mode of ${probed} destinations has no effect: load_balancer.probing_interval is 0`);
      const { problems } = new Balancer({ below: () => 0 }).replaceTable(rows);
      for (const text of [...problems, ...tableNotices(config, rows)]) terminal.print(`notice: ${visible(text)}`);
      return skipped.map(({ reason }) => reason);
    } finally {
      await store.close();
    }
  } catch (cause) {
    if (!(cause instanceof StoreError)) throw cause;
    if (cause.code !== "NO_DATABASE" && cause.code !== "NO_TABLE") return [cause.message];
    terminal.print(`notice: ${visible(cause.message)}; headroom start makes it, headroom destinations add fills it`);
    return [];
  }
}
