import { chmodSync, copyFileSync, renameSync, rmSync, statSync } from "node:fs";
import { crc32 } from "node:zlib";
import Database from "better-sqlite3";
import {
  CREATE_CAPACITY_TABLE,
  CREATE_DIALOG_TABLE,
  CREATE_LIFE_TABLE,
  CREATE_NAME_TABLE,
  DIALOG_FILE_VERSION,
} from "../../migrations/004-dialog.ts";
import { inUse, mayWrite, placeOf } from "./call-lock.ts";
import { type LogContent, logOf, logsOf, MergedChanges, readLog } from "./call-log.ts";
import { StoreError } from "./errors.ts";
import { asStoreError } from "./fault.ts";

/** A write-ahead log that has grown beyond this is cut back once it is in the file, bytes. */
const LOG_BYTES = 16_777_216;
/** What SQLite may keep of the file in memory, KB. The default of the driver is 16 MB: the system remembers the file anyway, and a batch changes less than this. */
const CACHE_KB = 2_000;
/** What SQLite keeps beside a file. */
const COMPANIONS = ["", "-wal", "-shm", "-journal"] as const;
/** Codes of SQLite for a file that is no database, or a broken one. */
const BROKEN = /^SQLITE_(?:NOTADB|CORRUPT)/;
const MAKE_TABLES = `BEGIN IMMEDIATE; ${CREATE_DIALOG_TABLE}; ${CREATE_CAPACITY_TABLE}; ${CREATE_LIFE_TABLE}; ${CREATE_NAME_TABLE}; PRAGMA user_version = ${DIALOG_FILE_VERSION}; COMMIT`;

/** A call as it is written down: the name of its dialog, and a text that says all of it. */
export type SavedDialog = readonly [did: string, record: string];

/** A capacity that somebody has set, and the one that the row of the destination had then. */
export type SavedCapacity = readonly [destination: string, resource: string, capacity: number, rowCapacity: number];

/** What differs from what is written down. */
export interface DialogChanges {
  readonly saved: readonly SavedDialog[];
  /** Names of dialogs that have ended. */
  readonly removed: readonly string[];
  /** All that there are, in place of those before; left out: they stay. */
  readonly capacities?: readonly SavedCapacity[] | undefined;
  /** The time now, milliseconds since 1970; left out: that of before stays. */
  readonly aliveAtMs?: number | undefined;
}

/** What a file has. Others may have written it; nothing is checked. */
export interface KeptCalls {
  readonly found: readonly SavedDialog[];
  readonly capacities: readonly SavedCapacity[];
  /** When its writer was last known to live, milliseconds since 1970; undefined: nobody has said. */
  readonly aliveAtMs: number | undefined;
}

/** What a file has besides its calls. */
export interface OpenedCalls extends Omit<KeptCalls, "found"> {
  readonly identity: string;
  /** Where it is on the disk; another file of its name has another place. */
  readonly place: string;
  /** Why it cannot be written now. */
  readonly fault: string | undefined;
  /** Bytes of its logs that are not what was written, or belong to another file; what followed on them is lost. */
  readonly damagedBytes: number;
}

/** Which file is open. */
export type CallFilePlace = Pick<OpenedCalls, "identity" | "place">;

/** Some of the calls of a file. */
export interface CallPage {
  readonly found: readonly SavedDialog[];
  /** Where the next page goes on; undefined: there is none. */
  readonly last: number | undefined;
}

/**
 * The file of ongoing calls, which has what its {@link logsOf logs} had when they were put into it. Nobody waits for that: it waits for the disk, so that a
 * power cut takes nothing of what is here, and the logs are removed only then. While it is open no other program can have it; {@link CallLock} says
 * whose it is in between.
 */
export class DialogFile {
  /** Differs from one file to the next of the same path, and stands in the file. */
  readonly identity: string;
  /** Where it is on the disk: nothing else can be there while it is open. */
  readonly #place: string;
  readonly #file: string;
  readonly #database: Database.Database;
  readonly #write: (changes: DialogChanges) => void;
  /** What the logs have, until all pages are told. */
  #logged = new MergedChanges();

  /**
   * Opens the file, and makes it when it is missing.
   *
   * @param busyMs how long another program that has it is waited for
   * @throws {StoreError} `WRONG_VERSION`, `DAMAGED`, `IN_USE`, `CANNOT_OPEN`
   */
  constructor(file: string, busyMs: number) {
    this.#file = file;
    const wasThere = statSync(file, { throwIfNoEntry: false }) !== undefined;
    let database: Database.Database | undefined;
    try {
      database = new Database(file, { timeout: busyMs });
      database.pragma("locking_mode = EXCLUSIVE");
      const version = versionOf(database, file, wasThere);
      database.pragma("journal_mode = WAL");
      database.pragma("synchronous = FULL"); // of a file that a power cut takes back to nothing no log says any more whose it is
      database.pragma(`journal_size_limit = ${LOG_BYTES}`);
      database.pragma(`cache_size = -${CACHE_KB}`);
      if (version !== DIALOG_FILE_VERSION) database.exec(MAKE_TABLES); // else a full disk is enough to read
      database.pragma("synchronous = NORMAL");
      this.#write = writerOf(database);
      this.identity = String(database.prepare("SELECT name FROM headroom_name").pluck().get());
    } catch (cause) {
      database?.close();
      throw faultOf(cause, file);
    }
    this.#database = database;
    this.#place = placeOf(file) ?? "";
  }

  /** Whether the path still leads to the file that is open: somebody may have removed it, or put another in its place. */
  get isCurrent(): boolean {
    return placeOf(this.#file) === this.#place;
  }

  /**
   * What is written down besides calls. The whole file is looked through for damage first, and it is tried whether it can be written.
   *
   * @param wallMs now, milliseconds since 1970
   * @throws {StoreError} `DAMAGED`
   */
  begin(wallMs: number): OpenedCalls {
    try {
      const aliveAtMs = this.#aliveAtMs();
      const fault = this.#faultOf(aliveAtMs ?? wallMs);
      const rows = this.#all("SELECT destination, resource, capacity, row_capacity, sum FROM headroom_capacity");
      const capacities = this.#whole("headroom_capacity", rows) as unknown[] as SavedCapacity[];
      let damagedBytes = 0;
      for (const { path } of logsOf(this.#file)) {
        const { damagedBytes: damaged, foreignBytes } = this.#readLog(path, this.#logged);
        damagedBytes += damaged + foreignBytes; // its own file is gone, and all that says what it had
      }
      return {
        ...this.which,
        ...{ damagedBytes, fault },
        capacities: this.#logged.capacities ?? capacities,
        aliveAtMs: this.#logged.aliveAtMs ?? aliveAtMs,
      };
    } catch (cause) {
      throw faultOf(cause, this.#file);
    }
  }

  /**
   * Looks for damage, and tries whether it can be written, for a program that has its calls.
   *
   * @param wallMs now, milliseconds since 1970
   * @throws {StoreError} `DAMAGED`, or why it cannot be written
   */
  check(wallMs: number): CallFilePlace {
    let fault: string | undefined;
    try {
      fault = this.#faultOf(this.#aliveAtMs() ?? wallMs);
    } catch (cause) {
      throw faultOf(cause, this.#file);
    }
    if (fault !== undefined) throw new StoreError("FAILED", fault);
    return this.which;
  }

  /**
   * Calls in the order of their places, some at a time, and then those that only the logs have. To be read once, after {@link begin}.
   *
   * @param after the place that the page before has told; 0 for the first one
   * @throws {StoreError} `DAMAGED`
   */
  page(after: number, most: number): CallPage {
    try {
      const rows = this.#all(`SELECT did, record, sum, rowid FROM headroom_dialog WHERE rowid > ${after} ORDER BY rowid LIMIT ${most}`);
      const last = rows.map((row) => Number(row.pop())).at(-1);
      const { saved, removed } = this.#logged;
      const found: SavedDialog[] = [];
      for (const [did, record] of this.#whole("headroom_dialog", rows) as unknown[] as SavedDialog[]) {
        if (removed.has(did)) continue;
        found.push([did, saved.get(did) ?? record]);
        saved.delete(did);
      }
      if (rows.length === most) return { found, last };
      this.#logged = new MergedChanges();
      return { found: [...found, ...saved], last: undefined };
    } catch (cause) {
      throw faultOf(cause, this.#file);
    }
  }

  /** Which one it is. */
  get which(): CallFilePlace {
    return { identity: this.identity, place: this.#place };
  }

  /** Names of the calls that it, or one of its logs, has, or had. @throws {StoreError} `DAMAGED` */
  list(): readonly string[] {
    const merged = new MergedChanges();
    try {
      for (const { path } of logsOf(this.#file)) this.#readLog(path, merged);
      return [...this.#all("SELECT did FROM headroom_dialog").map(([did]) => String(did)), ...merged.saved.keys()];
    } catch (cause) {
      throw faultOf(cause, this.#file);
    }
  }

  /**
   * Puts logs into the file, the oldest first, and removes them when all of them are on the disk.
   *
   * @returns how many of them were gone, or not what was written: nobody knows what they had
   * @throws {StoreError} when it cannot be written; the logs stay then
   */
  merge(logs: readonly string[]): number {
    const merged = new MergedChanges();
    let gone = 0;
    try {
      for (const path of logs) {
        if (statSync(path, { throwIfNoEntry: false }) === undefined || this.#readLog(path, merged).damagedBytes > 0) gone++;
      }
      this.#database.pragma("synchronous = FULL");
      this.write({ ...merged, saved: [...merged.saved], removed: [...merged.removed] });
      for (const path of logs) rmSync(path, { force: true }); // in their order: no older one is ever left behind a younger one
      return gone;
    } catch (cause) {
      throw faultOf(cause, this.#file);
    }
  }

  #readLog(path: string, into: MergedChanges): LogContent {
    const content = readLog(path, this.identity);
    for (const each of content.changes) into.add(each);
    return content;
  }

  #aliveAtMs(): number | undefined {
    const [life] = this.#all("SELECT at_ms FROM headroom_life");
    return typeof life?.[0] === "number" ? life[0] : undefined;
  }

  #all(query: string): unknown[][] {
    return this.#database.prepare(query).raw().all() as unknown[][];
  }

  #whole(table: string, rows: unknown[][]): unknown[][] {
    for (const row of rows) if (!isSumOf(row.pop(), row)) throw damaged(this.#file, `a row of ${table} is not what was written`);
    return rows;
  }

  /** Why it cannot be written. Damage is thrown. */
  #faultOf(aliveAtMs: number): OpenedCalls["fault"] {
    const damage: unknown = this.#database.pragma("quick_check(1)", { simple: true });
    if (damage !== "ok") throw damaged(this.#file, String(damage));
    try {
      this.write({ saved: [], removed: [], aliveAtMs });
      return undefined;
    } catch (error) {
      return (error as StoreError).message;
    }
  }

  /** All or none. @throws {StoreError} when it cannot be written */
  write(changes: DialogChanges): void {
    try {
      this.#write(changes);
    } catch (cause) {
      throw faultOf(cause, this.#file);
    }
  }

  close(): void {
    this.#database.close();
  }
}

/**
 * Puts a file that cannot be read out of the way, under its name with the time behind it, and its logs, too.
 *
 * @param wallMs now, milliseconds since 1970
 * @returns the new name
 */
export function moveAside(file: string, wallMs: number): string {
  const aside = `${file}.damaged-${new Date(wallMs).toISOString().replace(/[:.]/g, "-")}`;
  for (const { path, number } of logsOf(file)) renameSync(path, logOf(aside, number).path);
  for (const companion of COMPANIONS) {
    if (statSync(file + companion, { throwIfNoEntry: false }) !== undefined) renameSync(file + companion, aside + companion);
  }
  return aside;
}

/** Copies a file with what stands beside it, for reading where the file itself may not be written: SQLite has to write to read. */
export function copyCalls(file: string, copy: string): void {
  for (const companion of COMPANIONS) {
    if (statSync(file + companion, { throwIfNoEntry: false }) === undefined) continue;
    copyFileSync(file + companion, copy + companion);
    chmodSync(copy + companion, 0o600); // its rights are copied, too
  }
  for (const { path, number } of logsOf(file)) copyFileSync(path, logOf(copy, number).path);
}

/** Tells a row that was changed behind our back from one that was written. */
function sumOf(row: readonly unknown[]): number {
  return crc32(JSON.stringify(row));
}

/** The same for a call: its record is JSON already, and to escape all of it once more took longer than the sum. */
function sumOfCall(did: string, record: string): number {
  return crc32(record, crc32(did));
}

/** Calls of a file of version 1 have the sum of other rows, until they are written once more. */
function isSumOf(sum: unknown, row: readonly unknown[]): boolean {
  const [did, record] = row;
  if (row.length === 2 && typeof did === "string" && typeof record === "string" && sum === sumOfCall(did, record)) return true;
  return sum === sumOf(row);
}

function writerOf(database: Database.Database): (changes: DialogChanges) => void {
  const save = database.prepare(
    "INSERT INTO headroom_dialog (did, record, sum) VALUES (?, ?, ?) ON CONFLICT (did) DO UPDATE SET record = excluded.record, sum = excluded.sum",
  );
  const remove = database.prepare("DELETE FROM headroom_dialog WHERE did = ?");
  const forget = database.prepare("DELETE FROM headroom_capacity");
  const keep = database.prepare("INSERT OR REPLACE INTO headroom_capacity VALUES (?, ?, ?, ?, ?)");
  const live = database.prepare("INSERT OR REPLACE INTO headroom_life VALUES (1, ?)");
  return database.transaction(({ saved, removed, capacities, aliveAtMs }: DialogChanges) => {
    if (aliveAtMs !== undefined) live.run(Math.trunc(aliveAtMs));
    for (const [did, record] of saved) save.run(did, record, sumOfCall(did, record));
    for (const did of removed) remove.run(did);
    if (capacities === undefined) return;
    forget.run();
    for (const capacity of capacities) keep.run(...capacity, sumOf(capacity));
  }).immediate;
}

function versionOf(database: Database.Database, file: string, wasThere: boolean): number {
  const version = Number(database.pragma("user_version", { simple: true }));
  if (!wasThere || version <= DIALOG_FILE_VERSION) return version;
  throw new StoreError(
    "WRONG_VERSION",
    `Cannot use the calls in "${file}": they are of version ${version}, which a newer Headroom has written, want version ${DIALOG_FILE_VERSION} or older`,
  );
}

function faultOf(cause: unknown, file: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const { code = "", message } = cause as NodeJS.ErrnoException;
  if (BROKEN.test(code)) return damaged(file, message);
  if (code.startsWith("SQLITE_IOERR") && !mayWrite(file)) {
    // it says that the disk has failed where only a right is missing
    return new StoreError("FAILED", `Cannot use the calls in "${file}": this user may not write it`, { cause });
  }
  if (code.startsWith("SQLITE_BUSY")) {
    return inUse(file, cause);
  }
  return asStoreError(cause, file);
}

function damaged(file: string, reason: string): StoreError {
  return new StoreError(
    "DAMAGED",
    `Cannot use the calls in "${file}": the file is damaged (${reason}); "headroom start --force-empty" moves it aside and starts without calls`,
  );
}
