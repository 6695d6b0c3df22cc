import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";

/**
 * Headroom's own table: what operators decided for destinations, so that it survives a restart. OpenSIPS's tables stay as they are.
 *
 * A destination that nobody has touched has no row. Times are milliseconds since 1970. The URI is compared without regard to case, as reloads do.
 *
 * @param stateTable the name of this table
 */
export function destinationState(stateTable: string): Migration {
  return { up: (db: Kysely<unknown>) => createStateTable(db, stateTable) };
}

/** Makes the table unless it is there. The store needs it as well: the file of the database may be replaced while the program runs. */
export async function createStateTable(db: Pick<Kysely<unknown>, "schema">, stateTable: string): Promise<void> {
  await db.schema
    .createTable(stateTable)
    .ifNotExists()
    .addColumn("id", "integer", (column) => column.notNull())
    .addColumn("group_id", "integer", (column) => column.notNull())
    .addColumn("dst_uri", "char(128)", (column) => column.notNull().modifyEnd(sql`COLLATE NOCASE`))
    .addColumn("enabled", "integer", (column) => column.notNull())
    .addColumn("auto_reenable", "integer", (column) => column.notNull())
    .addColumn("draining", "integer", (column) => column.notNull())
    .addColumn("drain_deadline", "integer", (column) => column.notNull())
    .addColumn("drain_bye", "integer", (column) => column.notNull())
    .addColumn("changed_at", "integer", (column) => column.notNull())
    .addColumn("cause", "char(16)", (column) => column.notNull())
    .addPrimaryKeyConstraint(`${stateTable}_pk`, ["group_id", "dst_uri", "id"])
    .execute();
}
