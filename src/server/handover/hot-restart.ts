import type { ChildProcess } from "node:child_process";
import type { StatusChange } from "../../balancer/index.ts";
import type { Config } from "../../config/index.ts";
import type { AskerElsewhere, MethodOutcome, MethodParams } from "../../management/index.ts";
import type { FormerProcess } from "./former-process.ts";
import { HANDOVER_VERSION } from "./messages.ts";
import { NextProcess, type NextProcessPorts } from "./next-process.ts";

/** How long a new process may take until it can take over, ms. */
const START_MS = 30_000;
/** How long the end waits for answers to management, ms: no method takes longer. */
const ANSWER_MS = 20_000;
/** The first process of a container: its end is the end of the container. */
const FIRST_PID = 1;

export interface HotRestartPorts extends NextProcessPorts {
  readonly config: Pick<Config, "cluster" | "sip">;
  /** Starts the program again, with a channel to it. Absent: it cannot. */
  readonly spawn: (() => ChildProcess) | undefined;
  /** The process that this one has taken over from. */
  readonly former: Pick<FormerProcess, "isThere"> | undefined;
  /** Writes down what is still to be written of calls, and closes their file. Answers its name when everything is there. Never rejects. */
  readonly closeCalls: () => Promise<string | undefined> | undefined;
  /** Closes all else that the next process does from now on. */
  readonly retire: () => readonly unknown[];
  /** Refuses the requests that are left. Never rejects. */
  readonly finish: () => Promise<void>;
  /** Nothing is left to do here. @param code exit code */
  readonly leave: (code: number) => void;
}

/** Hands everything over to a new process of the program, which the files on the disk and the configuration of now make. */
export class HotRestart {
  readonly #ports: HotRestartPorts;
  #next: NextProcess | undefined;
  #sinceMs = 0;
  /** Ends the restart that is under way, with a reason. */
  #cancel: ((reason: string) => void) | undefined;
  #isStopping = false;
  #newPid: number | undefined;
  /** Whether the new process has taken over, once that is known. */
  #switched: Promise<boolean> = Promise.resolve(false);

  constructor(ports: HotRestartPorts) {
    this.#ports = ports;
  }

  /** A new process has taken over. */
  get hasSwitched(): boolean {
    return this.#next?.hasSwitched === true;
  }

  /** This process is told to stop: a restart that is under way is given up, unless the new process has taken over, and there is none any more. */
  stop(): void {
    this.#isStopping = true;
    this.#cancel?.("this process is told to stop");
  }

  /** The id of the process that has taken over, once a restart that is under way has come to its end. Undefined: this process goes on. */
  async successor(): Promise<number | undefined> {
    return (await this.#switched) ? this.#newPid : undefined;
  }

  /** Runs a management method in the new process, once that has taken over; undefined while it is only being started: see `ManagementPorts.elsewhere`. */
  manage(method: string, params: MethodParams | undefined, asker: AskerElsewhere): Promise<MethodOutcome | undefined> | undefined {
    const next = this.#next;
    if (next?.hasAsked !== true) return undefined;
    return this.#switched.then((hasSwitched) => (hasSwitched ? next.manage(method, params, asker) : undefined));
  }

  /** To be told of each change of a status. */
  statusChanged(change: StatusChange): void {
    this.#next?.statusChanged(change);
  }

  /**
   * Starts a new process and gives it everything. When that fails everything stays as it was.
   *
   * @returns the id of the new process, once it is the one that takes SIP
   * @throws Error with a sentence
   */
  async restart(): Promise<number> {
    const { log, nowMs, spawn } = this.#ports;
    const refusal = this.#refusal();
    if (refusal !== undefined || spawn === undefined) throw new Error(`Cannot restart without a stop: ${refusal}`);
    this.#sinceMs = nowMs();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#switched = promise;
    const child = spawn();
    this.#newPid = child.pid;
    const next = new NextProcess(child, this.#ports);
    this.#next = next;
    log.info({ newPid: child.pid }, "restarting: a new process is started, and takes over when it is ready");
    try {
      const wanted = await this.#untilReady(child, next);
      next.switch(wanted);
      resolve(true);
    } catch (error) {
      this.#next = undefined;
      resolve(false);
      next.giveUp();
      child.kill("SIGKILL");
      throw error;
    }
    const ms = Math.round(nowMs() - this.#sinceMs);
    log.info({ newPid: child.pid, ms }, "a new process has taken over: this one goes on with the requests that it has begun, and ends");
    void this.#end(child, next);
    return child.pid ?? 0;
  }

  #refusal(): string | undefined {
    const { config, former, nowMs, spawn } = this.#ports;
    if (config.sip.workers > 1) return "sip.workers is above 1, and the calls of several threads are handed to no other process";
    if (spawn === undefined) return "nothing says how this program was started";
    const seconds = Math.ceil((nowMs() - this.#sinceMs) / 1000);
    if (this.#next !== undefined)
      return this.#next.hasSwitched ? "a new process has taken over already" : `a restart is under way, for ${seconds} s`;
    if (this.#isStopping) return "it is being stopped";
    if (former?.isThere)
      return `the process before this one still has requests under way: want its end, which comes within ${config.sip.restart_timeout} s of its restart`;
    if (config.cluster.redis_url !== null)
      return "this is a node of a cluster, whose other nodes go on with its calls: stop it and start it again";
    if (process.pid === FIRST_PID)
      return "this is the first process of a container, which ends with it: start it by a parent that stays, see docs/operation.md";
    return undefined;
  }

  #untilReady(child: ChildProcess, next: NextProcess): Promise<readonly string[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
    const fail = (reason: string): void => reject(new Error(`Cannot restart without a stop: ${reason}; everything stays as it was`));
    this.#cancel = fail;
    const timer = setTimeout(() => fail(`the new process was not ready within ${START_MS / 1000} s`), START_MS);
    child.once("error", (error) => fail(`the new process cannot be started: ${error.message}`));
    child.once("exit", (code, signal) => fail(`the new process has ended with ${code ?? signal} before it was ready, and has said why`));
    next.link.onEnd = () => setTimeout(() => fail("the new process has closed the channel"), 1_000).unref(); // its exit says more
    next.onHello = ({ version, hasCluster }) => {
      const reason =
        version !== HANDOVER_VERSION
          ? "the new program is of another version and cannot take over from this one"
          : hasCluster
            ? "the new configuration makes this a node of a cluster"
            : undefined;
      if (reason === undefined) next.begin();
      else {
        next.refuse(reason);
        fail(reason);
      }
    };
    next.onReady = resolve;
    return promise.finally(() => {
      clearTimeout(timer);
      this.#cancel = undefined;
    });
  }

  async #end(child: ChildProcess, next: NextProcess): Promise<void> {
    const { closeCalls, config, finish, leave, log, nowMs, retire } = this.#ports;
    child.once("exit", (code, signal) => {
      log.error({ code, signal }, "the new process has ended before the one that it has relieved");
      leave(1);
    });
    next.onStop = () => void finish().then(() => leave(0));
    const sinceMs = nowMs();
    const closing = closeCalls(); // first: until it is done, nothing that changes now is written down
    const retired = Promise.allSettled(retire());
    await next.released(await closing);
    await retired;
    const isDone = await next.untilDone(config.sip.restart_timeout * 1000);
    const s = Math.round((nowMs() - sinceMs) / 1000);
    if (isDone) log.info({ s }, "everything that was begun before the restart is done: leaving");
    else log.warn({ s }, "the time for what was begun before the restart is over: leaving, the new process goes on with its calls");
    await next.untilAnswered(ANSWER_MS);
    child.removeAllListeners("exit");
    leave(0);
  }
}
