import type { Destination } from "../../balancer/index.ts";
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
    Resources: resources.map(({ name, cell }) => ({ name, max: balancer.maxLoad(cell), load: balancer.load(cell) })),
    ...(attrs ? { attrs } : {}),
    ...describeDrain(drains?.of(destination)),
  };
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
