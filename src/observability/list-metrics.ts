import { type Destination, type DestinationSet, FLAG_DISABLED, isOpen } from "../dispatch/index.ts";
import type { WeightedList, WeightedNode } from "../distributor/index.ts";
import { MAX_METRIC_DESTINATIONS } from "./destination-metrics.ts";
import { counter, gauge, type MetricFamily, type Sample } from "./metric-family.ts";

/** Nodes of distributor lists with values of their own. */
export const MAX_METRIC_NODES = 1_000;
const MS_A_SECOND = 1_000;

/**
 * The dispatcher's destinations, the first {@link MAX_METRIC_DESTINATIONS} of all sets. Several of a set may have one URI: label `destination` tells them apart, as
 * it does in events. How many there are in which state is a statistic, which counts all.
 */
export function dispatcherMetrics(sets: readonly DestinationSet[]): MetricFamily[] {
  const told = firstOf(sets, ({ destinations }) => destinations, MAX_METRIC_DESTINATIONS);
  function of(read: (destination: Destination) => number | undefined): Sample[] {
    return samples(told, ({ key, setId, uri }) => ({ set: setId, destination: key, uri }), read);
  }
  return [
    gauge(
      "headroom_dispatcher_destination_up",
      "1 while a destination of the dispatcher gets requests: neither inactive nor disabled.",
      of(({ flags }) => Number(isOpen(flags))),
    ),
    gauge(
      "headroom_dispatcher_destination_disabled",
      "1 while an operator has taken a destination of the dispatcher out of use.",
      of(({ flags }) => Number((flags & FLAG_DISABLED) !== 0)),
    ),
    gauge(
      "headroom_dispatcher_load",
      "Calls that are counted on a destination of the dispatcher.",
      of(({ load }) => load),
    ),
    gauge(
      "headroom_dispatcher_max_load",
      "Calls that a destination of the dispatcher may have, where its attributes say so.",
      of(({ attributes }) => (attributes.maxLoad > 0 ? attributes.maxLoad : undefined)),
    ),
    gauge(
      "headroom_dispatcher_latency_seconds",
      "Time from a probe to its answer, as a moving average.",
      of(({ latency }) => (latency.samples > 0 ? latency.estimate / MS_A_SECOND : undefined)),
    ),
    counter(
      "headroom_dispatcher_probe_timeouts_total",
      "Probes that a destination of the dispatcher did not answer.",
      of(({ latency }) => latency.timeouts),
    ),
  ];
}

/** The nodes of the distributor's lists, the first {@link MAX_METRIC_NODES} of all lists. */
export function distributorMetrics(lists: readonly WeightedList[]): MetricFamily[] {
  const told = firstOf(lists, namesOf, MAX_METRIC_NODES);
  function of(read: (node: WeightedNode) => number): Sample[] {
    return samples(
      told,
      ({ list, name }) => ({ list, node: name }),
      ({ nodes }) => nodes.reduce((sum, node) => sum + read(node), 0),
    );
  }
  return [
    gauge(
      "headroom_distributor_node_weight",
      "Turns of a round that a node of a distributor list has.",
      of(({ weight }) => weight),
    ),
    counter(
      "headroom_distributor_node_picks_total",
      "Times that a node was chosen since its list was loaded.",
      of(({ picked }) => picked),
    ),
  ];
}

interface ListedName {
  readonly list: string;
  readonly name: string;
  readonly nodes: readonly WeightedNode[];
}

/** A node may stand in a list several times: Prometheus wants each value once. */
function namesOf({ name: list, nodes }: WeightedList): readonly ListedName[] {
  return [...Map.groupBy(nodes, ({ name }) => name)].map(([name, nodes]) => ({ list, name, nodes }));
}

/** The first `most` of all groups, without looking at the groups behind. */
function firstOf<Group, Item>(groups: readonly Group[], itemsOf: (group: Group) => readonly Item[], most: number): Item[] {
  const items: Item[] = [];
  for (const group of groups) {
    if (items.length >= most) break;
    for (const item of itemsOf(group).slice(0, most - items.length)) items.push(item);
  }
  return items;
}

/** @param read undefined: there is no value */
function samples<Item>(
  items: readonly Item[],
  labelsOf: (item: Item) => Sample["labels"],
  read: (item: Item) => number | undefined,
): Sample[] {
  return items.flatMap((item) => {
    const value = read(item);
    return value === undefined ? [] : [{ labels: labelsOf(item), value }];
  });
}
