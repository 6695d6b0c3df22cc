import { type DialogChanges, type DialogStore, type SavedCapacity, StoreError } from "../../store/index.ts";

export interface HandedStorePorts {
  /** Resolves when the former process has closed the file. */
  readonly released: Promise<void>;
  /** Capacities that are written down there. */
  readonly capacities: () => readonly SavedCapacity[];
  /** Opens the file; undefined when it cannot be used. */
  readonly open: () => Promise<DialogStore | undefined>;
  /** Whether there is such a call, or one that is over and lingers. */
  readonly isKept: (did: string) => boolean;
}

/**
 * The file of calls of the former process. Its calls were told by that process and are written again; what is over is removed. Nothing is written before
 * that process has closed the file.
 */
export class HandedStore implements DialogStore {
  readonly found = [];
  readonly aliveAtMs = undefined;
  /** The file that the former process leaves is the one that was read: no other name was told before. */
  readonly identity = "";
  readonly #ports: HandedStorePorts;
  #store: DialogStore | undefined;
  /** Calls in the file that may be over. */
  #leftovers: readonly string[] = [];
  #firstName: string | undefined;
  #isClosed = false;

  constructor(ports: HandedStorePorts) {
    this.#ports = ports;
  }

  get capacities(): readonly SavedCapacity[] {
    return this.#ports.capacities();
  }

  get crashes(): number {
    return this.#store?.crashes ?? 0;
  }

  async write(changes: DialogChanges): Promise<string> {
    const store = await this.#opened();
    const over = this.#leftovers.filter((did) => !this.#ports.isKept(did));
    const name = await store.write({ ...changes, removed: [...changes.removed, ...over] });
    this.#leftovers = [];
    this.#firstName ??= name;
    return name === this.#firstName ? this.identity : name;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#store?.close();
  }

  async #opened(): Promise<DialogStore> {
    if (this.#store !== undefined) return this.#store;
    await this.#ports.released;
    const store = this.#isClosed ? undefined : await this.#ports.open();
    if (store === undefined) throw new StoreError("IN_USE", "Cannot write calls down: their file cannot be opened");
    this.#leftovers = store.found.map(([did]) => did);
    this.#store = store;
    return store;
  }
}
