import type { Kysely } from "kysely";
import type { Migration } from "kysely/migration";

/**
 * Headroom's own table: the destinations that registered themselves, so that a restart does not have to wait until each registers again.
 *
 * One row a registration: its id as a destination, and what is known of it, as JSON. It holds no password.
 *
 * @param registrationTable the name of this table
 */
export function registration(registrationTable: string): Migration {
  return { up: (db: Kysely<unknown>) => createRegistrationTable(db, registrationTable) };
}

/** Makes the table unless it is there. The store needs it as well: the file of the database may be replaced while the program runs. */
export async function createRegistrationTable(db: Pick<Kysely<unknown>, "schema">, registrationTable: string): Promise<void> {
  await db.schema
    .createTable(registrationTable)
    .ifNotExists()
    .addColumn("id", "integer", (column) => column.primaryKey().notNull())
    .addColumn("binding", "text", (column) => column.notNull())
    .execute();
}
