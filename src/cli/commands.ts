import { Command } from "commander";
import { VERSION } from "../version.ts";

/** Commands are loaded when they are wanted: `mi` must not wait for SQLite. */
const COMMANDS: Readonly<Record<string, () => Promise<{ register(program: Command): void }>>> = {
  start: () => import("./start.ts"),
  check: () => import("./check.ts"),
  import: () => import("./import.ts"),
  restart: () => import("./restart.ts"),
  mi: () => import("./mi.ts"),
  top: () => import("./top.ts"),
  explain: () => import("./explain.ts"),
  capture: () => import("./capture.ts"),
  ds: () => import("./ds.ts"),
  destinations: () => import("./destinations.ts"),
  bench: () => import("./bench.ts"),
  demo: () => import("./demo.ts"),
  completion: () => import("./completion.ts"),
};
/** It tells of all others, so it needs them. */
const NEEDS_ALL = "completion";

/** The command line. @param name the command that is wanted; all of them when it is none, or wants to know the others */
export async function createProgram(name: string | undefined): Promise<Command> {
  const program = new Command("headroom")
    .description("A SIP proxy that sends every call to the destination with the largest free slot.")
    .version(VERSION)
    .showHelpAfterError("(headroom --help tells more)")
    .exitOverride();
  const wanted = name === NEEDS_ALL || !Object.hasOwn(COMMANDS, name ?? "") ? undefined : COMMANDS[name ?? ""];
  for (const load of wanted === undefined ? Object.values(COMMANDS) : [wanted]) (await load()).register(program);
  return program;
}
