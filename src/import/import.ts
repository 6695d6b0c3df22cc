import { type Finding, Findings } from "./findings.ts";
import { mentions } from "./initial-invite.ts";
import { NewConfig, type NewLine } from "./new-config.ts";
import { importParams } from "./params.ts";
import { parseCfg } from "./parse.ts";
import { importRoutes } from "./request-route.ts";
import { writeModule } from "./script-module.ts";
import { importSettings } from "./settings.ts";
import { type ReadInclude, Sources } from "./sources.ts";
import type { Call, CfgFile, Flavor } from "./tree.ts";

/** What became of a configuration. */
export interface Imported {
  readonly flavor: Flavor;
  /** The lines of a `headroom.yaml`. */
  readonly lines: readonly NewLine[];
  readonly findings: readonly Finding[];
  /** The route module, when one was asked for and there is a script. */
  readonly module?: string;
  /** How many sentences of the findings are about what the script does and a rule cannot say. */
  readonly beyondRules: number;
}

export interface ImportOptions {
  /** Whose configuration it is; undefined: found out. */
  readonly flavor?: Flavor | undefined;
  /** Reads the files that it includes; undefined: they are left out, and told. */
  readonly read?: ReadInclude;
  /** Name of the file of a route module that is wanted in place of rules. */
  readonly script?: string | undefined;
}

/**
 * Makes a `headroom.yaml` of an `opensips.cfg` or a `kamailio.cfg`. Nothing is guessed: what a rule or a key cannot say is in the findings.
 *
 * @throws {ImportSyntaxError} for a text that cannot be read to its end
 */
export function importCfg(text: string, { flavor, read, script }: ImportOptions = {}): Imported {
  const sources = new Sources(read);
  const cfg = parseCfg(text, flavor, sources);
  const findings = new Findings();
  const config = new NewConfig();
  for (const { line, text: words } of cfg.problems) findings.add(line, "left", words);
  importSettings(cfg, config, findings);
  importParams(cfg, config, findings);
  const before = countLosses(findings);
  const module = script === undefined ? undefined : writeModule(cfg, findings, placeInWords);
  if (script !== undefined && module !== undefined) config.set("routing.script", script, 0);
  else importRoutes(cfg, config, findings, placeInWords);
  const beyondRules = module === undefined ? countLosses(findings) - before : 0;
  settle(cfg, config, findings);
  return {
    flavor: cfg.flavor,
    lines: config.lines().map(({ text: words, from }) => {
      const { line, ...file } = place(from);
      return { text: words, from: line, ...file };
    }),
    findings: findings.sorted.map((finding) => ({ ...finding, ...place(finding.line) })),
    beyondRules,
    ...(module !== undefined && { module }),
  };

  function placeInWords(encoded: number): string {
    const { line, file } = place(encoded);
    return file === undefined ? String(line) : `${file}:${line}`;
  }

  function place(encoded: number): { line: number; file?: string } {
    const { file, line } = sources.place(encoded);
    return { line, ...(file !== undefined && { file }) };
  }
}

function countLosses(findings: Findings): number {
  return findings.sorted.filter(({ fate }) => fate === "left").length;
}

/** What several parts of the configuration say together. */
function settle(cfg: CfgFile, config: NewConfig, findings: Findings): void {
  if (config.get("cluster.node_id") !== undefined && config.get("cluster.redis_url") === undefined)
    findings.add(0, "todo", "nodes of a cluster share a Redis: set cluster.redis_url");
  if (config.get("load_balancer.db_url") === undefined && cfg.modules.some(({ name }) => name === "load_balancer"))
    findings.add(0, "todo", "load_balancer has no db_url of its own: set load_balancer.db_url");
  settleTls(config, findings);
  settlePike(cfg, config, findings);
  for (const block of cfg.blocks)
    if (!["route", "failure_route"].includes(block.type))
      findings.add(
        block.line,
        "left",
        `${block.type}[${block.name}]${block.type === "onreply_route" || block.type === "reply_route" ? ": in a route module it is reply()" : " has no counterpart"}`,
      );
}

/** What module pike bans where nothing is set, if a script asks it. */
function settlePike({ blocks }: CfgFile, config: NewConfig, findings: Findings): void {
  let line = 0;
  const find = (call: Call): boolean => {
    if (call.name === "pike_check_req") line = call.line;
    return line > 0;
  };
  for (const { body } of blocks) mentions(body, find, 40);
  if (line === 0) return;
  const defaults = { sampling_time_unit: 2, reqs_density_per_unit: 30, remove_latency: 120 };
  for (const [name, value] of Object.entries(defaults))
    if (config.get(`overload.${name}`) === undefined) config.set(`overload.${name}`, value, line);
  findings.add(
    line,
    "changed",
    "pike_check_req is overload.reqs_density_per_unit: it holds before any rule, for all requests of a source but destinations and those of sip.allow",
  );
}

/** A listener for TLS needs a certificate: without one it is left out, so that the others stay. */
function settleTls(config: NewConfig, findings: Findings): void {
  const listen = config.get("sip.listen");
  if (!Array.isArray(listen) || config.get("sip.tls.certificate") !== undefined) return;
  const secure = listen.filter((socket) => /^(?:tls|wss):/.test(String(socket)));
  if (secure.length === 0) return;
  config.set(
    "sip.listen",
    listen.filter((socket) => !secure.includes(socket)),
    0,
  );
  findings.add(0, "todo", `${secure.join(", ")} is not in sip.listen: set sip.tls.certificate and sip.tls.private_key first`);
}
