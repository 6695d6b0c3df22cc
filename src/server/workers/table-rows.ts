import type { Balancer, DestinationRow } from "../../balancer/index.ts";

/** The rows that the table was made of, with the addresses that are known now. */
export function rowsOf(balancer: Pick<Balancer, "destinations" | "rowCapacity">): DestinationRow[] {
  return balancer.destinations().map(({ id, group, uri, probeMode, attrs, description, addresses, resources }) => ({
    ...{ id, group, uri, probeMode, attrs, description, addresses: [...addresses] },
    resources: resources.map(({ name, cell }) => ({ name, capacity: balancer.rowCapacity(cell) })),
  }));
}
