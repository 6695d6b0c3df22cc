import { closeSync, existsSync, fchmodSync, openSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Command, Option } from "commander";
import { ConfigError, parseConfig } from "../config/index.ts";
import {
  type Fate,
  type Finding,
  type Flavor,
  type Imported,
  ImportSyntaxError,
  importCfg,
  MAX_TEXT,
  type ReadInclude,
  withoutSecrets,
} from "../import/index.ts";
import { printableJson, processTerminal, type Terminal, visible } from "./terminal.ts";

/** Most mistakes that are taken out of a new configuration, one a line, before it is given up. */
const MAX_REPAIRS = 200;

const FATES: Readonly<Record<Fate, string>> = {
  security: "security",
  todo: "to do",
  left: "not taken over",
  changed: "taken over, with a difference",
  taken: "taken over",
  proxy: "done by Headroom itself",
};

/** What is reported in any case, what asks for something first. */
const ASKING = ["security", "todo", "left", "changed"] as const;

interface Options {
  readonly output?: string;
  readonly from?: Flavor;
  readonly module?: string;
  readonly force?: true;
  readonly json?: true;
  readonly all?: true;
}

/** `headroom import FILE`: writes a `headroom.yaml` from an `opensips.cfg` or a `kamailio.cfg`, and says what it could not take over. */
export function register(program: Command, terminal: Terminal = processTerminal): void {
  program
    .command("import")
    .description("make a headroom.yaml of an opensips.cfg or a kamailio.cfg, with a report of what could not be taken over")
    .argument("<file>", "the configuration of OpenSIPS or Kamailio")
    .option("-o, --output <file>", "write the configuration there (default: standard output, the report on standard error)")
    .option("-m, --module <file>", "translate the script into a route module (.ts) there, in place of rules")
    .addOption(new Option("--from <program>", "whose configuration it is, when that is not found out").choices(["opensips", "kamailio"]))
    .option("--all", "report what was taken over, too")
    .option("--force", "replace the output file when it is there")
    .option("--json", "print the configuration and all findings as JSON")
    .action((file: string, options: Options) => run(file, options, terminal));
}

function run(file: string, options: Options, terminal: Terminal): void {
  let imported: Imported;
  try {
    imported = checked(
      importCfg(readText(file), { flavor: options.from, read: includedBy(file), script: options.module }),
      options.output ?? "headroom.yaml",
    );
  } catch (cause) {
    if (!(cause instanceof ImportSyntaxError)) throw cause;
    terminal.complain(`error: ${file}: ${visible(cause.message)}`);
    terminal.exitCode(1);
    return;
  }
  const clash = sameFile([file, options.module, options.output]);
  if (clash !== undefined) {
    terminal.complain(`error: Cannot write ${clash}: it is named twice, want another name for each file`);
    terminal.exitCode(1);
    return;
  }
  if (options.module !== undefined && !options.module.endsWith(".ts")) {
    terminal.complain(`error: Cannot write ${options.module}: a route module is TypeScript, want a name that ends in .ts`);
    terminal.exitCode(1);
    return;
  }
  const config = `${["# Made by headroom import. headroom check looks at it; the report of the import says what is not in here.", ...imported.lines.map(({ text }) => text)].join("\n")}\n`;
  const isForced = options.force === true;
  const { module } = imported;
  const files: [name: string, text: string][] = [];
  if (options.module !== undefined && module !== undefined) files.push([options.module, moduleText(file, module)]);
  if (options.output !== undefined) files.push([options.output, config]);
  const isThere = isForced ? undefined : files.find(([name]) => existsSync(name));
  // Nothing is written when one of two could not be. The file is opened so that it replaces none all the same.
  for (const [name, text] of isThere === undefined ? files : [isThere]) if (!write(name, text, isForced, terminal)) return;
  if (options.json) {
    terminal.print(
      printableJson({ flavor: imported.flavor, config, ...(module !== undefined && { module }), findings: imported.findings }, 2),
    );
    return;
  }
  if (options.output === undefined) for (const line of config.trimEnd().split("\n")) terminal.print(line);
  const say = options.output === undefined ? terminal.complain : terminal.print;
  for (const line of report(file, imported, options.all === true)) say(line);
}

/** A name that leads to the same file as one before it: nothing is to replace the configuration that is read, or the other result. */
function sameFile(names: readonly (string | undefined)[]): string | undefined {
  const seen = new Set<string>();
  for (const name of names) {
    if (name === undefined) continue;
    const path = existsSync(name) ? realpathSync(name) : resolve(name);
    if (seen.has(path)) return name;
    seen.add(path);
  }
  return undefined;
}

/** @throws {ImportSyntaxError} for a file that cannot be read, is too large or no text */
function readText(file: string): string {
  try {
    const { size, isFile } = describeFile(file);
    if (!isFile) throw new ImportSyntaxError(`Cannot read the configuration: ${file} is not a file`);
    if (size > MAX_TEXT) throw new ImportSyntaxError(`Cannot read the configuration: it has more than ${MAX_TEXT} bytes`);
    const text = readFileSync(file, "utf8");
    if (text.includes("\0")) throw new ImportSyntaxError("Cannot read the configuration: it is no text in UTF-8");
    return text;
  } catch (cause) {
    if (cause instanceof ImportSyntaxError) throw cause;
    throw new ImportSyntaxError(`Cannot read the configuration: ${(cause as Error).message}`, { cause });
  }
}

function moduleText(file: string, module: string): string {
  return `// Made by headroom import of ${visible(file)}. Each line names the one that it comes from. Read it before it routes calls.\n${module}`;
}

function describeFile(file: string): { size: number; isFile: boolean } {
  const stats = statSync(file);
  return { size: stats.size, isFile: stats.isFile() };
}

/** Included files are looked for beside the one that includes them, as both programs do. */
function includedBy(main: string): ReadInclude {
  return (path, from) => {
    const name = resolve(dirname(from ?? main), path);
    return { name, text: readText(name) };
  };
}

/** Nobody else is to read what may hold passwords. */
function write(file: string, text: string, replaces: boolean, terminal: Terminal): boolean {
  try {
    const descriptor = openSync(file, replaces ? "w" : "wx", 0o600);
    try {
      fchmodSync(descriptor, 0o600); // one that is replaced may have been open to others
      writeFileSync(descriptor, text);
    } finally {
      closeSync(descriptor);
    }
    return true;
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === "EEXIST";
    terminal.complain(
      `error: Cannot write ${file}: ${isThere ? "it is there already, want another name or --force" : (cause as Error).message}`,
    );
    terminal.exitCode(1);
    return false;
  }
}

/**
 * The import with only such lines as `headroom start` takes: what a bound of a key forbids becomes a comment and something to do. A configuration is tried whole, as keys
 * depend on each other.
 */
function checked(imported: Imported, file: string): Imported {
  const lines = [...imported.lines];
  const findings = [...imported.findings];
  for (let repairs = 0; repairs < MAX_REPAIRS; repairs += 1) {
    const problems = problemsOf(lines.map(({ text }) => text).join("\n"), file);
    if (problems.length === 0) break;
    let mended = 0;
    for (const { line, message } of problems) {
      const entry = line === undefined ? undefined : lines[line - 1];
      if (line === undefined || entry === undefined || entry.text.trimStart().startsWith("#")) continue;
      mended += 1;
      lines[line - 1] = { ...entry, text: withoutUse(entry.text) };
      findings.push({
        line: entry.from,
        ...(entry.file !== undefined && { file: entry.file }),
        fate: "todo",
        text: `${withoutSecrets(message)}; the line stands in the new file as a comment`,
      });
    }
    if (mended === 0) {
      for (const { message } of problems) findings.push({ line: 0, fate: "todo", text: withoutSecrets(message) });
      break;
    }
  }
  const rules = lines.findIndex(({ text }) => text === "  rules:");
  // A list without an entry would be the default, which takes all calls.
  if (rules !== -1 && !lines.slice(rules).some(({ text }) => text.startsWith("    - "))) lines[rules] = { text: "  rules: []", from: 0 };
  return { ...imported, lines, findings: findings.sort((a, b) => a.line - b.line) };
}

/** A line as a comment. Where a rule refuses calls, all are refused then: none is to come in as what it asks cannot be asked. */
function withoutUse(text: string): string {
  if (!/^ {4}- .*\banswer: \d/.test(text)) return text.replace(/^( *)/, "$1# ");
  return `    - { match: {}, answer: 403, note: "a rule of the import cannot be used, see its report" } # ${text.trim()}`;
}

function problemsOf(text: string, file: string): readonly { readonly line: number | undefined; readonly message: string }[] {
  try {
    parseConfig(text, file, {});
    return [];
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    return cause.problems;
  }
}

/** The findings by what became of them, what asks for something first. */
function report(file: string, { flavor, findings, beyondRules }: Imported, all: boolean): string[] {
  const program = flavor === "kamailio" ? "Kamailio" : "OpenSIPS";
  const counts = (Object.keys(FATES) as Fate[])
    .map((fate) => ({ fate, count: findings.filter((finding) => finding.fate === fate).length }))
    .filter(({ fate, count }) => fate !== "security" || count > 0)
    .map(({ fate, count }) => `${count} ${FATES[fate]}`);
  const shown: readonly Fate[] = [...ASKING, ...(all ? (["taken", "proxy"] as const) : [])];
  return [
    `${file}, a configuration of ${program}: ${counts.join(", ")}`,
    ...shown.flatMap((fate) => findings.filter((finding) => finding.fate === fate).map((finding) => sentence(file, finding))),
    ...(beyondRules > 0
      ? [
          `(${beyondRules} of these are about what the script does and a rule cannot say: --module routes.ts translates it into a route module)`,
        ]
      : []),
    ...(all ? [] : ["(--all tells what was taken over, too)"]),
  ];
}

function sentence(main: string, { line, file, fate, text }: Finding): string {
  return `${FATES[fate]}: ${line > 0 ? `${file ?? main}:${line}: ` : ""}${visible(text)}`;
}
