#!/usr/bin/env node
import { ensureMemorySettings } from "./cli/memory-settings.ts";

if (process.argv[2] === "start") ensureMemorySettings(process);

// All else is loaded when this process is the one that stays.
const { Command, CommanderError } = await import("commander");
const { VERSION } = await import("./version.ts");

const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;

const program = new Command("headroom")
  .description("A SIP proxy that sends every call to the destination with the largest free slot.")
  .version(VERSION)
  .showHelpAfterError("(headroom --help tells more)")
  .exitOverride();

/** Commands are loaded when they are wanted: `mi` must not wait for SQLite. */
const COMMANDS: Record<string, () => Promise<{ register(program: InstanceType<typeof Command>): void }>> = {
  start: () => import("./cli/start.ts"),
  check: () => import("./cli/check.ts"),
  import: () => import("./cli/import.ts"),
  restart: () => import("./cli/restart.ts"),
  mi: () => import("./cli/mi.ts"),
  top: () => import("./cli/top.ts"),
  explain: () => import("./cli/explain.ts"),
  capture: () => import("./cli/capture.ts"),
  ds: () => import("./cli/ds.ts"),
  destinations: () => import("./cli/destinations.ts"),
  bench: () => import("./cli/bench.ts"),
  demo: () => import("./cli/demo.ts"),
};

const wanted = COMMANDS[process.argv[2] ?? ""];
for (const load of wanted === undefined ? Object.values(COMMANDS) : [wanted]) (await load()).register(program);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(EXIT_REFUSED);
  }
  // Help that was asked for and the version are an answer, everything else is wrong usage.
  process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE);
}
