import { END_OF_ROW_IDS, FIRST_ROW_ID } from "./limits.ts";
import type { DigestHash } from "./ports.ts";

/** 52 bits: what a number holds exactly. */
const HASH_CHARS = 13;

/** Ids for rows: each follows from the key of its row, so that it is the same after a restart; where two meet, the later takes the next free one. */
export class RowIds {
  readonly #hash: DigestHash;
  readonly #isTakenElsewhere: (id: number) => boolean;
  readonly #taken = new Set<number>();

  constructor(hash: DigestHash, isTakenElsewhere: (id: number) => boolean = () => false) {
    this.#hash = hash;
    this.#isTakenElsewhere = isTakenElsewhere;
  }

  allocate(key: string): number {
    const size = END_OF_ROW_IDS - FIRST_ROW_ID;
    let offset = Number.parseInt(this.#hash.digest("SHA-256", key).slice(0, HASH_CHARS), 16) % size;
    // At most as many steps as there are rows, a few thousand in a thousand million.
    while (this.#taken.has(FIRST_ROW_ID + offset) || this.#isTakenElsewhere(FIRST_ROW_ID + offset)) offset = (offset + 1) % size;
    this.#taken.add(FIRST_ROW_ID + offset);
    return FIRST_ROW_ID + offset;
  }

  /** Takes the id that a row had before a restart. False when it is not one of ours, or another row has it. */
  claim(id: number): boolean {
    if (!Number.isSafeInteger(id) || id < FIRST_ROW_ID || id >= END_OF_ROW_IDS || this.#taken.has(id)) return false;
    this.#taken.add(id);
    return true;
  }

  /** To be called when nothing counts on the row any more. */
  release(id: number): void {
    this.#taken.delete(id);
  }
}
