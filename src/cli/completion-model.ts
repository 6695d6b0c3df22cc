import type { Argument, Command, Option } from "commander";

/** One option as a shell wants to know it. */
export interface CompletionOption {
  /** `-c`, `--config`. */
  readonly names: readonly string[];
  readonly description: string;
  readonly value: CompletionValue;
}

/** What follows an option, or an argument is: nothing, one of some words, a file, or anything. */
export type CompletionValue = "none" | "file" | "any" | readonly string[];

/** A command with what may follow it. `path` is empty for the program itself. */
export interface CompletionCommand {
  readonly path: readonly string[];
  readonly description: string;
  readonly commands: readonly CompletionCommand[];
  readonly options: readonly CompletionOption[];
  readonly arguments: readonly CompletionValue[];
}

/** Words for arguments that commander does not know the choices of, by command and argument. */
const ARGUMENT_WORDS: Readonly<Record<string, readonly string[]>> = {
  "ds list mode": ["short", "full"],
  "ds ping-active state": ["0", "1"],
};
const OPTION_WORDS: Readonly<Record<string, readonly string[]>> = { "top --sort": ["id", "slots", "load"] };
/** Values by these names are files. */
const FILES = /^(?:file|folder|directory|path)$/;

/** What the shell needs to know of the commands, as commander has them. @param methods names of management methods, for `mi` */
export function completionModel(program: Command, methods: readonly string[]): CompletionCommand {
  return modelOf(program, [], methods);
}

function modelOf(command: Command, path: readonly string[], methods: readonly string[]): CompletionCommand {
  const key = path.join(" ");
  const help: CompletionOption = { names: ["-h", "--help"], description: "display help for command", value: "none" };
  return {
    path,
    description: command.description(),
    commands: command.commands.map((child) => modelOf(child, [...path, child.name()], methods)),
    options: [...command.options.filter(({ hidden }) => !hidden).map((option) => optionOf(option, key)), help],
    arguments: command.registeredArguments.map((argument) =>
      key === "mi" && argument.name() === "method" ? methods : argumentOf(argument, key),
    ),
  };
}

function optionOf(option: Option, key: string): CompletionOption {
  const { short, long, flags, description, argChoices, required, optional } = option;
  const names = [short, long].filter((name) => name !== undefined);
  const placeholder = /[<[]([^<[\]>]+)[\]>]/.exec(flags)?.[1] ?? "";
  const words = argChoices ?? OPTION_WORDS[`${key} ${long}`];
  const value = required || optional ? (words ?? (FILES.test(placeholder) ? "file" : "any")) : "none";
  return { names, description, value };
}

function argumentOf(argument: Argument, key: string): CompletionValue {
  return argument.argChoices ?? ARGUMENT_WORDS[`${key} ${argument.name()}`] ?? (FILES.test(argument.name()) ? "file" : "any");
}
