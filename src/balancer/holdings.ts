import type { Holding } from "./call-load.ts";

/** Most kinds of holdings that are remembered: destinations times ways to get there. A call of another kind has its own. */
const MAX_KINDS = 4_096;

/**
 * What calls hold once they are up: one for all that hold the same. A hundred thousand calls at ten destinations hold ten different things, and each of its own
 * would cost them 400 bytes.
 */
export class Holdings {
  readonly #known = new Map<string, Holding>();

  /** The one that stands for all of its kind. Its arrays have no room for more, as they get no more. */
  find(holding: Holding): Holding {
    const { leases, picked, session } = holding;
    const key = `${leases.join()};${picked.join()};${session.group};${session.flags};${session.resources.length};${session.resources};${session.tried.join("\n")}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const lean = holding.copy();
    if (this.#known.size >= MAX_KINDS) this.#known.clear(); // those of today are soon known again
    lean.isShared = true;
    this.#known.set(key, lean);
    return lean;
  }
}
