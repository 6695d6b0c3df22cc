/** Lists of one distributor. FreeSWITCH farms have a handful. */
export const MAX_LISTS = 1000;
/** Nodes of one list: a pick may look at each. */
export const MAX_NODES = 1000;
/** Characters of a name: gateways are named by words, UUIDs or URIs. */
export const MAX_NAME_LENGTH = 255;
/** What an `int` of mod_distributor holds. */
export const MAX_WEIGHT = 2_147_483_647;
/** Sentences about lists that are kept: those that follow are only counted. */
const MAX_PROBLEMS = 100;
/** How much of a bad name or weight a sentence quotes. */
const MAX_QUOTED_LENGTH = 60;

/** A node as it is written: a weight may be the text of an XML attribute. */
export interface NodeSpec {
  readonly name: string;
  readonly weight: string | number;
}

/** A list as it is written. */
export interface ListSpec {
  readonly name: string;
  readonly nodes: readonly NodeSpec[];
}

/** A node that can be used: its share is `weight` turns of a round, from 1. */
export interface CheckedNode {
  readonly name: string;
  readonly weight: number;
}

export interface CheckedList {
  readonly name: string;
  readonly nodes: readonly CheckedNode[];
}

/** The lists that can be used, in their order, and a sentence for each thing that is left out. */
export interface CheckedLists {
  readonly lists: readonly CheckedList[];
  readonly problems: readonly string[];
}

/**
 * Leaves out what mod_distributor leaves out (lists without a name, nodes whose weight is below 1), and what it cannot find or should not
 * choose: nodes without a name, names that are too long or hold control characters, second lists of one name, and what is above the limits.
 * A list without nodes stays. Never throws.
 */
export function checkLists(specs: readonly ListSpec[]): CheckedLists {
  const problems = new Problems();
  const lists: CheckedList[] = [];
  const names = new Set<string>();
  for (const [index, { name, nodes }] of specs.entries()) {
    const fault = faultOfName(name);
    if (lists.length === MAX_LISTS) {
      problems.add(`Cannot use ${specs.length - index} lists: want at most ${MAX_LISTS}`);
      break;
    }
    if (fault !== undefined) problems.add(`Cannot use list ${index + 1} ${quote(name)}: ${fault}`);
    else if (names.has(foldCase(name)))
      problems.add(`Cannot use list ${quote(name)} a second time: want each name once, in upper or lower case`);
    else {
      names.add(foldCase(name));
      lists.push({ name, nodes: checkNodes(name, nodes, problems) });
    }
  }
  return { lists, problems: problems.sentences() };
}

/** The whole number that a text begins with, after blanks, as C's `atoi` reads it; 0 when there is none. Beyond {@link MAX_WEIGHT} it is no number. */
export function readWeight(text: string): number {
  const digits = /^[ \t\n\v\f\r]*([+-]?\d+)/.exec(text)?.[1];
  const weight = digits === undefined ? 0 : Number(digits);
  return Math.abs(weight) <= MAX_WEIGHT ? weight : 0;
}

/** Names of lists and nodes are compared as `strcasecmp` does: letters of ASCII only. */
export function foldCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function checkNodes(list: string, specs: readonly NodeSpec[], problems: Problems): CheckedNode[] {
  const nodes: CheckedNode[] = [];
  for (const [index, { name, weight: written }] of specs.entries()) {
    const fault = faultOfName(name);
    const weight = typeof written === "number" ? Math.trunc(written) : readWeight(written);
    if (nodes.length === MAX_NODES) {
      problems.add(`Cannot use ${specs.length - index} nodes of list ${quote(list)}: want at most ${MAX_NODES}`);
      break;
    }
    if (fault !== undefined) problems.add(`Cannot use node ${index + 1} ${quote(name)} of list ${quote(list)}: ${fault}`);
    else if (weight >= 1 && weight <= MAX_WEIGHT) nodes.push({ name, weight });
    else {
      const bounds = `want a whole number from 1 to ${MAX_WEIGHT}, the node is left out`;
      problems.add(`Cannot use weight ${quote(String(written))} of node ${quote(name)} in list ${quote(list)}: ${bounds}`);
    }
  }
  return nodes;
}

function faultOfName(name: string): string | undefined {
  if (name === "") return "want a name";
  if (name.length > MAX_NAME_LENGTH) return `want a name of at most ${MAX_NAME_LENGTH} characters, not ${name.length}`;
  return /[\x00-\x1f\x7f]/.test(name) ? "want a name without control characters" : undefined;
}

function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text);
}

/** Sentences, no more of them than an operator reads. */
class Problems {
  readonly #kept: string[] = [];
  #count = 0;

  add(sentence: string): void {
    this.#count++;
    if (this.#kept.length < MAX_PROBLEMS) this.#kept.push(sentence);
  }

  sentences(): readonly string[] {
    const left = this.#count - this.#kept.length;
    return left === 0 ? this.#kept : [...this.#kept, `Cannot use ${left} further lists or nodes, of which nothing is told`];
  }
}
