import { type FileHandle, open, stat } from "node:fs/promises";
import { CallLock, findPlace } from "./call-lock.ts";
import { type CallLog, lineOf, logOf, logsOf } from "./call-log.ts";
import type { CallFilePlace, DialogChanges } from "./dialog-file.ts";
import { StoreError } from "./errors.ts";
import type { StateLog } from "./state-store.ts";
import { within } from "./within.ts";
import type { WriterThread } from "./writer-thread.ts";

/** A log that is as long is put into the file, and another one begun, bytes: the thread needs some ten times as much for it. */
const FULL_LOG_BYTES = 2_097_152;
/**
 * Logs that are put into the file together: a call that ends before that never gets there, and each that does costs the thread two changes of the file, 20 µs. At
 * 1,000 calls a second that are the calls of the last 20 s. A start reads so many logs in less than half a second.
 */
const MERGED_LOGS = 8;
/** With so many logs that could not be put into the file, no more is written: it cannot be, and the disk belongs to others, too. */
const MOST_LOGS = 32;
/** How long another program that has taken the calls is waited for, ms: whoever writes tries again. */
const BUSY_MS = 250;
/** How long after a failure logs are put into the file again, ms; and failures in a row of which the log tells. */
const AGAIN_MS = 1_000;
const TOLD_FAILURES = 3;
/** How long a close waits for what is being written, ms. */
const CLOSE_MS = 1_500;
/** What a disk says that takes no more. It will again, at the same place. */
const FULL_DISK = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
/** A write that takes longer than this hangs, and nobody waits for it when the program ends, ms. */
const STUCK_MS = 2_500;

interface OpenLog extends CallLog {
  readonly handle: FileHandle;
  readonly place: string;
  /** Length of what is whole in it: a line that failed half-way is written over. */
  bytes: number;
  sum: number;
}

/** What there was of the files when somebody looked. */
interface Look {
  /** Undefined: there was no lock. */
  readonly isLocked: boolean | undefined;
  readonly isLogThere: boolean;
  readonly isFileThere: boolean;
  /** All is as it should be, and was before. */
  readonly isGood: boolean;
}

export interface CallWriterPorts {
  readonly file: string;
  /** Works on the file of calls. */
  readonly thread: Pick<WriterThread, "run" | "close">;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly log: StateLog;
}

/**
 * Writes changes of calls at the end of a log, which waits for no disk: what the system has taken survives the end of this program. A thread puts logs into
 * the file of calls when they are long, and waits for the disk as long as that takes. Meanwhile the next log is written.
 */
export class CallWriter {
  readonly #ports: CallWriterPorts;
  #lock: CallLock | undefined;
  /** The file that is there, and can be written. */
  #opened: CallFilePlace | undefined;
  #log: OpenLog | undefined;
  #lastNumber = 0;
  /** Logs that wait to be put into the file, the oldest first. */
  #full: CallLog[] = [];
  /** How often a log was gone. What is written then is another file to whoever has the calls. */
  #losses = 0;
  /** There are logs of a life before: what is damaged among them, and what they keep a start from, should be known soon. */
  #hasFormer = false;
  #merging: Promise<void> | undefined;
  #mergeFault: StoreError | undefined;
  #mergeFailures = 0;
  #mergeAtMs = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #writesSinceMs: number | undefined;
  #isClosed = false;

  constructor(ports: CallWriterPorts) {
    this.#ports = ports;
    process.on("exit", this.#leave);
  }

  /** Makes the calls those of this program. @throws {StoreError} `IN_USE` and others, after `waitMs` */
  async lock(waitMs: number): Promise<void> {
    this.#lock ??= await CallLock.take(this.#ports.file, waitMs);
  }

  /** The file was read, and can be written. */
  opened({ identity, place }: CallFilePlace): void {
    this.#full = logsOf(this.#ports.file);
    this.#hasFormer = this.#full.length > 0;
    this.#opened = { identity, place };
    this.#lastNumber = Math.max(this.#lastNumber, this.#full.at(-1)?.number ?? 0);
    void this.#log?.handle.close().catch(() => {});
    this.#log = undefined;
  }

  /**
   * Goes on with the calls of another process of the program, which has just let them go. What is to be written waits until it is known which file that is,
   * and no longer.
   *
   * @returns names of the calls that are there
   * @throws {StoreError}
   */
  take(): Promise<readonly string[]> {
    const { thread } = this.#ports;
    const taking = this.#turn.then(async () => {
      await this.lock(BUSY_MS);
      this.opened(await thread.run("take dialogs", undefined));
      return { listing: thread.run("list dialogs", undefined) };
    });
    this.#turn = taking.catch(() => {});
    return taking.then(({ listing }) => listing);
  }

  /**
   * All or none, one after the other.
   *
   * @returns the name of what it is written to: another name than the time before says that it has nothing of what was written before
   * @throws {StoreError}
   */
  write(changes: DialogChanges): Promise<string> {
    const turn = this.#turn.then(() => this.#write(changes));
    this.#turn = turn.then(() => this.#prepare()).catch(() => {}); // what fails here fails the next write, or works then
    return turn;
  }

  /** Names of the calls that are in the file, or were. @throws {StoreError} */
  names(): Promise<readonly string[]> {
    return this.#ports.thread.run("list dialogs", undefined);
  }

  /** Ends the thread, and lets others have the calls. What the thread has under way is found in the logs. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await within(this.#turn, CLOSE_MS);
    await this.#ports.thread.close();
    void this.#log?.handle.close().catch(() => {});
    this.#log = undefined;
    this.#lock?.release();
    this.#lock = undefined;
    if (this.#writesSinceMs === undefined) process.off("exit", this.#leave);
  }

  async #write(changes: DialogChanges): Promise<string> {
    if (this.#isClosed) throw this.#error("it is closed");
    this.#writesSinceMs = performance.now();
    try {
      // Looking costs a turn of the event loop, which a busy machine makes long: what is written meanwhile is safe when nothing has changed.
      const looking = this.#look();
      const appending = this.#canAppend() && this.#log !== undefined ? this.#append(changes) : undefined;
      const [look, written] = await Promise.allSettled([looking, appending]).then(([seen, done]) => [resultOf(seen), done] as const);
      if (look.isGood && appending !== undefined) {
        resultOf(written);
        return this.#name;
      }
      if (!look.isGood) await this.#repair(look);
      await this.#append(changes);
      return this.#name;
    } catch (error) {
      if (error instanceof StoreError) throw error;
      throw this.#error(reasonOf(error), error);
    } finally {
      this.#writesSinceMs = undefined;
    }
  }

  get #name(): string {
    const identity = this.#opened?.identity ?? "";
    return this.#losses === 0 ? identity : `${identity}-${this.#losses}`;
  }

  #canAppend(): boolean {
    return this.#opened !== undefined && this.#lock !== undefined && this.#mergeFault?.code !== "DAMAGED";
  }

  /** Whether the calls are still ours, and their files where they were: an administrator may take them away at any time. */
  async #look(): Promise<Look> {
    const log = this.#log;
    const isUsed = this.#canAppend();
    // One after the other: on a disk that hangs each has one of the four threads that look up hosts as well, and so has what is written.
    const isLocked = await this.#lock?.isGood();
    const place = await findPlace(this.#ports.file);
    const isLogThere = log === undefined || (await findPlace(log.path)) === log.place || log !== this.#log;
    const isFileThere = this.#opened !== undefined && this.#opened.place === place;
    return { isLocked, isLogThere, isFileThere, isGood: isUsed && isLocked === true && isLogThere && isFileThere };
  }

  async #repair({ isLocked, isLogThere, isFileThere }: Look): Promise<void> {
    const fault = this.#mergeFault;
    if (fault?.code === "DAMAGED") {
      this.#mergeFault = undefined;
      this.#opened = undefined;
      throw fault; // to whoever has all calls, and has to write them to another file
    }
    if (isLocked === false) {
      this.#lock?.release();
      this.#lock = undefined;
      this.#opened = undefined;
      this.#losses++; // another program may have had the calls since
    } else if (!isLogThere) this.#losses++;
    await this.lock(BUSY_MS);
    if (this.#opened !== undefined && isFileThere) return this.opened(this.#opened);
    this.#opened = undefined;
    await this.#merging;
    this.opened(await this.#ports.thread.run("reopen dialogs", this.#ports.wallMs()));
  }

  async #append(changes: DialogChanges): Promise<void> {
    this.#merge();
    if (this.#full.length >= MOST_LOGS) throw this.#mergeFault ?? this.#error(`${MOST_LOGS} logs wait to be put into it`);
    this.#log ??= await this.#begin();
    const log = this.#log;
    const head = log.bytes === 0 ? lineOf({ calls: this.#opened?.identity ?? "", log: log.number }, 0) : undefined;
    const line = lineOf(changes, head?.sum ?? log.sum);
    const bytes = head === undefined ? line.bytes : Buffer.concat([head.bytes, line.bytes]);
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await log.handle.write(bytes, done, bytes.length - done, log.bytes + done);
        done += bytesWritten;
      }
    } catch (error) {
      if (!FULL_DISK.has((error as NodeJS.ErrnoException).code ?? "")) this.#endLog(log); // it may be the log that is broken
      throw error;
    }
    log.bytes += bytes.length;
    log.sum = line.sum;
    if (log.bytes < FULL_LOG_BYTES) return;
    this.#endLog(log);
    this.#merge();
  }

  /** Begins a log before it is needed: that takes several turns of the event loop. */
  async #prepare(): Promise<void> {
    if (this.#log === undefined && this.#canAppend() && !this.#isClosed && this.#full.length < MOST_LOGS) this.#log = await this.#begin();
  }

  #endLog(log: OpenLog): void {
    this.#full.push(log);
    this.#log = undefined;
    const close = (): Promise<void> => log.handle.close();
    log.handle
      .datasync()
      .then(close, close)
      .catch(() => {}); // a power cut takes nothing of it, though it is in the file much later
  }

  /** Those who may read the file may read its logs. */
  async #begin(): Promise<OpenLog> {
    const { file } = this.#ports;
    const { mode } = await stat(file);
    const log = logOf(file, ++this.#lastNumber);
    const handle = await open(log.path, "wx", mode & 0o666);
    const { dev, ino } = await handle.stat({ bigint: true });
    return { ...log, handle, place: `${dev}:${ino}`, bytes: 0, sum: 0 };
  }

  #merge(): void {
    const isDue = this.#full.length >= (this.#hasFormer ? 1 : MERGED_LOGS);
    if (this.#merging !== undefined || !isDue || this.#isClosed || performance.now() < this.#mergeAtMs) return;
    this.#merging = this.#mergeOldest().finally(() => {
      this.#merging = undefined;
      this.#merge();
    });
  }

  async #mergeOldest(): Promise<void> {
    const { thread, log, file } = this.#ports;
    const oldest = this.#full.slice(0, MERGED_LOGS).map(({ path }) => path);
    try {
      this.#losses += await thread.run("merge dialogs", oldest);
      this.#hasFormer = false;
      this.#full = this.#full.filter(({ path }) => !oldest.includes(path)); // they may have been listed anew
      if (this.#mergeFailures >= TOLD_FAILURES) log.info({}, `Logs are put into "${file}" again`);
      this.#mergeFailures = 0;
      this.#mergeFault = undefined;
    } catch (error) {
      if (this.#isClosed) return;
      this.#mergeFault = error as StoreError;
      this.#mergeAtMs = performance.now() + AGAIN_MS;
      if (++this.#mergeFailures === TOLD_FAILURES)
        log.error({ err: error }, `Cannot put logs into "${file}", trying again: calls are written to more logs meanwhile`);
    }
  }

  #error(reason: string, cause?: unknown): StoreError {
    return new StoreError("FAILED", `Cannot use the calls in "${this.#ports.file}": ${reason}`, { cause });
  }

  /** Node.js waits at its end for what is being written, also when a disk never answers. Only a signal ends such a process. */
  readonly #leave = (): void => {
    if (this.#writesSinceMs !== undefined && performance.now() - this.#writesSinceMs > STUCK_MS) process.kill(process.pid, "SIGKILL");
  };
}

function resultOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === "rejected") throw settled.reason;
  return settled.value;
}

function reasonOf(error: unknown): string {
  const { code, message = String(error) } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    ENOSPC: "the disk is full",
    EDQUOT: "the disk is full",
    EACCES: "this user may not write it",
    EROFS: "this user may not write it",
  };
  return reasons[code ?? ""] ?? message;
}
