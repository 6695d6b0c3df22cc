import { accessSync, constants, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { StoreError } from "./errors.ts";
import { asStoreError, sqliteCode } from "./fault.ts";

/** How often a lock that another program has is tried for again, ms. */
const AGAIN_MS = 50;

/**
 * Says that the calls beside a database belong to this program: a lock on an empty file, `FILE.calls-lock`. It ends with the program, however that ends. A lock on
 * the calls themselves would have to be held by the thread that works on them, which is there only when there is work.
 */
export class CallLock {
  readonly #path: string;
  readonly #place: string | undefined;
  readonly #database: Database.Database;

  private constructor(path: string, database: Database.Database) {
    this.#path = path;
    this.#database = database;
    this.#place = placeOf(path);
  }

  /**
   * Takes the lock of a file of calls.
   *
   * @param waitMs how long another program that has it is waited for
   * @throws {StoreError} `IN_USE`, `CANNOT_OPEN`, `FAILED`
   */
  static async take(file: string, waitMs: number): Promise<CallLock> {
    const path = `${file}-lock`;
    const untilMs = performance.now() + waitMs;
    for (;;) {
      const database = tryFor(path, file);
      if (database !== undefined) return new CallLock(path, database);
      if (performance.now() >= untilMs) throw inUse(file);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  /** Whether it still keeps others out: where its file was removed, they make another one. */
  async isGood(): Promise<boolean> {
    return this.#place !== undefined && (await findPlace(this.#path)) === this.#place;
  }

  release(): void {
    this.#database.close();
  }
}

/** What tells a file from another one that has its name now; undefined: there is none. */
export function placeOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true });
  return found && `${found.dev}:${found.ino}`;
}

/** As {@link placeOf}, without waiting for the disk. */
export async function findPlace(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev}:${found.ino}`;
}

/** Whether this user may write a file, or a directory. */
export function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The refusal of calls that another program has. */
export function inUse(file: string, cause?: unknown): StoreError {
  return new StoreError("IN_USE", `Cannot use the calls in "${file}": another program has them open`, { cause });
}

/** Undefined: another program has it. */
function tryFor(path: string, file: string): Database.Database | undefined {
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { timeout: 0 });
    // SQLite opens what it may not write for reading, and then answers an exclusive lock with one that keeps nobody out.
    if (!mayWrite(path)) throw new StoreError("FAILED", `Cannot use the calls in "${file}": this user may not write "${path}"`);
    database.exec("BEGIN EXCLUSIVE"); // writes nothing
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof StoreError) throw cause;
    if (sqliteCode(cause) === "SQLITE_BUSY") return undefined;
    const folder = dirname(path);
    if (statSync(folder, { throwIfNoEntry: false }) !== undefined && !mayWrite(statSync(path, { throwIfNoEntry: false }) ? path : folder))
      throw new StoreError("FAILED", `Cannot use the calls in "${file}": this user may not write it`, { cause });
    throw asStoreError(cause, path);
  }
}
