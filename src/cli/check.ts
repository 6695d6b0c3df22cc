import type { Command } from "commander";
import { Balancer } from "../balancer/index.ts";
import { type Config, ConfigError, type DistributorSetup, loadConfig, readDistributorSetup, tableNotices } from "../config/index.ts";
import { checkLists } from "../distributor/index.ts";
import { fillTemplate } from "../registrar/index.ts";
import { findLostNodes, NodeTargets, tellLostNodes } from "../routing/index.ts";
import { loadScript } from "../script-loader.ts";
import { faultsOf, openStore, StoreError } from "../store/index.ts";
import { checkDispatcher } from "./check-dispatcher.ts";
import { Findings, printFindings } from "./check-findings.ts";
import { checkMachine } from "./check-machine.ts";
import { checkRows } from "./check-table.ts";
import { feedsOf } from "./feeds.ts";
import { printableJson, processTerminal, type Terminal, visible } from "./terminal.ts";

interface CheckOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** What was looked at. */
interface Checked {
  readonly findings: Findings;
  /** What there is, one sentence each. */
  readonly summary: string[];
}

/** `headroom check`: says everything that is wrong with the configuration and the destinations, and changes nothing. */
export function register(program: Command, terminal: Terminal = processTerminal): void {
  program
    .command("check")
    .description("look for mistakes in the configuration, in the rows of the database and on this machine, without changing anything")
    .option("-c, --config <file>", "configuration file (default: ./headroom.yaml when there is one)")
    .option("--json", "print what was found as JSON")
    .action(async (options: CheckOptions) => check(options, terminal));
}

async function check({ config: file, json }: CheckOptions, terminal: Terminal): Promise<void> {
  const [config, checked] = readConfig(file, terminal);
  const { findings, summary } = checked;
  if (config !== undefined) await checkAll(config, checked);
  const isUsable = !findings.hasErrors;
  if (!isUsable) terminal.exitCode(1);
  const name = config?.file ?? file ?? "the configuration of defaults";
  if (json) {
    const errors = findings.all.filter(({ severity }) => severity === "error").length;
    const counts = { errors, notices: findings.all.length - errors };
    terminal.print(printableJson({ configuration: name, usable: isUsable, ...counts, summary, findings: findings.all }, 2));
    return;
  }
  for (const line of summary) terminal.print(visible(line));
  printFindings(findings.all, terminal);
  if (isUsable) terminal.print(`${visible(name)} can be used`);
}

async function checkAll(config: Config, checked: Checked): Promise<void> {
  const { findings } = checked;
  for (const notice of config.notices) findings.notice(notice);
  const setup = readLists(config);
  await checkScript(config, findings);
  checkDistributor(setup, findings);
  await checkDispatcher(config, checked);
  checkAccounts(config, findings);
  await checkDestinations(config, setup, checked);
  checkMachine(config, findings, Date.now());
}

/** @returns undefined in place of one that cannot be used */
function readConfig(file: string | undefined, terminal: Terminal): [Config | undefined, Checked] {
  try {
    const config = loadConfig(file, terminal.environment);
    return [config, { findings: new Findings(config.file), summary: [] }];
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    const findings = new Findings(file);
    for (const { file: in_, line, column, message } of cause.problems)
      findings.error(message, { file: in_, ...(line !== undefined && { line }), ...(column !== undefined && { column }) });
    return [undefined, { findings, summary: [] }];
  }
}

async function checkScript({ routing }: Config, findings: Findings): Promise<void> {
  if (routing.script === null) return;
  try {
    await loadScript(routing.script);
  } catch (cause) {
    findings.error((cause as Error).message, { file: routing.script });
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
function checkDistributor(setup: DistributorSetup | ConfigError, findings: Findings): void {
  if (setup instanceof ConfigError) for (const line of setup.message.split("\n")) findings.error(line);
  else for (const problem of [...setup.problems, ...checkLists(setup.lists).problems]) findings.notice(problem);
}

/** Nodes of the lists that lead nowhere with this table. */
function checkNodes(setup: DistributorSetup | ConfigError, balancer: Balancer, findings: Findings): void {
  if (setup instanceof ConfigError) return;
  const targets = new NodeTargets(balancer, setup.nodes);
  tellLostNodes(findLostNodes(checkLists(setup.lists).lists, targets), (text) => findings.notice(text));
}

/** A row as each account would make it of a server that registers. */
function checkAccounts(config: Config, findings: Findings): void {
  const sample = { host: "192.0.2.1", port: 5060, user: "user" };
  for (const { user, group, resources, attrs } of config.registrar.accounts) {
    const row = { group_id: group, dst_uri: "sip:192.0.2.1:5060", resources: fillTemplate(resources, sample), attrs };
    for (const fault of faultsOf(row, feedsOf(config))) findings.error(`registrar: account "${user}" makes no destination: ${fault}`);
  }
}

/** Looks at the rows as a start would. A database that is not there yet is no mistake: a start makes it. */
async function checkDestinations(config: Config, setup: DistributorSetup | ConfigError, { findings, summary }: Checked): Promise<void> {
  const { db_url: dbUrl, db_table: table } = config.load_balancer;
  const balancer = new Balancer({ below: () => 0 });
  try {
    const store = await openStore(dbUrl, { table, mode: "inspect", feeds: feedsOf(config) });
    try {
      const { rows, skipped } = await store.loadDestinations();
      summary.push(`${rows.length} of ${rows.length + skipped.length} destinations of table "${table}" can be used`);
      const probed = rows.filter(({ probeMode }) => probeMode !== 0);
      if (probed.length > 0 && config.load_balancer.probing_interval === 0)
        findings.notice(`probe_mode of ${probed.length} destinations has no effect: load_balancer.probing_interval is 0`);
      const { problems } = balancer.replaceTable(rows);
      for (const text of [...problems, ...tableNotices(config, rows)]) findings.notice(text, placeOf(text, table));
      checkRows(rows, config, findings);
      checkNodes(setup, balancer, findings);
      for (const { id, reason } of skipped) findings.error(reason, { table, ...(id !== undefined && { row: id }) });
    } finally {
      await store.close();
    }
  } catch (cause) {
    if (!(cause instanceof StoreError)) throw cause;
    if (cause.code !== "NO_DATABASE" && cause.code !== "NO_TABLE") return findings.error(cause.message, { table });
    findings.notice(`${cause.message}; headroom start makes it, headroom destinations add fills it`, { table });
    checkNodes(setup, balancer, findings);
  }
}

/** The row that a sentence of the balancer is about. */
function placeOf(text: string, table: string): { readonly table: string; readonly row: number } | undefined {
  const [, id] = /\bdestination (\d+)\b/.exec(text) ?? [];
  return id === undefined ? undefined : { table, row: Number(id) };
}
