import { isIPv6 } from "node:net";
import { type DestinationRow, parseDestinationOptions, parseRequestedResources } from "../balancer/index.ts";
import { type Config, parseListen } from "../config/index.ts";
import type { Findings } from "./check-findings.ts";

/** Most ids that a sentence names. */
const MAX_IDS = 10;

/** Looks at what the rows have to do with each other and with the configuration. */
export function checkRows(rows: readonly DestinationRow[], config: Config, findings: Findings): void {
  const table = config.load_balancer.db_table;
  checkTwice(rows, table, findings);
  checkSockets(rows, config, findings);
  checkUnused(rows, config, findings);
}

function checkTwice(rows: readonly DestinationRow[], table: string, findings: Findings): void {
  for (const same of Map.groupBy(rows, ({ group, uri }) => `${group} ${uri.toLowerCase()}`).values()) {
    const [first, second] = same;
    if (first === undefined || second === undefined || isPool(same)) continue;
    const ids = idsOf(same);
    findings.notice(`Group ${first.group} has "${first.uri}" more than once: destinations ${ids}`, { table, row: second.id });
  }
}

/** Rows that count their calls together are meant to be one destination. */
function isPool(rows: readonly DestinationRow[]): boolean {
  const pools = new Set(rows.map(({ attrs }) => parseDestinationOptions(attrs).shared));
  return pools.size === 1 && !pools.has(undefined);
}

/** Destinations that nothing in `sip.listen` can send to, by the kind of socket that is lacking. */
function checkSockets(
  rows: readonly DestinationRow[],
  { sip: { listen }, load_balancer: { db_table: table } }: Config,
  findings: Findings,
): void {
  const served = new Set(listen.map(parseListen).map(({ transport, address }) => socketName(transport, isIPv6(address))));
  const lacking = Map.groupBy(
    rows.filter(
      ({ addresses }) => addresses.length > 0 && !addresses.some(({ ip, transport }) => served.has(socketName(transport, isIPv6(ip)))),
    ),
    ({ addresses: [address] }) => socketName(address?.transport ?? "udp", isIPv6(address?.ip ?? "")),
  );
  for (const [name, without] of lacking) {
    const what = without.length === 1 ? `Destination ${idsOf(without)} gets` : `Destinations ${idsOf(without)} get`;
    const probed = without.some(({ probeMode }) => probeMode !== 0) ? " and no probes" : "";
    findings.notice(`${what} no calls${probed}: nothing in sip.listen sends ${name}`, { table, ...(without[0] && { row: without[0].id }) });
  }
}

/** Resources of rows that no call ever asks for. A route module may ask for anything. */
function checkUnused(rows: readonly DestinationRow[], { routing, load_balancer: { db_table: table } }: Config, findings: Findings): void {
  if (routing.script !== null) return;
  const texts = [...routing.rules.map(({ resources }) => resources), ...(routing.outbound ? [routing.outbound.resources] : [])];
  const asked = new Set(texts.flatMap((text) => parseRequestedResources(text) ?? []));
  const having = new Map<string, DestinationRow[]>();
  for (const row of rows) {
    for (const { name } of row.resources) {
      if (asked.has(name)) continue;
      const owners = having.get(name);
      if (owners === undefined) having.set(name, [row]);
      else owners.push(row);
    }
  }
  for (const [name, owners] of having) {
    const whose = owners.length === 1 ? `destination ${idsOf(owners)} has it` : `destinations ${idsOf(owners)} have it`;
    findings.notice(`Resource "${name}" is asked for by no rule: ${whose}`, { table, ...(owners[0] && { row: owners[0].id }) });
  }
}

function socketName(transport: string, isV6: boolean): string {
  return `${transport} over ${isV6 ? "IPv6" : "IPv4"}`;
}

function idsOf(rows: readonly { readonly id: number }[]): string {
  const shown = rows.slice(0, MAX_IDS).map(({ id }) => id);
  return `${shown.join(", ")}${rows.length > MAX_IDS ? ` and ${rows.length - MAX_IDS} more` : ""}`;
}
