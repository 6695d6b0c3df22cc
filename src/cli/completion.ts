import { Argument, type Command } from "commander";
import { shortMethodNames } from "../management/index.ts";
import { completionModel } from "./completion-model.ts";
import { completionScript, SHELLS, type Shell } from "./completion-scripts.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

/** `headroom completion`: a script by which a shell completes commands, options, methods and files. */
export function register(program: Command, terminal: Terminal = processTerminal): void {
  program
    .command("completion")
    .description("print the script by which a shell completes this command line")
    .addArgument(new Argument("<shell>", "the shell that reads it").choices(SHELLS))
    .action((shell: Shell) => {
      terminal.print(completionScript(shell, completionModel(program, shortMethodNames())).trimEnd());
    });
}
