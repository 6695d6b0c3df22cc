import type { Destination, Entry } from "./destination.ts";

/** Names that one counted call may have brought from elsewhere: that of its `duid` and that of its place. */
const MAX_NAMES = 2;

/**
 * Which call counts on which destination. A call counts on one at most. It is known by an object of its owner's choice, so that what is given back twice
 * is given back once, and a count cannot outlive its call.
 */
export class CallCounts {
  readonly #entries = new Map<object, Entry>();
  /** Calls of other processes whose destination is in no set: they count as soon as it is. */
  readonly #homeless = new Map<object, readonly string[]>();
  readonly #freed: (entry: Entry) => void;

  /** @param freed is told of each destination that a call has left */
  constructor(freed: (entry: Entry) => void) {
    this.#freed = freed;
  }

  /** Calls that count, those whose destination is in no set included. */
  get size(): number {
    return this.#entries.size + this.#homeless.size;
  }

  /** Counts a call here, and no longer where it was counted. */
  move(owner: object, entry: Entry): void {
    if (this.#entries.get(owner) === entry) return;
    this.release(owner);
    this.#entries.set(owner, entry);
    entry.addLoad(1);
  }

  /** The call ended, or went elsewhere. Harmless when repeated. */
  release(owner: object): void {
    this.#homeless.delete(owner);
    const entry = this.#entries.get(owner);
    if (entry === undefined) return;
    this.#entries.delete(owner);
    entry.addLoad(-1);
    this.#freed(entry);
  }

  of(owner: object): Destination | undefined {
    return this.#entries.get(owner);
  }

  /** The destination that a call counts on, by names that other processes know, too; none when it counts nowhere. */
  namesOf(owner: object): readonly string[] {
    return this.#entries.get(owner)?.names ?? this.#homeless.get(owner) ?? [];
  }

  /** Counts a call that another process has counted under these names. */
  adopt(owner: object, names: readonly string[], find: (names: readonly string[]) => Entry | undefined): void {
    const entry = find(names);
    if (entry !== undefined) {
      this.move(owner, entry);
      return;
    }
    this.release(owner);
    this.#homeless.set(owner, names.slice(0, MAX_NAMES));
  }

  /** To be called when the sets are others. */
  rehome(find: (names: readonly string[]) => Entry | undefined): void {
    for (const [owner, names] of this.#homeless) {
      const entry = find(names);
      if (entry !== undefined) this.move(owner, entry);
    }
  }
}
