import { MAX_CAPACITY } from "./resources.ts";

/** Capacity of a cell that no row names. */
const UNNAMED = -1;

/** First size of the table, in cells; it doubles when it is full. */
const INITIAL_CELLS = 64;

/**
 * The load table: flat typed arrays with one **cell** for each pair of destination identity and resource name.
 * A cell lives while a row names it or it carries load; a reload gives the numbers of the others to new cells.
 */
export class CellTable {
  /** Calls that are counted, by cell. */
  load = new Int32Array(INITIAL_CELLS);
  /** Calls that are allowed, by cell. */
  maxLoad = new Int32Array(INITIAL_CELLS);
  /** Capacity in the row, by cell, or {@link UNNAMED}: it differs from `maxLoad` after a resize. */
  #rowCapacity = new Int32Array(INITIAL_CELLS);
  /** Whether a row of the table that is being loaded names the cell. */
  #named = new Uint8Array(INITIAL_CELLS);
  #resourceNames: (string | undefined)[] = [];
  #destinationKeys: (string | undefined)[] = [];
  #destinationIds: number[] = [];
  #byName = new Map<string, Map<string, number>>();
  #freeCells: number[] = [];

  /** Number of cells in use or to be used again: cells are numbered from 0 to `size - 1`. */
  get size(): number {
    return this.#resourceNames.length;
  }

  /** The cell of a destination's resource, or -1. */
  find(destinationKey: string, resource: string): number {
    return this.#byName.get(resource)?.get(destinationKey) ?? -1;
  }

  /** The cell of a destination's resource, made when there is none yet. */
  intern(destinationKey: string, destinationId: number, resource: string): number {
    let cells = this.#byName.get(resource);
    if (cells === undefined) {
      cells = new Map();
      this.#byName.set(resource, cells);
    }
    const known = cells.get(destinationKey);
    if (known !== undefined) return known;
    const cell = this.#freeCells.pop() ?? this.size;
    if (cell === this.load.length) this.#grow();
    cells.set(destinationKey, cell);
    this.#resourceNames[cell] = resource;
    this.#destinationKeys[cell] = destinationKey;
    this.#destinationIds[cell] = destinationId;
    this.load[cell] = 0;
    this.maxLoad[cell] = 0;
    this.#rowCapacity[cell] = UNNAMED;
    this.#named[cell] = 0;
    return cell;
  }

  /** Begins the loading of rows: no cell is named until {@link nameFromRow} says so. */
  beginRows(): void {
    this.#named.fill(0);
  }

  /** A row names the cell. A resized `max_load` stays unless the row's own capacity changed. */
  nameFromRow(cell: number, capacity: number): void {
    this.#named[cell] = 1;
    if (this.#rowCapacity[cell] === capacity) return;
    this.#rowCapacity[cell] = capacity;
    this.maxLoad[cell] = capacity;
  }

  /** Ends the loading of rows: cells that no row names go, unless calls are still counted in them. */
  endRows(): void {
    for (let cell = 0; cell < this.size; cell++) {
      if (this.#named[cell] === 1 || this.#resourceNames[cell] === undefined) continue;
      this.#rowCapacity[cell] = UNNAMED;
      if (this.load[cell] === 0) this.#free(cell);
    }
  }

  /** Capacity that the row gives, whatever a resize made of it; -1 when no row names the cell. */
  rowCapacity(cell: number): number {
    return this.#rowCapacity[cell] ?? UNNAMED;
  }

  /** Sets `max_load`, not above {@link MAX_CAPACITY}. */
  resize(cell: number, capacity: number): void {
    this.maxLoad[cell] = Math.min(capacity, MAX_CAPACITY);
  }

  /** Load of a resource on every destination, or on those with one id, also of rows that are gone; `undefined` when nobody has such a resource. */
  sum(resource: string, destinationId: number | undefined): number | undefined {
    const cells = this.#byName.get(resource);
    if (cells === undefined) return undefined;
    let total = 0;
    for (const cell of cells.values()) {
      if (destinationId === undefined || this.#destinationIds[cell] === destinationId) total += this.load[cell]!;
    }
    return total;
  }

  #free(cell: number): void {
    const resource = this.#resourceNames[cell]!;
    const key = this.#destinationKeys[cell]!;
    const cells = this.#byName.get(resource);
    cells?.delete(key);
    if (cells?.size === 0) this.#byName.delete(resource);
    this.#resourceNames[cell] = undefined;
    this.#destinationKeys[cell] = undefined;
    this.maxLoad[cell] = 0;
    this.#freeCells.push(cell);
  }

  #grow(): void {
    const size = this.load.length * 2;
    this.load = grown(this.load, new Int32Array(size));
    this.maxLoad = grown(this.maxLoad, new Int32Array(size));
    this.#rowCapacity = grown(this.#rowCapacity, new Int32Array(size));
    this.#named = grown(this.#named, new Uint8Array(size));
  }
}

function grown<T extends Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
