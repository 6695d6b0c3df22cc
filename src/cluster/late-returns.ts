import type { CallLoad } from "../balancer/index.ts";

/**
 * Keeps the leases of calls whose caller has hung up until the destination has agreed: it has the call until then, and another node that gave its place
 * away at once could be quicker than the BYE.
 */
export class LateReturns {
  readonly #giveBack: (load: CallLoad, cell: number) => void;
  readonly #kept = new Map<CallLoad, number[]>();

  /** @param giveBack is told of each lease that has ended, now or later */
  constructor(giveBack: (load: CallLoad, cell: number) => void) {
    this.#giveBack = giveBack;
  }

  /** Calls whose leases are kept. */
  get size(): number {
    return this.#kept.size;
  }

  /** From now on what this call gives back is kept until {@link settle}, which its caller is sure to call. */
  hold(load: CallLoad): void {
    if (load.leases.length > 0 && !this.#kept.has(load)) this.#kept.set(load, []);
  }

  /** A lease of the balancer has ended. */
  ended(load: CallLoad, cell: number): void {
    const kept = this.#kept.get(load);
    if (kept === undefined) this.#giveBack(load, cell);
    else kept.push(cell);
  }

  /** The destination has answered, or will not. */
  settle(load: CallLoad): void {
    const kept = this.#kept.get(load);
    if (kept === undefined) return;
    this.#kept.delete(load);
    for (const cell of kept) this.#giveBack(load, cell);
  }

  /** Nobody waits for answers any more: what is kept is given back, or it would count until it expires. */
  close(): void {
    for (const load of [...this.#kept.keys()]) this.settle(load);
  }
}
