import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { type Generated, Kysely, SqliteDialect } from "kysely";
import { Migrator } from "kysely/migration";
import { LOAD_BALANCER_TABLE_VERSION, migrationsFor } from "../../migrations/index.ts";
import { MEMORY } from "./database-url.ts";
import { StoreError } from "./errors.ts";
import type { RawRow } from "./row.ts";

/** How long a write waits for another program's write. A server waits as long in its reload, so it is short. */
const BUSY_TIMEOUT_MS = 2_000;

/** Several programs may start at once on a new database: each waits until the others have made the tables. */
const MIGRATION_BUSY_TIMEOUT_MS = 10_000;

/** The tables that the store works with. The table of destinations may be called otherwise; see {@link tableName}. */
export interface Tables {
  load_balancer: Omit<StoredRow, "id"> & { readonly id: Generated<number> };
  version: { table_name: string; table_version: number };
}

/** One row of the table as it is written: types that the checks have seen. */
export interface StoredRow extends RawRow {
  readonly id: number;
  readonly group_id: number;
  readonly dst_uri: string;
  readonly resources: string;
  readonly probe_mode: number;
  readonly attrs: string | null;
  readonly description: string | null;
}

export type Connection = Kysely<Tables>;

const COLUMNS = ["id", "group_id", "dst_uri", "resources", "probe_mode", "attrs", "description"];

/** How a database is opened. */
export interface ConnectOptions {
  readonly file: string;
  readonly table: string;
  /** "migrate" makes and changes what is missing; "inspect" changes nothing and wants the database to be there. */
  readonly mode: "migrate" | "inspect";
}

/**
 * Opens a database file and makes sure that its table of destinations can be used.
 *
 * @throws {StoreError} that says what is wrong and what is wanted
 */
export async function connect({ file, table, mode }: ConnectOptions): Promise<Connection> {
  const database = openFile(file, mode);
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) });
  try {
    await checkVersion(db, table, file);
    if (mode === "migrate") {
      database.pragma(`busy_timeout = ${MIGRATION_BUSY_TIMEOUT_MS}`);
      // With a write-ahead log a reload reads on while another program writes.
      database.pragma("journal_mode = WAL");
      await migrate(db, table, file);
      await checkVersion(db, table, file);
    }
    await checkColumns(db, table, file);
    return db;
  } catch (cause) {
    await db.destroy();
    database.close();
    throw asStoreError(cause, file);
  }
}

/** The table of destinations under the name that the queries know it by; they are written with the name that the configuration gives. */
export function tableName(table: string): "load_balancer" {
  return table as "load_balancer";
}

/** A failure of SQLite as a sentence; what is one already stays. */
export function asStoreError(cause: unknown, file: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const { code = "", message } = cause as NodeJS.ErrnoException;
  // Extended codes go into more detail: SQLITE_BUSY_SNAPSHOT, SQLITE_READONLY_DIRECTORY.
  const primary = code.split("_", 2).join("_");
  const reasons: Record<string, string> = {
    SQLITE_NOTADB: "it is not an SQLite database",
    SQLITE_CANTOPEN: "the file cannot be opened",
    SQLITE_READONLY: "this user may not write it",
    SQLITE_BUSY: "another program is writing it",
  };
  const reason = reasons[primary] ?? (message || String(cause));
  const codeOfStore = primary === "SQLITE_NOTADB" || primary === "SQLITE_CANTOPEN" ? "CANNOT_OPEN" : "FAILED";
  return new StoreError(codeOfStore, `Cannot use database "${file}": ${reason}`, { cause });
}

function openFile(file: string, mode: ConnectOptions["mode"]): Database.Database {
  try {
    const found = file === MEMORY ? undefined : statSync(file, { throwIfNoEntry: false });
    if (found?.isDirectory()) throw new StoreError("CANNOT_OPEN", `Cannot open database "${file}": it is a directory, want a file`);
    if (mode === "inspect" && file !== MEMORY && !found) {
      throw new StoreError("NO_DATABASE", `Cannot open database "${file}": there is no such file`);
    }
    return new Database(file, { timeout: BUSY_TIMEOUT_MS, fileMustExist: mode === "inspect" });
  } catch (cause) {
    if (cause instanceof TypeError)
      throw new StoreError("CANNOT_OPEN", `Cannot open database "${file}": its directory does not exist`, { cause });
    throw asStoreError(cause, file);
  }
}

/** As OpenSIPS does at start: the `version` table must name the table's version, once there is a table or a row for it. */
async function checkVersion(db: Connection, table: string, file: string): Promise<void> {
  const tables = new Set((await db.introspection.getTables()).map(({ name }) => name));
  const found = tables.has("version")
    ? await db.selectFrom("version").select("table_version").where("table_name", "=", table).executeTakeFirst()
    : undefined;
  if (!found && !tables.has(table)) return;
  if (found && Number(found.table_version) === LOAD_BALANCER_TABLE_VERSION) return;
  const what = found ? `version ${found.table_version} of it` : "no version of it";
  throw new StoreError(
    "WRONG_VERSION",
    `Cannot use table "${table}" of database "${file}": the "version" table names ${what}, want version ${LOAD_BALANCER_TABLE_VERSION}`,
  );
}

async function checkColumns(db: Connection, table: string, file: string): Promise<void> {
  const found = (await db.introspection.getTables()).find(({ name }) => name === table);
  if (!found) throw new StoreError("NO_TABLE", `Cannot use database "${file}": it has no table "${table}"`);
  const columns = new Set(found.columns.map(({ name }) => name.toLowerCase()));
  const missing = COLUMNS.filter((name) => !columns.has(name));
  if (missing.length === 0) return;
  throw new StoreError("BAD_TABLE", `Cannot use table "${table}" of database "${file}": it has no column ${missing.join(", ")}`);
}

/** Each table of destinations has its own history: another `db_table` in the same database starts from nothing. */
async function migrate(db: Connection, table: string, file: string): Promise<void> {
  const suffix = table === "load_balancer" ? "" : `_${table}`;
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrationsFor(table) },
    migrationTableName: `headroom_migration${suffix}`,
    migrationLockTableName: `headroom_migration_lock${suffix}`,
  });
  const { error } = await migrator.migrateToLatest();
  if (error) throw asStoreError(error, file);
}
