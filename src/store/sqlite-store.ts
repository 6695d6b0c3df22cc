import { type Connection, connect, type StoredRow } from "./connection.ts";
import { type DestinationCopies, readCopy, writeCopy } from "./destination-copy.ts";
import { changeRows, readRows, removeRow } from "./destination-rows.ts";
import { type DispatcherStateTable, readDispatcherStates, writeDispatcherStates } from "./dispatcher-state-row.ts";
import { StoreError } from "./errors.ts";
import { asStoreError } from "./fault.ts";
import { type RegistrationTable, readRegistrations, writeRegistrations } from "./registration-row.ts";
import type { RawRow } from "./row.ts";
import { RowChecker } from "./row-checker.ts";
import { readStates, writeStates } from "./state-row.ts";
import { type DestinationStateStore, QueuedStateStore, type StateLog, type StateQueueOptions, type StateTable } from "./state-store.ts";
import type { DestinationStore, LoadedDestinations, NewRow, RowChanges, StoreOptions } from "./store.ts";
import { WriterThread } from "./writer-thread.ts";

/** How long a reload waits for the rows. The thread that reads them may be waiting for a disk, or for another program. */
const READ_LIMIT_MS = 15_000;
/** The thread ends when it has had nothing to do for so long, ms. */
const THREAD_IDLE_MS = 30_000;

/**
 * A store that opens its file for each piece of work and closes it again. An administrator may put another file in its place at any time;
 * a file that is held open meanwhile would be read on without a name, and its write-ahead log, which SQLite finds by its name, would be
 * replayed into the new one.
 */
export class SqliteStore implements DestinationStore {
  readonly #file: string;
  readonly #options: StoreOptions;
  /** The one connection of a database in memory, which ends with it. */
  readonly #lasting: Connection | undefined;
  /** Why the database could not be written at the start. */
  readonly #unwritable: StoreError | undefined;
  #thread: WriterThread | undefined;
  #haveRowsBeenRead = false;
  readonly #checker: RowChecker;

  constructor(file: string, options: StoreOptions, found: { lasting?: Connection; unwritable?: StoreError | undefined }) {
    this.#file = file;
    this.#options = options;
    this.#lasting = found.lasting;
    this.#unwritable = found.unwritable;
    this.#checker = new RowChecker(options);
  }

  async loadDestinations(): Promise<LoadedDestinations> {
    return this.#checker.stored(await this.#rows());
  }

  check(raws: readonly RawRow[], extent: "all" | "some"): Promise<LoadedDestinations> {
    return this.#checker.unstored(raws, extent);
  }

  list(): Promise<readonly StoredRow[]> {
    return this.#rows();
  }

  async add(row: NewRow): Promise<number> {
    const [id] = await this.import([row]);
    if (id === undefined) throw new StoreError("FAILED", `Cannot add a destination to database "${this.#file}": it gave no id`);
    return id;
  }

  import(rows: readonly NewRow[]): Promise<readonly number[]> {
    return this.change({ added: rows, changed: [], removed: [] });
  }

  change(changes: RowChanges): Promise<readonly number[]> {
    const { table, feeds } = this.#options;
    return this.#run((db) => changeRows(db, { file: this.#file, table, kind: "sqlite", feeds }, changes));
  }

  remove(id: number): Promise<StoredRow | undefined> {
    return this.#run((db) => removeRow(db, this.#options.table, id));
  }

  states(log: StateLog, options?: StateQueueOptions): DestinationStateStore {
    return new QueuedStateStore(this.#stateTable(log), log, { ...options, unwritable: this.#unwritable });
  }

  registrations(log: StateLog): RegistrationTable {
    const { table } = this.#options;
    const read = () => this.#run((db) => readRegistrations(db, table));
    if (this.#lasting !== undefined) return { read, write: (changes) => this.#run((db) => writeRegistrations(db, table, changes)) };
    const thread = this.#writer(log);
    return { read, write: (changes) => thread.run("write registrations", changes) };
  }

  dispatcherStates(log: StateLog): DispatcherStateTable {
    const { table } = this.#options;
    const read = () => this.#run((db) => readDispatcherStates(db, table));
    if (this.#lasting !== undefined) return { read, write: (changes) => this.#run((db) => writeDispatcherStates(db, table, changes)) };
    const thread = this.#writer(log);
    return { read, write: (changes) => thread.run("write dispatcher states", changes) };
  }

  /** Rows of tables on a server, for a start without it. The thread of {@link states} writes them as well. */
  copies(log: StateLog): DestinationCopies {
    const read = (source: string) => this.#run((db) => readCopy(db, source));
    const isInMemory = this.#lasting !== undefined;
    return {
      read,
      write: (copy, where) =>
        where === "here" || isInMemory ? this.#run((db) => writeCopy(db, copy)) : this.#writer(log).run("write destination copy", copy),
    };
  }

  async close(): Promise<void> {
    await this.#thread?.close();
    await this.#lasting?.destroy();
  }

  /** States are read before the first call is taken, so that is done here. A database in memory ends with the program, and waits for no disk. */
  #stateTable(log: StateLog): StateTable {
    const { table } = this.#options;
    const read = () => this.#run((db) => readStates(db, table));
    if (this.#lasting !== undefined) return { read, write: (states) => this.#run((db) => writeStates(db, table, states)) };
    const thread = this.#writer(log);
    return {
      read,
      write: (states) => thread.run("write states", states),
      get crashes() {
        return thread.crashes;
      },
    };
  }

  #writer(log: StateLog): WriterThread {
    this.#thread ??= new WriterThread({ file: this.#file, table: this.#options.table }, log, { idleMs: THREAD_IDLE_MS });
    return this.#thread;
  }

  /** While calls are handled the thread reads, unless it cannot; at the start no call waits. */
  #rows(): Promise<readonly StoredRow[]> {
    const { table } = this.#options;
    const isFirst = !this.#haveRowsBeenRead;
    this.#haveRowsBeenRead = true;
    const thread = this.#thread;
    if (thread !== undefined && (thread.isUp || (thread.isResting && !isFirst)))
      return thread.run("read destinations", undefined, READ_LIMIT_MS);
    return this.#run((db) => readRows(db, { file: this.#file, table }));
  }

  async #run<T>(query: (db: Connection) => Promise<T>): Promise<T> {
    const connection = this.#lasting ?? (await connect({ file: this.#file, table: this.#options.table, mode: "inspect" })).db;
    try {
      return await query(connection);
    } catch (cause) {
      throw asStoreError(cause, this.#file);
    } finally {
      if (connection !== this.#lasting) await connection.destroy();
    }
  }
}
