import { type Connection, type StoredRow, tableName } from "./connection.ts";
import { StoreError } from "./errors.ts";

/** Most rows that are loaded. A larger table is not meant for this program, or is not a table of destinations. */
const MAX_ROWS = 100_000;

/**
 * Reads every row of the table of destinations as it stands, by id.
 *
 * @throws {StoreError} `TOO_MANY_ROWS`
 */
export async function readRows(db: Connection, { file, table }: { readonly file: string; readonly table: string }): Promise<StoredRow[]> {
  const rows = await db
    .selectFrom(tableName(table))
    .select(["id", "group_id", "dst_uri", "resources", "probe_mode", "attrs", "description"])
    .orderBy("id")
    .limit(MAX_ROWS + 1)
    .execute();
  if (rows.length > MAX_ROWS) {
    throw new StoreError("TOO_MANY_ROWS", `Cannot load table "${table}" of database "${file}": it has more than ${MAX_ROWS} rows`);
  }
  return rows;
}
