import { CandidateCache, type Candidates } from "./candidates.ts";
import type { CellTable } from "./cell-table.ts";
import type { Destination } from "./destination.ts";
import { canonicalIp } from "./ip.ts";
import { poolOfKey } from "./pool-key.ts";
import { RowPlaces } from "./row-places.ts";
import type { RowState } from "./selection.ts";
import { SlotIndexes } from "./slot-index.ts";

interface AddressEntry {
  readonly row: number;
  readonly port: number;
}

/** Largest stamp that an Int32Array holds. */
const MAX_STAMP = 2_147_483_647;

/** So many candidates are looked at one by one; from here on an index is cheaper (`bench/picks.ts`). */
const INDEX_FROM = 100;

/** When a pool has more than a 64th of the candidates, a call changes so many slots at once that looking at each candidate is no dearer. */
const SMALLEST_POOL_SHARE = 64;
const LARGEST_SMALL_POOL = 16;

/**
 * One generation of the destination table: the rows in id order with their indexes and statuses. A reload makes a new one and swaps it in.
 */
export class DestinationTable implements RowState {
  readonly destinations: readonly Destination[];
  /** Names that some row has, in row order. */
  readonly resourceNames: ReadonlySet<string>;
  readonly candidates: CandidateCache;
  readonly status: Uint16Array;
  readonly best: Int32Array;
  readonly triedStamps: Int32Array;
  readonly tried: Int32Array;
  triedCount = 0;
  /** By row: how many enablings there had been, this one included, when the row was last enabled or came to the table. */
  readonly enabledAt: Float64Array;
  #stamp = 0;
  readonly #cells: CellTable;
  readonly #indexFrom: number;
  /** Made with the first index. */
  #places: RowPlaces | undefined;
  readonly #rowByKey = new Map<string, number>();
  readonly #rowById = new Map<number, number>();
  readonly #byIp = new Map<string, AddressEntry[]>();
  readonly #rowsByPool = new Map<string, number[]>();
  /** Made when it is first asked for. */
  #rowsByPlace: Map<string, number[]> | undefined;

  /** @param indexFrom fewest candidates that get an index over their slots */
  constructor(destinations: readonly Destination[], cells: CellTable, indexFrom: number = INDEX_FROM) {
    const names = new Set<string>();
    this.destinations = destinations;
    this.status = new Uint16Array(destinations.length);
    this.best = new Int32Array(destinations.length);
    this.tried = new Int32Array(destinations.length);
    this.#cells = cells;
    this.#indexFrom = indexFrom;
    this.triedStamps = new Int32Array(destinations.length);
    this.enabledAt = new Float64Array(destinations.length);
    for (const [row, destination] of destinations.entries()) {
      this.#rowByKey.set(destination.key, row);
      this.#rowById.set(destination.id, row);
      for (const { name } of destination.resources) names.add(name);
      if (destination.options.shared !== undefined) addTo(this.#rowsByPool, destination.options.shared, row);
      for (const { ip, port } of destination.addresses) this.#addAddress(canonicalIp(ip) ?? ip, { row, port });
    }
    this.resourceNames = names;
    this.candidates = new CandidateCache(
      destinations,
      names,
      (cell) => cells.slotCell(cell),
      (candidates) => this.#index(candidates),
    );
  }

  /** Changes the status bits of a row: whoever keeps an order of the rows learns of it. */
  setStatus(row: number, bits: number): void {
    if (this.status[row] === bits) return;
    this.status[row] = bits;
    this.#cells.changes.row(row);
  }

  /** Row of an identity, or -1. */
  rowOfKey(key: string): number {
    return this.#rowByKey.get(key) ?? -1;
  }

  /** Row of an id, or -1. */
  rowOfId(id: number): number {
    return this.#rowById.get(id) ?? -1;
  }

  /** Rows that share this pool, in id order. */
  rowsOfPool(name: string): readonly number[] {
    return this.#rowsByPool.get(name) ?? [];
  }

  /** Rows with the group and URI of an identity, in id order, whatever their id. */
  rowsOfPlace(key: string): readonly number[] {
    if (this.#rowsByPlace === undefined) {
      this.#rowsByPlace = new Map();
      for (const [row, destination] of this.destinations.entries()) addTo(this.#rowsByPlace, placeOf(destination.key), row);
    }
    return this.#rowsByPlace.get(placeOf(key)) ?? [];
  }

  /** Rows of the owner of a cell: of a pool all that share it, in id order. */
  rowsOfOwner(ownerKey: string | undefined): readonly number[] {
    if (ownerKey === undefined) return [];
    const pool = poolOfKey(ownerKey);
    if (pool !== undefined) return this.rowsOfPool(pool);
    const row = this.rowOfKey(ownerKey);
    return row === -1 ? [] : [row];
  }

  /** Rows with this address in id order; a port of 0 on either side matches every port. The first that `accept` agrees to is answered, else -1. */
  rowOfAddress(ip: string, port: number, accept: (row: number) => boolean): number {
    const entries = this.#byIp.get(ip) ?? this.#byIp.get(canonicalIp(ip) ?? "");
    if (entries === undefined) return -1;
    for (const entry of entries) {
      if ((port === 0 || entry.port === 0 || entry.port === port) && accept(entry.row)) return entry.row;
    }
    return -1;
  }

  /** Stamps the rows of these identities and answers the stamp; -1, which no row holds, when there are none. */
  stampTried(tried: readonly string[], passedOver: readonly string[]): number {
    if (tried.length === 0 && passedOver.length === 0) return -1;
    if (this.#stamp === MAX_STAMP) {
      this.#stamp = 0;
      this.triedStamps.fill(0);
    }
    this.#stamp++;
    this.triedCount = 0;
    for (const key of tried) this.#stampRow(key);
    for (const key of passedOver) this.#stampRow(key);
    return this.#stamp;
  }

  #stampRow(key: string): void {
    const row = this.rowOfKey(key);
    if (row === -1 || this.triedStamps[row] === this.#stamp) return;
    this.triedStamps[row] = this.#stamp;
    this.tried[this.triedCount++] = row;
  }

  #index(candidates: Candidates): SlotIndexes | undefined {
    const count = candidates.rows.length;
    if (count === 0 || count < this.#indexFrom) return undefined;
    const { changes } = this.#cells;
    this.#places ??= new RowPlaces(this.destinations, (cell) => this.#cells.slotCell(cell));
    if (this.#places.mostSharing(candidates.cells) > Math.max(LARGEST_SMALL_POOL, count / SMALLEST_POOL_SHARE)) return undefined;
    return new SlotIndexes(candidates, { loads: this.#cells, rows: this, changes, places: this.#places });
  }

  #addAddress(ip: string, entry: AddressEntry): void {
    const entries = this.#byIp.get(ip);
    if (entries === undefined) this.#byIp.set(ip, [entry]);
    else entries.push(entry);
  }
}

function addTo(lists: Map<string, number[]>, key: string, row: number): void {
  const rows = lists.get(key);
  if (rows === undefined) lists.set(key, [row]);
  else rows.push(row);
}

/** An identity without its id: group and URI. */
function placeOf(key: string): string {
  return key.slice(key.indexOf(" ") + 1);
}
