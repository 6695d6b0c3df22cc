import type { Balancer } from "../balancer/index.ts";
import type { Slot, Slots } from "./slots.ts";

/** Most loads of other nodes that are kept, all nodes together: 200 nodes with 2,500 slots in use each. */
export const MAX_REMOTE_LOADS = 500_000;

/** What all other nodes have in a slot. */
interface Sum {
  readonly name: string;
  calls: number;
  /** Nodes that have calls there. */
  nodes: number;
  /** `undefined` while the table has no such slot, or does not share it. */
  slot: Slot | undefined;
}

/**
 * The calls of other nodes by slot, added up for the balancer. Loads of slots that the table lacks are kept by name, as the other node may have loaded
 * a new table first. Only loads above 0 take room.
 */
export class RemoteLoads {
  /** Loads that were not kept because there were {@link MAX_REMOTE_LOADS}. */
  refused = 0;
  readonly #balancer: Pick<Balancer, "setRemoteLoad" | "remoteLoad">;
  readonly #slots: Slots;
  readonly #sums = new Map<string, Sum>();
  readonly #byNode = new Map<number, Map<Sum, number>>();
  #kept = 0;

  constructor(balancer: Pick<Balancer, "setRemoteLoad" | "remoteLoad">, slots: Slots) {
    this.#balancer = balancer;
    this.#slots = slots;
  }

  /** Loads that are kept. */
  get size(): number {
    return this.#kept;
  }

  /** Slots with calls of others that the table lacks or does not share. */
  get unknownSlots(): number {
    let unknown = 0;
    for (const { slot } of this.#sums.values()) if (slot === undefined) unknown++;
    return unknown;
  }

  /** What a node has, by slot name. */
  of(nodeId: number): ReadonlyMap<string, number> {
    return new Map([...(this.#byNode.get(nodeId) ?? [])].map(([{ name }, calls]) => [name, calls]));
  }

  /** A node has so many calls in a slot now. */
  set(nodeId: number, name: string, calls: number): void {
    let loads = this.#byNode.get(nodeId);
    const sum = this.#sums.get(name);
    const before = sum === undefined ? 0 : (loads?.get(sum) ?? 0);
    if (calls === before) return;
    if (before === 0 && this.#kept >= MAX_REMOTE_LOADS) {
      this.refused++;
      return;
    }
    if (loads === undefined) {
      loads = new Map();
      this.#byNode.set(nodeId, loads);
    }
    this.#change(loads, sum ?? this.#make(name), before, calls);
    if (loads.size === 0) this.#byNode.delete(nodeId);
  }

  /** A node has these loads and no others. */
  replace(nodeId: number, loads: ReadonlyMap<string, number>): void {
    for (const { name } of [...(this.#byNode.get(nodeId)?.keys() ?? [])]) if (!loads.has(name)) this.set(nodeId, name, 0);
    for (const [name, calls] of loads) this.set(nodeId, name, calls);
  }

  /** A node has no calls any more. */
  remove(nodeId: number): void {
    this.replace(nodeId, new Map());
  }

  /** The slots are others. */
  tableChanged(): void {
    for (const sum of this.#sums.values()) sum.slot = this.#shared(sum.name);
    this.apply();
  }

  /** Tells the balancer every sum that it sees otherwise: exact reservations change them too, and what they know is older by now. */
  apply(): void {
    for (const slot of this.#slots.all) {
      const calls = slot.sharing === "off" ? 0 : (this.#sums.get(slot.name)?.calls ?? 0);
      if (this.#balancer.remoteLoad(slot.slotCell) !== calls) this.#balancer.setRemoteLoad(slot.slotCell, calls);
    }
  }

  #change(loads: Map<Sum, number>, sum: Sum, before: number, calls: number): void {
    if (calls === 0) loads.delete(sum);
    else loads.set(sum, calls);
    const more = Number(calls > 0) - Number(before > 0);
    this.#kept += more;
    sum.nodes += more;
    sum.calls += calls - before;
    if (sum.nodes === 0) this.#sums.delete(sum.name);
    if (sum.slot !== undefined) this.#balancer.setRemoteLoad(sum.slot.slotCell, sum.calls);
  }

  #make(name: string): Sum {
    const sum = { name, calls: 0, nodes: 0, slot: this.#shared(name) };
    this.#sums.set(name, sum);
    return sum;
  }

  #shared(name: string): Slot | undefined {
    const slot = this.#slots.byName(name);
    return slot?.sharing === "off" ? undefined : slot;
  }
}
