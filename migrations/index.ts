import type { Migration } from "kysely/migration";
import { loadBalancer } from "./001-load-balancer.ts";
import { destinationState } from "./002-destination-state.ts";
import { registration } from "./003-registration.ts";

export { LOAD_BALANCER_TABLE_VERSION } from "./001-load-balancer.ts";
export { createStateTable } from "./002-destination-state.ts";
export { createRegistrationTable } from "./003-registration.ts";
export { CREATE_CAPACITY_TABLE, CREATE_DIALOG_TABLE, CREATE_LIFE_TABLE, CREATE_NAME_TABLE, DIALOG_FILE_VERSION } from "./004-dialog.ts";
export { createDispatcherStateTable } from "./005-dispatcher-state.ts";
export { createDestinationCopyTable } from "./006-destination-copy.ts";

/** The names of the tables, which follow from the one that the configuration chooses. */
export interface TableNames {
  /** The table of destinations. */
  readonly destinations: string;
  /** The table of what operators decided for them. */
  readonly states: string;
  /** The table of those that registered themselves. */
  readonly registrations: string;
}

/**
 * Every migration, in the order of their names.
 *
 * Released migrations are never edited: a change is a new file with the next number.
 */
export function migrationsFor({ destinations, states, registrations }: TableNames): Record<string, Migration> {
  return {
    "001-load-balancer": loadBalancer(destinations),
    "002-destination-state": destinationState(states),
    "003-registration": registration(registrations),
  };
}
