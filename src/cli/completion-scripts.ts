import type { CompletionCommand, CompletionOption, CompletionValue } from "./completion-model.ts";

/** Shells that a script can be made for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The script that a shell reads, for the commands of the model. It needs no other program, and does not run headroom. */
export function completionScript(shell: Shell, model: CompletionCommand): string {
  return { bash, zsh, fish }[shell](model);
}

function everyCommand(model: CompletionCommand): CompletionCommand[] {
  return [model, ...model.commands.flatMap(everyCommand)];
}

/** In single quotes nothing has a meaning to any of these shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function keyOf({ path }: CompletionCommand): string {
  return path.join(" ");
}

/** Bash: one case for each command, which is found by going along the words. */
function bash(model: CompletionCommand): string {
  const commands = everyCommand(model);
  const subcommands = commands.filter((command) => command.commands.length > 0);
  return `# Completion of headroom for bash: eval "$(headroom completion bash)"
_headroom_words() {
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

_headroom() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command="" position=0 i word isValue=0
  COMPREPLY=()
  # Bash splits --option=value into three words.
  if [[ $cur == = ]]; then cur=""; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for (( i = 1; i < COMP_CWORD; i++ )); do
    word=\${COMP_WORDS[i]}
    [[ $word == = ]] && continue
    if (( isValue )); then isValue=0; continue; fi
    case "$command $word" in
${cases(
  commands
    .flatMap((command) =>
      command.options.filter(({ value }) => value !== "none").map(({ names }) => names.map((name) => `${keyOf(command)} ${name}`)),
    )
    .flat(),
  () => "isValue=1; continue",
  6,
)}
    esac
    [[ $word == -* ]] && continue
    [[ $word == : || \${COMP_WORDS[i-1]} == : ]] && continue
    case "$command $word" in
${cases(
  subcommands.flatMap((command) => command.commands.map((child) => `${keyOf(command)} ${child.path.at(-1)}`)),
  () => `command="\${command:+$command }$word"; position=0`,
  6,
)}
      *) (( position++ )) ;;
    esac
  done
  case "$command $prev" in
${optionValues(commands)}
  esac
  if [[ $cur == -* ]]; then
    case "$command" in
${commands.map((command) => `      ${quoted(keyOf(command))}) _headroom_words ${quoted(command.options.flatMap(({ names }) => names).join(" "))} ;;`).join("\n")}
    esac
    return
  fi
  case "$command $position" in
${commands
  .flatMap((command) => [
    ...(command.commands.length > 0
      ? [`    ${quoted(`${keyOf(command)} 0`)}) _headroom_words ${quoted(command.commands.map(({ path }) => path.at(-1)).join(" "))} ;;`]
      : []),
    ...command.arguments.flatMap((value, i) =>
      value === "any" ? [] : [`    ${quoted(`${keyOf(command)} ${i}`)}) ${bashValue(value)} ;;`],
    ),
  ])
  .join("\n")}
  esac
}
complete -F _headroom headroom
`;
}

function cases(patterns: readonly string[], action: () => string, indent: number): string {
  return `${" ".repeat(indent)}${patterns.map(quoted).join(" | ")}) ${action()} ;;`;
}

/** What may follow options, those with the same values together. */
function optionValues(commands: readonly CompletionCommand[]): string {
  const patterns = new Map<string, string[]>();
  for (const command of commands) {
    for (const { names, value } of command.options) {
      if (value === "none") continue;
      const action = bashValue(value);
      const same = patterns.get(action) ?? [];
      same.push(...names.map((name) => `${keyOf(command)} ${name}`));
      patterns.set(action, same);
    }
  }
  return [...patterns].map(([action, options]) => cases(options, () => `${action}; return`, 4)).join("\n");
}

function bashValue(value: CompletionValue): string {
  if (value === "file") return 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur")';
  return typeof value === "string" ? ":" : `_headroom_words ${quoted(value.join(" "))}`;
}

/** Zsh: one function for each command, with the specifications of _arguments. */
function zsh(model: CompletionCommand): string {
  const functions = everyCommand(model).map((command) => {
    const name = zshName(command);
    const specs = command.options.map(zshOption);
    if (command.commands.length === 0) {
      const places = command.arguments.map((value, i) => quoted(`${i + 1}::value:${zshValue(value)}`));
      return `${name}() {\n  _arguments -s \\\n    ${[...specs, ...places].join(" \\\n    ")}\n}`;
    }
    const list = command.commands.map((child) => `      ${quoted(`${child.path.at(-1)}:${child.description}`)}`).join("\n");
    const branches = command.commands.map((child) => `        ${child.path.at(-1)}) ${zshName(child)} ;;`).join("\n");
    return `${name}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C \\
    ${[...specs, "'1:command:->command'", "'*::argument:->argument'"].join(" \\\n    ")}
  case $state in
    command)
      local -a commands
      commands=(
${list}
      )
      _describe command commands
      ;;
    argument)
      case $line[1] in
${branches}
      esac
      ;;
  esac
}`;
  });
  return `#compdef headroom
# Completion of headroom for zsh: headroom completion zsh > "\${fpath[1]}/_headroom"

${functions.join("\n\n")}

if [[ $funcstack[1] == _headroom ]]; then
  _headroom "$@"
else
  compdef _headroom headroom
fi
`;
}

function zshName({ path }: CompletionCommand): string {
  return ["_headroom", ...path].join("_").replaceAll("-", "_");
}

function zshOption({ names, description, value }: CompletionOption): string {
  const text = description.replace(/[[\]\\:]/g, "\\$&");
  const rest = value === "none" ? "" : `:value:${zshValue(value)}`;
  const others = names.length > 1 ? `(${names.join(" ")})` : "";
  // Braces are for the shell, so they stand outside of the quotes.
  if (names.length > 1) return `${quoted(others)}{${names.join(",")}}${quoted(`[${text}]${rest}`)}`;
  return quoted(`${names[0]}[${text}]${rest}`);
}

function zshValue(value: CompletionValue): string {
  if (value === "file") return "_files";
  return typeof value === "string" ? " " : `(${value.map((word) => word.replaceAll(":", "\\:")).join(" ")})`;
}

/** Fish: one line for each thing that may follow. */
function fish(model: CompletionCommand): string {
  const lines = everyCommand(model).flatMap((command) => {
    const when = `-n ${quoted(`__headroom_at ${keyOf(command)}`.trimEnd())}`;
    return [
      ...command.commands.map(
        (child) => `complete -c headroom ${when} -a ${quoted(child.path.at(-1) ?? "")} -d ${quoted(child.description)}`,
      ),
      ...command.options.map((option) => `complete -c headroom ${when} ${fishOption(option)} -d ${quoted(option.description)}`),
      ...command.arguments.filter((value) => value !== "any").map((value) => `complete -c headroom ${when} ${fishValue(value)}`),
    ];
  });
  const names = everyCommand(model).filter(({ path }) => path.length > 0);
  return `# Completion of headroom for fish: headroom completion fish > ~/.config/fish/completions/headroom.fish
function __headroom_at
    set -l words
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and continue
        contains -- (string join ' ' -- $words $word) ${names.map((command) => quoted(keyOf(command))).join(" ")}; and set -a words $word
    end
    test "$words" = "$argv"
end
complete -c headroom -f
${lines.join("\n")}
`;
}

function fishOption({ names, value }: CompletionOption): string {
  const flags = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(" ");
  return value === "none" ? flags : `${flags} ${value === "any" ? "-x" : fishValue(value)}`;
}

function fishValue(value: CompletionValue): string {
  if (value === "file") return "-r -F";
  return typeof value === "string" ? "-x" : `-x -a ${quoted(value.join(" "))}`;
}
