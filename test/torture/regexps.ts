import { globSync, readFileSync } from "node:fs";

/** A regular expression as it stands in a source file. */
export interface Literal {
  readonly file: string;
  readonly line: number;
  readonly source: string;
  readonly flags: string;
}

/** Every regular expression that is written as a literal under `folder`. */
export function literalsOf(folder: string): Literal[] {
  return globSync(`${folder}/**/*.ts`)
    .sort()
    .flatMap((file) => literalsIn(readFileSync(file, "utf8")).map((found) => ({ file, ...found })));
}

/** A slash behind one of these begins a regular expression; behind anything else it divides. */
const BEFORE = new Set([..."(,=:[!&|?{};+~>", ""]);
const WORD_BEFORE = /\b(?:return|case|typeof|in|of)$/;

/** Walks over strings, templates and comments; no more of the language is needed to find the literals. */
export function literalsIn(text: string): Omit<Literal, "file">[] {
  const found: Omit<Literal, "file">[] = [];
  /** Depth of braces at which each open `${` ends. */
  const templates: number[] = [];
  let depth = 0;
  let at = text.startsWith("#!") ? text.indexOf("\n") : 0;
  while (at < text.length) {
    const char = text[at]!;
    if (char === '"' || char === "'") at = behind(text, at + 1, char);
    else if (char === "`") at = template(at + 1);
    else if (text.startsWith("//", at)) at = orEnd(text.indexOf("\n", at));
    else if (text.startsWith("/*", at)) at = orEnd(text.indexOf("*/", at + 2)) + 2;
    else if (char === "/" && beginsHere(text.slice(Math.max(0, at - 200), at).trimEnd())) {
      const end = endOfLiteral(text, at + 1);
      const flags = /^[a-z]*/.exec(text.slice(end + 1))![0];
      found.push({ line: text.slice(0, at).split("\n").length, source: text.slice(at + 1, end), flags });
      at = end + 1 + flags.length;
    } else if (char === "}" && templates.at(-1) === depth) {
      templates.pop();
      at = template(at + 1);
    } else {
      if (char === "{") depth++;
      else if (char === "}") depth--;
      at++;
    }
  }
  return found;

  function orEnd(place: number): number {
    return place === -1 ? text.length : place;
  }

  function template(from: number): number {
    for (let i = from; i < text.length; i++) {
      if (text[i] === "\\") i++;
      else if (text[i] === "`") return i + 1;
      else if (text.startsWith("${", i)) {
        templates.push(depth);
        return i + 2;
      }
    }
    return text.length;
  }
}

function beginsHere(before: string): boolean {
  return BEFORE.has(before.at(-1) ?? "") || WORD_BEFORE.test(before);
}

function behind(text: string, from: number, quote: string): number {
  let at = from;
  while (at < text.length && text[at] !== quote) at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function endOfLiteral(text: string, from: number): number {
  let inClass = false;
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === "\\") at++;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return at;
  }
  return text.length;
}

const SAMPLES = [...'aA09 \t\n\0/:;,.-_<&#="\\{[(xfé'];

/** Whether the expression can go over a text more than once at all: without a quantifier it has no choice. */
export function hasQuantifier({ source }: Pick<Literal, "source">): boolean {
  return /[*+{]/.test(source.replace(/\\./g, ""));
}

/** Texts that make an expression that backtracks go back as often as it can: something it may like, many times, and something that it cannot like. */
export function hostileTo({ source }: Pick<Literal, "source">, length: number): string[] {
  const plain = source.replace(/\\([^a-zA-Z0-9])/g, "$1");
  const own = [...new Set(plain)].filter((char) => !SAMPLES.includes(char));
  const words = plain.match(/[A-Za-z0-9_<!:=/&#$ -]{2,}/g) ?? [];
  const chars = [...SAMPLES, ...own];
  const start = /^\^?([A-Za-z0-9_<!:/ -]+)/.exec(plain)?.[1] ?? "";
  const pumps = [...chars, ...words];
  for (const first of chars) for (const second of ["a", " ", "."]) pumps.push(first + second);
  const texts: string[] = [];
  for (const pump of pumps) {
    const run = pump.repeat(Math.ceil(length / pump.length)).slice(0, length);
    for (const prefix of start === "" ? [""] : ["", start]) texts.push(prefix + run, `${prefix}${run}\0`);
  }
  return texts;
}
