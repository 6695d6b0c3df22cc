import type { CallLoad } from "../../balancer/index.ts";

/**
 * Calls whose caller has hung up and whose destination has not agreed yet: it has the call until then, and another node that was given its place at once
 * could be quicker than the BYE.
 */
export class LateReturns {
  /** BYEs under way. */
  readonly #byes = new Map<CallLoad, number>();

  /** Calls that are being hung up. */
  get size(): number {
    return this.#byes.size;
  }

  /** A BYE is sent; {@link settle} is sure to follow, once for each. */
  hold(load: CallLoad): void {
    this.#byes.set(load, (this.#byes.get(load) ?? 0) + 1);
  }

  has(load: CallLoad): boolean {
    return this.#byes.has(load);
  }

  /** The destination has answered a BYE, or will not. True when it was the last one under way: now the places are free. */
  settle(load: CallLoad): boolean {
    const left = (this.#byes.get(load) ?? 0) - 1;
    if (left > 0) this.#byes.set(load, left);
    else return this.#byes.delete(load);
    return false;
  }

  /** Nobody waits for answers any more. @returns the calls that were being hung up: what they keep would count until it expires */
  close(): CallLoad[] {
    const left = [...this.#byes.keys()];
    this.#byes.clear();
    return left;
  }
}
