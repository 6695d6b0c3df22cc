import { Changes } from "./changes.ts";
import type { SharedLoads } from "./shared-loads.ts";

/** {@link Changes} of this thread and, once they are collected, of the others: an index over slots need not know that there are any. */
export class SharedChanges extends Changes {
  readonly #shared: SharedLoads;
  readonly #note = (cell: number): void => super.cell(cell);

  constructor(shared: SharedLoads) {
    super();
    this.#shared = shared;
  }

  override cell(cell: number): void {
    super.cell(cell);
    this.#shared.tell(cell);
  }

  /** Rows have other numbers in other threads. */
  override row(row: number): void {
    super.cell(~row);
  }

  override collect(): void {
    if (!this.#shared.news(this.#note)) this.all();
  }
}
