import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type YAMLError,
  type Node as YamlNode,
} from "yaml";
import { expandEnvironment } from "./environment.ts";

/** Largest configuration file. A thousand rules take a tenth of it. */
export const MAX_CONFIG_BYTES = 1_048_576;
/** How many values a file may hold, each alias counted with all that it stands for: a few lines of aliases can stand for billions. */
const MAX_NODES = 50_000;
/** How deep values may nest. The schema needs 6. */
const MAX_DEPTH = 32;
const TOO_DEEP = `values nest deeper than ${MAX_DEPTH} levels`;
/** How many aliases a file may use. Finding what one stands for takes a walk over the file. */
const MAX_ALIASES = 200;
/** How many complaints of the YAML parser are passed on: the first ones matter, the others tend to follow from them. */
const MAX_SYNTAX_PROBLEMS = 10;

/** A value of the file with its place. `line` and `column` count from 1. */
export interface Located {
  readonly line: number;
  readonly column: number;
  readonly value: LocatedValue;
  /** The environment had a part in it: it may be a secret, and it is text that may stand for a number. */
  readonly fromEnvironment: boolean;
  /** Set for a value that was reported already. */
  readonly isReported?: boolean;
}
export type LocatedValue = string | number | boolean | null | readonly Located[] | LocatedMap;
/** The entries of a mapping in their order. A name never comes twice. */
export class LocatedMap {
  readonly entries = new Map<string, LocatedEntry>();
}
export interface LocatedEntry {
  readonly key: { readonly line: number; readonly column: number };
  readonly value: Located;
}

/** What is told about a place of the file. */
export type Report = (place: { readonly line: number; readonly column: number }, message: string) => void;

/**
 * Reads a YAML text into values that know where they stand, with `${NAME}` replaced from the environment.
 *
 * Never throws: what is wrong goes to `report`, and the answer is then `undefined` or lacks the bad parts.
 * `undefined` without a report: the text is empty.
 */
export function readYamlTree(text: string, environment: Readonly<Record<string, string | undefined>>, report: Report): Located | undefined {
  const lines = new LineCounter();
  let document: Document.Parsed<ParsedNode>;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, strict: true, version: "1.2" });
  } catch (cause) {
    report({ line: 1, column: 1 }, isStackOverflow(cause) ? TOO_DEEP : `not YAML: ${sentence(String(cause))}`);
    return undefined;
  }
  const faults: Pick<YAMLError, "code" | "message" | "pos">[] = [...document.errors, ...document.warnings];
  const overflow = faults.find(isStackOverflow);
  if (overflow) report(placeAt(overflow.pos[0]), TOO_DEEP);
  else for (const fault of faults.slice(0, MAX_SYNTAX_PROBLEMS)) reportSyntax(fault);
  if (faults.length > 0 || document.contents === null) return undefined;

  let nodes = 0;
  let aliases = 0;
  const root = convert(document.contents, 0);
  return root === "stop" ? undefined : root;

  function reportSyntax(fault: Pick<YAMLError, "code" | "message" | "pos">): void {
    if (fault.code === "MULTIPLE_DOCS") {
      report(placeAt(fault.pos[0]), "a second document starts here, want one in the file");
      return;
    }
    const place = placeAt(fault.pos[0]);
    const line = text.split("\n", place.line)[place.line - 1] ?? "";
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the operator should write
    const hint = line.includes("${") ? '; within [ ] and { } put "${NAME}" in quotes' : "";
    report(place, `not YAML: ${sentence(fault.message)}${hint}`);
  }

  function placeAt(offset: number): { line: number; column: number } {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  function placeOf(node: YamlNode | undefined): { line: number; column: number } {
    return placeAt(node?.range?.[0] ?? 0);
  }

  /** "stop": a bound was passed and reported, nothing more is read. */
  function convert(node: YamlNode, depth: number): Located | "stop" {
    const place = placeOf(node);
    nodes++;
    if (nodes > MAX_NODES) {
      report(place, `more than ${MAX_NODES} values, aliases counted with what they stand for, want fewer`);
      return "stop";
    }
    if (depth > MAX_DEPTH) {
      report(place, TOO_DEEP);
      return "stop";
    }
    if (isAlias(node)) {
      aliases++;
      if (aliases > MAX_ALIASES) {
        report(place, `more than ${MAX_ALIASES} aliases, want fewer`);
        return "stop";
      }
      const target = node.resolve(document);
      if (!target) {
        report(place, `alias *${node.source} stands for nothing: no anchor &${node.source} stands before it`);
        return "stop";
      }
      return convert(target, depth + 1);
    }
    if (isMap(node)) return convertMap(node.items as readonly { key: unknown; value: unknown }[], place, depth);
    if (isSeq(node)) {
      const items: Located[] = [];
      for (const child of node.items as YamlNode[]) {
        const item = convert(child, depth + 1);
        if (item === "stop") return "stop";
        items.push(item);
      }
      return { ...place, value: items, fromEnvironment: false };
    }
    return convertScalar(isScalar(node) ? node.value : null, place);
  }

  function convertMap(
    pairs: readonly { key: unknown; value: unknown }[],
    place: { line: number; column: number },
    depth: number,
  ): Located | "stop" {
    const map = new LocatedMap();
    for (const pair of pairs) {
      const keyNode = pair.key as YamlNode;
      const key = placeOf(keyNode);
      const name = isScalar(keyNode) ? keyNode.value : undefined;
      if (typeof name !== "string" && typeof name !== "number" && typeof name !== "boolean") {
        report(key, "a key is not a name, want a word followed by a colon");
        continue;
      }
      const earlier = map.entries.get(String(name));
      if (earlier) {
        report(key, `"${String(name).slice(0, 80)}" stands here a second time, the first is on line ${earlier.key.line}`);
        continue;
      }
      const valueNode = pair.value as YamlNode | null;
      const value = valueNode ? convert(valueNode, depth + 1) : { ...key, value: null, fromEnvironment: false };
      if (value === "stop") return "stop";
      map.entries.set(String(name), { key, value });
    }
    return { ...place, value: map, fromEnvironment: false };
  }

  function convertScalar(value: unknown, place: { line: number; column: number }): Located {
    if (typeof value === "string") {
      const { text: expanded, used, problem } = expandEnvironment(value, environment);
      if (problem !== undefined) report(place, problem);
      return { ...place, value: expanded, fromEnvironment: used, isReported: problem !== undefined };
    }
    if (typeof value === "number" || typeof value === "boolean" || value === null) return { ...place, value, fromEnvironment: false };
    return { ...place, value: String(value), fromEnvironment: false };
  }
}

/** The parser recurses: a text of nothing but brackets uses up the stack. It reports that or throws it. */
function isStackOverflow(fault: unknown): boolean {
  return /call stack/i.test((fault as Error).message);
}

/** A parser's message as half a sentence: on one line, without its final period. */
function sentence(message: string): string {
  return message
    .replace(/\s+/g, " ")
    .replace(/[.:]\s*$/, "")
    .trim();
}
