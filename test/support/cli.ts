import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import type { Terminal } from "../../src/cli/terminal.ts";

/** What a command did. */
export interface Outcome {
  readonly printed: string[];
  readonly complained: string[];
  readonly exitCode: number;
}

/** A folder with a configuration file that points to a database in it. */
export interface Workplace {
  readonly config: string;
  readonly database: string;
  path(name: string): string;
  remove(): void;
}

export function makeWorkplace(): Workplace {
  const folder = mkdtempSync(join(tmpdir(), "headroom-cli-"));
  return {
    config: join(folder, "headroom.yaml"),
    database: join(folder, "headroom.db"),
    path: (name) => join(folder, name),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

type Register = (program: Command, terminal: Terminal) => void;

/** Runs a command as main does, with what it writes caught. Wrong usage rejects, with commander's error. */
export async function runCommand(register: Register, ...args: string[]): Promise<Outcome> {
  return runWith({}, register, ...args);
}

/** As {@link runCommand}, with somebody at the terminal who gives this answer to each question, or with another environment. */
export async function runWith(
  { environment = {}, answer }: { environment?: Terminal["environment"]; answer?: (question: string) => boolean },
  register: Register,
  ...args: string[]
): Promise<Outcome> {
  const printed: string[] = [];
  const complained: string[] = [];
  let exitCode = 0;
  const program = new Command("headroom").exitOverride().configureOutput({ writeErr: () => {} });
  register(program, {
    environment,
    confirm: answer && (async (question) => answer(question)),
    print: (line) => printed.push(line),
    complain: (line) => complained.push(line),
    exitCode: (code) => {
      exitCode = code;
    },
  });
  await program.parseAsync(args, { from: "user" });
  return { printed, complained, exitCode };
}
