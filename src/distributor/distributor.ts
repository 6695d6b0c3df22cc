import { type CheckedLists, checkLists, foldCase, type ListSpec } from "./list-spec.ts";
import { WeightedList, type WeightedNode } from "./weighted-list.ts";

/** What the distributor asks the rest of the program. */
export interface DistributorPorts {
  /**
   * Whether a node may get calls now. One that may not is passed over as an exception is: what dial plans of FreeSWITCH do with
   * `distributor(LIST ${sofia(profile NAME gwlist down)})`. Absent: every node may.
   */
  isUsable?(node: string): boolean;
}

/** Counts since the start; reloads do not touch them. */
export interface DistributorCounters {
  /** Nodes that were chosen. */
  picks: number;
  /** Asked for a list that is empty, or whose nodes are all excluded or unusable. */
  no_node: number;
  /** Asked for a list that does not exist. */
  no_list: number;
  /** Times that lists were loaded or loaded again. */
  reloads: number;
  /** Loads that were refused: what was in use before stays. */
  reload_failures: number;
  modifications: number;
}

/** The lists of mod_distributor: named lists of nodes, of which each call gets the next one. Lists are found whatever the case of their names. */
export class Distributor {
  readonly counters: DistributorCounters = { picks: 0, no_node: 0, no_list: 0, reloads: 0, reload_failures: 0, modifications: 0 };
  readonly #ports: DistributorPorts;
  #lists: ReadonlyMap<string, WeightedList> = new Map();
  #problems: readonly string[] = [];

  /** @param specs none: {@link reload} brings the lists */
  constructor(ports: DistributorPorts, specs: readonly ListSpec[] = []) {
    this.#ports = ports;
    if (specs.length > 0) this.reload(specs);
  }

  /** All lists in their order. */
  get lists(): readonly WeightedList[] {
    return [...this.#lists.values()];
  }

  /** A sentence for each list or node of the latest load that is not used. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  list(name: string): WeightedList | undefined {
    return this.#lists.get(foldCase(name));
  }

  /**
   * The next node of a list. `undefined` for an unknown or empty list, and when no node is left.
   *
   * @param exceptions names of nodes that must not be chosen; case matters
   * @param isRefused further nodes that this caller cannot use now
   */
  next(name: string, exceptions: readonly string[] = [], isRefused?: (node: string) => boolean): string | undefined {
    const list = this.list(name);
    if (list === undefined) {
      this.counters.no_list++;
      return undefined;
    }
    const node = list.next(
      (candidate) => exceptions.includes(candidate) || this.#ports.isUsable?.(candidate) === false || isRefused?.(candidate) === true,
    );
    if (node === undefined) this.counters.no_node++;
    else this.counters.picks++;
    return node;
  }

  /**
   * Replaces all lists; every rotation starts anew, weights of {@link modify} are gone. False, and everything stays, when no list can be used:
   * so does `distributor_ctl reload`.
   */
  reload(specs: readonly ListSpec[]): boolean {
    const { lists, problems }: CheckedLists = checkLists(specs);
    this.#problems = problems;
    if (lists.length === 0) {
      this.counters.reload_failures++;
      return false;
    }
    this.#lists = new Map(lists.map((list) => [foldCase(list.name), new WeightedList(list)]));
    this.counters.reloads++;
    return true;
  }

  /** Forgets all lists, for a configuration that names none: {@link reload} refuses that, as it may be a slip. */
  clear(): void {
    this.#lists = new Map();
    this.#problems = [];
  }

  /** Changes weights until the next reload, and starts the rotation of the list anew, also when no weight changes. */
  modify(list: WeightedList, weights: ReadonlyMap<WeightedNode, number>): void {
    list.setWeights(weights);
    this.counters.modifications++;
  }
}

/** The first node of that name, in upper or lower case. */
export function findNode(list: WeightedList, name: string): WeightedNode | undefined {
  const wanted = foldCase(name);
  return list.nodes.find((node) => foldCase(node.name) === wanted);
}
