import type { Balancer } from "../../balancer/index.ts";
import type { Dialog } from "../../dialog/index.ts";
import type { LoadNote } from "./messages.ts";

type GivenBalancer = Pick<Balancer, "destinations" | "ownLoad" | "release" | "remoteLoad" | "setRemoteLoad" | "slotCell">;

/** What the next process counts, as far as this one has to know it: it still chooses destinations, and must not give the same capacity away twice. */
export class GivenLoads {
  readonly #balancer: GivenBalancer;

  constructor(balancer: GivenBalancer) {
    this.#balancer = balancer;
  }

  /** Calls that are the next process's are counted as those of others from now on: no load changes by it. */
  give(calls: readonly Pick<Dialog, "load">[]): void {
    const balancer = this.#balancer;
    const slots = new Set(calls.flatMap(({ load }) => load.leases.map((cell) => balancer.slotCell(cell))));
    const totals = [...slots].map((slot) => [slot, balancer.ownLoad(slot) + balancer.remoteLoad(slot)] as const);
    for (const { load } of calls) balancer.release(load);
    for (const [slot, total] of totals) balancer.setRemoteLoad(slot, total - balancer.ownLoad(slot));
  }

  /** The next process tells all that it counts, the calls of this one among them. */
  told(loads: readonly LoadNote[]): void {
    const balancer = this.#balancer;
    const byKey = new Map(balancer.destinations().map((destination) => [destination.key, destination]));
    for (const [key, resource, calls] of loads) {
      const cell = byKey.get(key)?.resources.find(({ name }) => name === resource)?.cell;
      if (cell === undefined) continue;
      const slot = balancer.slotCell(cell);
      balancer.setRemoteLoad(slot, Math.max(0, calls - balancer.ownLoad(slot)));
    }
  }
}
