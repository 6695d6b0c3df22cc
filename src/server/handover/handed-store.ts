import { type DialogChanges, type DialogStore, type HandedCalls, type SavedCapacity, StoreError } from "../../store/index.ts";

export interface HandedStorePorts {
  readonly file: HandedCalls;
  /** Resolves when the former process has closed the file, with the name of the file that has everything which was so at the take-over, if one has. */
  readonly released: Promise<string | undefined>;
  /** Capacities that are written down there. */
  readonly capacities: () => readonly SavedCapacity[];
  /** Whether there is such a call, or one that is over and lingers. */
  readonly isKept: (did: string) => boolean;
}

/**
 * The file of calls of the former process. Its calls were told by that process; those that are over are removed. Nothing is written before that process has
 * closed the file. When that has not everything, or another file is found, its name is another one than {@link identity}, and all calls are written into it.
 */
export class HandedStore implements DialogStore {
  readonly found = [];
  readonly aliveAtMs = undefined;
  readonly #ports: HandedStorePorts;
  /** Calls in the file that may be over; undefined until it is open. */
  #leftovers: readonly string[] | undefined;
  #whole: string | undefined;
  #isClosed = false;

  constructor(ports: HandedStorePorts) {
    this.#ports = ports;
  }

  /** Is known once something was written. */
  get identity(): string {
    return this.#whole ?? "";
  }

  get capacities(): readonly SavedCapacity[] {
    return this.#ports.capacities();
  }

  get crashes(): number {
    return this.#ports.file.crashes;
  }

  async write(changes: DialogChanges): Promise<string> {
    const { file, released } = this.#ports;
    if (this.#leftovers === undefined) return this.#writeFirst(changes, await released);
    const removed = [...changes.removed, ...this.#over(this.#leftovers)];
    const name = await file.write({ ...changes, removed });
    this.#leftovers = [];
    return name;
  }

  #over(dids: readonly string[]): string[] {
    return dids.filter((did) => !this.#ports.isKept(did));
  }

  names(): Promise<readonly string[]> {
    return this.#ports.file.names();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#ports.file.close();
  }

  /** It is late already: what is in the file is read in one go with it, and seen to behind it. */
  async #writeFirst(changes: DialogChanges, whole: string | undefined): Promise<string> {
    const { file } = this.#ports;
    if (this.#isClosed)
      throw new StoreError("FAILED", "Cannot write calls down: the former process has their file, and this one is stopped");
    this.#whole = whole;
    const [taken, written] = await Promise.allSettled([file.take(), file.write(changes)]);
    if (written.status === "rejected") throw written.reason;
    if (taken.status === "rejected") throw taken.reason;
    this.#leftovers = this.#over(taken.value);
    if (this.#leftovers.length > 0) void this.write({ saved: [], removed: [] }).catch(() => undefined); // the next write has them as well
    return written.value;
  }
}
