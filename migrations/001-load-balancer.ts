import type { Kysely } from "kysely";
import type { Migration } from "kysely/migration";

/** The version that OpenSIPS gives to this form of the table, in its `version` table. */
export const LOAD_BALANCER_TABLE_VERSION = 3;

/**
 * OpenSIPS's table of destinations with its `version` table (`scripts/sqlite/load_balancer-create.sql`, `standard-create.sql`).
 *
 * What an OpenSIPS administrator has made already stays as it is.
 *
 * @param table the name of the table of destinations
 */
export function loadBalancer(table: string): Migration {
  return {
    async up(db: Kysely<unknown>) {
      const existing = new Set((await db.introspection.getTables()).map(({ name }) => name));
      if (!existing.has("version")) await createVersion(db);
      if (existing.has(table)) return;
      await db.schema
        .createTable(table)
        .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement().notNull())
        .addColumn("group_id", "integer", (column) => column.defaultTo(0).notNull())
        .addColumn("dst_uri", "char(128)", (column) => column.notNull())
        .addColumn("resources", "char(255)", (column) => column.notNull())
        .addColumn("probe_mode", "integer", (column) => column.defaultTo(0).notNull())
        .addColumn("attrs", "char(255)", (column) => column.defaultTo(null))
        .addColumn("description", "char(128)", (column) => column.defaultTo(null))
        .execute();
      // SQLite's index names hold for the whole database, so OpenSIPS puts the table's name in front there.
      await db.schema.createIndex(`${table}_dsturi_idx`).on(table).column("dst_uri").execute();
      await insertVersion(db as Kysely<{ version: VersionRow }>, table);
    },
  };
}

interface VersionRow {
  table_name: string;
  table_version: number;
}

async function createVersion(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("version")
    .addColumn("table_name", "char(32)", (column) => column.notNull())
    .addColumn("table_version", "integer", (column) => column.defaultTo(0).notNull())
    .addUniqueConstraint("version_t_name_idx", ["table_name"])
    .execute();
}

/** A row that stands there without its table is not touched: the store has looked at its version before. */
async function insertVersion(db: Kysely<{ version: VersionRow }>, table: string): Promise<void> {
  await db
    .insertInto("version")
    .values({ table_name: table, table_version: LOAD_BALANCER_TABLE_VERSION })
    .onConflict((conflict) => conflict.column("table_name").doNothing())
    .execute();
}
