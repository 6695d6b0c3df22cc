import type { Kysely } from "kysely";

/**
 * Headroom's own table, in the file of a node whose destinations are on a server: the rows of the latest load, so that a start need not wait for that server. A file gets
 * it when the first rows are written.
 *
 * One row a table of destinations: which one it is; when it was read, milliseconds since 1970; its rows as a JSON array.
 *
 * @param copyTable the name of this table
 */
export async function createDestinationCopyTable(db: Pick<Kysely<unknown>, "schema">, copyTable: string): Promise<void> {
  await db.schema
    .createTable(copyTable)
    .ifNotExists()
    .addColumn("source", "text", (column) => column.primaryKey().notNull())
    .addColumn("saved_at", "integer", (column) => column.notNull())
    .addColumn("destinations", "text", (column) => column.notNull())
    .execute();
}
