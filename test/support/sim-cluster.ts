import type { HeldLease } from "../../src/balancer/index.ts";
import { type Dialog, type DialogSnapshot, endpointsOf, snapshotOf } from "../../src/dialog/index.ts";
import type { Elsewhere, Found, FoundDialog } from "../../src/proxy/index.ts";
import type { SipRequest, SipResponse } from "../../src/sip/index.ts";
import { SimCall } from "./sim-call.ts";
import { SimNetwork } from "./sim-network.ts";
import type { SimOptions } from "./sim-options.ts";

/** What a node keeps for the others of one call. */
interface Kept {
  readonly snapshot: DialogSnapshot;
  readonly held: readonly HeldLease[];
  readonly isGuest: boolean;
}

/** The calls of other nodes as a node of the simulation finds them: at once, or when a test says so. Each snapshot goes through JSON. */
export class SimElsewhere implements Elsewhere {
  net!: SimNetwork;
  readonly kept = new Map<string, Kept>();
  /** What was asked for, oldest first. */
  readonly asked: (string | undefined)[] = [];
  /** Searches wait for {@link answer}. */
  waits = false;
  /** Takes the place of a search. */
  instead: (() => Promise<Found> | undefined) | undefined = undefined;
  readonly #waiting: (() => void)[] = [];

  /** Keeps a call of another node. @param isGuest its node is alive and the call is not up */
  keep(net: SimNetwork, dialog: Dialog, isGuest = false): void {
    const held = net.balancer.held(dialog.load);
    this.kept.set(dialog.did, { ...(JSON.parse(JSON.stringify({ snapshot: snapshotOf(dialog), held })) as Kept), isGuest });
  }

  find(did: string | undefined, message: SipRequest | SipResponse): Promise<Found> | undefined {
    this.asked.push(did);
    if (this.instead !== undefined) return this.instead();
    if (did === undefined) return undefined;
    if (!this.waits) return Promise.resolve().then(() => this.#take(did, message));
    return new Promise((resolve) => this.#waiting.push(() => resolve(this.#take(did, message))));
  }

  /** Ends the searches that wait. */
  async answer(): Promise<void> {
    for (const end of this.#waiting.splice(0)) end();
    await this.net.runAsync(0);
  }

  #take(did: string, message: SipRequest | SipResponse): FoundDialog | undefined {
    const { dialogs, balancer, listener4, listener6 } = this.net;
    const here = dialogs.byDid(did);
    if (here !== undefined) return { dialog: here, isGuest: false };
    const kept = this.kept.get(did);
    const endpoints = kept && endpointsOf(kept.snapshot, [listener4, listener6]);
    if (kept === undefined || endpoints === undefined) return undefined;
    const guest = dialogs.guest(kept.snapshot, endpoints);
    if (!guest.owns(message)) return undefined;
    if (kept.isGuest) return { dialog: guest, isGuest: true };
    const dialog = dialogs.restore(kept.snapshot, endpoints);
    if (dialog === undefined) return undefined;
    this.kept.delete(did);
    balancer.adopt(dialog.load, kept.held);
    return { dialog, isGuest: false };
  }
}

/** A node that has died and the one that has its address now. Both simulate the same peers, each its own. */
export class SimFailover {
  readonly elsewhere = new SimElsewhere();
  readonly before: SimNetwork;
  readonly net: SimNetwork;

  constructor(options: SimOptions = {}) {
    this.before = new SimNetwork({ ...options, tokens: "old" });
    this.net = new SimNetwork({ elsewhere: this.elsewhere, ...options });
    this.elsewhere.net = this.net;
  }

  /** The parties of a call of the first node, which go on with it through the second one. */
  moved(call: SimCall, isGuest = false): SimCall {
    for (const dialog of this.before.dialogs.list()) if (dialog.callId === call.callId) this.elsewhere.keep(this.before, dialog, isGuest);
    const { delivered, answer, toTag, caller, callee, invite } = call;
    return Object.assign(new SimCall(this.net.peer(caller.address), this.net.peer(callee.address), invite), { delivered, answer, toTag });
  }
}
