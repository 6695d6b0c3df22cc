import { extname } from "node:path";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { StoreError } from "./errors.ts";
import type { DatabasePlace, JobKind, JobReply, JobRequest, Jobs } from "./jobs.ts";
import type { StateLog } from "./state-store.ts";
import { within } from "./within.ts";

/** Most jobs that wait. Those who ask keep their own queues and have a job or two under way. */
const MAX_JOBS = 16;
/** Waits before a thread that has ended is started again: the first, doubled up to the last. */
const FIRST_RESTART_MS = 250;
const LAST_RESTART_MS = 30_000;
/** Ends in a row that the log tells of. */
const TOLD_ENDS = 3;
/** How long a close waits for the thread: longer than a job waits for another program. */
const CLOSE_MS = 1_500;
/** How long a close waits for a thread that still loads the code of the database, ms: a busy machine takes seconds for it. */
const LOAD_MS = 5_000;
/** A job that takes longer than this hangs, and nobody waits for it when the program ends. */
const STUCK_MS = 2_500;

/** Half of the memory of the thread for what is new, MB: a batch is some 100 KB. As much as the main thread has would stay in use for nothing. */
const SEMI_SPACE_MB = 1;

/** Sources run as TypeScript, a build as JavaScript: the thread runs what this file is. */
const WORKER = new URL(`./write-worker${extname(import.meta.filename)}`, import.meta.url);

interface Job {
  readonly request: JobRequest;
  readonly resolve: (output: Jobs[JobKind]["output"]) => void;
  readonly reject: (error: StoreError) => void;
  readonly timer: NodeJS.Timeout | undefined;
  readonly sinceMs: number;
}

export interface WriterThreadOptions {
  /** The file that the thread runs. */
  readonly worker?: URL;
  /** How long a close waits for the thread, ms. */
  readonly closeMs?: number;
  /** The thread is started with its first job, and ended so long after its last one, ms: it is 15 MB. Left out: it runs all the time. */
  readonly idleMs?: number | undefined;
}

/**
 * A thread of its own for a database file: what waits for the disk, or for another program's lock, waits there and not where calls are handled.
 *
 * A job is acknowledged when it is done. A thread that ends fails the jobs that it had and is started again; whoever asked tries again.
 */
export class WriterThread {
  /** How often the thread ended by itself. */
  crashes = 0;
  readonly #place: DatabasePlace;
  readonly #log: StateLog;
  readonly #url: URL;
  readonly #closeMs: number;
  readonly #idleMs: number | undefined;
  readonly #jobs = new Map<number, Job>();
  #worker: Worker | undefined;
  #restart: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;
  #lastId = 0;
  /** Ends since the last job that was done. */
  #endsInARow = 0;
  #isUp = false;
  /** A job was handed to the thread. */
  #isAsked = false;
  /** The thread has the code of the database. */
  #isLoaded = false;
  #isLeftBehind = false;
  #closing: Promise<void> | undefined;

  constructor(place: DatabasePlace, log: StateLog, { worker = WORKER, closeMs = CLOSE_MS, idleMs }: WriterThreadOptions = {}) {
    this.#place = place;
    this.#log = log;
    this.#url = worker;
    this.#closeMs = closeMs;
    this.#idleMs = idleMs;
    process.on("exit", this.#leave);
    if (idleMs === undefined) this.#start();
  }

  /** Whether it runs, and takes jobs at once. */
  get isUp(): boolean {
    return this.#isUp && this.#closing === undefined;
  }

  /** Whether it waits for a job to be started for: nothing is known that would keep it from that. */
  get isResting(): boolean {
    return this.#idleMs !== undefined && this.#worker === undefined && this.#restart === undefined && this.#closing === undefined;
  }

  /** Starts it before there is a job, which is done the sooner then. */
  wake(): void {
    if (this.isResting) this.#start();
  }

  /**
   * Has a job done. One that is asked for while the thread is down waits until it is started, or started again.
   *
   * @param limitMs how long to wait for it; without it, as long as it takes
   * @throws {StoreError} when the job fails, takes too long, or loses its thread
   */
  run<Kind extends JobKind>(kind: Kind, input: Jobs[Kind]["input"], limitMs?: number): Promise<Jobs[Kind]["output"]> {
    const { promise, resolve, reject } = Promise.withResolvers<Jobs[Kind]["output"]>();
    if (this.#closing !== undefined || this.#jobs.size >= MAX_JOBS) {
      reject(this.#error(this.#closing === undefined ? `${MAX_JOBS} jobs wait for it` : "it is closed"));
      return promise;
    }
    const id = ++this.#lastId;
    const timer =
      limitMs === undefined
        ? undefined
        : setTimeout(() => this.#take(id)?.reject(this.#error(`no answer within ${limitMs / 1000} s`)), limitMs);
    const request = { id, kind, input } as JobRequest;
    this.#jobs.set(id, { request, resolve: resolve as Job["resolve"], reject, timer, sinceMs: performance.now() });
    clearTimeout(this.#idle);
    if (this.isResting) {
      this.#start(); // hands it all jobs that there are
      return promise;
    }
    this.#worker?.ref(); // the program may not end while somebody waits for an answer
    this.#isAsked = true;
    this.#worker?.postMessage(request);
    return promise;
  }

  /** Ends the thread, and fails what waits. A thread that hangs is left behind after a bound. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const worker = this.#worker;
    clearTimeout(this.#restart);
    this.#worker = undefined;
    this.#failAll("it is closed");
    clearTimeout(this.#idle);
    const ended =
      worker === undefined ||
      ((await this.#untilLoaded(worker)) &&
        (await within(
          worker.terminate().then(() => true),
          this.#closeMs,
        )));
    this.#isUp = false;
    if (!ended) {
      worker?.unref();
      this.#isLeftBehind = true;
      this.#log.error({}, `The thread of database "${this.#place.file}" hangs and is left behind: the disk may be stuck`);
      return;
    }
    process.off("exit", this.#leave);
  }

  /** A thread that is ended while it loads native code aborts the whole process: Node-API takes that for a fatal error. */
  get #isLoading(): boolean {
    return !this.#isLoaded && (!this.#isUp || this.#isAsked);
  }

  /** Whether it may be ended; false when it has not come so far in time. */
  async #untilLoaded(worker: Worker): Promise<boolean> {
    if (!this.#isLoading) return true;
    worker.ref();
    const loaded = new Promise<true>((resolve) => {
      worker.on("message", () => {
        if (!this.#isLoading) resolve(true);
      });
      worker.once("exit", () => resolve(true));
    });
    return (await within(loaded, LOAD_MS)) === true;
  }

  #start(): void {
    this.#restart = undefined;
    this.#isLoaded = false;
    this.#isAsked = this.#jobs.size > 0;
    let worker: Worker;
    try {
      // An option of the command line goes before the limits of a thread. It holds for threads to come, and this one has what it was started with.
      setFlagsFromString(`--max-semi-space-size=${SEMI_SPACE_MB}`);
      worker = new Worker(this.#url, { workerData: this.#place, name: "headroom database" });
    } catch (error) {
      this.#ended(reasonOf(error));
      return;
    }
    this.#worker = worker;
    let reason = "";
    worker.on("message", (reply: JobReply) => this.#answered(reply));
    worker.on("messageerror", (error) => void worker.emit("error", error));
    worker.on("error", (error) => {
      reason ||= reasonOf(error);
    });
    worker.on("exit", (code) => {
      if (this.#worker === worker) this.#ended(reason || `exit code ${code}`);
    });
    if (this.#jobs.size === 0) worker.unref();
    for (const { request } of this.#jobs.values()) worker.postMessage(request);
  }

  #answered(reply: JobReply): void {
    if ("ready" in reply) {
      this.#isUp = true;
      return;
    }
    this.#isLoaded = true;
    if ("loaded" in reply) return;
    this.#endsInARow = 0;
    const job = this.#take(reply.id);
    if ("code" in reply) job?.reject(new StoreError(reply.code, reply.message));
    else job?.resolve(reply.output);
  }

  #ended(reason: string): void {
    this.#worker = undefined;
    this.#isUp = false;
    this.crashes++;
    const waitMs = Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** Math.min(this.#endsInARow, 16));
    this.#restart = setTimeout(() => this.#start(), waitMs).unref();
    if (++this.#endsInARow <= TOLD_ENDS) {
      this.#log.error({ crashes: this.crashes }, `The thread of database "${this.#place.file}" ended, starting it again: ${reason}`);
    }
    this.#failAll(`its thread ended: ${reason}`);
  }

  #failAll(reason: string): void {
    for (const id of [...this.#jobs.keys()]) this.#take(id)?.reject(this.#error(reason));
  }

  #take(id: number): Job | undefined {
    const job = this.#jobs.get(id);
    clearTimeout(job?.timer);
    this.#jobs.delete(id);
    if (this.#jobs.size > 0) return job;
    this.#worker?.unref();
    if (this.#idleMs !== undefined && job !== undefined) {
      clearTimeout(this.#idle);
      this.#idle = setTimeout(() => this.#rest(), this.#idleMs).unref();
    }
    return job;
  }

  #rest(): void {
    const worker = this.#worker;
    if (worker === undefined || this.#jobs.size > 0) return;
    if (this.#isLoading) {
      this.#idle = setTimeout(() => this.#rest(), this.#idleMs).unref(); // whose job was given up
      return;
    }
    this.#worker = undefined;
    this.#isUp = false;
    void worker.terminate();
  }

  #error(reason: string): StoreError {
    return new StoreError("FAILED", `Cannot use database "${this.#place.file}": ${reason}`);
  }

  /** Node.js waits at its end for every thread, also for one that waits for a disk that never answers. Only a signal ends such a process. */
  readonly #leave = (): void => {
    const [oldest] = this.#jobs.values();
    const isStuck = oldest !== undefined && this.#worker !== undefined && performance.now() - oldest.sinceMs > STUCK_MS;
    if (this.#isLeftBehind || isStuck) process.kill(process.pid, "SIGKILL");
  };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
