import { type Command, InvalidArgumentError } from "commander";
import { runDemo } from "../demo/run-demo.ts";

const DEFAULT_SECONDS = 30;
const MIN_SECONDS = 5; // a shorter story has no time for a failover
const MAX_SECONDS = 3_600;

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < MIN_SECONDS || seconds > MAX_SECONDS) {
    throw new InvalidArgumentError(`want a whole number from ${MIN_SECONDS} to ${MAX_SECONDS}`);
  }
  return seconds;
}

/** `headroom demo`: a balancer, four simulated media servers and callers, in the terminal. */
export function register(program: Command): void {
  program
    .command("demo")
    .description("show how calls spread over four simulated media servers, in this terminal; stops by itself or at Ctrl-C")
    .option("--seconds <number>", "length of the demo", parseSeconds, DEFAULT_SECONDS)
    .option("--freeswitch", "the media servers tell how busy they are by heartbeats, as FreeSWITCH does", false)
    .action(async ({ seconds, freeswitch }: { seconds: number; freeswitch: boolean }) => {
      const interrupted = new AbortController();
      const interrupt = (): void => interrupted.abort();
      const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
      for (const name of signals) process.on(name, interrupt);
      process.stdout.on("error", interrupt); // whoever read it has gone
      try {
        const clean = await runDemo({ seconds, freeswitch, output: process.stdout, signal: interrupted.signal });
        process.exitCode = clean ? 0 : 1;
      } catch (error) {
        process.stderr.write(`Cannot run the demo: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exitCode = 1;
      } finally {
        for (const name of signals) process.off(name, interrupt);
      }
    });
}
