import type { Address, Destination } from "../balancer/index.ts";
import { Latency } from "../health/index.ts";
import type { Timer, TimerOwner } from "../transaction/index.ts";
import type { Probe } from "./probe.ts";

/** A destination whose probe mode is not 0, and what its probes have shown. It stays over reloads while the destination does. */
export class ProbedDestination implements TimerOwner {
  /** As the table holds it now. */
  destination: Destination;
  readonly latency = new Latency();
  /** Probes in a row that speak against its status. */
  streak = 0;
  /** Its turn in the interval: the one that the timer waits for, or the last one before. */
  slotMs: number;
  /** When the timer fires: at the slot, moved by the jitter, or at a turn besides it. */
  dueMs = 0;
  /** The timer waits for a turn besides the slots, because the destination fails or comes back. */
  extraTurn = false;
  timer: Timer | undefined;
  /** In the order in which they were sent. */
  readonly underWay = new Set<Probe>();
  sent = 0;
  lastStatus = 0;
  lastAtMs = 0;
  /** Set once the log has said that it cannot be probed. */
  warned = false;
  readonly #turn: (probed: ProbedDestination) => void;

  constructor(destination: Destination, slotMs: number, turn: (probed: ProbedDestination) => void) {
    this.destination = destination;
    this.slotMs = slotMs;
    this.#turn = turn;
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

  timerFired(): void {
    this.timer = undefined;
    this.#turn(this);
  }
}
