import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { type Generated, Kysely, SqliteDialect } from "kysely";
import { Migrator } from "kysely/migration";
import { LOAD_BALANCER_TABLE_VERSION, migrationsFor } from "../../migrations/index.ts";
import { MEMORY } from "./database-url.ts";
import type { SavedDispatcherState } from "./dispatcher-state-row.ts";
import { StoreError } from "./errors.ts";
import { asStoreError, sqliteCode } from "./fault.ts";
import type { SavedRegistration } from "./registration-row.ts";
import type { RawRow } from "./row.ts";

/** How long a write waits for another program's write. A server waits as long in its reload, so it is short. */
const BUSY_TIMEOUT_MS = 2_000;

/** Several programs may start at once on a new database: each waits until the others have made the tables, and looks so often whether they have. */
const MIGRATION_WAIT_MS = 10_000;
const MIGRATION_POLL_MS = 20;

/** The tables that the store works with. The table of destinations may be called otherwise; see {@link tableName}. */
export interface Tables {
  load_balancer: Omit<StoredRow, "id"> & { readonly id: Generated<number> };
  version: { table_name: string; table_version: number };
  headroom_destination_state: StoredState;
  headroom_registration: SavedRegistration;
  headroom_dispatcher_state: SavedDispatcherState;
  headroom_destination_copy: { source: string; saved_at: number; destinations: string };
}

/** One row of the table of states, as it is written. */
export interface StoredState {
  readonly id: number;
  readonly group_id: number;
  readonly dst_uri: string;
  readonly enabled: number;
  readonly auto_reenable: number;
  readonly draining: number;
  /** Milliseconds since 1970; 0: none. */
  readonly drain_deadline: number;
  readonly drain_bye: number;
  /** Milliseconds since 1970. */
  readonly changed_at: number;
  readonly cause: string;
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

/** Failures of SQLite with which a database may still be read. */
const UNWRITABLE: ReadonlySet<string> = new Set(["SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY"]);

const COLUMNS = ["id", "group_id", "dst_uri", "resources", "probe_mode", "attrs", "description"];

/** How a database is opened. */
export interface ConnectOptions {
  readonly file: string;
  readonly table: string;
  /** "migrate" makes and changes what is missing; "inspect" changes nothing and wants the database to be there. */
  readonly mode: "migrate" | "inspect";
  /** How long a write waits for another program's write, ms; everything else in this thread waits with it. */
  readonly busyMs?: number;
  /** Whether what is written is on the disk when the write is done. Waiting for that is nothing for the thread that handles calls. */
  readonly durable?: boolean;
}

/** A database that can be used. */
export interface Opened {
  readonly db: Connection;
  /** Why it can only be read: it should have been changed, could not be, and its table of destinations is there all the same. */
  readonly unwritable: StoreError | undefined;
}

/**
 * Opens a database file and makes sure that its table of destinations can be used. Calls need only that the table can be read: a database that
 * lacks nothing but what operators decided is opened also when it cannot be written.
 *
 * @throws {StoreError} that says what is wrong and what is wanted
 */
export async function connect({ file, table, mode, busyMs = BUSY_TIMEOUT_MS, durable = false }: ConnectOptions): Promise<Opened> {
  const database = openFile(file, mode, busyMs);
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) });
  try {
    await checkVersion(db, table, file);
    if (durable) database.pragma("synchronous = FULL");
    if (mode === "migrate") await refuseNewer(db, table, file);
    const unwritable = mode === "migrate" ? await changeWhatIsMissing(database, db, table, file) : undefined;
    if (mode === "migrate") await checkVersion(db, table, file);
    await checkColumns(db, table, file);
    return { db, unwritable };
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

/** The table of states that goes with a table of destinations. */
export function stateTableName(table: string): "headroom_destination_state" {
  return `headroom_destination_state${suffixOf(table)}` as "headroom_destination_state";
}

/** The table of registrations that goes with a table of destinations. */
export function registrationTableName(table: string): "headroom_registration" {
  return `headroom_registration${suffixOf(table)}` as "headroom_registration";
}

/** The table of the dispatcher's states that goes with a table of destinations. */
export function dispatcherStateTableName(table: string): "headroom_dispatcher_state" {
  return `headroom_dispatcher_state${suffixOf(table)}` as "headroom_dispatcher_state";
}

/** Several tables of destinations in one database have tables of their own beside them. */
function suffixOf(table: string): string {
  return table === "load_balancer" ? "" : `_${table}`;
}

/**
 * Changes what is missing. Answers why nothing could be written, when that is so; whether the database can be used as it is, is for the caller to
 * find out.
 */
async function changeWhatIsMissing(
  database: Database.Database,
  db: Connection,
  table: string,
  file: string,
): Promise<StoreError | undefined> {
  try {
    // With a write-ahead log a reload reads on while another program writes.
    database.pragma("journal_mode = WAL");
    await migrate(database, db, table);
    tryToWrite(database);
    return undefined;
  } catch (cause) {
    if (!UNWRITABLE.has(sqliteCode(cause)) || !(await hasTable(db, table))) throw cause;
    return asStoreError(cause, file);
  }
}

/**
 * A database that has everything is only read at the start, so it is tried whether it can be written: "BEGIN IMMEDIATE" alone does not tell. Another
 * program that is just writing says nothing against it.
 */
function tryToWrite(database: Database.Database): void {
  database.pragma("busy_timeout = 0");
  try {
    database.exec("BEGIN IMMEDIATE; CREATE TABLE headroom_attempt (id)");
  } catch (cause) {
    if (sqliteCode(cause) !== "SQLITE_BUSY") throw cause;
  } finally {
    if (database.inTransaction) database.exec("ROLLBACK");
    database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  }
}

/** Whether there is a table, or a view, of this name. */
export async function hasTable(db: Connection, name: string): Promise<boolean> {
  return (await db.introspection.getTables()).some((table) => table.name === name);
}

function openFile(file: string, mode: ConnectOptions["mode"], busyMs: number): Database.Database {
  try {
    const found = file === MEMORY ? undefined : statSync(file, { throwIfNoEntry: false });
    if (found?.isDirectory()) throw new StoreError("CANNOT_OPEN", `Cannot open database "${file}": it is a directory, want a file`);
    if (mode === "inspect" && file !== MEMORY && !found) {
      throw new StoreError("NO_DATABASE", `Cannot open database "${file}": there is no such file`);
    }
    return new Database(file, { timeout: busyMs, fileMustExist: mode === "inspect" });
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

/** A migration that is not ours has been made by a newer program, and may have changed what the tables mean. */
async function refuseNewer(db: Connection, table: string, file: string): Promise<void> {
  const history = historyName(table);
  if (!(await hasTable(db, history))) return;
  const ours = new Set(Object.keys(migrationsOf(table)));
  const made = await db
    .selectFrom(history as never)
    .select("name" as never)
    .execute();
  const newer = (made as { readonly name: unknown }[]).find(({ name }) => !ours.has(String(name)));
  if (newer === undefined) return;
  throw new StoreError(
    "WRONG_VERSION",
    `Cannot use database "${file}": a newer Headroom has changed its tables (${JSON.stringify(String(newer.name).slice(0, 64))}), want that version or a newer one`,
  );
}

function historyName(table: string): string {
  return `headroom_migration${suffixOf(table)}`;
}

function migrationsOf(table: string): ReturnType<typeof migrationsFor> {
  return migrationsFor({ destinations: table, states: stateTableName(table), registrations: registrationTableName(table) });
}

async function checkColumns(db: Connection, table: string, file: string): Promise<void> {
  const found = (await db.introspection.getTables()).find(({ name }) => name === table);
  if (!found) throw new StoreError("NO_TABLE", `Cannot use database "${file}": it has no table "${table}"`);
  const columns = new Set(found.columns.map(({ name }) => name.toLowerCase()));
  const missing = COLUMNS.filter((name) => !columns.has(name));
  if (missing.length === 0) return;
  throw new StoreError("BAD_TABLE", `Cannot use table "${table}" of database "${file}": it has no column ${missing.join(", ")}`);
}

/**
 * Each table of destinations has its own history: another `db_table` in the same database starts from nothing.
 * A database that has everything is only read.
 */
async function migrate(database: Database.Database, db: Connection, table: string): Promise<void> {
  const suffix = suffixOf(table);
  const migrator = new Migrator({
    db,
    provider: {
      getMigrations: async () => migrationsOf(table),
    },
    migrationTableName: historyName(table),
    migrationLockTableName: `headroom_migration_lock${suffix}`,
    disableTransactions: true, // it reads before it writes, which lets two of them begin with the same migration
  });
  if ((await migrator.getMigrations()).every(({ executedAt }) => executedAt !== undefined)) return;
  await beginAlone(database);
  try {
    const { error } = await migrator.migrateToLatest();
    if (error) throw error;
    database.exec("COMMIT");
  } catch (error) {
    if (database.inTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** Begins a transaction that no other writes beside. Waits for others without holding up this thread: the other may be in it. */
async function beginAlone(database: Database.Database): Promise<void> {
  const until = performance.now() + MIGRATION_WAIT_MS;
  database.pragma("busy_timeout = 0");
  for (;;) {
    try {
      database.exec("BEGIN IMMEDIATE");
      break;
    } catch (error) {
      const isBusy = String((error as NodeJS.ErrnoException).code).startsWith("SQLITE_BUSY");
      if (!isBusy || performance.now() >= until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, MIGRATION_POLL_MS));
  }
  database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
}
