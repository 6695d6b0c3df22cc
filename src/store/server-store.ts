import { type Connection, type StoredRow, tableName } from "./connection.ts";
import type { DatabaseServer } from "./database-url.ts";
import type { DestinationCopies, DestinationCopy } from "./destination-copy.ts";
import { changeRows, readRows, removeRow } from "./destination-rows.ts";
import type { DispatcherStateTable } from "./dispatcher-state-row.ts";
import { StoreError } from "./errors.ts";
import type { RegistrationTable } from "./registration-row.ts";
import type { RawRow } from "./row.ts";
import { RowChecker } from "./row-checker.ts";
import { onServer, WORK_MS } from "./server-connection.ts";
import { checkServerTable } from "./server-table.ts";
import type { SqliteStore } from "./sqlite-store.ts";
import type { DestinationStateStore, StateLog, StateQueueOptions } from "./state-store.ts";
import type { DestinationStore, LoadedDestinations, NewRow, RowChanges, StoreOptions } from "./store.ts";
import { within } from "./within.ts";

/** The version that OpenSIPS gives to its table. */
const TABLE_VERSION = 3;

/** How long each row of a change may take beyond what any work may, ms: the server is asked for many of them one by one. */
const ROW_MS = 20;

/** How long a stop waits for a copy that is being written, ms. */
const END_MS = 1_000;

/**
 * OpenSIPS's table on a server. It is only read, unless an operator adds or removes destinations, so a user that may SELECT is enough. What the program writes down
 * for itself goes to a file of its own: it shall be safe while the server is down, is none of what others look for in that database, and of several programs that
 * share the table each has its own.
 */
export class ServerStore implements DestinationStore {
  readonly #server: DatabaseServer;
  readonly #options: StoreOptions;
  readonly #local: SqliteStore | undefined;
  readonly #checker: RowChecker;
  readonly #copies: DestinationCopies | undefined;
  /** Names the table in the file of copies. */
  readonly #source: string;
  /** The copy that is being written; never rejects. */
  #copying: Promise<void> | undefined;
  /** Why the server could not be used when the store was opened, though a copy of its rows can. */
  #isAway: StoreError | undefined;

  constructor(server: DatabaseServer, options: StoreOptions, local: SqliteStore | undefined) {
    this.#server = server;
    this.#options = options;
    this.#local = local;
    this.#checker = new RowChecker(options);
    this.#source = `${server.name} ${options.table}`;
    this.#copies = options.log && local?.copies(options.log);
  }

  /** Looks whether the table is there and can be read, or its copy where that is enough. @throws {StoreError} */
  async inspect(): Promise<void> {
    try {
      await this.#run((db) => db.selectFrom(tableName(this.#options.table)).select("id").limit(1).execute());
    } catch (cause) {
      if ((await this.#copyFor(cause)) === undefined) throw cause;
      this.#isAway = cause as StoreError;
    }
  }

  async loadDestinations(from: "database" | "copy" = "database"): Promise<LoadedDestinations> {
    let rows: readonly StoredRow[];
    try {
      if (from === "copy" && this.#isAway !== undefined) throw this.#isAway; // it was waited for a moment ago
      rows = await this.list();
    } catch (cause) {
      const copy = from === "copy" ? await this.#copyFor(cause) : undefined;
      if (copy === undefined) throw cause;
      return { ...(await this.#checker.stored(copy.rows)), copy: { savedAtMs: copy.savedAtMs, reason: (cause as StoreError).message } };
    }
    this.#isAway = undefined;
    const keeping = this.#keep(rows, from === "copy" ? "here" : "aside");
    if (from === "copy") await keeping;
    else this.#copying = keeping;
    return this.#checker.stored(rows);
  }

  check(rows: readonly RawRow[], extent: "all" | "some"): Promise<LoadedDestinations> {
    return this.#checker.unstored(rows, extent);
  }

  list(): Promise<readonly StoredRow[]> {
    return this.#run((db) => readRows(db, { file: this.#server.name, table: this.#options.table }));
  }

  async add(row: NewRow): Promise<number> {
    const [id] = await this.import([row]);
    if (id === undefined) throw new StoreError("FAILED", `Cannot add a destination to database "${this.#server.name}": it gave no id`);
    return id;
  }

  import(rows: readonly NewRow[]): Promise<readonly number[]> {
    return this.change({ added: rows, changed: [], removed: [] });
  }

  change(changes: RowChanges): Promise<readonly number[]> {
    const { table, feeds } = this.#options;
    const { kind, name: file } = this.#server;
    const limitMs = WORK_MS + ROW_MS * (changes.added.length + changes.changed.length + changes.removed.length);
    return this.#write((db) => changeRows(db, { file, table, kind, feeds }, changes), limitMs);
  }

  remove(id: number): Promise<StoredRow | undefined> {
    return this.#write((db) => removeRow(db, this.#options.table, id));
  }

  states(log: StateLog, options?: StateQueueOptions): DestinationStateStore {
    return this.#beside().states(log, options);
  }

  registrations(log: StateLog): RegistrationTable {
    return this.#beside().registrations(log);
  }

  dispatcherStates(log: StateLog): DispatcherStateTable {
    return this.#beside().dispatcherStates(log);
  }

  async close(): Promise<void> {
    if (this.#copying !== undefined) await within(this.#copying, END_MS);
    await this.#local?.close();
  }

  /** The copy that a start goes on with, when it may: the server is away, or has a fault of its own, which says nothing against what it had. */
  async #copyFor(cause: unknown): Promise<DestinationCopy | undefined> {
    const mayBePassing = cause instanceof StoreError && (cause.code === "CANNOT_OPEN" || cause.code === "FAILED");
    if (!this.#options.startFromCopy || !mayBePassing) return undefined;
    return this.#copies?.read(this.#source).catch(() => undefined); // the server being away is what is to be told
  }

  /** A load goes on without it: a disk that cannot be written is no reason to go without the rows. */
  async #keep(rows: readonly StoredRow[], where: "here" | "aside"): Promise<void> {
    try {
      await this.#copies?.write({ source: this.#source, savedAtMs: Date.now(), rows }, where);
    } catch (err) {
      const text = "cannot keep a copy of the destinations: a start while the database server is away will not have them";
      this.#options.log?.error({ err }, text);
    }
  }

  #beside(): SqliteStore {
    if (this.#local !== undefined) return this.#local;
    throw new StoreError("NO_DATABASE", `Cannot write anything down beside database "${this.#server.name}": no file is named for that`);
  }

  /** A user who may SELECT is enough for a program that runs, so this is how somebody learns that it is not enough here. */
  async #write<T>(query: (db: Connection) => Promise<T>, limitMs = WORK_MS): Promise<T> {
    try {
      return await this.#run(query, limitMs);
    } catch (cause) {
      if (!(cause instanceof StoreError) || cause.code !== "DENIED") throw cause;
      const { name } = this.#server;
      const { table } = this.#options;
      const reason = cause.message.replace(/^.*": /, "");
      const wanted = `want one who may INSERT, UPDATE and DELETE in table "${table}"`;
      throw new StoreError("DENIED", `Cannot write database "${name}": this user may only read it, ${wanted} (${reason})`, { cause });
    }
  }

  #run<T>(query: (db: Connection) => Promise<T>, limitMs = WORK_MS): Promise<T> {
    const { table } = this.#options;
    const run = async (db: Connection): Promise<T> => {
      await checkServerTable(db, { name: this.#server.name, table, version: TABLE_VERSION });
      return query(db);
    };
    return onServer(this.#server, run, limitMs);
  }
}
