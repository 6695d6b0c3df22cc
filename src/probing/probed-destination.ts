import type { Address, Destination } from "../balancer/index.ts";
import { Latency } from "../health/index.ts";
import { Asked } from "./turns.ts";

/** A destination whose probe mode is not 0, and what its probes have shown. It stays over reloads while the destination does. */
export class ProbedDestination extends Asked {
  /** As the table holds it now. */
  destination: Destination;
  readonly latency = new Latency();
  /** Probes in a row that speak against its status. */
  streak = 0;
  lastStatus = 0;
  lastAtMs = 0;

  constructor(destination: Destination) {
    super();
    this.destination = destination;
  }

  /** Where it is probed first: the address that calls go to first, but for the weights of SRV records. */
  get address(): Address | undefined {
    return this.destination.addresses[0];
  }

  /** Takes over the row of a new table. */
  replace(destination: Destination): void {
    const before = this.address;
    this.destination = destination;
    this.warned = false;
    // What the old address answered is no evidence about the new one.
    if (before?.ip !== this.address?.ip || before?.port !== this.address?.port) this.streak = 0;
  }
}
