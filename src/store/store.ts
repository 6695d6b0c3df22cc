import { chmodSync, closeSync, openSync, statSync } from "node:fs";
import type { DestinationRow, FeedOptions } from "../balancer/index.ts";
import { connect, type StoredRow } from "./connection.ts";
import { databaseServer, MEMORY, sqliteFile } from "./database-url.ts";
import type { DispatcherStateTable } from "./dispatcher-state-row.ts";
import { StoreError } from "./errors.ts";
import type { RegistrationTable } from "./registration-row.ts";
import type { Locate, Resolve, ResolveLimits } from "./resolve.ts";
import type { RawRow } from "./row.ts";
import { ServerStore } from "./server-store.ts";
import { SqliteStore } from "./sqlite-store.ts";
import type { DestinationStateStore, StateLog, StateQueueOptions } from "./state-store.ts";

/** How a store is opened. */
export interface StoreOptions {
  /** Name of the table of destinations. */
  readonly table: string;
  /** "migrate", the default, makes the file and its tables when they are missing; "inspect" changes nothing and wants them to be there. */
  readonly mode?: "migrate" | "inspect";
  /** Finds the addresses of a host; the system's resolver when it is left out. */
  readonly resolve?: Resolve;
  /** Finds where a target is, its NAPTR and SRV records included; {@link resolve} does the work when it is left out. */
  readonly locate?: Locate;
  readonly limits?: ResolveLimits;
  /** What `resources` may name in place of capacities; a row that does is refused when it is left out. */
  readonly feeds?: FeedOptions | undefined;
  /**
   * Where that is kept which the program writes down for itself while the destinations are on a server, as `sqlite:FILE`: what operators decided, registrations.
   * Without it there is no place for that.
   */
  readonly localUrl?: string;
  /** Whether {@link DestinationStore.loadDestinations} may give the rows of the latest load, which are kept there, while the server cannot be reached. */
  readonly startFromCopy?: boolean;
  /** Is told when they cannot be kept. */
  readonly log?: StateLog;
}

/** A row that was not loaded, and why: `reason` is one sentence that names the row. */
export interface SkippedRow {
  /** Undefined when the id itself is no number. */
  readonly id: number | undefined;
  readonly reason: string;
}

/** A row that lacks nothing but addresses. */
export type UnresolvedRow = Omit<DestinationRow, "addresses">;

export interface LoadedDestinations {
  /** In the order of their ids, which are all different. */
  readonly rows: readonly DestinationRow[];
  readonly skipped: readonly SkippedRow[];
  /** Rows that are skipped only because their hosts cannot be resolved now: they can be used as soon as somebody knows an address. */
  readonly unresolved: readonly UnresolvedRow[];
  /** One sentence for each row whose host cannot be resolved now, and that keeps the addresses which it had with the load before. */
  readonly kept: readonly string[];
  /** Set when the server could not be reached and the rows are those that were read from it last. */
  readonly copy?: { readonly savedAtMs: number; readonly reason: string };
}

/** A row to be written. What is left out gets the column's default. */
export interface NewRow {
  /** The next free one when it is left out. */
  readonly id?: number;
  readonly group_id?: number;
  readonly dst_uri: string;
  readonly resources: string;
  readonly probe_mode?: number;
  readonly attrs?: string | null;
  readonly description?: string | null;
}

/** What is to become of the table. Rows that were there before stand as they were read: the change is refused when they are not so any more. */
export interface RowChanges {
  readonly added: readonly NewRow[];
  /** Both with the same id. */
  readonly changed: readonly { readonly before: StoredRow; readonly after: StoredRow }[];
  readonly removed: readonly StoredRow[];
}

/** The destinations in a database. Every method rejects with a {@link StoreError} that an operator can read. */
export interface DestinationStore {
  /**
   * The rows that can be used, their hosts resolved; a bad one is skipped and the others load. A host that was resolved for the load before, and cannot be
   * now, keeps its addresses: name servers that are down for a while take no destination away.
   *
   * @param from "copy": a start, which may go on with the rows of the latest load where that is wanted; a reload keeps what is in use
   */
  loadDestinations(from?: "database" | "copy"): Promise<LoadedDestinations>;
  /**
   * Rows that are in no database, checked and resolved as those of {@link loadDestinations}. Their addresses are kept apart from those of the database.
   *
   * @param extent "all": there are no others, so that addresses of other hosts are forgotten; "some": other rows stay as they are
   */
  check(rows: readonly RawRow[], extent: "all" | "some"): Promise<LoadedDestinations>;
  /** Every row as it stands, good or bad, by id. */
  list(): Promise<readonly StoredRow[]>;
  /** Writes a row and answers its id. */
  add(row: NewRow): Promise<number>;
  /** Writes all rows or none, and answers their ids. */
  import(rows: readonly NewRow[]): Promise<readonly number[]>;
  /** Makes all changes or none, and answers the ids of the rows that were added. */
  change(changes: RowChanges): Promise<readonly number[]>;
  /** Removes a row and answers it; undefined when there was none. */
  remove(id: number): Promise<StoredRow | undefined>;
  /**
   * What operators decided for the destinations, in a table beside them. To be closed before this store. A database file gets a thread of its own with
   * it, which writes the states and reads the rows of later loads.
   */
  states(log: StateLog, options?: StateQueueOptions): DestinationStateStore;
  /** The destinations that registered themselves, in a table of their own. The thread of {@link states} writes it as well. */
  registrations(log: StateLog): RegistrationTable;
  /** What operators set for destinations of the dispatcher, in a table of its own. The thread of {@link states} writes it as well. */
  dispatcherStates(log: StateLog): DispatcherStateTable;
  /** Ends the thread and a database in memory; a file is never held open between two calls. Takes a second and a half at most. */
  close(): Promise<void>;
}

/**
 * Opens the database with the destinations, and looks at the version of what is there. The tables of an SQLite database are made when they are missing; a server
 * has them already, and nothing but rows is ever written there.
 *
 * @param dbUrl `sqlite:FILE`, `sqlite:///ABSOLUTE/FILE`, `sqlite::memory:`, `mysql://…` or `postgres://…`
 * @throws {StoreError} when it cannot be used: see {@link StoreErrorCode}
 */
export async function openStore(dbUrl: string, options: StoreOptions): Promise<DestinationStore> {
  checkTableName(options.table);
  const server = databaseServer(dbUrl);
  if (server === undefined) return openSqlite(dbUrl, options);
  const { localUrl, mode } = options;
  const store = new ServerStore(
    server,
    options,
    localUrl === undefined || mode === "inspect" ? undefined : await openLocal(localUrl, options),
  );
  try {
    await store.inspect();
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The file beside a table on a server: it has a copy of the rows, passwords of FreeSWITCHes included, and is for nobody else to read. @throws {StoreError} */
async function openLocal(localUrl: string, options: StoreOptions): Promise<SqliteStore> {
  const file = sqliteFile(localUrl);
  if (file !== MEMORY) keepPrivate(file);
  return openSqlite(localUrl, options);
}

/** SQLite gives the files beside a database the rights that it has. */
function keepPrivate(file: string): void {
  try {
    closeSync(openSync(file, "a", 0o600));
    const { mode } = statSync(file);
    if ((mode & 0o007) !== 0) chmodSync(file, mode & 0o770);
  } catch {
    // Who opens it says why not, and who may not change its rights has been given it as it is.
  }
}

async function openSqlite(dbUrl: string, options: StoreOptions): Promise<SqliteStore> {
  const file = sqliteFile(dbUrl);
  const { db, unwritable } = await connect({ file, table: options.table, mode: options.mode ?? "migrate" });
  if (file === MEMORY) return new SqliteStore(file, options, { lasting: db });
  await db.destroy();
  return new SqliteStore(file, options, { unwritable });
}

function checkTableName(table: string): void {
  if (
    /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(table) &&
    !/^(?:version$|sqlite_|headroom_migration|headroom_destination_state|headroom_registration|headroom_destination_copy|headroom_dispatcher_state)/i.test(
      table,
    )
  )
    return;
  throw new StoreError(
    "BAD_TABLE",
    `Cannot use "${table}" as the table of destinations: want a table name of letters, digits and _ that is not taken`,
  );
}
