#!/usr/bin/env node
import { ensureMemorySettings } from "./cli/memory-settings.ts";

const [, , name] = process.argv;
if (name === "start") ensureMemorySettings(process);
// Who reads the output may go when it has seen enough. A balancer works on without its log.
else process.stdout.on("error", () => process.exit());

// All else is loaded when this process is the one that stays.
const { CommanderError } = await import("commander");
const { createProgram } = await import("./cli/commands.ts");

const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;

const program = await createProgram(name);

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
