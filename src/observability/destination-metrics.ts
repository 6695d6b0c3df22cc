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
  const told = all.slice(0, MAX_METRIC_DESTINATIONS);
  const [load, remote, foreign, maxLoad, up, enabled, draining, open, resting, limited]: Sample[][] = Array.from({ length: 10 }, () => []);
  const sums = new Sums();
  for (const destination of told) {
    const labels = labelsOf(destination);
    up?.push({ labels, value: Number(balancer.isAvailable(destination)) });
    enabled?.push({ labels, value: Number(balancer.isEnabled(destination)) });
    draining?.push({ labels, value: Number(balancer.isDraining(destination)) });
    open?.push({ labels, value: Number(balancer.breaker(destination) !== "closed") });
    resting?.push({ labels, value: Number(balancer.restMs(destination) > 0) });
    limited?.push({ labels, value: Number(balancer.isOverRate(destination)) });
    for (const { name: resource, cell } of destination.resources.slice(0, MAX_METRIC_RESOURCES)) {
      const ofResource = { ...labels, resource };
      load?.push({ labels: ofResource, value: balancer.load(cell) });
      remote?.push({ labels: ofResource, value: balancer.remoteLoad(cell) });
      foreign?.push({ labels: ofResource, value: balancer.foreignLoad(cell) });
      maxLoad?.push({ labels: ofResource, value: balancer.maxLoad(cell) });
    }
    sums.add(destination, balancer);
  }
  const others = new Sums();
  for (const destination of all.slice(MAX_METRIC_DESTINATIONS)) {
    sums.add(destination, balancer);
    others.add(destination, balancer);
  }
  if (all.length > told.length) {
    const labels = { group: OTHER, destination: OTHER, uri: "", resource: OTHER };
    load?.push({ labels, value: others.load });
    remote?.push({ labels, value: others.remote });
    foreign?.push({ labels, value: others.foreign });
    maxLoad?.push({ labels, value: others.maxLoad });
  }
  return [
    gauge("headroom_load", "Calls of this node that are counted on a destination for a resource.", load ?? []),
    gauge("headroom_remote_load", "Calls of other nodes of the cluster on a destination for a resource.", remote ?? []),
    gauge("headroom_foreign_load", "Calls of others on a destination, as its FreeSWITCH tells them.", foreign ?? []),
    gauge(
      "headroom_max_load",
      "Calls that a destination may have for a resource at the moment; less while it starts slowly.",
      maxLoad ?? [],
    ),
    gauge("headroom_destination_up", "1 while a destination gets calls as far as status, drain, breaker and rest are concerned.", up ?? []),
    gauge("headroom_destination_enabled", "1 unless an operator, a probe or a script has disabled the destination.", enabled ?? []),
    gauge("headroom_destination_draining", "1 while a destination is drained.", draining ?? []),
    gauge("headroom_destination_breaker_open", "1 while the breaker of a destination is open or lets trial calls through.", open ?? []),
    gauge("headroom_destination_resting", "1 while a destination rests, as it has asked for by Retry-After.", resting ?? []),
    gauge("headroom_destination_rate_limited", "1 while a destination has had all calls that it may get within a second.", limited ?? []),
    gauge("headroom_destinations", "Destinations of the table.", all.length),
    gauge("headroom_destinations_up", "Destinations of the table that get calls, as headroom_destination_up tells.", sums.up),
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

class Sums {
  load = 0;
  remote = 0;
  foreign = 0;
  maxLoad = 0;
  up = 0;

  add(destination: Destination, balancer: MeasuredBalancer): void {
    if (balancer.isAvailable(destination)) this.up++;
    for (const { cell } of destination.resources) {
      this.load += balancer.load(cell);
      this.remote += balancer.remoteLoad(cell);
      this.foreign += balancer.foreignLoad(cell);
      this.maxLoad += balancer.maxLoad(cell);
    }
  }
}
