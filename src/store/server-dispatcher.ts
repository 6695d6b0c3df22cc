import { sql } from "kysely";
import type { DatabaseServer } from "./database-url.ts";
import type { DispatcherRow } from "./jobs.ts";
import { onServer } from "./server-connection.ts";
import { checkServerTable } from "./server-table.ts";

/** Which rows are wanted of Kamailio's table. */
export interface WantedRows {
  readonly table: string;
  /** Version of the table. */
  readonly version: number;
  readonly columns: readonly string[];
  /** Most of them. */
  readonly limit: number;
}

/** Reads Kamailio's table `dispatcher` on a server, by the ids. Nothing is ever made or written there. @throws {StoreError} */
export function readServerDispatcher(
  server: DatabaseServer,
  { table, version, columns, limit }: WantedRows,
): Promise<readonly DispatcherRow[]> {
  return onServer(server, async (db) => {
    await checkServerTable(db, { name: server.name, table, version });
    const names = sql.join(columns.map((column) => sql.ref(column)));
    const { rows } = await sql<DispatcherRow>`SELECT ${names} FROM ${sql.table(table)} ORDER BY id LIMIT ${sql.lit(limit)}`.execute(db);
    return rows;
  });
}
