import { type ChildProcess, spawn } from "node:child_process";
import type { ClusterClock, ClusterLog } from "../ports.ts";
import type { TagChange } from "./sharing-tags.ts";

/** Time that a command has, ms; then it is killed with all it has started. */
export const HOOK_TIMEOUT_MS = 10_000;
/** Output of a command that is logged, characters of its end. */
export const MAX_HOOK_OUTPUT = 4096;
/** How long after its end more output is waited for, ms: what it left in the background may never end. */
const OUTPUT_WAIT_MS = 200;

export interface TagHooksOptions {
  /** Commands for `/bin/sh -c`; null: none. */
  readonly onActive: string | null;
  readonly onBackup: string | null;
  readonly clusterId: number;
  readonly nodeId: number;
  readonly log: ClusterLog;
  readonly clock: ClusterClock;
}

interface Running {
  /** What is to be run next; the latest replaces those before, whose time is over. */
  next: TagChange | undefined;
  readonly done: Promise<void>;
}

/**
 * Runs the operator's commands when a tag comes or goes: to move a floating address, say. For each tag one at a time, in order, so that no late "backup" undoes
 * an "active". They get HEADROOM_TAG, HEADROOM_CLUSTER, HEADROOM_STATE, HEADROOM_EPOCH and HEADROOM_NODE in the environment.
 */
export class TagHooks {
  readonly counters = { hooks_run: 0, hooks_failed: 0, hooks_killed: 0 };
  readonly #options: TagHooksOptions;
  readonly #running = new Map<string, Running>();

  constructor(options: TagHooksOptions) {
    this.#options = options;
  }

  /** To be told of each change of a tag; waits for nothing. */
  changed(change: TagChange): void {
    const running = this.#running.get(change.tag);
    if (running !== undefined) {
      running.next = change;
      return;
    }
    if (this.#command(change) === null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const entry: Running = { next: undefined, done: promise };
    this.#running.set(change.tag, entry);
    void this.#runAll(change, entry).then(resolve);
  }

  /** Resolves when all commands that were to be run have ended, {@link HOOK_TIMEOUT_MS} each at the latest. */
  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  #command({ state }: TagChange): string | null {
    return state === "active" ? this.#options.onActive : this.#options.onBackup;
  }

  async #runAll(first: TagChange, entry: Running): Promise<void> {
    for (let change: TagChange | undefined = first; change !== undefined; change = entry.next) {
      entry.next = undefined;
      const command = this.#command(change);
      if (command !== null) await this.#run(command, change);
    }
    this.#running.delete(first.tag);
  }

  #run(command: string, { tag, state, epoch }: TagChange): Promise<void> {
    const { log, clock, clusterId, nodeId } = this.#options;
    const about = {
      HEADROOM_TAG: tag,
      HEADROOM_CLUSTER: `${clusterId}`,
      HEADROOM_STATE: state,
      HEADROOM_EPOCH: `${epoch}`,
      HEADROOM_NODE: `${nodeId}`,
    };
    this.counters.hooks_run++;
    let child: ChildProcess;
    try {
      // A group of its own, so that what it has started dies with it.
      child = spawn("/bin/sh", ["-c", command], { env: { ...process.env, ...about }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    } catch (err) {
      this.counters.hooks_failed++;
      log.error({ tag, state, epoch, err }, "Command for a sharing tag cannot be started");
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      let output = "";
      let isKilled = false;
      // A process that has no descriptor left gets a child without streams, and then its error.
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding("utf8").on("data", (text: string) => {
          output = (output + text).slice(-MAX_HOOK_OUTPUT);
        });
      }
      const stopTimer = clock.after(HOOK_TIMEOUT_MS, () => {
        isKilled = true;
        killGroup(child.pid);
      });
      let isOver = false;
      const over = (fields: object, isGood: boolean): void => {
        if (isOver) return;
        isOver = true;
        stopTimer();
        child.stdout?.destroy();
        child.stderr?.destroy();
        const said = { tag, state, epoch, ...fields, output: output.trim() };
        if (isKilled) this.counters.hooks_killed++;
        if (!isGood) this.counters.hooks_failed++;
        if (isGood) log.info(said, "Command for a sharing tag has ended");
        else log.error(said, isKilled ? "Command for a sharing tag took too long and was killed" : "Command for a sharing tag failed");
        resolve();
      };
      child.on("error", (err) => over({ err }, false));
      child.on("close", (exitCode, signal) => over({ exitCode, signal }, exitCode === 0));
      child.on("exit", (exitCode, signal) => clock.after(OUTPUT_WAIT_MS, () => over({ exitCode, signal }, exitCode === 0)));
    });
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // it has ended meanwhile
  }
}
