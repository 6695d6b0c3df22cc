import type { Migration } from "kysely/migration";
import { loadBalancer } from "./001-load-balancer.ts";
import { destinationState } from "./002-destination-state.ts";

export { LOAD_BALANCER_TABLE_VERSION } from "./001-load-balancer.ts";
export { createStateTable } from "./002-destination-state.ts";

/** The names of the tables, which follow from the one that the configuration chooses. */
export interface TableNames {
  /** The table of destinations. */
  readonly destinations: string;
  /** The table of what operators decided for them. */
  readonly states: string;
}

/**
 * Every migration, in the order of their names.
 *
 * Released migrations are never edited: a change is a new file with the next number.
 */
export function migrationsFor({ destinations, states }: TableNames): Record<string, Migration> {
  return { "001-load-balancer": loadBalancer(destinations), "002-destination-state": destinationState(states) };
}
