import type { Hold, SlotLeases } from "./lease-holds.ts";
import type { LeaseSender } from "./lease-sender.ts";

/** Calls that are remembered after they went to another node; what is beyond that expires by itself. */
export const MAX_DEPARTED = 10_000;

/**
 * Leases of calls that went to another node, which gives them back when the call ends. This node may have renewed one after that, before it heard that
 * the call had gone: so it gives it back itself when it hears that the call is over.
 */
export class Departures {
  readonly #sender: Pick<LeaseSender, "giveBack">;
  readonly #departed = new Map<string, [slot: SlotLeases, member: string][]>();

  constructor(sender: Pick<LeaseSender, "giveBack">) {
    this.#sender = sender;
  }

  /** Calls that are remembered. */
  get size(): number {
    return this.#departed.size;
  }

  /** A call has gone with what it holds there: nothing of it is given back now. */
  leave(hold: Hold): void {
    const members = hold.members(0, hold.sent).map((member): [SlotLeases, string] => [hold.slot, member]);
    hold.wanted = 0;
    hold.refused = 0;
    hold.sent = 0;
    hold.keep(-hold.kept);
    hold.acknowledge(0);
    if (members.length === 0) return;
    const others = this.#departed.get(hold.name);
    if (others !== undefined) others.push(...members);
    else if (this.#departed.size >= MAX_DEPARTED) this.#departed.delete(this.#departed.keys().next().value!);
    if (others === undefined) this.#departed.set(hold.name, members);
  }

  /** The call is here again. */
  back(name: string): void {
    this.#departed.delete(name);
  }

  /** The call has ended elsewhere. */
  over(name: string): void {
    for (const [slot, member] of this.#departed.get(name) ?? []) this.#sender.giveBack(slot, [member]);
    this.#departed.delete(name);
  }
}
