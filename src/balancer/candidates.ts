import type { Destination } from "./destination.ts";
import { parseRequestedResources } from "./resources.ts";
import { INDEX_NUMBERS_A_ROW, type SlotIndexes } from "./slot-index.ts";

/** The rows of one group that have every resource of one request, for one generation of the table. */
export interface Candidates {
  /** Row numbers in table order. */
  readonly rows: Int32Array;
  /**
   * `width` cells for each row: where its slot is read, that is in its pool when it has one, in the order of the request. While rows are held to a share
   * of their pool their own cells follow, for what the share leaves.
   */
  readonly cells: Int32Array;
  /** `asked` cells for each row, in the order of the request, the destination's own: where a call is counted. */
  readonly ownCells: Int32Array;
  /** By position. */
  readonly tiers: Int32Array;
  /** By position, in hundredths. */
  readonly weights: Int32Array;
  /** Whether tiers or weights differ, so that they matter. */
  readonly ranked: boolean;
  /** Those of the group that lack a resource, in table order. */
  readonly lacking: readonly Destination[];
  /** Number of cells that make a slot. */
  readonly width: number;
  /** Number of resources asked for. */
  readonly asked: number;
  /** Where there are many. */
  readonly indexes: SlotIndexes | undefined;
}

/** Most that the cache keeps, in 32-bit numbers (32 MiB): a route may build groups and resource lists from what callers send. */
const MAX_CACHED_NUMBERS = 1 << 23;

/** What an entry costs besides its arrays, in 32-bit numbers. */
const ENTRY_OVERHEAD_NUMBERS = 64;

/**
 * Finds the candidates of a request and keeps them while the table stays, so that a start looks two keys up and allocates nothing.
 * The cache is emptied when it grows too large: the requests in use fill it again at once.
 */
export class CandidateCache {
  readonly #destinations: readonly Destination[];
  readonly #resourceNames: ReadonlySet<string>;
  readonly #byGroup = new Map<number, Map<string, Candidates>>();
  readonly #slotCell: (cell: number) => number;
  readonly #index: (candidates: Candidates) => SlotIndexes | undefined;
  #cachedNumbers = 0;
  #limitsRows = false;

  /**
   * @param slotCell the cell in which the slot of a destination's cell is read
   * @param index makes the indexes of those that want them
   */
  constructor(
    destinations: readonly Destination[],
    resourceNames: ReadonlySet<string>,
    slotCell: (cell: number) => number,
    index: (candidates: Candidates) => SlotIndexes | undefined,
  ) {
    this.#destinations = destinations;
    this.#resourceNames = resourceNames;
    this.#slotCell = slotCell;
    this.#index = index;
  }

  /** The candidates, or -1 when the list cannot be read, or -4 when a name is unknown to every destination or stands twice. */
  find(group: number, resources: string): Candidates | -1 | -4 {
    return this.#byGroup.get(group)?.get(resources) ?? this.#build(group, resources);
  }

  /** Whether rows may have less than their pool: then their own cells are looked at, too. They cost a call time, so only then. */
  limitRows(limitsRows: boolean): void {
    if (this.#limitsRows === limitsRows) return;
    this.#limitsRows = limitsRows;
    this.#empty();
  }

  #build(group: number, resources: string): Candidates | -1 | -4 {
    const names = parseRequestedResources(resources);
    if (names === undefined) return -1;
    if (new Set(names).size !== names.length) return -4;
    for (const name of names) {
      if (!this.#resourceNames.has(name)) return -4;
    }
    const candidates = this.#collect(group, names);
    this.#keep(group, resources, candidates);
    return candidates;
  }

  #collect(group: number, names: readonly string[]): Candidates {
    const rows: number[] = [];
    const ownCells: number[] = [];
    const tiers: number[] = [];
    const weights: number[] = [];
    const lacking: Destination[] = [];
    for (const [row, destination] of this.#destinations.entries()) {
      if (destination.group !== group) continue;
      const found = names.map((name) => destination.resources.find((resource) => resource.name === name)?.cell ?? -1);
      if (found.includes(-1)) {
        lacking.push(destination);
        continue;
      }
      rows.push(row);
      ownCells.push(...found);
      tiers.push(destination.options.priority);
      weights.push(Math.round(destination.options.weight * 100));
    }
    const slotCells = ownCells.map(this.#slotCell);
    const isWide = this.#limitsRows && slotCells.some((cell, i) => cell !== ownCells[i]);
    const candidates: Candidates = {
      rows: Int32Array.from(rows),
      cells: Int32Array.from(isWide ? besideEachOther(slotCells, ownCells, names.length) : slotCells),
      ownCells: Int32Array.from(ownCells),
      width: isWide ? 2 * names.length : names.length,
      asked: names.length,
      tiers: Int32Array.from(tiers),
      weights: Int32Array.from(weights),
      ranked: tiers.some((tier) => tier !== tiers[0]) || weights.some((weight) => weight !== weights[0]),
      lacking,
      indexes: undefined,
    };
    return { ...candidates, indexes: this.#index(candidates) };
  }

  #keep(group: number, resources: string, candidates: Candidates): void {
    const { rows, cells, ownCells, lacking, indexes } = candidates;
    const indexed = indexes === undefined ? 0 : INDEX_NUMBERS_A_ROW * (rows.length + lacking.length);
    const cost =
      indexed + 3 * rows.length + cells.length + ownCells.length + 2 * lacking.length + resources.length + ENTRY_OVERHEAD_NUMBERS;
    if (this.#cachedNumbers + cost > MAX_CACHED_NUMBERS) this.#empty();
    this.#cachedNumbers += cost;
    let byResources = this.#byGroup.get(group);
    if (byResources === undefined) {
      byResources = new Map();
      this.#byGroup.set(group, byResources);
    }
    byResources.set(resources, candidates);
  }

  #empty(): void {
    this.#byGroup.clear();
    this.#cachedNumbers = 0;
  }
}

/** For each row `width` numbers of the one list, then those of the other. */
function besideEachOther(one: readonly number[], other: readonly number[], width: number): number[] {
  const together: number[] = [];
  for (let at = 0; at < one.length; at += width) together.push(...one.slice(at, at + width), ...other.slice(at, at + width));
  return together;
}
