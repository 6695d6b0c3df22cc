import { type Distributor, findNode } from "./distributor.ts";
import { readWeight } from "./list-spec.ts";
import type { WeightedList, WeightedNode } from "./weighted-list.ts";

/** Longest text of a command: a list with some dozens of exceptions or weights. */
export const MAX_COMMAND_LENGTH = 4096;

const NO_NODE = "-err";
const BAD_COMMAND = "-error\n";

/**
 * `distributor LIST [EXCEPTION…]` of FreeSWITCH's API: the next node of a list.
 *
 * @param text what follows the name of the command, words with spaces between them
 * @returns the name, or `-err`; no line end, as there
 */
export function runDistributor(distributor: Distributor, text: string): string {
  const [list, ...exceptions] = wordsOf(text) ?? [];
  if (list === undefined) return NO_NODE;
  return distributor.next(list, exceptions) ?? NO_NODE;
}

/**
 * `distributor_ctl reload | dump LIST | modify LIST NODE=WEIGHT…` of FreeSWITCH's API, with its answers.
 *
 * @param text what follows the name of the command
 * @param reload reads the lists again; false when that failed and the old ones stay. FreeSWITCH wants a `reloadxml` before, which has no counterpart here
 */
export function runDistributorCtl(distributor: Distributor, text: string, reload: () => boolean): string {
  const [command, name, ...pairs] = wordsOf(text) ?? [];
  switch (command?.toLowerCase()) {
    case "reload":
      return reload() ? "+OK reloaded.\n" : BAD_COMMAND;
    case "dump":
      return withList(distributor, name, dump);
    case "modify":
      return withList(distributor, name, (list) => modify(distributor, list, pairs));
    default:
      return BAD_COMMAND;
  }
}

/** A list as `distributor_ctl dump` prints it. */
export function dump(list: WeightedList): string {
  return [`list: name=${list.name}\n`, ...list.nodes.map(({ name, weight }) => `node: name=${name} weight=${weight}\n`)].join("");
}

function modify(distributor: Distributor, list: WeightedList, pairs: readonly string[]): string {
  const errors: string[] = [];
  const weights = new Map<WeightedNode, number>();
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals === -1) continue;
    const name = pair.slice(0, equals);
    const node = findNode(list, name);
    const weight = readWeight(pair.slice(equals + 1));
    if (node === undefined) errors.push(`error: node ${name} not found\n`);
    else if (weight < 1) errors.push(`error: name=${node.name}, specified weight invalid\n`);
    else weights.set(node, weight);
  }
  distributor.modify(list, weights);
  return errors.join("") + dump(list);
}

function withList(distributor: Distributor, name: string | undefined, run: (list: WeightedList) => string): string {
  if (name === undefined) return "missing list name\n";
  const list = distributor.list(name);
  return list === undefined ? "cannot find list\n" : run(list);
}

function wordsOf(text: string): string[] | undefined {
  return text.length > MAX_COMMAND_LENGTH ? undefined : text.split(" ").filter((word) => word !== "");
}
