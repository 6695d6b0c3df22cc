import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onProcessExit } from "../../test/support/cleanup.ts";
import { ADDRESSES, CALLEE_PORT, CALLER_PORT } from "./addresses.ts";
import type { Series } from "./overload-figure.ts";

/** Times of calls, microseconds. */
export interface Times {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What became of a batch of calls. */
export interface Batch {
  readonly batch: number;
  readonly calls: number;
  readonly completed: number;
  /** Refused ones among them. */
  readonly failed: number;
  /** Calls that were to stay up, and are. */
  readonly up: number;
  readonly unfinished: number;
  /** Calls in which the caller or the callee had to send something again. */
  readonly repeatedCalls: number;
  readonly repeatedInvites: number;
  readonly repeatedByes: number;
  readonly repeatedAnswers: number;
  /** Calls whose 200 was there before the 180. */
  readonly reordered: number;
  readonly strangers: number;
  readonly sendErrors: number;
  /** How long it took to begin all of them, and until the last was over. */
  readonly offerS: number;
  readonly elapsedS: number;
  /** Processor time of the generator. */
  readonly processorS: number;
  /** How often each final answer other than 2xx came. */
  readonly codes: Readonly<Record<string, number>>;
  /** From the INVITE of the caller to that at the callee. */
  readonly reachedUs: Times;
  /** Post-dial delay: from the INVITE to the 180. */
  readonly ringingUs: Times;
  readonly answeredUs: Times;
}

/** So many calls at this many a second. */
export interface Phase {
  readonly rate: number;
  readonly calls: number;
}

interface Target {
  readonly address: string;
  readonly port: number;
}

/** Callers and callees, in a process of their own. */
export class Generator {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #clear: () => void;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, clear: () => void) {
    this.#child = child;
    this.#lines = lines;
    this.#clear = clear;
  }

  /** Compiles it with gcc and starts it. @throws Error when it cannot have its ports */
  static async open(): Promise<Generator> {
    const folder = mkdtempSync(join(tmpdir(), "headroom-generator-"));
    const program = join(folder, "generator");
    const sources = globSync(join(import.meta.dirname, "generator/*.c"));
    let child: ChildProcess | undefined;
    const forget = onProcessExit(() => {
      child?.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    });
    const clear = (): void => {
      rmSync(folder, { recursive: true, force: true });
      forget();
    };
    execFileSync("gcc", ["-O2", "-o", program, ...sources], { stdio: "inherit" });
    child = spawn(program, [ADDRESSES.caller, String(CALLER_PORT), String(CALLEE_PORT)], { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const generator = new Generator(child, lines, clear);
    await generator.#answer();
    return generator;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Calls that end by themselves, at one rate after the other, whatever comes back. */
  async run({ address, port }: Target, holdMs: number, phases: readonly Phase[]): Promise<Batch & { readonly series: Series }> {
    return this.#do(["run", address, port, holdMs, ...phases.flatMap(({ rate, calls }) => [rate, calls])]);
  }

  /** Calls that stay. */
  async hold({ address, port }: Target, { rate, calls }: Phase): Promise<Batch> {
    return this.#do(["hold", address, port, rate, calls]);
  }

  /** Ends the calls of a batch that stays. */
  async hangUp({ batch }: Pick<Batch, "batch">, rate: number): Promise<Batch> {
    return this.#do(["hangup", batch, rate]);
  }

  async close(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.stdin?.end();
    await exited;
    this.#clear();
  }

  async #do<T>(words: readonly (string | number)[]): Promise<T> {
    this.#child.stdin!.write(`${words.join(" ")}\n`);
    return (await this.#answer()) as T;
  }

  async #answer(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("Cannot generate calls: the generator has ended; its ports may be in use by another run");
    const answer = JSON.parse(value) as { error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
