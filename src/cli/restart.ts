import type { Command } from "commander";
import { DEFAULT_URL, runMi, standardOutput } from "./mi.ts";

/** `headroom restart`: has a new process of the program take over from the one that runs. */
export function register(program: Command): void {
  program
    .command("restart")
    .description("start the program and its configuration anew without losing a call: a new process takes over sockets and calls")
    .option("--url <url>", "address of the management interface", DEFAULT_URL)
    .option("--token <token>", "bearer token, when the balancer asks for one (default: HEADROOM_MI_TOKEN of the environment)")
    .action(async ({ url, token = process.env["HEADROOM_MI_TOKEN"] }: { url: string; token?: string }) => {
      process.exitCode = await runMi("restart", [], { url, token, json: false }, standardOutput());
    });
}
