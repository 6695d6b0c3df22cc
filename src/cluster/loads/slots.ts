import type { Balancer, Destination } from "../../balancer/index.ts";
import type { LoadSharing } from "../ports.ts";

/** A capacity that nodes of the cluster fill together: that of a destination's resource, or of a pool's. */
export interface Slot {
  /** The same on every node: {@link owner}, a blank and {@link resource}. */
  readonly name: string;
  /**
   * `<group> <uri in lower case>` or `pool <name>`. Of rows with one group and URI that have a resource in common, all but the first get ` #<id>` behind it:
   * these have to have the same id on every node.
   */
  readonly owner: string;
  /** As in the table, suffix and all; without blanks. */
  readonly resource: string;
  /** Where the balancer counts its calls. */
  readonly slotCell: number;
  readonly sharing: LoadSharing;
}

/** Longest {@link Slot.name} that is told to others, in characters: the table has room for 255 of a URI. Longer ones are not shared. */
export const MAX_SLOT_NAME_CHARS = 1024;

/** What {@link Slots} needs of the balancer. */
export type SlotBalancer = Pick<Balancer, "destinations" | "slotCell">;

/** The slots of the table, by names that do not depend on ids and so are the same on nodes that number their rows differently. */
export class Slots {
  readonly #balancer: SlotBalancer;
  readonly #mode: LoadSharing;
  #all: readonly Slot[] = [];
  #byName = new Map<string, Slot>();
  #bySlotCell = new Map<number, Slot>();

  /** @param mode how calls are counted for resources whose name does not say it: suffix `/b` is shared, `/s` exact */
  constructor(balancer: SlotBalancer, mode: LoadSharing) {
    this.#balancer = balancer;
    this.#mode = mode;
    this.tableChanged();
  }

  /** To be told of a new table in the same step, before those who ask. */
  tableChanged(): void {
    const all: Slot[] = [];
    const bySlotCell = new Map<number, Slot>();
    const taken = new Set<string>();
    for (const destination of this.#balancer.destinations()) {
      const owner = ownerOf(destination, taken);
      for (const { name: resource, cell } of destination.resources) {
        const slotCell = this.#balancer.slotCell(cell);
        const name = `${owner} ${resource}`;
        taken.add(name);
        if (bySlotCell.has(slotCell)) continue;
        const sharing = name.length > MAX_SLOT_NAME_CHARS ? "off" : sharingOf(resource, this.#mode);
        const slot = { name, owner, resource, slotCell, sharing };
        all.push(slot);
        bySlotCell.set(slotCell, slot);
      }
    }
    this.#all = all;
    this.#bySlotCell = bySlotCell;
    this.#byName = new Map(all.map((slot) => [slot.name, slot]));
  }

  /** In the order of the table; each pool once. The list is replaced, not changed. */
  get all(): readonly Slot[] {
    return this.#all;
  }

  byName(name: string): Slot | undefined {
    return this.#byName.get(name);
  }

  /** The slot that is read in a cell ({@link Balancer.slotCell}). */
  bySlotCell(cell: number): Slot | undefined {
    return this.#bySlotCell.get(cell);
  }
}

/** How calls are counted for a resource: its suffix says it (OpenSIPS profile names, `/b` and `/s`), else the mode. */
export function sharingOf(resource: string, mode: LoadSharing): LoadSharing {
  if (resource.endsWith("/b")) return "shared";
  return resource.endsWith("/s") ? "exact" : mode;
}

/** @param taken names of the rows before */
function ownerOf({ id, group, uri, options, resources }: Destination, taken: ReadonlySet<string>): string {
  if (options.shared !== undefined) return `pool ${options.shared}`;
  const owner = `${group} ${uri.toLowerCase()}`;
  return resources.some(({ name }) => taken.has(`${owner} ${name}`)) ? `${owner} #${id}` : owner;
}
