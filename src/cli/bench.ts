import { type Command, InvalidArgumentError } from "commander";
import type { Step, Verdict } from "../bench/plan.ts";
import { runBench } from "../bench/run-bench.ts";
import { BENCH_HEADING, benchJson, benchLine, benchSummary } from "./bench-text.ts";

const DEFAULT_SECONDS = 30;
const MIN_SECONDS = 8; // starting and compiling take some
const MAX_SECONDS = 600;
const MAX_RATE = 100_000;

interface BenchCommand {
  readonly seconds: number;
  readonly callsPerSecond?: number;
  readonly json: boolean;
}

/** `headroom bench`: how many calls a second this machine will carry. */
export function register(program: Command): void {
  program
    .command("bench")
    .description("measure how many calls a second this machine will carry, with a balancer, callers and callees of its own")
    .option("--seconds <number>", "length of all", parseWhole(MIN_SECONDS, MAX_SECONDS), DEFAULT_SECONDS)
    .option("--calls-per-second <number>", "measure this rate only", parseWhole(1, MAX_RATE))
    .option("--json", "print the figures as JSON", false)
    .action(async (options: BenchCommand) => {
      process.exitCode = await run(options);
    });
}

/** Exit code: 0 something was measured (at a given rate: and nothing was wrong), else 1. */
async function run({ seconds, callsPerSecond, json }: BenchCommand): Promise<0 | 1> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of signals) process.on(name, interrupt);
  process.stdout.on("error", interrupt); // whoever read it has gone
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const onStep = json ? () => undefined : (step: Step, verdict: Verdict) => say(benchLine(step, verdict));
  try {
    if (!json) say(BENCH_HEADING);
    const result = await runBench({ seconds, callsPerSecond, onStep, signal: interrupted.signal });
    say(json ? JSON.stringify(benchJson(result), undefined, 2) : `\n${benchSummary(result)}`);
    return result.best === undefined ? 1 : 0;
  } catch (error) {
    if (interrupted.signal.aborted) return 1;
    process.stderr.write(`Cannot run the benchmark: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    for (const name of signals) process.off(name, interrupt);
  }
}

function parseWhole(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < least || number > most) {
      throw new InvalidArgumentError(`want a whole number from ${least} to ${most}`);
    }
    return number;
  };
}
