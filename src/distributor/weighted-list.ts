import type { CheckedList } from "./list-spec.ts";

/** Turns that mod_distributor looks at for one pick, steps back to the head of the list included. */
const MAX_TURNS = 1000;

/** A node of a list that is in use. */
export interface WeightedNode {
  readonly name: string;
  /** Turns of a round, from 1. */
  readonly weight: number;
  /** Turns of this round that are left. */
  readonly turnsLeft: number;
  /** How often it was chosen since its list was loaded. */
  readonly picked: number;
}

type MutableNode = { -readonly [Key in keyof WeightedNode]: WeightedNode[Key] };

/**
 * The rotation of mod_distributor (`find_next`, `reset_list` and `calc_weight` of its source; seen on FreeSWITCH 1.11.1).
 *
 * Each node has `weight` turns a round. Turns go in the order of the nodes, from the one after the last turn and back to the head, passing over
 * those that have none left; when nobody has, a new round begins at the head. Weights 2 and 3 give a b a b b.
 */
export class WeightedList {
  readonly name: string;
  readonly #nodes: readonly MutableNode[];
  /** Where the last turn went; -1: the next one starts at the head. */
  #last = -1;
  /** Nodes that have turns left. */
  #open = 0;

  constructor({ name, nodes }: CheckedList) {
    this.name = name;
    this.#nodes = nodes.map((node) => ({ name: node.name, weight: node.weight, turnsLeft: node.weight, picked: 0 }));
    this.#open = nodes.length;
  }

  get nodes(): readonly WeightedNode[] {
    return this.#nodes;
  }

  /**
   * The name of the node whose turn it is, or `undefined` when all are excluded. An excluded node loses the turn that comes to it; when nobody else
   * has turns left, a new round begins at once.
   *
   * @param isExcluded asked again for each turn: has to answer the same for the same name
   */
  next(isExcluded: (node: string) => boolean): string | undefined {
    const node = this.#take(MAX_TURNS, isExcluded) ?? this.#insist(isExcluded);
    if (node !== undefined) node.picked++;
    return node?.name;
  }

  /** Begins a new round at the head of the list. */
  restart(): void {
    for (const node of this.#nodes) node.turnsLeft = node.weight;
    this.#open = this.#nodes.length;
    this.#last = -1;
  }

  /** Changes weights, and begins a new round also when nothing changed. Pairs that name no node are ignored. */
  setWeights(weights: ReadonlyMap<WeightedNode, number>): void {
    for (const node of this.#nodes) node.weight = weights.get(node) ?? node.weight;
    this.restart();
  }

  /**
   * mod_distributor gives up here and answers -err, even when some node could be chosen but the excluded ones have more than {@link MAX_TURNS} turns left.
   * A call must not be lost for that: this goes on to where the rotation would come at last.
   */
  #insist(isExcluded: (node: string) => boolean): MutableNode | undefined {
    if (this.#nodes.every(({ name }) => isExcluded(name))) return undefined;
    const node = this.#take(this.#nodes.length + 1, isExcluded);
    if (node !== undefined) return node;
    this.restart(); // only excluded nodes have turns left, which they would lose
    return this.#take(this.#nodes.length, isExcluded);
  }

  #take(turns: number, isExcluded: (node: string) => boolean): MutableNode | undefined {
    if (this.#nodes.length === 0) return undefined;
    for (let turn = 0; turn < turns; turn++) {
      const index = this.#nextIndex();
      const node = this.#nodes[index];
      if (node === undefined) {
        if (this.#open === 0) this.restart();
        else this.#last = -1;
        continue;
      }
      const isOnlyOne = this.#open === 1;
      node.turnsLeft--;
      if (node.turnsLeft === 0) this.#open--;
      this.#last = index;
      if (!isExcluded(node.name)) return node;
      if (isOnlyOne) this.restart();
    }
    return undefined;
  }

  /** The first node behind the last turn that has turns left; beyond the end when there is none. */
  #nextIndex(): number {
    let index = this.#last + 1;
    while (index < this.#nodes.length && this.#nodes[index]?.turnsLeft === 0) index++;
    return index;
  }
}
