import type { Balancer, Destination } from "../balancer/index.ts";
import type { BreakerFigures, DrainTerms, ProbeFigures } from "../health/index.ts";
import { counter, gauge, type MetricFamily, type Sample } from "./metric-family.ts";

/** Destinations with values of their own: enough for a farm. Those behind are told together, as destination `other`. */
export const MAX_METRIC_DESTINATIONS = 1_000;
/** Resources of one destination with values of their own. */
export const MAX_METRIC_RESOURCES = 16;
const OTHER = "other";
const MS_A_SECOND = 1_000;

/** What is read of the balancer. */
export type MeasuredBalancer = Pick<
  Balancer,
  | "destinations"
  | "destination"
  | "load"
  | "remoteLoad"
  | "foreignLoad"
  | "maxLoad"
  | "isAvailable"
  | "isEnabled"
  | "isDraining"
  | "breaker"
  | "restMs"
  | "isOverRate"
  | "decisions"
>;

/** What is left of a drain. */
export interface MeasuredDrain extends Pick<DrainTerms, "deadlineMs"> {
  /** Calls that are left. */
  readonly load: number;
}

type Labels = Record<string, string | number>;

/**
 * The destinations: their loads and capacities by resource, and whether they get calls. `headroom_load` is that of this node alone, so that it can be added up
 * over the nodes of a cluster however they share their loads; selection sees the sum of it, the remote and the foreign one.
 */
export function destinationMetrics(balancer: MeasuredBalancer): MetricFamily[] {
  const all = balancer.destinations();
  const others = all.slice(MAX_METRIC_DESTINATIONS);
  const told = all.slice(0, MAX_METRIC_DESTINATIONS);
  const isThere = (destination: Destination): boolean => balancer.destination(destination.id) === destination;

  /** Destinations that a reload takes away while metrics are printed are left out: their cells may belong to others by then. */
  function* ofEach(read: (destination: Destination) => boolean): Iterable<Sample> {
    for (const destination of told) {
      if (isThere(destination)) yield { labels: labelsOf(destination), value: Number(read(destination)) };
    }
  }

  function* ofResources(read: (cell: number) => number): Iterable<Sample> {
    for (const destination of told) {
      const labels = labelsOf(destination);
      for (const { name: resource, cell } of destination.resources.slice(0, MAX_METRIC_RESOURCES)) {
        if (isThere(destination)) yield { labels: { ...labels, resource }, value: read(cell) };
      }
    }
    if (others.length === 0) return;
    let value = 0;
    for (const destination of others) {
      if (isThere(destination)) for (const { cell } of destination.resources) value += read(cell);
    }
    yield { labels: { group: OTHER, destination: OTHER, uri: "", resource: OTHER }, value };
  }

  return [
    gauge(
      "headroom_load",
      "Calls of this node that are counted on a destination for a resource.",
      ofResources((cell) => balancer.load(cell)),
    ),
    gauge(
      "headroom_remote_load",
      "Calls of other nodes of the cluster on a destination for a resource.",
      ofResources((cell) => balancer.remoteLoad(cell)),
    ),
    gauge(
      "headroom_foreign_load",
      "Calls of others on a destination, as its FreeSWITCH tells them.",
      ofResources((cell) => balancer.foreignLoad(cell)),
    ),
    gauge(
      "headroom_max_load",
      "Calls that a destination may have for a resource at the moment; less while it starts slowly.",
      ofResources((cell) => balancer.maxLoad(cell)),
    ),
    gauge(
      "headroom_destination_up",
      "1 while a destination gets calls as far as status, drain, breaker and rest are concerned.",
      ofEach((destination) => balancer.isAvailable(destination)),
    ),
    gauge(
      "headroom_destination_enabled",
      "1 unless an operator, a probe or a script has disabled the destination.",
      ofEach((destination) => balancer.isEnabled(destination)),
    ),
    gauge(
      "headroom_destination_draining",
      "1 while a destination is drained.",
      ofEach((destination) => balancer.isDraining(destination)),
    ),
    gauge(
      "headroom_destination_breaker_open",
      "1 while the breaker of a destination is open or lets trial calls through.",
      ofEach((destination) => balancer.breaker(destination) !== "closed"),
    ),
    gauge(
      "headroom_destination_resting",
      "1 while a destination rests, as it has asked for by Retry-After.",
      ofEach((destination) => balancer.restMs(destination) > 0),
    ),
    gauge(
      "headroom_destination_rate_limited",
      "1 while a destination has had all calls that it may get within a second.",
      ofEach((destination) => balancer.isOverRate(destination)),
    ),
    gauge("headroom_destinations", "Destinations of the table.", all.length),
    gauge(
      "headroom_destinations_up",
      "Destinations of the table that get calls, as headroom_destination_up tells.",
      all.reduce((sum, destination) => sum + Number(balancer.isAvailable(destination)), 0),
    ),
  ];
}

/** The drains that are under way. @param drainOf asked for each destination that is drained */
export function drainMetrics(balancer: MeasuredBalancer, drainOf: (destination: Destination) => MeasuredDrain | undefined): MetricFamily[] {
  const calls: Sample[] = [];
  const deadlines: Sample[] = [];
  for (const destination of balancer.destinations()) {
    if (calls.length === MAX_METRIC_DESTINATIONS) break;
    const drain = balancer.isDraining(destination) ? drainOf(destination) : undefined;
    if (drain === undefined) continue;
    const labels = labelsOf(destination);
    calls.push({ labels, value: drain.load });
    if (drain.deadlineMs > 0) deadlines.push({ labels, value: drain.deadlineMs / MS_A_SECOND });
  }
  return [
    gauge("headroom_drain_calls", "Calls that a destination which is drained still has.", calls),
    gauge("headroom_drain_deadline_timestamp_seconds", "When a drain with a deadline is over, in seconds since 1970.", deadlines),
  ];
}

/** What the breakers of destinations go by. */
export function breakerMetrics(figures: readonly BreakerFigures[]): MetricFamily[] {
  const told = figures.slice(0, MAX_METRIC_DESTINATIONS);
  const of = (read: (figure: BreakerFigures) => number): Sample[] =>
    told.map((figure) => ({ labels: labelsOf(figure), value: read(figure) }));
  return [
    gauge(
      "headroom_breaker_window_calls",
      "Calls of a destination within the window of its breaker.",
      of(({ calls }) => calls),
    ),
    gauge(
      "headroom_breaker_window_failures",
      "Calls within the window of its breaker that a destination failed.",
      of(({ failures }) => failures),
    ),
  ];
}

/** How long destinations take to answer their probes, and how many probes nobody answered. */
export function probeMetrics(figures: readonly ProbeFigures[]): MetricFamily[] {
  const probed = figures.filter(({ sent }) => sent > 0).slice(0, MAX_METRIC_DESTINATIONS);
  const latency = probed.filter((figure) => figure.latency.samples > 0);
  return [
    gauge(
      "headroom_probe_latency_seconds",
      "Time from a probe to its answer, as a moving average.",
      latency.map((figure) => ({ labels: labelsOf(figure), value: figure.latency.ewma / MS_A_SECOND })),
    ),
    counter(
      "headroom_probe_timeouts_total",
      "Probes that nobody answered.",
      probed.map((figure) => ({ labels: labelsOf(figure), value: figure.latency.timeouts })),
    ),
  ];
}

function labelsOf({ group, id, uri }: Pick<Destination, "group" | "id" | "uri">): Labels {
  return { group, destination: id, uri };
}
