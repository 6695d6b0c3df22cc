import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { databaseServer, MEMORY, sqliteFile } from "./database-url.ts";
import { StoreError } from "./errors.ts";
import { asStoreError } from "./fault.ts";
import type { DispatcherPlace, DispatcherRead, DispatcherRow } from "./jobs.ts";
import { readServerDispatcher } from "./server-dispatcher.ts";
import type { StateLog } from "./state-store.ts";
import { WriterThread } from "./writer-thread.ts";

/** Version of Kamailio's table from 4.2 on. */
const TABLE_VERSION = 4;
const COLUMNS = ["id", "setid", "destination", "flags", "priority", "attrs", "description"];
/** More rows than a dispatcher takes: how many are too many is told where they are counted. */
const MAX_ROWS = 20_000;
/** How long a start waits for another program that writes. */
const BUSY_MS = 2_000;
/** How long a reload waits for the rows. */
const READ_LIMIT_MS = 15_000;

/** Where the table is, as the configuration says it. */
export interface DispatcherTableName {
  readonly dbUrl: string;
  readonly table: string;
  /** Further columns that are wanted. */
  readonly columns: readonly string[];
}

/** Reads Kamailio's table `dispatcher`. */
export class DispatcherTableReader {
  readonly #log: StateLog;
  /** Databases and tables that were read before. */
  readonly #known = new Set<string>();

  constructor(log: StateLog) {
    this.#log = log;
  }

  /**
   * The rows, by their ids. The first time a table that is missing in an SQLite file is made, as Kamailio's own scripts would. On a server nothing is made.
   *
   * @param mayBlock a start, when no call waits; else a thread of its own reads, as a slow disk or another program's lock shall hold up no call
   * @throws {StoreError} that says what is wrong and what is wanted
   */
  async read({ dbUrl, table, columns }: DispatcherTableName, mayBlock: boolean): Promise<readonly DispatcherRow[]> {
    const server = databaseServer(dbUrl);
    if (server !== undefined) return readServerDispatcher(server, wantedOf(table, columns));
    const file = sqliteFile(dbUrl);
    if (file === MEMORY) return [];
    const name = JSON.stringify([file, table]);
    const place: DispatcherPlace = { file, table, columns, mayMake: !this.#known.has(name) };
    const { rows, isMade } = mayBlock ? readOrMakeDispatcherTable(place) : await this.#readInThread(place);
    if (isMade) this.#log.info({}, `Table "${table}" was missing in database "${file}" and has been made`);
    this.#known.add(name);
    return rows;
  }

  async #readInThread(place: DispatcherPlace): Promise<DispatcherRead> {
    const thread = new WriterThread(place, this.#log);
    try {
      return await thread.run("read dispatcher", place, READ_LIMIT_MS);
    } finally {
      void thread.close();
    }
  }
}

/** The rows, and whether the table had to be made. @throws {StoreError} that says what is wrong */
export function readOrMakeDispatcherTable(place: DispatcherPlace): DispatcherRead {
  const isMade = place.mayMake && makeDispatcherTable(place);
  return { rows: readDispatcherRows(place), isMade };
}

/** The rows as they are now, by their ids; nothing is made. @throws {StoreError} that says what is wrong; `NO_DATABASE` and `NO_TABLE` when there is nothing yet */
export async function inspectDispatcherTable({ dbUrl, table, columns }: DispatcherTableName): Promise<readonly DispatcherRow[]> {
  const server = databaseServer(dbUrl);
  if (server !== undefined) return readServerDispatcher(server, wantedOf(table, columns));
  const file = sqliteFile(dbUrl);
  if (file === MEMORY || statSync(file, { throwIfNoEntry: false }) === undefined)
    throw new StoreError("NO_DATABASE", `Cannot open database "${file}": there is no such file`);
  return readDispatcherRows({ file, table, columns });
}

function wantedOf(table: string, columns: readonly string[]) {
  return { table, columns: [...COLUMNS, ...columns], version: TABLE_VERSION, limit: MAX_ROWS };
}

/** Reads all rows by their ids. @throws {StoreError} when there is no such table, or it is another one */
function readDispatcherRows({ file, table, columns }: Omit<DispatcherPlace, "mayMake">): DispatcherRow[] {
  return within(file, { readonly: true, fileMustExist: true }, (db) => {
    const found = columnsOf(db, table);
    if (found.length === 0) throw new StoreError("NO_TABLE", `Cannot use database "${file}": it has no table "${table}"`);
    checkVersion(db, file, table);
    const wanted = [...COLUMNS, ...columns];
    const missing = wanted.filter((name) => !found.includes(name.toLowerCase()));
    if (missing.length > 0)
      throw new StoreError("BAD_TABLE", `Cannot use table "${table}" of database "${file}": it has no column ${missing.join(", ")}`);
    const list = wanted.map((name) => `"${name}"`).join(", ");
    return db.prepare<[], DispatcherRow>(`SELECT ${list} FROM "${table}" ORDER BY id LIMIT ${MAX_ROWS}`).all();
  });
}

/** Makes the table when it is missing. Answers whether it was. @throws {StoreError} when it cannot be made */
function makeDispatcherTable({ file, table }: DispatcherPlace): boolean {
  if (file !== MEMORY && statSync(file, { throwIfNoEntry: false }) !== undefined) {
    const isThere = within(file, { readonly: true }, (db) => columnsOf(db, table).length > 0);
    if (isThere) return false;
  }
  return within(file, {}, (db) => {
    const make = db.transaction(() => {
      if (columnsOf(db, table).length > 0) return false;
      db.exec(`CREATE TABLE IF NOT EXISTS version (table_name VARCHAR(32) NOT NULL, table_version INTEGER DEFAULT 0 NOT NULL,
        CONSTRAINT version_table_name_idx UNIQUE (table_name));
        CREATE TABLE "${table}" (id INTEGER PRIMARY KEY NOT NULL, setid INTEGER DEFAULT 0 NOT NULL, destination VARCHAR(192) DEFAULT '' NOT NULL,
        flags INTEGER DEFAULT 0 NOT NULL, priority INTEGER DEFAULT 0 NOT NULL, attrs VARCHAR(128) DEFAULT '' NOT NULL,
        description VARCHAR(64) DEFAULT '' NOT NULL)`);
      db.prepare("INSERT OR REPLACE INTO version (table_name, table_version) VALUES (?, ?)").run(table, TABLE_VERSION);
      return true;
    });
    return make.immediate();
  });
}

/** As Kamailio does at its start; a database without any such note is taken as it is. */
function checkVersion(db: Database.Database, file: string, table: string): void {
  if (columnsOf(db, "version").length === 0) return;
  const found = db.prepare<[string], { table_version: unknown }>("SELECT table_version FROM version WHERE table_name = ?").get(table);
  if (found === undefined || Number(found.table_version) === TABLE_VERSION) return;
  throw new StoreError(
    "WRONG_VERSION",
    `Cannot use table "${table}" of database "${file}": the "version" table names version ${found.table_version} of it, want version ${TABLE_VERSION}`,
  );
}

function columnsOf(db: Database.Database, table: string): string[] {
  return db
    .prepare<[string], { name: string }>("SELECT name FROM pragma_table_info(?)")
    .all(table)
    .map(({ name }) => name.toLowerCase());
}

function within<Result>(file: string, options: Database.Options, run: (db: Database.Database) => Result): Result {
  let db: Database.Database | undefined;
  try {
    db = new Database(file, { ...options, timeout: BUSY_MS });
    return run(db);
  } catch (cause) {
    if (cause instanceof TypeError)
      throw new StoreError("CANNOT_OPEN", `Cannot open database "${file}": its directory does not exist`, { cause });
    throw asStoreError(cause, file);
  } finally {
    db?.close();
  }
}
