import type { CallLoad } from "../../balancer/index.ts";

/** The destinations or the pool that leases belong to: their keys lie on one shard, and one key says whether they can be relied on. */
export class LeaseOwner {
  readonly name: string;
  readonly readyKey: string;
  readonly slots: SlotLeases[] = [];
  /** The settling, by when it ends, for which this node has added its leases. */
  addedFor = 0;

  constructor(name: string, readyKey: string) {
    this.name = name;
    this.readyKey = readyKey;
  }
}

/** A slot whose calls have leases in Redis. */
export class SlotLeases {
  readonly owner: LeaseOwner;
  readonly resource: string;
  readonly key: string;
  /** Where the balancer has its capacity; -1 when no row has it now. */
  slotCell: number;
  readonly holds = new Set<Hold>();
  /** Leases of this node that Redis has, as its answers say. */
  acknowledged = 0;
  /** Of these, leases that calls are about to give back: the balancer counts them no more. */
  kept = 0;
  /** Answers to what was given back that are still to come. */
  releasing = 0;
  /** Members that Redis may still have though the call gave them back: it could not be told. */
  readonly owed = new Set<string>();

  constructor(owner: LeaseOwner, resource: string, key: string, slotCell: number) {
    this.owner = owner;
    this.resource = resource;
    this.key = key;
    this.slotCell = slotCell;
    owner.slots.push(this);
  }

  /** Redis may have something of it that this node is to know of. */
  get isInUse(): boolean {
    return this.holds.size > 0 || this.owed.size > 0 || this.releasing > 0;
  }
}

/** What one call has in one slot. */
export class Hold {
  readonly load: CallLoad;
  readonly name: string;
  readonly slot: SlotLeases;
  /** Units that the call counts there. */
  wanted = 0;
  /** Of {@link wanted}, units that Redis is being asked for. */
  asking = 0;
  /** Of {@link wanted}, units that others had taken: the call is about to give them up. */
  refused = 0;
  /** Units that Redis has, or may have once everything that was sent is carried out. */
  sent = 0;
  /** Units that Redis has, as its answers say. */
  acknowledged = 0;
  /** Units that the call wants no more, and that stay in Redis until its destination agrees. */
  kept = 0;
  /** When it is to be renewed next, by the clock of this process. */
  dueMs = 0;

  constructor(load: CallLoad, name: string, slot: SlotLeases) {
    this.load = load;
    this.name = name;
    this.slot = slot;
    slot.holds.add(this);
  }

  /** Units that the call has, or is asking for. */
  get granted(): number {
    return this.wanted - this.refused;
  }

  /** Units that belong into Redis, whatever it says. */
  get settled(): number {
    return Math.max(0, this.wanted - this.refused - this.asking);
  }

  /** Names in Redis of the units from `first` to the one before `end`. */
  members(first: number, end: number): string[] {
    const members: string[] = [];
    for (let unit = first; unit < end; unit++) members.push(unit === 0 ? this.name : `${this.name}+${unit}`);
    return members;
  }

  /** So many units more are kept. */
  keep(units: number): void {
    this.kept += units;
    this.slot.kept += units;
  }

  /** Redis has told that it has `units` of it now. */
  acknowledge(units: number): void {
    this.slot.acknowledged += units - this.acknowledged;
    this.acknowledged = units;
  }
}

/** All that the calls of this node hold, by call. */
export class Holds {
  readonly #byCall = new Map<CallLoad, Hold[]>();

  /** Calls that hold something. */
  get size(): number {
    return this.#byCall.size;
  }

  calls(): IterableIterator<CallLoad> {
    return this.#byCall.keys();
  }

  of(load: CallLoad): readonly Hold[] {
    return this.#byCall.get(load) ?? NONE;
  }

  find(load: CallLoad, slot: SlotLeases): Hold | undefined {
    return this.#byCall.get(load)?.find((hold) => hold.slot === slot);
  }

  make(load: CallLoad, name: string, slot: SlotLeases): Hold {
    const hold = new Hold(load, name, slot);
    const others = this.#byCall.get(load);
    if (others === undefined) this.#byCall.set(load, [hold]);
    else others.push(hold);
    return hold;
  }

  /** The call has nothing there any more. */
  drop(hold: Hold): void {
    hold.slot.holds.delete(hold);
    const holds = this.#byCall.get(hold.load);
    const at = holds?.indexOf(hold) ?? -1;
    if (holds === undefined || at === -1) return;
    if (holds.length === 1) this.#byCall.delete(hold.load);
    else holds.splice(at, 1);
  }
}

const NONE: readonly Hold[] = [];
