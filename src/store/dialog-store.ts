import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { MEMORY, sqliteFile } from "./database-url.ts";
import { copyCalls, type DialogChanges, DialogFile, type KeptCalls, moveAside } from "./dialog-file.ts";
import { StoreError } from "./errors.ts";
import type { StateLog } from "./state-store.ts";
import { WriterThread } from "./writer-thread.ts";

/** How long the start waits for a program that still has the calls open, ms: the one before may be about to end. */
const BUSY_MS = 2_000;
/** Sources run as TypeScript, a build as JavaScript. */
const WORKER = new URL(`./dialog-worker${extname(import.meta.filename)}`, import.meta.url);

/** Ongoing calls in a file, and what was written down when it was opened. */
export interface DialogStore extends KeptCalls {
  /** Forgets what was found: it is restored, and its texts are as much memory as the calls. */
  letGo?(): void;
  /** Name of the file that was read, as {@link write} answers it. */
  readonly identity: string;
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
 * memory, or another program keeps its calls there. A file that cannot be made, or may only be read, is written as soon as that can be done.
 *
 * @throws {StoreError} when there is a file and its calls cannot be read: no start may forget them by itself
 */
export function openDialogStore(dbUrl: string, { forceEmpty, wallMs, log }: DialogStoreOptions): DialogStore | undefined {
  const database = sqliteFile(dbUrl);
  if (database === MEMORY) return undefined;
  const file = `${database}.calls`;
  const hadCalls = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
  let kept: ReadCalls;
  try {
    kept = readAll(file, wallMs);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === "DAMAGED" && forceEmpty) {
      const aside = moveAside(file, wallMs());
      log.error({ aside }, `Started without the calls in "${file}", as it was told to: the file is damaged and was moved aside`);
      kept = readAll(file, wallMs);
    } else if (error.code === "IN_USE") {
      log.error({}, `Calls are not written down, a restart will lose them: ${error.message}`);
      return undefined;
    } else if (!hadCalls) kept = { found: [], capacities: [], aliveAtMs: undefined, identity: "", fault: error };
    else kept = readCopy(file, error, wallMs);
  }
  if (kept.fault !== undefined)
    log.error({}, `Calls are not written down, which is tried again; until then a crash loses what changes: ${kept.fault.message}`);
  const thread = new WriterThread({ file, table: "headroom_dialog" }, log, { worker: WORKER });
  let { found } = kept;
  const { capacities, aliveAtMs, identity } = kept;
  return {
    ...{ capacities, aliveAtMs, identity },
    get found() {
      return found;
    },
    letGo: () => {
      found = [];
    },
    write: (changes) => thread.run("write dialogs", changes),
    get crashes() {
      return thread.crashes;
    },
    close: () => thread.close(),
  };
}

/** @property fault why it cannot be written now */
type ReadCalls = KeptCalls & { readonly identity: string; readonly fault?: StoreError };

/** The thread opens the file anew: the lock is free for a moment, in which no other program is expected to take it. */
function readAll(file: string, wallMs: () => number): ReadCalls {
  const open = new DialogFile(file, BUSY_MS);
  try {
    const read = { ...open.read(), identity: open.identity };
    const fault = faultOfWriting(open, read.aliveAtMs ?? wallMs());
    return fault === undefined ? read : { ...read, fault };
  } finally {
    open.close();
  }
}

function faultOfWriting(open: DialogFile, aliveAtMs: number): StoreError | undefined {
  try {
    open.write({ saved: [], removed: [], aliveAtMs });
    return undefined;
  } catch (error) {
    return error as StoreError;
  }
}

/** @throws {StoreError} `why` when it cannot even be read, or is what no start may pass over */
function readCopy(file: string, why: StoreError, wallMs: () => number): ReadCalls {
  if (why.code === "DAMAGED" || why.code === "WRONG_VERSION") throw why;
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), "headroom-calls-"));
    const copy = join(folder, "calls");
    copyCalls(file, copy);
    return { ...readAll(copy, wallMs), fault: why };
  } catch (error) {
    throw error instanceof StoreError && error.code === "DAMAGED" ? error : why;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}
