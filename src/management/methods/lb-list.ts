import type { Destination, DestinationResource } from "../../balancer/index.ts";
import type { DrainProgress } from "../../health/index.ts";
import { defineMethod } from "../define-method.ts";
import type { ManagementPorts } from "../ports.ts";

/** `load_balancer:list`: every destination with its resources and their loads, in id order. `drain_deadline` is in seconds since 1970. */
export const lbList = defineMethod({
  name: "load_balancer:list",
  aliases: ["lb_list"],
  help: "lists all destinations with their status and, for each resource, its capacity and its load",
  recipes: [[]],
  run(_params, { ports }) {
    return { Destinations: ports.balancer.destinations().map((destination) => describe(destination, ports)) };
  },
});

function describe(destination: Destination, { balancer, drains }: ManagementPorts): object {
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
  };
}

/** `max` is what a slow start has opened so far, as selection sees it; `capacity` stands beside it while that is less than the resource has. */
function describeResource({ name, cell }: DestinationResource, balancer: ManagementPorts["balancer"]): object {
  const max = balancer.maxLoad(cell);
  const capacity = balancer.capacity(cell);
  return { name, max, load: balancer.load(cell), ...(max < capacity ? { capacity } : {}) };
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
