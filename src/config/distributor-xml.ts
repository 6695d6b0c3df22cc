import { createRequire } from "node:module";
import type { ListSpec, NodeSpec } from "../distributor/index.ts";
import { ConfigError } from "./errors.ts";

const load = createRequire(import.meta.url);

/** Largest file, in characters: ten thousand nodes with UUIDs for names take less. */
export const MAX_DISTRIBUTOR_LENGTH = 1_048_576;
/** How deep elements may nest. A whole FreeSWITCH document needs 6. */
const MAX_DEPTH = 16;
/** How much of what the XML parser says is passed on: it quotes the file. */
const MAX_REASON_LENGTH = 160;
/** Elements that FreeSWITCH's own documents have around a configuration. */
const WRAPPERS: ReadonlySet<string> = new Set(["document", "section", "include"]);
const NAMED_CHARACTERS: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** What a distributor.conf.xml says. */
export interface DistributorFile {
  readonly lists: readonly ListSpec[];
  /** A sentence for each thing in it that only FreeSWITCH itself could make use of. */
  readonly problems: readonly string[];
}

/** Loaded with the first file: two megabytes that others do not need. */
function xmlLibrary(): typeof import("fast-xml-parser") {
  return load("fast-xml-parser");
}

/** An element as the parser gives it: its children under its name, its attributes under `:@`. */
type XmlItem = Readonly<Record<string, unknown>>;

interface Element {
  readonly name: string;
  readonly children: readonly XmlItem[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/**
 * Reads the text of FreeSWITCH's `distributor.conf.xml` as mod_distributor does: the `list` elements in the first `lists`, their `node`
 * elements, `name` and `weight` of each; `total-weight` is not used. Which nodes can be used is for `checkLists` to say.
 *
 * A document type declaration is refused: with it come entities, which may stand for anything and for any amount of it.
 *
 * @param file its name, for the messages
 * @throws {ConfigError} for what is too large, nests too deep, is no XML or no such file
 */
export function parseDistributorXml(text: string, file: string): DistributorFile {
  if (text.length > MAX_DISTRIBUTOR_LENGTH) {
    throw problemAt(file, text, undefined, `the file has more than ${MAX_DISTRIBUTOR_LENGTH} characters, want at most that many`);
  }
  const declaration = findDeclaration(text);
  if (declaration !== undefined) {
    throw problemAt(file, text, declaration, "found a document type declaration, want none: entities are not expanded");
  }
  const configuration = findConfiguration(readElements(text, file));
  if (configuration === undefined) {
    throw problemAt(file, text, undefined, 'found no <configuration name="distributor.conf">, want that of mod_distributor');
  }
  const [lists, ...others] = elementsOf(configuration.children, "lists");
  if (lists === undefined) throw problemAt(file, text, undefined, "found no <lists> in <configuration>, want the lists of mod_distributor");
  const problems = [
    ...(others.length > 0 ? ["Cannot use a second <lists>: mod_distributor reads the first alone"] : []),
    ...(hasPreprocessing(text) ? ["Cannot carry out X-PRE-PROCESS or $${…}: only FreeSWITCH does, want lists and nodes written out"] : []),
  ];
  return { lists: elementsOf(lists.children, "list").map(readList), problems };
}

function readList(element: Element): ListSpec {
  const nodes = elementsOf(element.children, "node").map(
    (node): NodeSpec => ({ name: attribute(node, "name"), weight: attribute(node, "weight") }),
  );
  return { name: attribute(element, "name"), nodes };
}

function readElements(text: string, file: string): readonly XmlItem[] {
  const { XMLParser } = xmlLibrary();
  const parser = new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: "",
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    processEntities: false,
    maxNestedTags: MAX_DEPTH,
  });
  let items: readonly XmlItem[];
  try {
    items = parser.parse(text) as XmlItem[];
  } catch (cause) {
    throw problemAt(file, text, undefined, `the file cannot be read as XML: ${shorten((cause as Error).message)}`, cause);
  }
  // The parser makes the best of what is not well-formed; a list of which half is missing is worse than none.
  const verdict = xmlLibrary().XMLValidator.validate(text);
  if (verdict === true) return items;
  const { line, col, msg } = verdict.err;
  // Of several elements that are not closed it prints the whole stack, and no place.
  if (msg.startsWith("Invalid '["))
    throw problemAt(file, text, undefined, "the file is no well-formed XML: several elements are not closed");
  throw new ConfigError([{ file, line, column: col, message: `the file is no well-formed XML: ${shorten(msg)}` }]);
}

/** The configuration of mod_distributor; its name need not stand there when it is the whole file. */
function findConfiguration(items: readonly XmlItem[], depth = 0): Element | undefined {
  for (const element of elementsOf(items)) {
    if (element.name === "configuration") {
      const name = attribute(element, "name");
      if (name === "distributor.conf" || (depth === 0 && name === "")) return element;
    }
    const inside = WRAPPERS.has(element.name) ? findConfiguration(element.children, depth + 1) : undefined;
    if (inside !== undefined) return inside;
  }
  return undefined;
}

/** The elements among the items, of one name or of all. */
function elementsOf(items: readonly XmlItem[], wanted?: string): Element[] {
  const elements: Element[] = [];
  for (const item of items) {
    const name = Object.keys(item).find((key) => key !== ":@") ?? "";
    const children = item[name];
    if (!Array.isArray(children) || (wanted !== undefined && name !== wanted)) continue; // a text is no list of children
    elements.push({ name, children: children as XmlItem[], attributes: (item[":@"] ?? {}) as Record<string, unknown> });
  }
  return elements;
}

/** An attribute with its character references decoded; "" when it is not there. */
function attribute({ attributes }: Element, name: string): string {
  const value = Object.hasOwn(attributes, name) ? attributes[name] : "";
  if (typeof value !== "string") return "";
  return value.replace(/&(?:#x([0-9A-Fa-f]{1,6})|#(\d{1,7})|(amp|lt|gt|quot|apos));/g, (whole, hex, decimal, word) => {
    if (word !== undefined) return NAMED_CHARACTERS[word] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= 0x10_ff_ff ? String.fromCodePoint(code) : whole;
  });
}

/** Where the first `<!` stands that begins neither a comment nor a CDATA section. */
function findDeclaration(text: string): number | undefined {
  let at = text.indexOf("<!");
  while (at !== -1) {
    const end = text.startsWith("<!--", at) ? "-->" : text.startsWith("<![CDATA[", at) ? "]]>" : undefined;
    if (end === undefined) return at;
    const close = text.indexOf(end, at + 4);
    if (close === -1) return undefined; // the parser says what is wrong
    at = text.indexOf("<!", close + end.length);
  }
  return undefined;
}

/** Comments may say it: the sample files do. */
function hasPreprocessing(text: string): boolean {
  return /<X-PRE-PROCESS\b|\$\$\{/.test(text.replace(/<!--[\s\S]*?(?:-->|$)/g, ""));
}

function problemAt(file: string, text: string, index: number | undefined, message: string, cause?: unknown): ConfigError {
  const before = index === undefined ? undefined : text.slice(0, index).split("\n");
  const place = { line: before?.length, column: before === undefined ? undefined : (before.at(-1)?.length ?? 0) + 1 };
  return new ConfigError([{ file, ...place, message }], { cause });
}

/** On one line, cut when it is long, without a final period. */
function shorten(reason: string): string {
  const line = reason.slice(0, 2 * MAX_REASON_LENGTH).replace(/[\x00-\x20\x7f]+/g, " ");
  return line.length > MAX_REASON_LENGTH ? `${line.slice(0, MAX_REASON_LENGTH)}…` : line.replace(/\.$/, "");
}
