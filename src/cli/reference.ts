import type { Command } from "commander";

/** Lines of `docs/cli.md` between which the commands stand. */
export const REFERENCE_BEGIN = "<!-- The commands, as the program has them. -->";
export const REFERENCE_END = "<!-- End of the commands. -->";

/** Every command with its arguments and options, as Markdown. */
export function commandReference(program: Command): string {
  return program.commands.flatMap((command) => section(command, 3)).join("\n\n");
}

/** The text with the commands of the program between the two lines. @throws Error when a line is not there */
export function withReference(text: string, program: Command): string {
  const begin = text.indexOf(REFERENCE_BEGIN);
  const end = text.indexOf(REFERENCE_END);
  if (begin === -1 || end < begin) throw new Error(`Cannot find "${REFERENCE_BEGIN}" and "${REFERENCE_END}" in the text`);
  return `${text.slice(0, begin + REFERENCE_BEGIN.length)}\n\n${commandReference(program)}\n\n${text.slice(end)}`;
}

function section(command: Command, level: number): string[] {
  const path = pathOf(command);
  const usage = command.commands.length > 0 ? `${path} <command>` : `${path} ${command.usage()}`;
  const rows = [
    ...command.registeredArguments.map((argument) =>
      row(
        `${argument.required ? "<" : "["}${argument.name()}${argument.variadic ? "..." : ""}${argument.required ? ">" : "]"}`,
        `${argument.description}${choices(argument.argChoices)}`,
      ),
    ),
    ...command.options
      .filter(({ hidden }) => !hidden)
      .map(({ flags, description, mandatory, defaultValue, argChoices }) =>
        row(flags, `${description}${choices(argChoices)}${mandatory ? "; needed" : ""}${defaultText(defaultValue)}`),
      ),
  ];
  return [
    [
      `${"#".repeat(level)} ${path}`,
      "",
      sentence(command.description()),
      "",
      "```sh",
      usage.trim(),
      "```",
      ...(rows.length > 0 ? ["", "| | |", "|---|---|", ...rows] : []),
    ].join("\n"),
    ...command.commands.flatMap((child) => section(child, level + 1)),
  ];
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function row(name: string, text: string): string {
  return `| \`${name}\` | ${text.replaceAll("|", "\\|")} |`;
}

function choices(words: readonly string[] | undefined): string {
  return words === undefined ? "" : `: ${words.map((word) => `\`${word}\``).join(", ")}`;
}

/** A switch is off by default, which nobody needs to be told. */
function defaultText(value: unknown): string {
  return value === undefined || value === false || value === "" ? "" : `. Default: \`${String(value)}\``;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
