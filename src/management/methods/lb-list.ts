import type { Destination } from "../../balancer/index.ts";
import { defineMethod } from "../define-method.ts";
import type { ManagementPorts } from "../ports.ts";

/** `load_balancer:list`: every destination with its resources and their loads, in id order. */
export const lbList = defineMethod({
  name: "load_balancer:list",
  aliases: ["lb_list"],
  help: "lists all destinations with their status and, for each resource, its capacity and its load",
  recipes: [[]],
  run(_params, { ports }) {
    return { Destinations: ports.balancer.destinations().map((destination) => describe(destination, ports.balancer)) };
  },
});

function describe(destination: Destination, balancer: ManagementPorts["balancer"]): object {
  const { uri, id, group, resources, attrs } = destination;
  return {
    uri,
    id,
    group,
    enabled: balancer.isEnabled(destination) ? "yes" : "no",
    "auto-reenable": balancer.isAutoReenable(destination) ? "on" : "off",
    Resources: resources.map(({ name, cell }) => ({ name, max: balancer.maxLoad(cell), load: balancer.load(cell) })),
    ...(attrs ? { attrs } : {}),
  };
}
