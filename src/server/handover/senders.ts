import type { SendOwner } from "../../transaction/index.ts";

/** Requests that are told when the next process could not send them: the last so many. */
const MAX_OWNERS = 20_000;

/** Who has sent what through the next process, by number. */
export class Senders {
  readonly #owners = new Map<number, SendOwner>();
  #last = 0;

  /** The number of what is sent; undefined when nobody is to be told. */
  note(owner: SendOwner | undefined): number | undefined {
    if (owner === undefined) return undefined;
    this.#owners.set(++this.#last, owner);
    if (this.#owners.size > MAX_OWNERS) this.#owners.delete(this.#owners.keys().next().value!);
    return this.#last;
  }

  /** It could not be sent. */
  failed(id: number, reason: string): void {
    const owner = this.#owners.get(id);
    this.#owners.delete(id);
    owner?.transportError(reason);
  }
}
