import { SHORTEST_ATTEMPT_MS } from "../routing/index.ts";
import { compileStatusList, holdsFailure } from "../routing/status-set.ts";
import { noticeDispatcher } from "./dispatcher-notices.ts";
import { parseListen } from "./listen.ts";
import { noticeManagement } from "./management-notices.ts";
import { defaultOf, type Reading, type SetKey } from "./read-values.ts";
import type { ConfigValues } from "./schema.ts";

/** What {@link noticeRules} has a sentence for. */
const OWN_NOTICE = /^routing\.rules\[\d+\]\./;

const PROBING_PATHS = [
  ...["method", "from", "reply_codes", "verbose"].map((name) => `load_balancer.probing_${name}`),
  ...["rise", "fall", "jitter", "fast_interval"].map((name) => `health.${name}`),
];
const BREAKER_PATHS = ["min_calls", "failure_ratio", "open_for", "trial_calls"].map((name) => `health.breaker.${name}`);

/** One sentence, with its place, for each key of the file that is set to something that has no effect. */
export function noticesOf(values: ConfigValues, set: Reading["set"], file: string): string[] {
  const notices: string[] = [];
  for (const key of set.values()) {
    if (!OWN_NOTICE.test(key.path) && key.schema.unbuilt !== undefined && asksForSomething(key))
      say(key.path, `has no effect: ${key.schema.unbuilt}`);
  }
  noticeListens(values.sip, set, say);
  if (values.load_balancer.db_url.startsWith("sqlite:")) {
    sayUnused("load_balancer.local_db_url", "load_balancer.db_url is an SQLite file, which takes all", set, say);
    sayUnused("load_balancer.start_without_database", "load_balancer.db_url is an SQLite file, which needs no server", set, say);
  }
  noticeDispatcher(values, set, say);
  noticeRules(values.routing, set, say);
  noticeBudgets(values, say);
  noticeHealth(values, set, say);
  noticeCluster(values, set, say);
  noticePersistence(values, set, say);
  noticeOverload(values, set, say);
  noticeManagement(values, say);
  if (values.sip.workers > 1) {
    sayUnused("tracing.ring_size", "sip.workers is above 1, and messages are remembered for one thread only", set, say);
    sayUnused("explain.calls", "sip.workers is above 1, and decisions are remembered for one thread only", set, say);
  } else sayUnused("sip.worker_ports", "sip.workers is 1", set, say);
  return notices;

  function say(path: string, text: string): void {
    const key = set.get(path);
    const place = key ? `${file}:${key.line}:${key.column}: ` : "";
    notices.push(`${place}${path} ${text}`);
  }
}

/** Keys of transports that nothing listens on. */
function noticeListens(
  { listen, tls, websocket }: ConfigValues["sip"],
  set: Reading["set"],
  say: (path: string, text: string) => void,
): void {
  const served = new Set(listen.map((text) => parseListen(text).transport));
  if (!served.has("tls") && !served.has("wss")) {
    for (const name of Object.keys(tls)) sayUnused(`sip.tls.${name}`, "sip.listen has no tls and no wss", set, say);
  }
  if (!served.has("ws") && !served.has("wss")) {
    for (const name of Object.keys(websocket)) sayUnused(`sip.websocket.${name}`, "sip.listen has no ws and no wss", set, say);
  }
}

/** Keys that only mean something while another one is in use. */
function noticeHealth(values: ConfigValues, set: Reading["set"], say: (path: string, text: string) => void): void {
  const { load_balancer, health, events, freeswitch, routing } = values;
  const interval = load_balancer.probing_interval;
  for (const path of interval === 0 ? PROBING_PATHS : []) unused(path, "load_balancer.probing_interval is 0");
  if (interval !== 0 && health.fast_interval >= interval) {
    unused("health.fast_interval", `it is not shorter than load_balancer.probing_interval, which is ${interval}`);
  }
  for (const path of health.breaker.window === 0 ? BREAKER_PATHS : []) unused(path, "health.breaker.window is 0");
  for (const path of load_balancer.fetch_freeswitch_stats ? [] : freeswitchPaths(values)) {
    unused(path, "load_balancer.fetch_freeswitch_stats is false");
  }
  if (load_balancer.fetch_freeswitch_stats && freeswitch.stale_heartbeats === 0) {
    unused("freeswitch.stale_action", "freeswitch.stale_heartbeats is 0");
  }
  if (events.webhooks.length === 0) unused("events.webhook_queue", "events.webhooks is empty");
  if (routing.script !== null) unused("routing.outbound", "routing.script decides where calls go");

  function unused(path: string, reason: string): void {
    sayUnused(path, reason, set, say);
  }
}

/** Keys of a cluster that a node alone does not need. */
function noticeCluster({ cluster, load_balancer }: ConfigValues, set: Reading["set"], say: (path: string, text: string) => void): void {
  if (cluster.redis_url === null) {
    const paths = ["cluster_id", "cluster_sharing_tag"].map((name) => `load_balancer.${name}`);
    for (const name of Object.keys(cluster)) paths.push(`cluster.${name}`);
    for (const path of paths) sayUnused(path, "cluster.redis_url is not set, this node runs alone", set, say);
  } else if (load_balancer.cluster_sharing_tag === null) {
    sayUnused("cluster.probe_without_redis", "without load_balancer.cluster_sharing_tag each node probes for itself", set, say);
  }
}

/** Calls are kept when nothing is said about it, so only who asks for it is told that they are not. */
function noticePersistence({ load_balancer }: ConfigValues, set: Reading["set"], say: (path: string, text: string) => void): void {
  if (set.get("dialog.persistence")?.value !== "sqlite") return;
  const name = load_balancer.db_url.startsWith("sqlite:") ? "db_url" : "local_db_url";
  if (load_balancer[name] === "sqlite::memory:") say("dialog.persistence", `has no effect: load_balancer.${name} is in memory`);
}

/** Keys of limits that are switched off. */
function noticeOverload({ overload }: ConfigValues, set: Reading["set"], say: (path: string, text: string) => void): void {
  if (overload.reqs_density_per_unit === 0) {
    for (const name of ["sampling_time_unit", "remove_latency"])
      sayUnused(`overload.${name}`, "overload.reqs_density_per_unit is 0", set, say);
  }
  if (overload.scanners.length === 0) sayUnused("overload.scanner_answer", "overload.scanners is empty", set, say);
}

function sayUnused(path: string, reason: string, set: Reading["set"], say: (path: string, text: string) => void): void {
  const key = set.get(path);
  if (key && asksForSomething(key)) say(path, `has no effect: ${reason}`);
}

function freeswitchPaths({ freeswitch }: ConfigValues): string[] {
  return ["load_balancer.initial_freeswitch_load", ...Object.keys(freeswitch).map((name) => `freeswitch.${name}`)];
}

function noticeRules(routing: ConfigValues["routing"], set: Reading["set"], say: (path: string, text: string) => void): void {
  if (routing.script !== null) {
    if (set.has("routing.rules")) say("routing.rules", "has no effect: routing.script decides where calls go");
    return;
  }
  if (routing.rules.length === 0) say("routing.rules", "has no rule and there is no routing.script: every call is refused");
  const all = routing.rules.findIndex(({ match }) => Object.keys(match).length === 0);
  for (const [i, { match }] of routing.rules.entries()) {
    if (all === -1 || i <= all || match.method?.every((method) => method.toUpperCase() !== "INVITE")) continue;
    say(`routing.rules[${i}]`, `is never reached: routing.rules[${all}] takes every INVITE`);
  }
}

/** Budgets that are used up before the failure is known that a further destination would be tried for. */
function noticeBudgets({ routing, tm }: ConfigValues, say: (path: string, text: string) => void): void {
  if (routing.script !== null) return;
  for (const [i, { failover_budget: budget, failover_on, max_failovers }] of routing.rules.entries()) {
    if (budget === 0 || max_failovers === 0) continue;
    const path = `routing.rules[${i}].failover_budget`;
    const least = `a further destination gets ${SHORTEST_ATTEMPT_MS / 1000} seconds at least`;
    const leftAfterTimeoutMs = (budget - tm.fr_timeout) * 1000;
    if (budget * 1000 <= SHORTEST_ATTEMPT_MS) say(path, `${budget} lets no call fail over: ${least}`);
    else if (leftAfterTimeoutMs <= SHORTEST_ATTEMPT_MS && holdsFailure(compileStatusList(path, failover_on), 408, "timeout"))
      say(path, `${budget} lets no call fail over after a time-out: tm.fr_timeout is ${tm.fr_timeout} seconds, and ${least}`);
  }
}

function asksForSomething({ schema, value }: SetKey): boolean {
  const harmless = "harmless" in schema ? schema.harmless : defaultOf(schema);
  return JSON.stringify(value) !== JSON.stringify(harmless);
}
