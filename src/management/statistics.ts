import type { ManagementPorts } from "./ports.ts";

/** One statistic, found by a client's word. */
export interface Statistic {
  readonly group: string;
  readonly name: string;
  readonly value: number;
}

/** Statistics that tell a current value. Every other one counts since the start. Names as in OpenSIPS. */
const GAUGES: ReadonlySet<string> = new Set([
  "clusterer:lease_calls",
  "clusterer:lease_unreturned",
  "clusterer:load_kept",
  "clusterer:load_unknown_slots",
  "clusterer:nodes_alive",
  "clusterer:nodes_known",
  "clusterer:redis_connected",
  "clusterer:redis_rtt_ms",
  "clusterer:status_records",
  "clusterer:tags_active",
  "clusterer:unsynced_dialogs",
  "clusterer:unsynced_statuses",
  "core:timestamp",
  "dialog:active_dialogs",
  "dialog:early_dialogs",
  "dialog:persist_lag_ms",
  "dialog:persist_pending",
  "dispatcher:active",
  "dispatcher:counted_calls",
  "dispatcher:destinations",
  "dispatcher:disabled",
  "dispatcher:inactive",
  "dispatcher:sets",
  "dispatcher:states_pending",
  "dispatcher:trying",
  "distributor:lists",
  "events:alerts_raised",
  "events:clients",
  "events:webhook_pending",
  "freeswitch:connected",
  "freeswitch:servers",
  "freeswitch:stale",
  "freeswitch:withdrawn",
  "health:breakers_open",
  "health:draining",
  "health:states_pending",
  "health:states_unwritable",
  "load_balancer:destinations",
  "load_balancer:destinations_enabled",
  "load_balancer:stale_table",
  "net:open_connections",
  "net:peer_sockets",
  "overload:bans",
  "overload:lag_ms",
  "overload:overloaded",
  "overload:sources",
  "overload:utilization_percent",
  "registrar:active",
  "registrar:leaving",
  "tm:inuse_transactions",
  "tracing:hep_waiting_bytes",
  "tracing:messages",
]);

/** Beginnings of names that tell current values, one for each destination. */
const GAUGE_PREFIXES: readonly string[] = ["probing:latency_"];

export function isGauge(ports: ManagementPorts, statistic: Statistic): boolean {
  return isCurrentValue(statistic.group, statistic.name, ports.gauges);
}

/** Whether a statistic tells a current value, not a count since the start. @param gauges those that do so, as `group:name` */
export function isCurrentValue(group: string, name: string, gauges: ReadonlySet<string> = GAUGES): boolean {
  const key = `${group}:${name}`;
  return gauges.has(key) || GAUGE_PREFIXES.some((prefix) => key.startsWith(prefix));
}

/**
 * Statistics that a client's words select: `all`, `group:`, a name of any group (case does not matter, the first group wins), or `group:name`.
 * Words that select nothing are passed over, as in OpenSIPS.
 */
export function selectStatistics(ports: ManagementPorts, words: readonly string[]): Statistic[] {
  const all = allStatistics(ports);
  return words.flatMap((word) => {
    if (word === "all") return all;
    if (word.endsWith(":")) return all.filter(({ group }) => `${group}:` === word);
    const wanted = word.toLowerCase();
    const named =
      all.find(({ name }) => name.toLowerCase() === wanted) ?? all.find(({ group, name }) => `${group}:${name}`.toLowerCase() === wanted);
    return named === undefined ? [] : [named];
  });
}

export function allStatistics(ports: ManagementPorts): Statistic[] {
  return Object.entries(ports.statistics()).flatMap(([group, values]) =>
    Object.entries(values).map(([name, value]) => ({ group, name, value })),
  );
}
