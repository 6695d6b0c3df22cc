import type { Address, DestinationRow, FeedOptions } from "../balancer/index.ts";
import { isNumeric, locateAtOnce, SERVED_TRANSPORTS, type SipTarget, targetKey } from "../resolution/index.ts";
import { type Connection, connect, type StoredRow, tableName } from "./connection.ts";
import { MEMORY, sqliteFile } from "./database-url.ts";
import { readRows } from "./destination-rows.ts";
import { type DispatcherStateTable, readDispatcherStates, writeDispatcherStates } from "./dispatcher-state-row.ts";
import { StoreError } from "./errors.ts";
import { asStoreError } from "./fault.ts";
import { KnownHosts } from "./known-hosts.ts";
import { type RegistrationTable, readRegistrations, writeRegistrations } from "./registration-row.ts";
import { type Locate, locateByHost, type Resolve, type ResolveLimits, resolveAll, resolveBySystem } from "./resolve.ts";
import { type CheckedRow, checkRow, DECLARED_LENGTHS, LOADED_LENGTHS, type RawRow } from "./row.ts";
import { readStates, writeStates } from "./state-row.ts";
import { type DestinationStateStore, QueuedStateStore, type StateLog, type StateQueueOptions, type StateTable } from "./state-store.ts";
import { WriterThread } from "./writer-thread.ts";

/** How long a reload waits for the rows. The thread that reads them may be waiting for a disk, or for another program. */
const READ_LIMIT_MS = 15_000;
/** The thread ends when it has had nothing to do for so long, ms. */
const THREAD_IDLE_MS = 30_000;
/** Rows that are checked in one go: a millisecond or two. */
const CHECKS_AT_ONCE = 200;

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

/** The destinations in a database. Every method rejects with a {@link StoreError} that an operator can read. */
export interface DestinationStore {
  /**
   * The rows that can be used, their hosts resolved; a bad one is skipped and the others load. A host that was resolved for the load before, and cannot be
   * now, keeps its addresses: name servers that are down for a while take no destination away.
   */
  loadDestinations(): Promise<LoadedDestinations>;
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
 * Opens the database with the destinations, makes its tables when they are missing, and looks at the version of what is there.
 *
 * @param dbUrl `sqlite:FILE`, `sqlite:///ABSOLUTE/FILE` or `sqlite::memory:`
 * @throws {StoreError} when it cannot be used: see {@link StoreErrorCode}
 */
export async function openStore(dbUrl: string, options: StoreOptions): Promise<DestinationStore> {
  const file = sqliteFile(dbUrl);
  checkTableName(options.table);
  const { db, unwritable } = await connect({ file, table: options.table, mode: options.mode ?? "migrate" });
  if (file === MEMORY) return new SqliteStore(file, options, { lasting: db });
  await db.destroy();
  return new SqliteStore(file, options, { unwritable });
}

/**
 * What is wrong with a row that is to be written, each with its column; empty when nothing is.
 * Whether its host can be resolved is not looked at: the name may come to exist later.
 */
export function faultsOf(row: NewRow, feeds?: FeedOptions): readonly string[] {
  const checked = checkRow(rawOf(row), DECLARED_LENGTHS, feeds);
  return "faults" in checked ? checked.faults : [];
}

/**
 * A store that opens its file for each piece of work and closes it again. An administrator may put another file in its place at any time;
 * a file that is held open meanwhile would be read on without a name, and its write-ahead log, which SQLite finds by its name, would be
 * replayed into the new one.
 */
class SqliteStore implements DestinationStore {
  readonly #file: string;
  readonly #options: StoreOptions;
  /** The one connection of a database in memory, which ends with it. */
  readonly #lasting: Connection | undefined;
  /** Why the database could not be written at the start. */
  readonly #unwritable: StoreError | undefined;
  #thread: WriterThread | undefined;
  #haveRowsBeenRead = false;
  /** Of the rows of the latest load, and of rows that are in no database: a look at the one says nothing of the other. */
  readonly #stored = new KnownHosts();
  readonly #unstored = new KnownHosts();

  constructor(file: string, options: StoreOptions, found: { lasting?: Connection; unwritable?: StoreError | undefined }) {
    this.#file = file;
    this.#options = options;
    this.#lasting = found.lasting;
    this.#unwritable = found.unwritable;
  }

  async loadDestinations(): Promise<LoadedDestinations> {
    return this.#check(await this.#rows(), this.#stored, "all");
  }

  check(raws: readonly RawRow[], extent: "all" | "some"): Promise<LoadedDestinations> {
    return this.#check(raws, this.#unstored, extent);
  }

  async #check(raws: readonly RawRow[], known: KnownHosts, extent: "all" | "some"): Promise<LoadedDestinations> {
    const { resolve = resolveBySystem, locate = locateByHost(resolve), limits, feeds } = this.#options;
    const checked: CheckedRow[] = [];
    const skipped: SkippedRow[] = [];
    const ids = new Set<number>();
    for (const [i, raw] of raws.entries()) {
      if (i % CHECKS_AT_ONCE === CHECKS_AT_ONCE - 1) await new Promise(setImmediate); // calls come first
      const result = checkRow(raw, LOADED_LENGTHS, feeds);
      if ("faults" in result) {
        skipped.push(skip(raw.id, result.faults));
      } else if (ids.has(result.row.id)) {
        skipped.push(skip(raw.id, ["the id stands twice: want each id once"])); // a view may answer that
      } else {
        ids.add(result.row.id);
        checked.push(result.row);
      }
    }
    const names = new Map<string, SipTarget>();
    for (const { target } of checked) if (!isNumeric(target.host)) names.set(targetKey(target), target);
    const before = known.names(); // a name that another look learns meanwhile stays
    const resolutions = await resolveAll(names, locate, limits);
    const found = new Map<string, readonly Address[]>();
    const rows: DestinationRow[] = [];
    const unresolved: UnresolvedRow[] = [];
    const kept: string[] = [];
    for (const { target, ...row } of checked) {
      const key = targetKey(target);
      const { addresses, reason } = resolutions.get(key) ?? { addresses: addressesOf(target), reason: undefined };
      const usable = addresses.length > 0 ? addresses : known.get(key);
      const fault = `dst_uri "${row.uri}": host "${target.host}" cannot be resolved: ${reason}`;
      if (usable === undefined) {
        skipped.push(skip(row.id, [fault]));
        unresolved.push(row);
        continue;
      }
      if (reason !== undefined) kept.push(`Row ${row.id} keeps the addresses from before, ${ipsOf(usable)}: ${fault}`);
      if (names.has(key)) found.set(key, usable);
      rows.push({ ...row, addresses: usable });
    }
    if (extent === "all") known.forget(before.filter((key) => !found.has(key)));
    known.learn(found);
    return { rows, skipped: skipped.sort((a, b) => (a.id ?? -1) - (b.id ?? -1)), unresolved, kept };
  }

  list(): Promise<readonly StoredRow[]> {
    return this.#rows();
  }

  async add(row: NewRow): Promise<number> {
    const [id] = await this.import([row]);
    if (id === undefined) throw new StoreError("FAILED", `Cannot add a destination to database "${this.#file}": it gave no id`);
    return id;
  }

  async import(rows: readonly NewRow[]): Promise<readonly number[]> {
    for (const [i, row] of rows.entries()) {
      const faults = faultsOf(row, this.#options.feeds);
      if (faults.length > 0) throw new StoreError("BAD_ROW", `Cannot add destination ${i + 1} of ${rows.length}: ${faults.join("; ")}`);
    }
    const table = tableName(this.#options.table);
    return this.#run((db) =>
      db.transaction().execute(async (transaction) => {
        const ids: number[] = [];
        for (const [i, row] of rows.entries()) {
          if (row.id !== undefined) await checkFree(transaction, table, row.id, `${i + 1} of ${rows.length}`);
          const result = await transaction.insertInto(table).values(valuesOf(row)).executeTakeFirstOrThrow();
          ids.push(Number(result.insertId));
        }
        return ids;
      }),
    );
  }

  remove(id: number): Promise<StoredRow | undefined> {
    const table = tableName(this.#options.table);
    return this.#run(async (db) => {
      const row = await db.selectFrom(table).selectAll().where("id", "=", id).executeTakeFirst();
      if (row) await db.deleteFrom(table).where("id", "=", id).execute();
      return row;
    });
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

function checkTableName(table: string): void {
  if (
    /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(table) &&
    !/^(?:version$|sqlite_|headroom_migration|headroom_destination_state|headroom_registration|headroom_dispatcher_state)/i.test(table)
  )
    return;
  throw new StoreError(
    "BAD_TABLE",
    `Cannot use "${table}" as the table of destinations: want a table name of letters, digits and _ that is not taken`,
  );
}

async function checkFree(db: Connection, table: "load_balancer", id: number, place: string): Promise<void> {
  const taken = await db.selectFrom(table).select("dst_uri").where("id", "=", id).executeTakeFirst();
  if (!taken) return;
  throw new StoreError("BAD_ROW", `Cannot add destination ${place}: id ${id} is taken by "${taken.dst_uri}", want another or none`);
}

/** A row as the checks look at it: an id that the database will give is none of the caller's. */
function rawOf(row: NewRow): RawRow {
  return { ...valuesOf(row), id: row.id ?? 0 };
}

function valuesOf({ id, group_id = 0, dst_uri, resources, probe_mode = 0, attrs = null, description = null }: NewRow) {
  return { ...(id !== undefined && { id }), group_id, dst_uri, resources, probe_mode, attrs, description };
}

/** Of a target that is an address itself. */
function addressesOf(target: SipTarget): readonly Address[] {
  const location = locateAtOnce(target, SERVED_TRANSPORTS);
  return location?.outcome === "found" ? location.addresses : [];
}

function ipsOf(addresses: readonly Address[]): string {
  return [...new Set(addresses.map(({ ip }) => ip))].join(", ");
}

function skip(id: unknown, faults: readonly string[]): SkippedRow {
  return { id: typeof id === "number" ? id : undefined, reason: `Row ${String(id)} is skipped: ${faults.join("; ")}` };
}
