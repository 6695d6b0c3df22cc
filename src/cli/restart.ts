import type { Command } from "commander";
import { DEFAULT_URL, type MiOptions, runMi, standardOutput, TOKEN_HELP, withToken } from "./mi.ts";

/** `headroom restart`: has a new process of the program take over from the one that runs. */
export function register(program: Command): void {
  program
    .command("restart")
    .description("start the program and its configuration anew without losing a call: a new process takes over sockets and calls")
    .option("--url <url>", "address of the management interface", DEFAULT_URL)
    .option("--json", "print the result as JSON", false)
    .option("--token <token>", TOKEN_HELP)
    .action(async (options: MiOptions) => {
      process.exitCode = await runMi("restart", [], withToken(options), standardOutput());
    });
}
