import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { CallWriter } from "./call-writer.ts";
import { MEMORY, sqliteFile } from "./database-url.ts";
import {
  type CallPage,
  copyCalls,
  type DialogChanges,
  DialogFile,
  type KeptCalls,
  moveAside,
  type OpenedCalls,
  type SavedDialog,
} from "./dialog-file.ts";
import { StoreError } from "./errors.ts";
import type { StateLog } from "./state-store.ts";
import { WriterThread } from "./writer-thread.ts";

/** Sources run as TypeScript, a build as JavaScript. */
const WORKER = new URL(`./dialog-worker${extname(import.meta.filename)}`, import.meta.url);
/** How long a start waits for another program that has the calls, ms: the program before may be about to end. */
const BUSY_MS = 2_000;
/** The thread ends when it has had nothing to do for so long, ms. */
const THREAD_IDLE_MS = 15_000;

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
  /** Names of the calls that are in the file, whoever has written them, or were. @throws {StoreError} */
  names?(): Promise<readonly string[]>;
  /** How often the thread that writes ended by itself. */
  readonly crashes: number;
  /** Lets go of the file. Never rejects. */
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
 * Opens the file of calls that stands beside a database, `FILE.calls`, and reads it. From then on no other program can have it. Undefined, and logged, when
 * calls cannot be kept: the database is in memory, or another program keeps its calls there. A file that cannot be made, or may only be read, is written as
 * soon as that can be done.
 *
 * @throws {StoreError} when there is a file and its calls cannot be read: no start may forget them by itself
 */
export async function openDialogStore(dbUrl: string, { forceEmpty, wallMs, log }: DialogStoreOptions): Promise<DialogStore | undefined> {
  const database = sqliteFile(dbUrl);
  if (database === MEMORY) return undefined;
  const file = `${database}.calls`;
  const hadCalls = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
  const thread = new WriterThread({ file, table: "headroom_dialog" }, log, { worker: WORKER, idleMs: THREAD_IDLE_MS });
  const writer = new CallWriter({ file, thread, wallMs, log });
  let kept: ReadCalls;
  try {
    kept = await writer
      .lock(BUSY_MS)
      .then(() => readAll(thread, wallMs))
      .catch((error: unknown) => {
        if (!(error instanceof StoreError)) throw error;
        if (error.code === "DAMAGED" && forceEmpty) {
          const aside = moveAside(file, wallMs());
          log.error({ aside }, `Started without the calls in "${file}", as it was told to: the file is damaged and was moved aside`);
          return readAll(thread, wallMs);
        }
        if (error.code === "IN_USE") throw error;
        if (!hadCalls) return { ...NOTHING, fault: error.message };
        return readCopy(file, error, wallMs);
      });
  } catch (error) {
    await writer.close();
    if (!(error instanceof StoreError) || error.code !== "IN_USE") throw error;
    log.error({}, `Calls are not written down, a restart will lose them: ${error.message}`);
    return undefined;
  }
  const { capacities, aliveAtMs, identity, fault, damagedBytes } = kept;
  if (fault === undefined) writer.opened(kept);
  else log.error({}, `Calls are not written down, which is tried again; until then a crash loses what changes: ${fault}`);
  if (damagedBytes > 0)
    log.error(
      { bytes: damagedBytes },
      `What was written last to the calls in "${file}" cannot be read, as after a power cut: calls may be missing`,
    );
  let { found } = kept;
  return {
    ...{ capacities, aliveAtMs, identity },
    get found() {
      return found;
    },
    letGo: () => {
      found = [];
    },
    write: (changes) => writer.write(changes),
    names: () => writer.names(),
    get crashes() {
      return thread.crashes;
    },
    close: () => writer.close(),
  };
}

/** The file of calls of another process of the program, which is about to close it, and has told its calls. */
export interface HandedCalls extends Required<Pick<DialogStore, "write" | "names" | "crashes" | "close">> {
  /** Opens it, and tells which calls it has. To be tried again when it fails: a file that was damaged is moved aside by then. @throws {StoreError} */
  take(): Promise<readonly string[]>;
}

/** Gets ready to open the file of calls that stands beside a database, at once when it is free. Undefined: the database is in memory. */
export function awaitDialogs(dbUrl: string, { wallMs, log }: Pick<DialogStoreOptions, "wallMs" | "log">): HandedCalls | undefined {
  const database = sqliteFile(dbUrl);
  if (database === MEMORY) return undefined;
  const file = `${database}.calls`;
  const thread = new WriterThread({ file, table: "headroom_dialog" }, log, { worker: WORKER, idleMs: THREAD_IDLE_MS });
  thread.wake();
  const writer = new CallWriter({ file, thread, wallMs, log });
  return {
    take: () => writer.take(),
    write: (changes) => writer.write(changes),
    names: () => writer.names(),
    get crashes() {
      return thread.crashes;
    },
    close: () => writer.close(),
  };
}

type ReadCalls = KeptCalls & OpenedCalls;

/** Of a file that is not there. */
const NOTHING = { found: [], capacities: [], aliveAtMs: undefined, identity: "", place: "", damagedBytes: 0 };

async function readAll(thread: WriterThread, wallMs: () => number): Promise<ReadCalls> {
  const opened = await thread.run("open dialogs", wallMs());
  const found: SavedDialog[] = [];
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page: CallPage = await thread.run("read dialogs", after);
    for (const call of page.found) found.push(call);
    after = page.last;
  }
  return { ...opened, found };
}

/** @throws {StoreError} `why` when it cannot even be read, or is what no start may pass over */
function readCopy(file: string, why: StoreError, wallMs: () => number): ReadCalls {
  if (why.code === "DAMAGED" || why.code === "WRONG_VERSION") throw why;
  let folder: string | undefined;
  let open: DialogFile | undefined;
  try {
    folder = mkdtempSync(join(tmpdir(), "headroom-calls-"));
    const copy = join(folder, "calls");
    copyCalls(file, copy);
    open = new DialogFile(copy, 0);
    return { ...open.begin(wallMs()), found: open.page(0, Number.MAX_SAFE_INTEGER).found, fault: why.message };
  } catch (error) {
    throw error instanceof StoreError && error.code === "DAMAGED" ? error : why;
  } finally {
    open?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}
