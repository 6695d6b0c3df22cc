import type { Balancer } from "../balancer/index.ts";
import type { Capacity, Freeswitch, Situation } from "../freeswitch/index.ts";

/** What a fed cell needs of the balancer. */
export type FedCells = Pick<Balancer, "capacity" | "feed" | "load" | "foreignLoad" | "remoteLoad">;

/**
 * One capacity that FreeSWITCH tells: that of a resource, or of a whole pool. Rows of a pool may name several FreeSWITCHes, or give a number beside one;
 * then the smallest is used, as it is of numbers that differ.
 */
export class FedCell {
  readonly cell: number;
  readonly sources: readonly Freeswitch[];
  /** Smallest capacity that a row gives itself; Infinity when none does. */
  readonly most: number;
  #told: { readonly capacity: number; readonly heartbeats: number } | undefined;

  constructor(cell: number, sources: readonly Freeswitch[], most: number) {
    this.cell = cell;
    this.sources = sources;
    this.most = most;
  }

  /** Takes over what the cell was told before a reload, if the same FreeSWITCHes told it and rows give it the same number: another one is no resize. */
  inherit(before: FedCell | undefined): void {
    const sameSources = before?.sources.length === this.sources.length && before.sources.every((source, i) => source === this.sources[i]);
    if (sameSources && before.most === this.most) this.#told = before.#told;
  }

  /**
   * Computes the capacity and tells the balancer. One that somebody has resized meanwhile stays until the next heartbeat, so that a resize is not undone
   * by the next call.
   */
  update(balancer: FedCells, situationOf: (source: Freeswitch) => Situation): void {
    const { cell, sources } = this;
    const heartbeats = sources.reduce((sum, { counters }) => sum + counters.heartbeats, 0);
    const told = this.#told;
    if (told !== undefined && told.heartbeats === heartbeats && balancer.capacity(cell) !== told.capacity) return;
    const { maxLoad, foreignLoad } = this.#capacity(balancer.load(cell) + balancer.remoteLoad(cell), situationOf);
    if (balancer.capacity(cell) !== maxLoad || balancer.foreignLoad(cell) !== foreignLoad) balancer.feed(cell, maxLoad, foreignLoad);
    this.#told = { capacity: maxLoad, heartbeats };
  }

  #capacity(load: number, situationOf: (source: Freeswitch) => Situation): Capacity {
    let smallest: Capacity = { maxLoad: this.most, foreignLoad: 0 };
    for (const source of this.sources) {
      const capacity = source.model.capacity(load, situationOf(source));
      if (capacity.maxLoad - capacity.foreignLoad < smallest.maxLoad - smallest.foreignLoad) smallest = capacity;
    }
    return smallest;
  }
}
