import type { Candidates } from "./candidates.ts";
import { CHANGES_KEPT, type Changes } from "./changes.ts";
import { FLAG_NEGATIVE, FLAG_RANDOM, FLAG_RELATIVE, NO_CAPACITY, NO_DESTINATION } from "./codes.ts";
import { NONE, type RowPlaces } from "./row-places.ts";
import { type LoadState, NOT_TRIED, type RowState, slotOf, weighted } from "./selection.ts";
import { CLOSED_SCORE, SlotTree } from "./slot-tree.ts";
import { CLOSED, STATUS_OVER_RATE } from "./status.ts";

/** What an index reads besides the candidates. */
export interface IndexedState {
  readonly loads: LoadState;
  readonly rows: RowState;
  readonly changes: Changes;
  readonly places: RowPlaces;
}

/** Chooses among equals. */
export interface Chance {
  /** A uniform random integer from 0 to `n - 1`. */
  below(n: number): number;
}

/** Numbers of 32 bits that a row costs at most in all its indexes. */
export const INDEX_NUMBERS_A_ROW = 16;

/**
 * The order of many candidates by their slots, kept up to date, with the answers of `select` for each state and flags: each tier has a
 * tree of the products of slot and weight, in which who is not available has none. A pick takes the changes since the last
 * one into the trees and looks at their tops.
 *
 * Slots in calls and in percent are two orders, and a group that fails open has another two; each is made when it is first asked for.
 */
export class SlotIndexes {
  readonly #candidates: Candidates;
  readonly #state: IndexedState;
  readonly #layout: Layout;
  readonly #indexes: (SlotIndex | undefined)[] = [undefined, undefined, undefined, undefined];

  constructor(candidates: Candidates, state: IndexedState) {
    this.#candidates = candidates;
    this.#state = state;
    this.#layout = layOut(candidates, state.places);
  }

  /** The index for these flags and for status bits that close a row. */
  of(flags: number, closed: number): SlotIndex {
    const which = ((flags & FLAG_RELATIVE) === 0 ? 0 : 1) + (closed === CLOSED ? 0 : 2);
    return this.#indexes[which] ?? this.#make(which, flags, closed);
  }

  #make(which: number, flags: number, closed: number): SlotIndex {
    const made = new SlotIndex(this.#candidates, this.#state, this.#layout, flags & FLAG_RELATIVE, closed);
    this.#indexes[which] = made;
    return made;
  }
}

/** Where the candidates stand in the trees, which are numbered in the order of their tiers. */
interface Layout {
  readonly groupOf: number;
  /** By place of the row in its group: its position, or {@link NONE}. */
  readonly positionOfPlace: Int32Array;
  /** By position. */
  readonly treeOf: Uint16Array;
  /** By position. */
  readonly placeInTree: Int32Array;
  /** By tree, the positions in it, by place. */
  readonly positions: readonly Int32Array[];
}

function layOut({ rows, tiers }: Candidates, places: RowPlaces): Layout {
  const positionOfPlace = new Int32Array(places.groupSize(rows[0]!)).fill(NONE);
  for (const [position, row] of rows.entries()) positionOfPlace[places.placeInGroup[row]!] = position;
  const treeOfTier = new Map([...new Set(tiers)].sort((a, b) => a - b).map((tier, tree) => [tier, tree]));
  const treeOf = Uint16Array.from(tiers, (tier) => treeOfTier.get(tier)!);
  const inTrees: number[][] = Array.from(treeOfTier, () => []);
  const placeInTree = Int32Array.from(treeOf, (tree, position) => inTrees[tree]!.push(position) - 1);
  return {
    groupOf: places.groupOf[rows[0]!]!,
    positionOfPlace,
    treeOf,
    placeInTree,
    positions: inTrees.map((positions) => Int32Array.from(positions)),
  };
}

/** One order of {@link SlotIndexes}. */
export class SlotIndex {
  readonly #candidates: Candidates;
  readonly #state: IndexedState;
  readonly #layout: Layout;
  readonly #relative: number;
  readonly #closed: number;
  readonly #trees: readonly SlotTree[];
  /** By position: 1 for an available one, whether or not it had its calls of this second. */
  readonly #isOpen: Uint8Array;
  #open = 0;
  /** Up to here the changes are known. */
  #lap: number;
  #at: number;

  constructor(candidates: Candidates, state: IndexedState, layout: Layout, relative: number, closed: number) {
    this.#candidates = candidates;
    this.#state = state;
    this.#layout = layout;
    this.#relative = relative;
    this.#closed = closed;
    this.#trees = layout.positions.map((positions) => new SlotTree(positions.length));
    this.#isOpen = new Uint8Array(candidates.rows.length);
    this.#lap = state.changes.lap;
    this.#at = state.changes.at;
    this.#rebuild();
  }

  /** Whether a candidate is available; full ones count. */
  isAnyOpen(): boolean {
    this.#catchUp();
    return this.#open > 0;
  }

  /**
   * What `select` finds, and of equals the first, or with flag `s` the one that chance names.
   *
   * @param stamp rows with this value in `triedStamps` are passed over: those that `tried` lists, unless it is `NOT_TRIED`
   * @returns the position, or `NO_CAPACITY`, or `NO_DESTINATION`
   */
  pick(flags: number, stamp: number, chance: Chance): number {
    this.#catchUp();
    if (stamp === NOT_TRIED) return this.#choose(flags, chance, this.#open);
    const open = this.#open - this.#hide();
    try {
      return this.#choose(flags, chance, open);
    } finally {
      this.#unhide();
    }
  }

  #choose(flags: number, chance: Chance, open: number): number {
    let tree = this.#firstAbove(0);
    if (tree === NONE && (flags & FLAG_NEGATIVE) !== 0) tree = this.#firstAbove(CLOSED_SCORE);
    if (tree === NONE) return open > 0 ? NO_CAPACITY : NO_DESTINATION;
    const { equals } = this.#trees[tree]!;
    let which = 0;
    if (equals > 1 && (flags & FLAG_RANDOM) !== 0) {
      const drawn = chance.below(equals);
      if (drawn > 0 && drawn < equals) which = drawn;
    }
    return this.#layout.positions[tree]![this.#trees[tree]!.nth(which)]!;
  }

  #firstAbove(score: number): number {
    const trees = this.#trees;
    for (let tree = 0; tree < trees.length; tree++) if (trees[tree]!.best > score) return tree;
    return NONE;
  }

  /** Takes the tried rows out of their trees, and answers how many of them are available. */
  #hide(): number {
    const { rows } = this.#state;
    let open = 0;
    for (let i = 0; i < rows.triedCount; i++) {
      const position = this.#positionOf(rows.tried[i]!);
      if (position === NONE) continue;
      open += this.#isOpen[position]!;
      this.#treeOf(position).set(this.#layout.placeInTree[position]!, CLOSED_SCORE);
    }
    return open;
  }

  #unhide(): void {
    const { rows } = this.#state;
    for (let i = 0; i < rows.triedCount; i++) {
      const position = this.#positionOf(rows.tried[i]!);
      if (position !== NONE) this.#treeOf(position).set(this.#layout.placeInTree[position]!, this.#score(position));
    }
  }

  #catchUp(): void {
    const { changes, places } = this.#state;
    changes.collect();
    const missed = changes.since(this.#lap, this.#at);
    if (missed === 0) return;
    if (missed >= CHANGES_KEPT || missed >= this.#isOpen.length) {
      this.#rebuild();
    } else {
      for (let i = 0; i < missed; i++) {
        const change = changes.read(this.#at + i);
        if (change < 0) this.#refreshRow(~change);
        else
          for (let link = places.firstLink(change); link !== NONE; link = places.nextLink(link)) this.#refreshRow(places.rowOfLink(link));
      }
    }
    this.#lap = changes.lap;
    this.#at = changes.at;
  }

  #refreshRow(row: number): void {
    const position = this.#positionOf(row);
    if (position === NONE) return;
    this.#note(position);
    this.#treeOf(position).set(this.#layout.placeInTree[position]!, this.#score(position));
  }

  #rebuild(): void {
    this.#open = 0;
    this.#isOpen.fill(0);
    for (let position = 0; position < this.#isOpen.length; position++) {
      this.#note(position);
      this.#treeOf(position).fill(this.#layout.placeInTree[position]!, this.#score(position));
    }
    for (const tree of this.#trees) tree.build();
  }

  /** Whether a position is available now. */
  #note(position: number): void {
    const isOpen = (this.#state.rows.status[this.#candidates.rows[position]!]! & this.#closed) === 0 ? 1 : 0;
    this.#open += isOpen - this.#isOpen[position]!;
    this.#isOpen[position] = isOpen;
  }

  #score(position: number): number {
    const candidates = this.#candidates;
    if ((this.#state.rows.status[candidates.rows[position]!]! & (this.#closed | STATUS_OVER_RATE)) !== 0) return CLOSED_SCORE;
    const slot = slotOf(candidates, position, this.#relative, this.#state.loads);
    return candidates.ranked ? weighted(slot, candidates.weights[position]!) : slot;
  }

  #treeOf(position: number): SlotTree {
    return this.#trees[this.#layout.treeOf[position]!]!;
  }

  /** A row that is none of the candidates has {@link NONE}. */
  #positionOf(row: number): number {
    const { places } = this.#state;
    return places.groupOf[row] === this.#layout.groupOf ? this.#layout.positionOfPlace[places.placeInGroup[row]!]! : NONE;
  }
}
