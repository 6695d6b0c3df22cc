import type { DialogChanges, DialogStore, SavedCapacity, SavedDialog } from "../../src/store/index.ts";

/** A file that is on no disk. */
export class MemoryDialogs implements DialogStore {
  readonly rows: Map<string, string>;
  readonly found: readonly SavedDialog[];
  readonly crashes = 0;
  readonly identity = "first";
  aliveAtMs: number | undefined = undefined;
  capacities: readonly SavedCapacity[] = [];
  /** Number of calls that each write had. */
  readonly batches: number[] = [];
  name = "first";
  isBroken = false;
  /** Writes wait for this. */
  disk: Promise<void> = Promise.resolve();

  constructor(rows = new Map<string, string>()) {
    this.rows = rows;
    this.found = [...rows];
  }

  async write({ saved, removed, capacities = this.capacities, aliveAtMs = this.aliveAtMs }: DialogChanges): Promise<string> {
    await this.disk;
    if (this.isBroken) throw new Error("the disk is full");
    this.capacities = capacities;
    this.aliveAtMs = aliveAtMs;
    this.batches.push(saved.length + removed.length);
    for (const [did, record] of saved) this.rows.set(did, record);
    for (const did of removed) this.rows.delete(did);
    return this.name;
  }

  async names(): Promise<readonly string[]> {
    if (this.isBroken) throw new Error("the disk is broken");
    return [...this.rows.keys()];
  }

  async close(): Promise<void> {}
}
