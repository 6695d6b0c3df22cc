import { describeStatus, FEED_STATES, type StatusWord } from "../health/index.ts";
import type { MiCall, MiResult } from "./mi-client.ts";
import { clusterLine, isObject } from "./mi-format.ts";
import { isoTime, plain } from "./terminal.ts";

/** What `headroom top` asks for, in this order. Only the first must be answered: a balancer may be without probes. */
export const TOP_CALLS: readonly MiCall[] = [
  { method: "lb_list" },
  { method: "get_statistics", params: [["dialog:", "load_balancer:", "tm:", "overload:"]] },
  { method: "lb_probes" },
];

/** How a destination stands to new calls: in the words of the dashboard, and in some more for what of `up` is worth a look. */
export type TopStatus = StatusWord | "full" | "starting" | "stale";

export interface TopResource {
  readonly name: string;
  /** Calls of all nodes, and of others where FreeSWITCH tells of them. */
  readonly load: number;
  /** What is open now; less than `capacity` during a slow start. */
  readonly max: number;
  readonly capacity: number;
  readonly free: number;
}

export interface TopDestination {
  readonly id: number;
  readonly group: number;
  readonly uri: string;
  readonly status: TopStatus;
  /** A sentence where the status is not all that there is to say, else empty. */
  readonly why: string;
  readonly resources: readonly TopResource[];
  /** Of the last reply to a probe. */
  readonly probeMs: number | null;
}

/** Decisions by what came of them, as `load_balance()` of OpenSIPS codes them: 1, -2, -3, -4, -1. */
export const DECISIONS = ["selected", "no_capacity", "no_destination", "bad_resource", "internal_error"] as const;

export interface TopTotals {
  /** Ongoing calls, those that ring among them. */
  readonly calls: number;
  readonly ringing: number;
  /** Since the sample before; null when there is none, or the balancer has started anew. */
  readonly callsPerSecond: number | null;
  /** Since the balancer started. */
  readonly decisions: Readonly<Record<(typeof DECISIONS)[number], number>>;
  readonly failovers: number;
  /** New calls that were refused for lack of time. */
  readonly refused: number;
  /** How late the event loop is. */
  readonly lagMs: number;
}

/** Causes for which new calls are refused for want of time. */
const REFUSED_CALLS = ["rate", "lag", "utilization", "backlog"] as const;

/** The balancer at one moment, as `headroom top` shows it. */
export interface TopView {
  /** Milliseconds since 1970, by the clock of this machine. */
  readonly at: number;
  readonly totals: TopTotals;
  /** One line, only of a node of a cluster. */
  readonly cluster: string | null;
  /** In id order. */
  readonly destinations: readonly TopDestination[];
}

/** Counters of a sample, which the next one is compared with. */
export interface TopCounters {
  readonly at: number;
  readonly calls: number;
}

/**
 * What the answers to {@link TOP_CALLS} say.
 *
 * @param before counters of the sample before
 * @throws MiFailure when the destinations or the statistics cannot be had
 */
export function readTop(
  results: readonly MiResult[],
  atMs: number,
  before: TopCounters | undefined,
): { view: TopView; counters: TopCounters } {
  const [list, statistics, probes] = results;
  const listed = member(needed(list), "Destinations");
  const counts = needed(statistics);
  const count = (name: string): number => numberOf(isObject(counts) ? counts[name] : 0);
  const probed = objects(probes !== undefined && "result" in probes ? member(probes.result, "Probes") : []);
  const probeOf = new Map(probed.map((probe) => [numberOf(probe["id"]), probe]));

  const calls = count("dialog:processed_dialogs");
  const seconds = before === undefined ? 0 : (atMs - before.at) / 1000;
  const rate = before === undefined || seconds <= 0 || calls < before.calls ? null : (calls - before.calls) / seconds;
  const cluster = isObject(needed(list)) ? (needed(list) as Record<string, unknown>)["Cluster"] : undefined;
  const totals: TopTotals = {
    calls: count("dialog:active_dialogs") + count("dialog:early_dialogs"),
    ringing: count("dialog:early_dialogs"),
    callsPerSecond: rate === null ? null : Math.round(rate * 10) / 10,
    decisions: Object.fromEntries(DECISIONS.map((name) => [name, count(`load_balancer:${name}`)])) as TopTotals["decisions"],
    failovers: count("tm:failovers"),
    refused: REFUSED_CALLS.reduce((sum, name) => sum + count(`overload:calls_refused_${name}`), 0),
    lagMs: count("overload:lag_ms"),
  };
  return {
    view: {
      at: atMs,
      totals,
      cluster: isObject(cluster) ? clusterLine(cluster) : null,
      destinations: objects(listed).map((destination) => describe(destination, probeOf)),
    },
    counters: { at: atMs, calls },
  };
}

/** Slots of the scarcest resource. */
export function freeSlots({ resources }: TopDestination): number {
  return Math.min(...resources.map(({ free }) => free));
}

/** Share in use of the resource that is used most, 0 to 1 and above. */
export function usedShare({ resources }: TopDestination): number {
  return Math.max(0, ...resources.map(({ load, max }) => (max > 0 ? load / max : load > 0 ? 1 : 0)));
}

function describe(destination: Record<string, unknown>, probeOf: ReadonlyMap<number, Record<string, unknown>>): TopDestination {
  const id = numberOf(destination["id"]);
  const probe = probeOf.get(id);
  const resources = objects(destination["Resources"]).map(describeResource);
  return {
    id,
    group: numberOf(destination["group"]),
    uri: plain(destination["uri"]),
    ...statusOf(destination, resources, probe),
    resources,
    probeMs: typeof probe?.["last_ms"] === "number" ? probe["last_ms"] : null,
  };
}

function describeResource(resource: Record<string, unknown>): TopResource {
  const max = numberOf(resource["max"]);
  const load = numberOf(resource["load"]) + numberOf(resource["foreign_load"]);
  return { name: plain(resource["name"]), load, max, capacity: numberOf(resource["capacity"] ?? max), free: Math.max(0, max - load) };
}

/** The one word for all that it has to say of itself, and why. */
function statusOf(
  destination: Record<string, unknown>,
  resources: readonly TopResource[],
  probe: Record<string, unknown> | undefined,
): Pick<TopDestination, "status" | "why"> {
  const { draining, drain_deadline: deadline, freeswitch, breaker, capacity_percent: percent } = destination;
  const feedState = FEED_STATES.find((state) => state === freeswitch) ?? "fresh";
  const full = resources.filter(({ free }) => free === 0).map(({ name }) => name);
  const factor = typeof percent === "number" ? percent / 100 : 1;
  const [status, why] = describeStatus({
    isEnabled: destination["enabled"] === "yes",
    isAutoReenable: destination["auto-reenable"] === "on",
    isProbed: probe !== undefined,
    lastCode: numberOf(probe?.["last_code"]),
    wasDrained: false, // the list does not tell: it stays disabled as if an operator had done it, who has asked for it
    isDraining: draining === "yes",
    drainLoad: numberOf(destination["drain_load"]),
    isLeaving: destination["registered"] === "leaving",
    isWithdrawn: feedState === "paused" || feedState === "leaving" || feedState === "idle-cpu",
    feedState,
    breaker: breaker === "open" || breaker === "trials" ? breaker : "closed",
    restS: numberOf(destination["resting"]),
    isOverRate: destination["over_rate"] === "yes",
    callsPerSecond: numberOf(destination["rate_limit"]),
    factor,
    full,
  });
  if (status === "draining" && typeof deadline === "number") {
    return { status, why: `Until ${isoTime(deadline * 1000).slice(11, 19)} UTC: ${why}` };
  }
  if (status !== "up") return { status, why };
  return { status: full.length > 0 ? "full" : feedState === "stale" ? "stale" : factor < 1 ? "starting" : "up", why };
}

function needed(result: MiResult | undefined): unknown {
  if (result !== undefined && "error" in result) throw result.error;
  return result?.result;
}

function member(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}

function objects(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
