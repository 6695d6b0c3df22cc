import { statSync } from "node:fs";
import { extname } from "node:path";
import { MEMORY, sqliteFile } from "./database-url.ts";
import { type DialogChanges, DialogFile, type KeptCalls, moveAside } from "./dialog-file.ts";
import { StoreError } from "./errors.ts";
import type { StateLog } from "./state-store.ts";
import { WriterThread } from "./writer-thread.ts";

/** How long the start waits for a program that still has the calls open, ms: the one before may be about to end. */
const BUSY_MS = 2_000;
/** Sources run as TypeScript, a build as JavaScript. */
const WORKER = new URL(`./dialog-worker${extname(import.meta.filename)}`, import.meta.url);

/** Ongoing calls in a file, and what was written down when it was opened. */
export interface DialogStore extends KeptCalls {
  /**
   * All or none. A crash of the program does not lose what was written. The same may be written twice.
   *
   * @returns a name of the file: another name than the time before says that it is another file, which has nothing of what was written before
   * @throws {StoreError}
   */
  write(changes: DialogChanges): Promise<string>;
  /** How often the thread that writes ended by itself. */
  readonly crashes: number;
  /** Ends the thread; what it has under way may be lost. Never rejects. */
  close(): Promise<void>;
}

export interface DialogStoreOptions {
  /** Move a file aside that is damaged, and start without its calls. */
  readonly forceEmpty: boolean;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly log: StateLog;
}

/**
 * Opens the file of calls that stands beside a database, `FILE.calls`, and reads it. Undefined, and logged, when calls cannot be kept: the database is in
 * memory, another program keeps its calls there, or there is no file and none can be made.
 *
 * @throws {StoreError} when there is a file and its calls cannot be read: no start may forget them by itself
 */
export function openDialogStore(dbUrl: string, { forceEmpty, wallMs, log }: DialogStoreOptions): DialogStore | undefined {
  const database = sqliteFile(dbUrl);
  if (database === MEMORY) return undefined;
  const file = `${database}.calls`;
  let kept: KeptCalls;
  try {
    kept = readAll(file);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === "DAMAGED" && forceEmpty) {
      const aside = moveAside(file, wallMs());
      log.error({ aside }, `Started without the calls in "${file}", as it was told to: the file is damaged and was moved aside`);
      kept = readAll(file);
    } else if (error.code === "IN_USE" || statSync(file, { throwIfNoEntry: false }) === undefined) {
      log.error({}, `Calls are not written down, a restart will lose them: ${error.message}`);
      return undefined;
    } else throw error;
  }
  const thread = new WriterThread({ file, table: "headroom_dialog" }, log, { worker: WORKER });
  return {
    ...kept,
    write: (changes) => thread.run("write dialogs", changes),
    get crashes() {
      return thread.crashes;
    },
    close: () => thread.close(),
  };
}

/** The thread opens the file anew: the lock is free for a moment, in which no other program is expected to take it. */
function readAll(file: string): KeptCalls {
  const open = new DialogFile(file, BUSY_MS);
  try {
    return open.read();
  } finally {
    open.close();
  }
}
