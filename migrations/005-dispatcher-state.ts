import type { Kysely } from "kysely";

/**
 * Headroom's own table: states that operators set for destinations of the dispatcher's sets, so that they survive a restart. Kamailio's table stays as it
 * is. A database gets it when the first state is written.
 *
 * One row a destination: its set with its `duid`, or its set, its URI and which of those with that URI it is; the bits of the state; when it was set,
 * milliseconds since 1970.
 *
 * @param stateTable the name of this table
 */
export async function createDispatcherStateTable(db: Pick<Kysely<unknown>, "schema">, stateTable: string): Promise<void> {
  await db.schema
    .createTable(stateTable)
    .ifNotExists()
    .addColumn("destination", "text", (column) => column.primaryKey().notNull())
    .addColumn("state", "integer", (column) => column.notNull())
    .addColumn("changed_at", "integer", (column) => column.notNull())
    .execute();
}
