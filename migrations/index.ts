import type { Migration } from "kysely/migration";
import { loadBalancer } from "./001-load-balancer.ts";

export { LOAD_BALANCER_TABLE_VERSION } from "./001-load-balancer.ts";

/**
 * Every migration, in the order of their names.
 *
 * Released migrations are never edited: a change is a new file with the next number.
 *
 * @param table the name of the table of destinations, which the configuration chooses
 */
export function migrationsFor(table: string): Record<string, Migration> {
  return { "001-load-balancer": loadBalancer(table) };
}
