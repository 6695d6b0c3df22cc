import type { Connection } from "./connection.ts";
import { StoreError } from "./errors.ts";

/** A table on a server, and the version of it that is wanted. */
export interface WantedTable {
  /** Of the database, for messages. */
  readonly name: string;
  readonly table: string;
  readonly version: number;
}

/**
 * As OpenSIPS and Kamailio do at their start: the table `version` must name this version of the table.
 *
 * @throws {StoreError} `WRONG_VERSION`
 */
export async function checkServerTable(db: Connection, { name, table, version }: WantedTable): Promise<void> {
  const found = await db.selectFrom("version").select("table_version").where("table_name", "=", table).executeTakeFirst();
  if (found !== undefined && Number(found.table_version) === version) return;
  const what = found === undefined ? "no version of it" : `version ${found.table_version} of it`;
  throw new StoreError(
    "WRONG_VERSION",
    `Cannot use table "${table}" of database "${name}": the "version" table names ${what}, want version ${version}`,
  );
}
