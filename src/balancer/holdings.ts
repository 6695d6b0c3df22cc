import type { Holding, LbSession } from "./call-load.ts";

/** Most kinds of holdings that are remembered: destinations times ways to get there. A call of another kind has its own. */
const MAX_KINDS = 4_096;

/**
 * What calls hold once they are up: one for all that hold the same. A hundred thousand calls at ten destinations hold ten different things, and each of its own
 * would cost them 400 bytes.
 */
export class Holdings {
  readonly #known = new Map<string, Holding>();
  /** By its cell, the latest that is one lease of the pick: nearly all are, and are found without making a key of 60 characters. */
  readonly #single: (Holding | undefined)[] = [];

  /** The one that stands for all of its kind. Its arrays have no room for more, as they get no more. */
  find(holding: Holding): Holding {
    const { leases, picked, session } = holding;
    const cell = leases.length === 1 && picked.length === 1 && picked[0] === leases[0] ? picked[0]! : -1;
    const likely = cell === -1 ? undefined : this.#single[cell];
    if (likely !== undefined && isSame(likely.session, session)) return likely;
    const found = this.#find(holding);
    if (cell !== -1 && cell < MAX_KINDS) this.#single[cell] = found;
    return found;
  }

  #find(holding: Holding): Holding {
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

function isSame(a: LbSession, b: LbSession): boolean {
  if (a.group !== b.group || a.flags !== b.flags || a.resources !== b.resources || a.tried.length !== b.tried.length) return false;
  for (let i = 0; i < a.tried.length; i++) if (a.tried[i] !== b.tried[i]) return false;
  return true;
}
