import { parseBlacklist } from "../health/index.ts";
import { askedTransport, targetOfUri } from "../resolution/index.ts";
import { tryParseSipUri } from "../sip/index.ts";
import { isLoopback, parseHttpListen, parseListen } from "./listen.ts";
import type { Reading } from "./read-values.ts";
import type { ConfigValues, RoutingRule } from "./schema.ts";
import { clusterIdOf, parseSharingTag } from "./schema-cluster.ts";
import { checkRegistrar } from "./schema-registrar.ts";
import { unsharedKeys } from "./worker-checks.ts";

/** The part of a reading that these checks look at. */
type Found = Pick<Reading, "set" | "report" | "refused">;

/**
 * What no key shows alone: sockets that clash, a management interface open to anybody, rules that say two things, lists that do not exist,
 * accounts that cannot be used, an age that every heartbeat reaches, sharing tags of two clusters.
 *
 * What was refused by itself is not looked at again.
 */
export function checkTogether(values: ConfigValues, found: Found): void {
  if (isRight("sip.listen", found)) checkListens(values.sip.listen, found);
  if (isRight("sip.listen", found) && isRight("sip.tls", found)) checkTls(values.sip, found);
  if (isRight("mi_http", found)) checkManagement(values.mi_http, found);
  checkRules(values.routing.rules, found);
  if (isRight("sip.listen", found) && isRight("routing.outbound", found)) checkNextHopTransport(values, found);
  if (isRight("load_balancer.lb_define_blacklist", found)) checkBlacklists(values, found);
  if (isRight("registrar", found)) checkRegistrations(values, found);
  if (isRight("cluster", found) && isRight("load_balancer.cluster_id", found)) checkSharingTags(values, found);
  if (values.sip.workers > 1 && isRight("sip.listen", found)) {
    for (const words of unsharedKeys(values))
      report(found, "sip.workers", `found ${values.sip.workers}, want 1, as ${words}, and that is for one thread`);
  }
  if (values.freeswitch.stale_heartbeats === 1) {
    report(found, "freeswitch.stale_heartbeats", "found 1, want 0 or a whole number from 2 to 1000: gaps between heartbeats vary by half");
  }
}

function checkRegistrations({ registrar, load_balancer }: ConfigValues, found: Found): void {
  checkRegistrar(registrar, found);
  if (load_balancer.fetch_freeswitch_stats) return;
  for (const [i, { resources }] of registrar.accounts.entries()) {
    if (!/=\s*fs:\/\//i.test(resources)) continue;
    const path = `registrar.accounts[${i}].resources`;
    report(found, path, "found fs://, which takes capacities from FreeSWITCH, want load_balancer.fetch_freeswitch_stats to be true");
  }
}

/** A node is in one cluster, so its tags are tags of this one. */
function checkSharingTags(values: ConfigValues, found: Found): void {
  const clusterId = clusterIdOf(values);
  const said = values.load_balancer.cluster_id === 0 ? "the first tag" : "load_balancer.cluster_id";
  const names = new Set<string>();
  for (const [i, text] of values.cluster.sharing_tags.entries()) {
    const { name, clusterId: own } = parseSharingTag(text);
    const path = `cluster.sharing_tags[${i}]`;
    if (own !== clusterId) report(found, path, `found "${text}", which is of cluster ${own}, want cluster ${clusterId}, as ${said} says`);
    if (names.has(name)) report(found, path, `found "${text}", whose tag "${name}" stands there already, want each tag once`);
    names.add(name);
  }
}

function checkBlacklists(values: ConfigValues, found: Found): void {
  const definitions = values.load_balancer.lb_define_blacklist;
  const names = new Set<string>();
  for (const [i, text] of definitions.entries()) {
    const { name } = parseBlacklist(text);
    // One value in place of a list of one stands at the key itself.
    const path = found.set.has(`load_balancer.lb_define_blacklist[${i}]`)
      ? `load_balancer.lb_define_blacklist[${i}]`
      : "load_balancer.lb_define_blacklist";
    if (names.has(name)) report(found, path, `found "${text}", whose list "${name}" is defined already, want each name once`);
    names.add(name);
  }
  if (!isRight("routing.deny_targets", found)) return;
  const wanted =
    names.size === 0
      ? "a list of load_balancer.lb_define_blacklist, which has none"
      : `one of ${[...names].map((name) => `"${name}"`).join(", ")}`;
  for (const [i, name] of values.routing.deny_targets.entries()) {
    const path = found.set.has(`routing.deny_targets[${i}]`) ? `routing.deny_targets[${i}]` : "routing.deny_targets";
    if (!names.has(name)) report(found, path, `found "${name}", want ${wanted}`);
  }
}

function checkRules(rules: readonly RoutingRule[], found: Found): void {
  for (const [i, rule] of rules.entries()) {
    const path = `routing.rules[${i}]`;
    const [other, second] = (["answer", "dispatch", "distribute"] as const).filter((name) => rule[name] !== undefined);
    if (other === undefined || !isRight(path, found)) continue;
    if (second !== undefined) report(found, path, `found both ${other} and ${second}, want one of them`);
    const balanced = [...(other === "answer" ? ["resources"] : []), "group", "flags"].filter((name) => found.set.has(`${path}.${name}`));
    if (balanced.length > 0) report(found, path, `found ${other} together with ${balanced.join(", ")}, want one or the other`);
  }
}

function checkListens(listens: readonly string[], found: Found): void {
  const taken = new Map<string, string>();
  for (const [i, text] of listens.entries()) {
    const { transport, address, port } = parseListen(text);
    if (port === 0) continue; // the system chooses, each time another
    // tls, ws and wss are TCP sockets as well.
    const socket = `${transport === "udp" ? "udp" : "tcp"} ${address.toLowerCase()} ${port}`;
    const other = taken.get(socket);
    if (other !== undefined)
      report(found, `sip.listen[${i}]`, `found "${text}", which takes the same socket as "${other}", want each once`);
    taken.set(socket, text);
  }
  if (!listens.some((text) => parseListen(text).transport === "udp")) {
    report(found, "sip.listen", "found no udp entry, want at least one: destinations are probed over UDP");
  }
}

/** A name without a transport may lead to any; one that is asked for must have a listener. */
function checkNextHopTransport({ routing: { outbound }, sip: { listen } }: ConfigValues, found: Found): void {
  const uri = tryParseSipUri(outbound?.next_hop ?? "");
  const transport = uri && (askedTransport(targetOfUri(uri)) ?? (uri.scheme === "sips" ? "tls" : undefined));
  const isServed = transport === undefined || listen.some((text) => parseListen(text).transport === transport);
  if (!isServed) report(found, "routing.outbound.next_hop", `found "${outbound?.next_hop}", want an entry of ${transport} in sip.listen`);
}

function checkTls({ listen, tls }: ConfigValues["sip"], found: Found): void {
  const secure = listen.find((text) => ["tls", "wss"].includes(parseListen(text).transport));
  for (const key of ["certificate", "private_key"] as const) {
    if (secure !== undefined && tls[key] === null) report(found, "sip.listen", `found "${secure}" without sip.tls.${key}, want both`);
  }
}

function checkManagement(management: ConfigValues["mi_http"], found: Found): void {
  const { listen, auth, tls } = management;
  checkTokens(auth, found);
  for (const [key, other] of [
    ["certificate", "private_key"],
    ["private_key", "certificate"],
  ] as const) {
    if (tls[key] !== null && tls[other] === null)
      report(found, `mi_http.tls.${key}`, `found it without mi_http.tls.${other}, want both or neither`);
  }
  const { address } = parseHttpListen(listen);
  if (isLoopback(address) || auth.bearer_tokens.length + auth.tokens.length > 0) return;
  const message = `found "${listen}", which others can reach, without a token in mi_http.auth: want a loopback address or at least one token`;
  report(found, "mi_http.listen", message);
}

/** Names say who it was, so each is of one token; and a token is of one name and role. */
function checkTokens({ bearer_tokens, tokens }: ConfigValues["mi_http"]["auth"], found: Found): void {
  const names = new Set<string>();
  const taken = new Set<string>(bearer_tokens);
  for (const [i, { name, token }] of tokens.entries()) {
    if (names.has(name)) report(found, `mi_http.auth.tokens[${i}].name`, `found "${name}" again, want another name for each token`);
    if (taken.has(token))
      report(found, `mi_http.auth.tokens[${i}].token`, "found a token that stands above already, want another one for each name");
    names.add(name);
    taken.add(token);
  }
}

/** Whether nothing of a key was refused. */
function isRight(path: string, { refused }: Found): boolean {
  return !refused.some((bad) => bad.startsWith(path) && !/[a-z_]/.test(bad[path.length] ?? ""));
}

function report(found: Found, path: string, message: string): void {
  found.report(found.set.get(path) ?? { line: 1, column: 1 }, `${path}: ${message}`);
}
