import type { Keys } from "../keys.ts";
import type { LoadSharing } from "../ports.ts";
import { LeaseOwner, SlotLeases } from "./lease-holds.ts";

/** A slot of the table, as leases need it. */
export interface LeaseSlot {
  readonly owner: string;
  readonly resource: string;
  readonly slotCell: number;
  readonly sharing: LoadSharing;
}

/** The slots that have, or had, exact loads. One whose rows are gone stays while calls hold leases there. */
export class LeaseSlots {
  readonly #keys: Keys;
  readonly #owners = new Map<string, LeaseOwner>();
  readonly #byKey = new Map<string, SlotLeases>();

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  owner(name: string): LeaseOwner | undefined {
    return this.#owners.get(name);
  }

  owners(): LeaseOwner[] {
    return [...this.#owners.values()];
  }

  all(): IterableIterator<SlotLeases> {
    return this.#byKey.values();
  }

  /** The table is about to be read: no slot has a place in it until {@link take} says so. */
  begin(): void {
    for (const slot of this.#byKey.values()) slot.slotCell = -1;
  }

  /** The table has this slot. */
  take({ owner: name, resource, slotCell }: LeaseSlot): SlotLeases {
    const key = this.#keys.leases(name, resource);
    let slot = this.#byKey.get(key);
    if (slot === undefined) {
      let owner = this.#owners.get(name);
      if (owner === undefined) {
        owner = new LeaseOwner(name, this.#keys.leasesReady(name));
        this.#owners.set(name, owner);
      }
      slot = new SlotLeases(owner, resource, key, slotCell);
      this.#byKey.set(key, slot);
    }
    slot.slotCell = slotCell;
    return slot;
  }

  /** The table was read. */
  end(): void {
    for (const [key, slot] of this.#byKey) {
      if (slot.slotCell !== -1 || slot.isInUse) continue;
      this.#byKey.delete(key);
      const { owner } = slot;
      owner.slots.splice(owner.slots.indexOf(slot), 1);
      if (owner.slots.length === 0) this.#owners.delete(owner.name);
    }
  }
}
