import { Type } from "typebox";
import type { Keys } from "../keys.ts";
import type { ClusterLink, ClusterLog } from "../ports.ts";
import type { Wire } from "../wire.ts";
import type { LeaseCounters } from "./lease-counters.ts";
import type { LeaseOwner } from "./lease-holds.ts";
import type { LeaseAnswer } from "./lease-scripts.ts";

const LOST = Type.Object({ owner: Type.String({ minLength: 1, maxLength: 2048 }), from: Type.Integer({ minimum: 0 }) });

/** What {@link LeaseLoss} works with. */
export interface LossOptions {
  readonly link: ClusterLink;
  readonly keys: Keys;
  readonly wire: Wire;
  readonly log: ClusterLog;
  readonly counters: LeaseCounters;
  owner(name: string): LeaseOwner | undefined;
  /** Redis is to be told again what this node has of an owner. */
  addAgain(owner: LeaseOwner): void;
}

/** Redis has lost leases, or never had them: the node that finds out tells all others, and each adds its own. */
export class LeaseLoss {
  readonly #options: LossOptions;

  constructor(options: LossOptions) {
    this.#options = options;
    options.link.subscribe(options.keys.channel("lease"), (message) => this.#heard(message));
  }

  /** An answer of Redis says so of an owner. */
  found(owner: LeaseOwner, { outcome, reliableFromMs }: LeaseAnswer): void {
    const { link, keys, wire, log } = this.#options;
    if (outcome === "found-lost") {
      log.debug({ owner: owner.name }, "Leases are not known to Redis: every node adds its own");
      link.publish(keys.channel("lease"), wire.encode({ owner: owner.name, from: reliableFromMs }));
    }
    this.#addAgain(owner, reliableFromMs);
  }

  #heard(message: string): void {
    const received = this.#options.wire.decode(LOST, message);
    const owner = received && this.#options.owner(received.body.owner);
    if (received === undefined) this.#options.counters.malformed++;
    else if (owner !== undefined) this.#addAgain(owner, received.body.from);
  }

  #addAgain(owner: LeaseOwner, reliableFromMs: number): void {
    if (owner.addedFor === reliableFromMs) return;
    owner.addedFor = reliableFromMs;
    this.#options.addAgain(owner);
  }
}
