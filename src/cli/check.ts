import type { Command } from "commander";
import { Balancer } from "../balancer/index.ts";
import { type Config, ConfigError, type DistributorSetup, loadConfig, readDistributorSetup, tableNotices } from "../config/index.ts";
import { checkLists } from "../distributor/index.ts";
import { fillTemplate } from "../registrar/index.ts";
import { findLostNodes, NodeTargets, tellLostNodes } from "../routing/index.ts";
import { loadScript } from "../script-loader.ts";
import { faultsOf, openStore, StoreError } from "../store/index.ts";
import { checkDispatcher } from "./check-dispatcher.ts";
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
  const setup = readLists(config);
  const errors = [
    ...(await checkScript(config)),
    ...checkDistributor(setup, terminal),
    ...(await checkDispatcher(config, terminal)),
    ...checkAccounts(config),
    ...(await checkDestinations(config, setup, terminal)),
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

/** What the configuration says of the distributor, or why that cannot be used. */
function readLists(config: Config): DistributorSetup | ConfigError {
  try {
    return readDistributorSetup(config);
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    return cause;
  }
}

/** What is left out of the lists is a notice, what keeps a start from beginning is an error. */
function checkDistributor(setup: DistributorSetup | ConfigError, terminal: Terminal): string[] {
  if (setup instanceof ConfigError) return setup.message.split("\n");
  for (const problem of [...setup.problems, ...checkLists(setup.lists).problems]) terminal.print(`notice: ${visible(problem)}`);
  return [];
}

/** Nodes of the lists that lead nowhere with this table. */
function checkNodes(setup: DistributorSetup | ConfigError, balancer: Balancer, terminal: Terminal): void {
  if (setup instanceof ConfigError) return;
  const targets = new NodeTargets(balancer, setup.nodes);
  tellLostNodes(findLostNodes(checkLists(setup.lists).lists, targets), (text) => terminal.print(`notice: ${visible(text)}`));
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
async function checkDestinations(config: Config, setup: DistributorSetup | ConfigError, terminal: Terminal): Promise<string[]> {
  const { db_url: dbUrl, db_table: table } = config.load_balancer;
  const balancer = new Balancer({ below: () => 0 });
  try {
    const store = await openStore(dbUrl, { table, mode: "inspect", feeds: feedsOf(config) });
    try {
      const { rows, skipped } = await store.loadDestinations();
      terminal.print(`${rows.length} of ${rows.length + skipped.length} destinations of table "${table}" can be used`);
      const probed = rows.filter(({ probeMode }) => probeMode !== 0).length;
      if (probed > 0 && config.load_balancer.probing_interval === 0)
        terminal.print(`notice: probe_mode of ${probed} destinations has no effect: load_balancer.probing_interval is 0`);
      const { problems } = balancer.replaceTable(rows);
      for (const text of [...problems, ...tableNotices(config, rows)]) terminal.print(`notice: ${visible(text)}`);
      checkNodes(setup, balancer, terminal);
      return skipped.map(({ reason }) => reason);
    } finally {
      await store.close();
    }
  } catch (cause) {
    if (!(cause instanceof StoreError)) throw cause;
    if (cause.code !== "NO_DATABASE" && cause.code !== "NO_TABLE") return [cause.message];
    terminal.print(`notice: ${visible(cause.message)}; headroom start makes it, headroom destinations add fills it`);
    checkNodes(setup, balancer, terminal);
    return [];
  }
}
