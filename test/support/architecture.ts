import { posix } from "node:path";

/** A source file: its path from the root of the repository, with `/`, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/**
 * One thing that an `import`, `export … from`, `import()` or `require()` names. `target` is undefined when it is computed.
 * `type` is `import type` and `export type`, of which nothing is left when the program runs.
 */
export interface Import {
  readonly target: string | undefined;
  readonly form: "static" | "type" | "dynamic" | "require";
}

/** Folders of `src` that are pure: nothing of Node.js, no package, no clock, no chance, no I/O. */
export const CORE = [
  "sip",
  "transaction",
  "dialog",
  "proxy",
  "routing",
  "balancer",
  "distributor",
  "dispatch",
  "health",
  "registrar",
  "overload",
  "resolution",
  "import",
] as const;

const ADAPTERS = [
  "transport",
  "store",
  "cluster",
  "freeswitch",
  "probing",
  "events",
  "management",
  "observability",
  "dashboard",
  "config",
  "script-loader",
] as const;

/** The floors, top first. A file may import from its own folder and from lower floors; folders of one floor do not know each other. */
const FLOORS: readonly (readonly string[])[] = [
  ["attended-start"],
  ["main", "index"],
  ["cli"],
  ["bench"],
  ["demo"],
  ["server"],
  ADAPTERS,
  ["version", "event-names"],
  ["routing"],
  ["proxy"],
  ["overload"],
  ["dialog", "health", "registrar"],
  ["transaction", "resolution"],
  ["sip", "balancer", "distributor", "dispatch", "import"],
];

/**
 * What the floors do not say: folders that must not be known though they are lower. The balancer counts calls and knows no transaction, nor the
 * other way round; health judges destinations and knows nothing of SIP.
 */
const UNKNOWN_TO: Readonly<Record<string, readonly string[]>> = { transaction: ["balancer"], health: ["transaction", "sip"] };

/** Names that bring in time, chance, I/O or the platform. */
const IMPURE =
  /(?<![.\w$#])(?:Date\.now|new Date|Math\.random|performance|setTimeout|setInterval|setImmediate|process|Buffer|console|fetch|globalThis|eval)\b(?!\s*:)/g;

const MAX_LINES = 400;

/**
 * Takes the code of a TypeScript file apart from its comments and strings.
 *
 * @returns the code, comments blanked and each string replaced by `"N"`, an index into `strings`
 */
export function separate(text: string): { code: string; strings: string[] } {
  const strings: string[] = [];
  let code = "";
  let at = 0;
  /** Open template literals: for each, how many braces are open inside its current `${…}`. */
  const templates: number[] = [];

  function skipTemplateText(): void {
    while (at < text.length) {
      if (text[at] === "\\") at += 2;
      else if (text[at] === "`") {
        at += 1;
        code += '""';
        return;
      } else if (text.startsWith("${", at)) {
        at += 2;
        templates.push(0);
        code += "(";
        return;
      } else at += 1;
    }
  }

  while (at < text.length) {
    const char = text[at] as string;
    if (text.startsWith("//", at)) {
      const end = text.indexOf("\n", at);
      at = end === -1 ? text.length : end;
    } else if (text.startsWith("/*", at)) {
      const end = text.indexOf("*/", at + 2);
      at = end === -1 ? text.length : end + 2;
      code += " ";
    } else if (char === '"' || char === "'") {
      const from = at + 1;
      for (at = from; at < text.length && text[at] !== char && text[at] !== "\n"; at += 1) if (text[at] === "\\") at += 1;
      code += `"${strings.length}"`;
      strings.push(text.slice(from, at));
      at += 1;
    } else if (char === "`") {
      at += 1;
      skipTemplateText();
    } else if (char === "/" && /(?:^|[(,=:[!&|?{};+>]|\breturn)\s*$/.test(code.slice(-20))) {
      at += 1; // a regular expression: a slash where an expression must begin
      for (let inClass = false; at < text.length && text[at] !== "\n" && (inClass || text[at] !== "/"); at += 1) {
        if (text[at] === "\\") at += 1;
        else if (text[at] === "[") inClass = true;
        else if (text[at] === "]") inClass = false;
      }
      at += 1;
      code += '""';
    } else if (templates.length > 0 && char === "}" && templates.at(-1) === 0) {
      templates.pop();
      at += 1;
      code += ")";
      skipTemplateText();
    } else {
      if (templates.length > 0 && (char === "{" || char === "}")) templates[templates.length - 1]! += char === "{" ? 1 : -1;
      code += char;
      at += 1;
    }
  }
  return { code, strings };
}

/** Everything that the file brings in from elsewhere. */
export function importsOf(text: string): Import[] {
  const { code, strings } = separate(text);
  const found: Import[] = [];
  const named = (index: string | undefined): string | undefined => (index === undefined ? undefined : strings[Number(index)]);
  for (const [, type, index] of code.matchAll(/(?<![.\w$])(?:import|export)(\s+type)?\s*(?:[\w$*{][^;"()=]*\bfrom\s*)?"(\d+)"/g)) {
    found.push({ target: named(index), form: type === undefined ? "static" : "type" });
  }
  for (const [, index] of code.matchAll(/(?<![.\w$])import\s*\(\s*(?:"(\d+)"\s*\))?/g))
    found.push({ target: named(index), form: "dynamic" });
  for (const [, index] of code.matchAll(/(?<![.\w$])require\s*\(\s*(?:"(\d+)"\s*\))?/g))
    found.push({ target: named(index), form: "require" });
  return found;
}

/** The room of a path below `src`: the folder, or the name of a file that stands in `src` itself. */
function roomOf(path: string): string | undefined {
  const [root, first = ""] = path.split("/");
  return root === "src" ? first.replace(/\.[a-z]+$/, "") : undefined;
}

function floorOf(room: string): number {
  return FLOORS.findIndex((floor) => floor.includes(room));
}

function isCore(room: string): boolean {
  return (CORE as readonly string[]).includes(room);
}

/** Rule: the core imports only the core, statically, and uses nothing of the platform. */
function coreFaults({ path, text }: SourceFile, room: string): string[] {
  const faults: string[] = [];
  for (const { target, form } of importsOf(text)) {
    if (form === "dynamic" || form === "require")
      faults.push(`${path} uses ${form === "dynamic" ? "import()" : "require()"}: the core is linked statically`);
    if (target === undefined) continue;
    const targetRoom = target.startsWith(".") ? roomOf(posix.join(posix.dirname(path), target)) : undefined;
    if (targetRoom === undefined || !isCore(targetRoom))
      faults.push(`${path} imports "${target}": the core imports only the core, move the I/O behind a port`);
  }
  for (const [name] of separate(text).code.matchAll(IMPURE)) {
    faults.push(`${path} uses ${name} (${room} is core): time, chance and I/O come in as arguments`);
  }
  return faults;
}

/** Rule: imports go down only. */
function floorFaults({ path, text }: SourceFile, room: string): string[] {
  const floor = floorOf(room);
  if (floor === -1) return [`${path} stands on no floor: want one of ${FLOORS.flat().join(", ")}`];
  const faults: string[] = [];
  for (const { target } of importsOf(text)) {
    if (!target?.startsWith(".")) continue;
    const resolved = posix.join(posix.dirname(path), target);
    const targetRoom = roomOf(resolved);
    if (targetRoom === room || resolved.startsWith("migrations/") || resolved === "package.json") continue;
    if (targetRoom === undefined) faults.push(`${path} imports "${target}": src imports nothing from outside`);
    else if (floorOf(targetRoom) <= floor)
      faults.push(`${path} imports "${target}": imports go down only, and ${targetRoom} is not below ${room}`);
    else if (UNKNOWN_TO[room]?.includes(targetRoom)) faults.push(`${path} imports "${target}": ${room} knows nothing of ${targetRoom}`);
  }
  return faults;
}

/** Rule: no file imports itself over others, types aside: these are gone when the files are loaded. Reports each circle once. */
function cycles(files: readonly SourceFile[]): string[] {
  const targets = new Map<string, string[]>();
  for (const { path, text } of files) {
    const loaded = importsOf(text).filter(({ form }) => form !== "type");
    targets.set(
      path,
      loaded.flatMap(({ target }) => (target?.startsWith(".") ? [posix.join(posix.dirname(path), target)] : [])),
    );
  }
  const faults: string[] = [];
  const done = new Set<string>();
  function visit(path: string, trail: readonly string[]): void {
    const start = trail.indexOf(path);
    if (start !== -1) {
      faults.push(`import cycle: ${[...trail.slice(start), path].join(" → ")}`);
      return;
    }
    if (done.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  }
  for (const path of targets.keys()) visit(path, []);
  return faults;
}

/** All faults of the files against the rules of the house, as sentences; none when they keep to them. */
export function architectureFaults(files: readonly SourceFile[]): string[] {
  const faults: string[] = [];
  for (const file of files) {
    const lines = file.text.split("\n").length - (file.text.endsWith("\n") ? 1 : 0);
    if (lines > MAX_LINES) faults.push(`${file.path} has ${lines} lines: want at most ${MAX_LINES}`);
    const room = roomOf(file.path);
    if (room === undefined) continue;
    faults.push(...floorFaults(file, room));
    if (isCore(room)) faults.push(...coreFaults(file, room));
  }
  return [...faults, ...cycles(files)];
}
