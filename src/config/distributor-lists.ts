import { checkLists, foldCase, type ListSpec } from "../distributor/index.ts";
import { readDistributorFile } from "./distributor-file.ts";
import { ConfigError } from "./errors.ts";
import type { Config } from "./schema.ts";
import { configuredLists } from "./schema-distributor.ts";

/** How many names of lists a message tells. */
const MAX_SHOWN_NAMES = 20;

/** What a configuration says of the distributor, its file read. */
export interface DistributorSetup {
  /** Lists of the configuration, then those of the file. */
  readonly lists: readonly ListSpec[];
  /** `distributor.nodes` */
  readonly nodes: Readonly<Record<string, string>>;
  /** A sentence for each thing in the file, and for the keys of `distributor.nodes`, that are not used; what is wrong with lists and nodes is for `checkLists` to say. */
  readonly problems: readonly string[];
}

/**
 * Collects the lists of the distributor.
 *
 * @throws {ConfigError} when the file cannot be used, when of what is named no list can be used, or when a rule names a list that is not there
 */
export function readDistributorSetup({ distributor, routing, file: configFile = "the configuration" }: Config): DistributorSetup {
  const { list_file: listFile, nodes } = distributor;
  const fromFile = listFile === null ? { lists: [], problems: [] } : readDistributorFile(listFile);
  const lists = [...configuredLists(distributor), ...fromFile.lists];
  const usable = checkLists(lists).lists;
  if (usable.length === 0 && (listFile !== null || lists.length > 0)) {
    throw problemIn(listFile ?? configFile, "found no list that can be used, want at least one");
  }
  const names = new Set(usable.map(({ name }) => foldCase(name)));
  for (const [i, { distribute }] of (routing.script === null ? routing.rules : []).entries()) {
    if (distribute === undefined || names.has(foldCase(distribute))) continue;
    const wanted = usable.length === 0 ? "a list of distributor.lists or distributor.list_file, which have none" : quoted(usable);
    throw problemIn(configFile, `routing.rules[${i}].distribute: found ${JSON.stringify(distribute)}, want ${wanted}`);
  }
  return { lists, nodes, problems: [...fromFile.problems, ...unusedNames(nodes, lists)] };
}

/** Most often a name that is written otherwise in a list. */
function unusedNames(nodes: DistributorSetup["nodes"], lists: readonly ListSpec[]): string[] {
  const used = new Set(lists.flatMap((list) => list.nodes.map(({ name }) => name)));
  const unused = Object.keys(nodes).filter((name) => !used.has(name));
  if (unused.length === 0) return [];
  const shown = unused.slice(0, MAX_SHOWN_NAMES).map((name) => JSON.stringify(name));
  const others = unused.length > MAX_SHOWN_NAMES ? ` and ${unused.length - MAX_SHOWN_NAMES} more` : "";
  return [`distributor.nodes has no effect for ${shown.join(", ")}${others}: no list has a node of this name`];
}

/** The names to choose from, no more of them than a reader wants to see. */
function quoted(lists: readonly { readonly name: string }[]): string {
  const shown = lists.slice(0, MAX_SHOWN_NAMES).map(({ name }) => JSON.stringify(name));
  return `one of ${shown.join(", ")}${lists.length > MAX_SHOWN_NAMES ? `, or one of ${lists.length - MAX_SHOWN_NAMES} more` : ""}`;
}

function problemIn(file: string, message: string): ConfigError {
  return new ConfigError([{ file, line: undefined, column: undefined, message }]);
}
