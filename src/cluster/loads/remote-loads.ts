import type { Balancer } from "../../balancer/index.ts";
import { NONE_TAKEN, type NodeLoad, type Taken } from "./load-message.ts";
import type { Mark } from "./own-takes.ts";
import type { Slot, Slots } from "./slots.ts";

/** Most loads of other nodes that are kept, all nodes together: 200 nodes with 2,500 slots in use each. What was taken over counts too. */
export const MAX_REMOTE_LOADS = 500_000;

/** What all other nodes have in a slot. */
interface Sum {
  readonly name: string;
  /** What nodes have told, less what others have taken over from them. */
  calls: number;
  /** Nodes that have calls there. */
  nodes: number;
  /** `undefined` while the table has no such slot, or does not share it. */
  slot: Slot | undefined;
}

/**
 * The calls of other nodes by slot, added up for the balancer. Loads of slots that the table lacks are kept by name, as the other node may have loaded
 * a new table first. Only loads above 0 take room. A call that went from one node to another counts with the new one as soon as that tells so, and with
 * its former node no more, though that one, being gone, does not tell so.
 */
export class RemoteLoads {
  /** Loads that were not kept because there were {@link MAX_REMOTE_LOADS}. */
  refused = 0;
  readonly #balancer: Pick<Balancer, "setRemoteLoad" | "remoteLoad">;
  readonly #slots: Slots;
  readonly #sums = new Map<string, Sum>();
  /** As told. */
  readonly #byNode = new Map<number, Map<Sum, number>>();
  /** By node that has taken calls over, this one included, and slot. */
  readonly #taken = new Map<number, Map<string, readonly Taken[]>>();
  /** How many of the entries of {@link #taken} are of calls of a node. */
  readonly #takenFrom = new Map<number, number>();
  readonly #marks = new Map<number, Mark>();
  /** Nodes that were removed and of whose takes some count still. */
  readonly #removed = new Set<number>();
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

  /** What a node has told, by slot name. */
  of(nodeId: number): ReadonlyMap<string, number> {
    return new Map([...(this.#byNode.get(nodeId) ?? [])].map(([{ name }, calls]) => [name, calls]));
  }

  /** How far a node has told its loads. */
  markOf(nodeId: number): Mark | undefined {
    return this.#marks.get(nodeId);
  }

  /** Whether some node has told that it has calls of this one. */
  isTakenFrom(nodeId: number): boolean {
    return this.#takenFrom.has(nodeId);
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
    this.#change(nodeId, loads, sum ?? this.#make(name), before, calls);
    if (loads.size === 0) this.#byNode.delete(nodeId);
  }

  /** A node, this one or another, has taken over so many calls in a slot, all in all. @returns whether that is new */
  setTaken(nodeId: number, name: string, taken: readonly Taken[]): boolean {
    let slots = this.#taken.get(nodeId);
    const before = slots?.get(name) ?? NONE_TAKEN;
    if (isSame(before, taken)) return false;
    const isRoom = this.#kept + taken.length - before.length <= MAX_REMOTE_LOADS;
    if (!isRoom) this.refused++;
    const after = isRoom ? taken : NONE_TAKEN;
    const nodes = new Set([...before, ...after].map((each) => each.nodeId));
    this.#adjust(nodes, [name], () => {
      if (slots === undefined) {
        slots = new Map();
        this.#taken.set(nodeId, slots);
      }
      if (after.length > 0) slots.set(name, after);
      else slots.delete(name);
      if (slots.size === 0) this.#taken.delete(nodeId);
      for (const each of before) this.#countTaken(each.nodeId, -1);
      for (const each of after) this.#countTaken(each.nodeId, 1);
    });
    return true;
  }

  /** A node has told its loads so far: what was taken from it before is no more in what it tells. */
  asOf(nodeId: number, incarnation: string, seq: number): void {
    const before = this.#marks.get(nodeId);
    if (before?.incarnation === incarnation && before.seq >= seq) return;
    const mark = (): void => void this.#marks.set(nodeId, { incarnation, seq });
    if (this.#takenFrom.has(nodeId)) this.#adjust([nodeId], [...this.#namesOf(nodeId)], mark);
    else mark();
  }

  /** A node has these loads and no others. */
  replace(nodeId: number, loads: ReadonlyMap<string, NodeLoad>): void {
    this.#removed.delete(nodeId);
    this.#setLoads(nodeId, loads);
    for (const name of [...(this.#taken.get(nodeId)?.keys() ?? [])]) if (!loads.has(name)) this.setTaken(nodeId, name, NONE_TAKEN);
    for (const [name, { taken }] of loads) this.setTaken(nodeId, name, taken);
  }

  /** A node has no calls any more. What it had taken over is left out where it is counted with nodes before it. */
  remove(nodeId: number): void {
    this.#setLoads(nodeId, new Map());
    this.#marks.delete(nodeId);
    if (this.#taken.has(nodeId)) this.#removed.add(nodeId);
    for (const removed of this.#removed) {
      for (const [name, taken] of [...(this.#taken.get(removed) ?? [])]) {
        const still = taken.filter((each) => this.#byNode.has(each.nodeId));
        if (still.length < taken.length) this.setTaken(removed, name, still);
      }
      if (!this.#taken.has(removed)) this.#removed.delete(removed);
    }
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

  #setLoads(nodeId: number, loads: ReadonlyMap<string, NodeLoad>): void {
    for (const { name } of [...(this.#byNode.get(nodeId)?.keys() ?? [])]) if (!loads.has(name)) this.set(nodeId, name, 0);
    for (const [name, { calls }] of loads) this.set(nodeId, name, calls);
  }

  #change(nodeId: number, loads: Map<Sum, number>, sum: Sum, before: number, calls: number): void {
    if (calls === 0) loads.delete(sum);
    else loads.set(sum, calls);
    const more = Number(calls > 0) - Number(before > 0);
    this.#kept += more;
    sum.nodes += more;
    const taken = this.#takenOf(nodeId, sum.name);
    sum.calls += Math.max(0, calls - taken) - Math.max(0, before - taken);
    if (sum.nodes === 0) this.#sums.delete(sum.name);
    if (sum.slot !== undefined) this.#balancer.setRemoteLoad(sum.slot.slotCell, sum.calls);
  }

  /** Calls of a node that others have, as far as it counts them itself. */
  #takenOf(nodeId: number, name: string): number {
    const mark = this.#takenFrom.has(nodeId) ? this.#marks.get(nodeId) : undefined;
    if (mark === undefined) return 0;
    let calls = 0;
    for (const slots of this.#taken.values()) {
      for (const each of slots.get(name) ?? NONE_TAKEN) {
        if (each.nodeId === nodeId && each.incarnation === mark.incarnation && each.seq >= mark.seq) calls += each.calls;
      }
    }
    return calls;
  }

  /** Changes what was taken from these nodes in these slots. */
  #adjust(nodes: Iterable<number>, names: readonly string[], change: () => void): void {
    const parts = [...nodes].flatMap((nodeId) =>
      names.flatMap((name) => {
        const sum = this.#sums.get(name);
        const told = sum && this.#byNode.get(nodeId)?.get(sum);
        return sum === undefined || told === undefined ? [] : [{ nodeId, sum, told, before: this.#takenOf(nodeId, name) }];
      }),
    );
    change();
    for (const { nodeId, sum, told, before } of parts) {
      sum.calls += Math.max(0, told - this.#takenOf(nodeId, sum.name)) - Math.max(0, told - before);
    }
    for (const { slot, calls } of new Set(parts.map(({ sum }) => sum))) {
      if (slot !== undefined) this.#balancer.setRemoteLoad(slot.slotCell, calls);
    }
  }

  /** Slots in which calls of a node were taken over. */
  #namesOf(nodeId: number): Set<string> {
    const names = new Set<string>();
    for (const slots of this.#taken.values()) {
      for (const [name, taken] of slots) if (taken.some((each) => each.nodeId === nodeId)) names.add(name);
    }
    return names;
  }

  #countTaken(nodeId: number, more: number): void {
    const count = (this.#takenFrom.get(nodeId) ?? 0) + more;
    this.#kept += more;
    if (count > 0) this.#takenFrom.set(nodeId, count);
    else this.#takenFrom.delete(nodeId);
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

function isSame(some: readonly Taken[], others: readonly Taken[]): boolean {
  if (some.length !== others.length) return false;
  return some.every(({ nodeId, incarnation, seq, calls }, i) => {
    const other = others[i]!;
    return nodeId === other.nodeId && incarnation === other.incarnation && seq === other.seq && calls === other.calls;
  });
}
