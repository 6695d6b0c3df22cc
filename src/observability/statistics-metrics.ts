import { counter, gauge, type MetricFamily, type Sample } from "./metric-family.ts";

/** Values by group and name. */
export type StatisticValues = Readonly<Record<string, Readonly<Record<string, number>>>>;

/**
 * Statistics that are told by a metric with labels, and so not under a name of their own; `undefined`: another metric tells it already. Why each message was
 * dropped or refused is one metric; copies of what another statistic counts, such as `banned_in_calls` of `banned_requests`, are none of it.
 */
const LABELLED: Readonly<Record<string, { readonly metric: string; readonly labels: Readonly<Record<string, string>> } | undefined>> = {
  "core:timestamp": undefined,
  "core:bad_msg_hdr": undefined,
  "tm:failovers": undefined,
  ...dropped("core", "drop_requests drop_replies too_many_hops loops foreign_routes not_allowed"),
  ...dropped(
    "overload",
    "junk_empty junk_binary junk_text junk_endless banned_requests over_rate_requests scanners_silenced scanners_forbidden",
  ),
  ...dropped("overload", "calls_refused_rate calls_refused_lag calls_refused_utilization calls_refused_backlog calls_refused_copies"),
  ...dropped("tm", "refused_overload stray_replies stray_acks"),
  "dialog:early_dialogs": { metric: "headroom_calls", labels: { state: "early" } },
  "dialog:active_dialogs": { metric: "headroom_calls", labels: { state: "active" } },
  "dialog:processed_dialogs": { metric: "headroom_calls_total", labels: {} },
  ...labelledBy("headroom_call_outcomes_total", "outcome", "health", {
    calls_alive: "alive",
    failures_timeout: "timeout",
    failures_408: "408",
    failures_503: "503",
    failures_transport: "transport_error",
  }),
  ...labelledBy("headroom_breaker_changes_total", "change", "health", {
    breaker_openings: "opened",
    breaker_trials: "trials",
    breaker_closings: "closed",
  }),
  ...labelledBy("headroom_drains_total", "event", "health", {
    drains_started: "started",
    drains_undone: "undone",
    drains_ended: "ended",
  }),
  "dispatcher:destinations": undefined,
  ...labelledBy("headroom_dispatcher_destinations", "state", "dispatcher", {
    active: "active",
    trying: "trying",
    inactive: "inactive",
    disabled: "disabled",
  }),
  ...labelledBy("headroom_management_refusals_total", "reason", "management", {
    unauthorized: "unauthorized",
    forbidden: "forbidden",
    too_many: "too_many",
  }),
  ...labelledBy("headroom_management_changes_total", "outcome", "management", {
    changes_done: "done",
    changes_failed: "failed",
    changes_forbidden: "forbidden",
  }),
  "tm:inuse_transactions": { metric: "headroom_transactions", labels: {} },
  "tm:UAS_transactions": { metric: "headroom_transactions_total", labels: { side: "server" } },
  "tm:UAC_transactions": { metric: "headroom_transactions_total", labels: { side: "client" } },
  "clusterer:redis_connected": { metric: "headroom_redis_up", labels: {} },
  "clusterer:redis_rtt_ms": { metric: "headroom_redis_round_trip_seconds", labels: {} },
};

const HELP: Readonly<Record<string, string>> = {
  headroom_drops_total: "Messages that were dropped or refused, by reason.",
  headroom_calls: "Calls by state: early ones are not answered yet.",
  headroom_calls_total: "Calls that have begun.",
  headroom_call_outcomes_total:
    "What destinations made of calls, as breakers count them: those that rang or were answered, and failures by cause.",
  headroom_breaker_changes_total: "Changes of all breakers.",
  headroom_drains_total: "Drains that were started, undone, and ended.",
  headroom_dispatcher_destinations: "Destinations of the dispatcher by state.",
  headroom_management_refusals_total: "Requests to management that nobody looked at: 401, 403 and 429.",
  headroom_management_changes_total: "Changes that management was asked for.",
  headroom_transactions: "Server transactions in use.",
  headroom_transactions_total: "Transactions that have begun, by side.",
  headroom_redis_up: "1 while Redis answers.",
  headroom_redis_round_trip_seconds: "Time that Redis took for the last beat.",
};

/** What is counted for each destination: its metrics tell it, with bounded labels. */
const OF_A_DESTINATION = /^(?:latency_(?:last|average|ewma|max)|timeouts)_\d+$/;
/** Ways in which a message can be malformed; `SipProxy.malformed` has one counter each. */
const MALFORMED = "malformed_";

/** The units of Prometheus, which are seconds and shares, for those of the statistics. */
const UNITS: readonly { readonly suffix: string; readonly unit: string; readonly factor: number }[] = [
  { suffix: "_ms", unit: "_seconds", factor: 1 / 1_000 },
  { suffix: "_percent", unit: "_ratio", factor: 1 / 100 },
];

/** Every statistic as a metric, `headroom_GROUP_NAME`, or where several are one thing, as one metric with labels. */
export function statisticsMetrics(values: StatisticValues, isGauge: (group: string, name: string) => boolean): MetricFamily[] {
  const families = new Map<string, { family: MetricFamily; samples: Sample[] }>();
  for (const [group, named] of Object.entries(values)) {
    for (const [name, value] of Object.entries(named)) {
      const place = placeOf(group, name, isGauge(group, name));
      if (place === undefined) continue;
      const known = families.get(place.metric);
      const sample = { labels: place.labels, value: value * place.factor };
      if (known !== undefined) known.samples.push(sample);
      else families.set(place.metric, newFamily(place.metric, place.help, isGauge(group, name), [sample]));
    }
  }
  return [...families.values()].map(({ family }) => family);
}

interface Place {
  readonly metric: string;
  readonly help: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly factor: number;
}

function placeOf(group: string, name: string, isGauge: boolean): Place | undefined {
  const key = `${group}:${name}`;
  if (group === "probing" && OF_A_DESTINATION.test(name)) return undefined;
  const { suffix = "", unit = "", factor = 1 } = UNITS.find(({ suffix }) => name.endsWith(suffix)) ?? {};
  if (group === "core" && name.startsWith(MALFORMED)) return labelled("headroom_drops_total", { reason: name }, factor);
  if (Object.hasOwn(LABELLED, key)) {
    const place = LABELLED[key];
    return place === undefined ? undefined : labelled(place.metric, place.labels, factor);
  }
  const stem = `headroom_${group}_${name.slice(0, name.length - suffix.length)}${unit}`.toLowerCase();
  return { metric: isGauge ? stem : `${stem}_total`, help: `Statistic ${key}.`, labels: {}, factor };
}

function labelled(metric: string, labels: Readonly<Record<string, string>>, factor: number): Place {
  return { metric, help: HELP[metric] ?? metric, labels, factor };
}

function newFamily(metric: string, help: string, isGauge: boolean, samples: Sample[]): { family: MetricFamily; samples: Sample[] } {
  return { family: (isGauge ? gauge : counter)(metric, help, samples), samples };
}

function dropped(group: string, names: string): Record<string, { metric: string; labels: { reason: string } }> {
  return Object.fromEntries(
    names.split(" ").map((reason) => [`${group}:${reason}`, { metric: "headroom_drops_total", labels: { reason } }] as const),
  );
}

/** @param values values of the label, by name of the statistic */
function labelledBy(
  metric: string,
  label: string,
  group: string,
  values: Readonly<Record<string, string>>,
): Record<string, { metric: string; labels: Record<string, string> }> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`${group}:${name}`, { metric, labels: { [label]: value } }] as const),
  );
}
