import type { Destination } from "./destination.ts";

/** Marks the end of a chain, and a row that is not there. */
export const NONE = -1;

/** Which rows a cell belongs to, and where in its group each row stands: what all indexes over slots of one table have in common. */
export class RowPlaces {
  /** By row: which of the groups, numbered from 0. */
  readonly groupOf: Int32Array;
  /** By row: how many of its group come before it. */
  readonly placeInGroup: Int32Array;
  /** By group: rows in it. */
  readonly #sizes: number[] = [];
  /** By cell, up to the last that a row names: the first link of a chain of rows. */
  readonly #first: Int32Array;
  readonly #rowOfLink: number[] = [];
  readonly #nextLink: number[] = [];

  /** @param slotCell the cell in which the slot of a destination's cell is read */
  constructor(destinations: readonly Destination[], slotCell: (cell: number) => number) {
    const groups = new Map<number, number>();
    const chains = new Map<number, number>();
    let last = -1;
    this.groupOf = new Int32Array(destinations.length);
    this.placeInGroup = new Int32Array(destinations.length);
    const link = (cell: number, row: number) => {
      this.#rowOfLink.push(row);
      this.#nextLink.push(chains.get(cell) ?? NONE);
      chains.set(cell, this.#rowOfLink.length - 1);
      if (cell > last) last = cell;
    };
    for (const [row, { group, resources }] of destinations.entries()) {
      const known = groups.get(group) ?? groups.size;
      groups.set(group, known);
      this.groupOf[row] = known;
      this.placeInGroup[row] = this.#sizes[known] ?? 0;
      this.#sizes[known] = this.placeInGroup[row]! + 1;
      for (const { cell } of resources) {
        link(cell, row);
        if (slotCell(cell) !== cell) link(slotCell(cell), row);
      }
    }
    this.#first = new Int32Array(last + 1).fill(NONE);
    for (const [cell, chain] of chains) this.#first[cell] = chain;
  }

  /** Rows in the group of this row. */
  groupSize(row: number): number {
    return this.#sizes[this.groupOf[row]!]!;
  }

  /** The first link of a cell's rows; {@link NONE} when it has none. */
  firstLink(cell: number): number {
    return cell < this.#first.length ? this.#first[cell]! : NONE;
  }

  nextLink(link: number): number {
    return this.#nextLink[link]!;
  }

  rowOfLink(link: number): number {
    return this.#rowOfLink[link]!;
  }

  /** Most rows that have one of these cells in common. */
  mostSharing(cells: Int32Array): number {
    const seen = new Map<number, number>();
    let most = 0;
    for (const cell of cells) {
      const sharing = (seen.get(cell) ?? 0) + 1;
      seen.set(cell, sharing);
      if (sharing > most) most = sharing;
    }
    return most;
  }
}
