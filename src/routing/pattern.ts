import { RoutingError } from "./errors.ts";

/** Longest pattern of a rule. What routes calls should be readable. */
export const MAX_PATTERN_LENGTH = 256;
/** Longest text that a pattern of a rule is tried on; a longer one does not match. It comes from anybody, and bounds how long a match can take. */
export const MAX_MATCHED_LENGTH = 256;
/** How many ways through a text a match may have to try, at worst: about 20 ms on the machine this was measured on. */
const MAX_STEPS = 2 ** 22;
/** A repetition is wide when it is open-ended or when its bounds are further apart than this. */
const WIDE_RANGE = 16;

/**
 * Compiles a rule's regular expression (JavaScript's, matches anywhere unless anchored with `^` and `$`) into a test.
 *
 * The texts come from strangers, so a pattern that can take very long is refused: a repeated group that itself holds a
 * repetition or alternatives, such as `(a+)+`, a back reference, or so many repetitions and alternatives that trying all
 * their combinations exceeds `MAX_STEPS`: two open-ended repetitions are well, three are when the pattern begins with `^`.
 *
 * @param key what the pattern stands in, for the message
 * @throws {RoutingError} when it cannot be compiled or could take too long
 */
export function compilePattern(key: string, source: string): (text: string) => boolean {
  if (source.length > MAX_PATTERN_LENGTH) {
    throw new RoutingError(`Cannot use ${key} of ${source.length} characters: want at most ${MAX_PATTERN_LENGTH}`);
  }
  const pattern = withoutOuterAny(source);
  let expression: RegExp;
  try {
    expression = new RegExp(pattern);
  } catch (cause) {
    throw new RoutingError(`Cannot use ${key} "${source}": want a regular expression: ${reasonOf(cause)}`, { cause });
  }
  const danger = findDanger(pattern);
  if (danger) throw new RoutingError(`Cannot use ${key} "${source}": ${danger}`);
  return function matches(text) {
    return text.length <= MAX_MATCHED_LENGTH && expression.test(text);
  };
}

function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.slice(message.lastIndexOf(": ") + 1).trim();
}

/** Without `.*` at the start and the end, which a search does not need. */
function withoutOuterAny(source: string): string {
  const inner = source.startsWith(".*") && !/^[?+{]/.test(source.slice(2)) ? source.slice(2) : source;
  return inner.endsWith(".*") && inner.at(-3) !== "\\" && !inner.includes("[") ? inner.slice(0, -2) : inner;
}

/** One group that is open while a pattern is read, the whole pattern first. */
interface OpenGroup {
  alternatives: number;
  /** Holds a repetition or alternatives, at any depth. */
  complex: boolean;
}

/** What makes a pattern too slow on a chosen text, or `undefined`. The pattern is known to compile. */
function findDanger(source: string): string | undefined {
  const groups: OpenGroup[] = [{ alternatives: 1, complex: false }];
  let ways = 1;
  let wide = 0;
  for (let i = 0; i < source.length; i++) {
    const char = source[i];
    let closed: OpenGroup | undefined;
    if (char === "\\") {
      i++;
      if (/[1-9k]/.test(source[i] ?? "")) return "a back reference is not allowed";
    } else if (char === "[") {
      i = endOfClass(source, i);
    } else if (char === "(") {
      groups.push({ alternatives: 1, complex: false });
      if (source[i + 1] === "?") i = endOfGroupKind(source, i + 1);
      continue;
    } else if (char === "|") {
      groups.at(-1)!.alternatives++;
      for (const group of groups) group.complex = true;
      continue;
    } else if (char === ")") {
      closed = groups.pop()!;
      ways *= closed.alternatives;
    }
    const quantifier = readQuantifier(source, i + 1);
    if (!quantifier) continue;
    i = quantifier.end;
    if (closed?.complex && quantifier.most > 1) {
      return "a repeated group that holds a repetition or alternatives can take very long, want a repeated group of plain characters";
    }
    for (const group of groups) group.complex = true;
    const range = quantifier.most - quantifier.least;
    if (range > WIDE_RANGE) wide++;
    else ways *= range + 1;
  }
  const { alternatives } = groups[0]!;
  if (!source.startsWith("^") || alternatives > 1) wide++; // a search starts anywhere
  ways *= alternatives;
  return ways * placements(wide) > MAX_STEPS ? "it can take very long, want fewer repetitions and alternatives" : undefined;
}

/** In how many ways so many borders can stand in a text of the greatest length, in their order. */
function placements(borders: number): number {
  let count = 1;
  for (let i = 1; i <= borders; i++) count *= MAX_MATCHED_LENGTH / i;
  return count;
}

/** Where a character class ends. `at` is its `[`. */
function endOfClass(source: string, at: number): number {
  let i = at + 1;
  while (i < source.length && source[i] !== "]") i += source[i] === "\\" ? 2 : 1;
  return i;
}

/** Where `?:`, `?=`, `?!`, `?<=`, `?<!` or `?<name>` ends. `at` is its question mark. */
function endOfGroupKind(source: string, at: number): number {
  if (source[at + 1] !== "<") return at + 1;
  if (source[at + 2] === "=" || source[at + 2] === "!") return at + 2;
  return source.indexOf(">", at);
}

/** The quantifier that starts at `at`, with a following `?`. */
function readQuantifier(source: string, at: number): { end: number; least: number; most: number } | undefined {
  const found = /^(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??/.exec(source.slice(at));
  if (!found) return undefined; // a brace that is no quantifier stands for itself
  const [text, lower = "0", comma, upper] = found;
  const end = at + text.length - 1;
  if (text.startsWith("?")) return { end, least: 0, most: 1 };
  if (!text.startsWith("{")) return { end, least: 0, most: Number.POSITIVE_INFINITY };
  const least = Number(lower);
  return { end, least, most: comma === undefined ? least : Number(upper || Number.POSITIVE_INFINITY) };
}
