import type { Destination, DestinationResource } from "../../balancer/index.ts";
import type { DrainProgress } from "../../health/index.ts";
import type { BindingView } from "../../registrar/index.ts";
import { defineMethod } from "../define-method.ts";
import { describeCluster } from "../describe-cluster.ts";
import type { FreeswitchState, ManagementPorts } from "../ports.ts";
import { ClusterSummary } from "../shapes/destinations.ts";
import { listOf, maybe, members, shared } from "../shapes/kinds.ts";

/** `load_balancer:list`: every destination with its resources and their loads, in id order; in a cluster also how that is. `drain_deadline` is in seconds since 1970. */
export const lbList = defineMethod({
  name: "load_balancer:list",
  aliases: ["lb_list"],
  help: "lists all destinations with their status and, for each resource, its capacity and its load",
  recipes: [[]],
  parameters: {},
  result: members({
    Destinations: listOf(shared("Destination"), "the destinations in id order"),
    Cluster: maybe(ClusterSummary),
  }),
  details: "See [what it tells beyond OpenSIPS](management.md#what-lb_list-tells-beyond-opensips).",
  run(_params, { ports }) {
    const registered = new Map((ports.registrations?.() ?? []).map((binding) => [binding.id, binding]));
    return {
      Destinations: ports.balancer.destinations().map((destination) => ({
        ...describe(destination, ports),
        ...describeRegistration(destination, registered.get(destination.id)),
      })),
      ...(ports.cluster && { Cluster: describeCluster(ports.cluster) }),
    };
  },
});

function describe(destination: Destination, { balancer, drains, freeswitch }: ManagementPorts): object {
  const { uri, id, group, resources, attrs } = destination;
  return {
    uri,
    id,
    group,
    enabled: balancer.isEnabled(destination) ? "yes" : "no",
    "auto-reenable": balancer.isAutoReenable(destination) ? "on" : "off",
    Resources: resources.map((resource) => describeResource(resource, balancer)),
    ...(attrs ? { attrs } : {}),
    ...describeDrain(drains?.of(destination)),
    ...describeLimits(destination, balancer),
    ...describeFreeswitch(freeswitch?.stateOf(destination)),
  };
}

/** `load` is ours and that of the other nodes, which `remote_load` tells alone. `max` is what a slow start has opened so far, as selection sees it; `capacity` stands beside it while that is less than the resource has. */
function describeResource({ name, cell }: DestinationResource, balancer: ManagementPorts["balancer"]): object {
  const max = balancer.maxLoad(cell);
  const capacity = balancer.capacity(cell);
  const foreign = balancer.foreignLoad(cell);
  const remote = balancer.remoteLoad(cell);
  return {
    name,
    max,
    load: balancer.load(cell) + remote,
    ...(remote > 0 ? { remote_load: remote } : {}),
    ...(foreign > 0 ? { foreign_load: foreign } : {}),
    ...(max < capacity ? { capacity } : {}),
  };
}

function describeFreeswitch(state: FreeswitchState | undefined): object {
  return state === undefined ? {} : { freeswitch: state };
}

/** Members that OpenSIPS does not have, so they stand there only while there is something to say. */
function describeDrain(drain: DrainProgress | undefined): object {
  if (drain === undefined) return {};
  const { load, deadlineMs, bye } = drain;
  return {
    draining: "yes",
    drain_load: load,
    ...(deadlineMs > 0 ? { drain_deadline: Math.ceil(deadlineMs / 1000), drain_bye: bye ? "yes" : "no" } : {}),
  };
}

/** Seconds that are left of the registration, or why the row leaves; its id may be that of a row of the database. */
function describeRegistration({ uri }: Destination, binding: BindingView | undefined): object {
  if (binding?.uri !== uri) return {};
  const { cause, expiresS, state } = binding;
  return state === "active" ? { registered: "yes", registration_left: expiresS } : { registered: "leaving", registration_end: cause };
}

/** What keeps calls away besides status and drain; as above, only what there is. */
function describeLimits(destination: Destination, balancer: ManagementPorts["balancer"]): object {
  const breaker = balancer.breaker(destination);
  const restMs = balancer.restMs(destination);
  const callsPerSecond = balancer.callsPerSecond(destination);
  const share = balancer.capacityFactor(destination);
  return {
    ...(breaker === "closed" ? {} : { breaker }),
    ...(restMs > 0 ? { resting: Math.ceil(restMs / 1000) } : {}),
    ...(callsPerSecond > 0 ? { rate_limit: callsPerSecond, over_rate: balancer.isOverRate(destination) ? "yes" : "no" } : {}),
    ...(share < 1 ? { capacity_percent: Math.round(share * 100) } : {}),
  };
}
