/** How many of the latest changes are remembered; a power of two. Who missed more looks at everything anew, which a pick in so many pays for. */
export const CHANGES_KEPT = 2_048;

const LAST = CHANGES_KEPT - 1;

/**
 * Remembers which cells and rows changed last, so that an index over slots brings itself up to date when it is asked, however many there are and
 * whether or not anybody asks. It stands in the path of every call: noting is two stores, whoever reads.
 */
export class Changes {
  /** A ring: numbers of cells, and of rows as `~row`, which is below 0. */
  readonly #entries = new Int32Array(CHANGES_KEPT);
  /** Where the next change goes. */
  #at = 0;
  /** How often the ring was full. Both are small whole numbers, as one count of all changes would in the end be no longer. */
  #lap = 0;

  /** Load or capacity of a cell has changed. */
  cell(cell: number): void {
    const at = this.#at;
    this.#entries[at] = cell;
    this.#at = (at + 1) & LAST;
    if (at === LAST) this.#lap++;
  }

  /** Notes what others have changed, where there are others. To be called before {@link since}. */
  collect(): void {
    // Nobody else changes anything.
  }

  /** Status bits of a row have changed. */
  row(row: number): void {
    this.cell(~row);
  }

  /** Everything may have changed. */
  all(): void {
    this.#lap += 2;
  }

  /** Where the next change goes, for a reader that is up to date. */
  get at(): number {
    return this.#at;
  }

  get lap(): number {
    return this.#lap;
  }

  /** How many changes a reader has missed that was up to date then; above {@link CHANGES_KEPT}, which ones is not known any more. */
  since(lap: number, at: number): number {
    return (this.#lap - lap) * CHANGES_KEPT + this.#at - at;
  }

  /** The change at a place: of a cell, or `~row`. */
  read(at: number): number {
    return this.#entries[at & LAST]!;
  }
}
