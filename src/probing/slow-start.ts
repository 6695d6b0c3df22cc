import type { Destination, StatusChange } from "../balancer/index.ts";
import { slowStartShare } from "../health/index.ts";
import type { Timer, TimerOwner, TimerWheel } from "../transaction/index.ts";

/** Capacity grows in about this many steps, each between the two limits below. */
const STEPS = 20;
const SHORTEST_STEP_MS = 100;
const LONGEST_STEP_MS = 1_000;

export interface SlowStartOptions {
  /** Over which capacity grows back, in milliseconds; 0: slow start is off. */
  readonly durationMs: number;
  /** Sets the share of its capacities that a destination may use, 0 to 1. */
  readonly setShare: (id: number, share: number) => unknown;
  readonly wheel: TimerWheel;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
}

interface Growing extends TimerOwner {
  readonly destination: Destination;
  readonly sinceMs: number;
  timer: Timer | undefined;
}

/** Gives a destination that was enabled again, by whomever, its capacity back little by little. */
export class SlowStart {
  readonly #options: SlowStartOptions;
  readonly #growing = new Map<string, Growing>();

  constructor(options: SlowStartOptions) {
    this.#options = options;
  }

  /** To be told of every change of a status. */
  statusChanged({ destination, enabled, wasEnabled }: StatusChange): void {
    if (enabled === wasEnabled || this.#options.durationMs <= 0) return;
    const before = this.#growing.get(destination.key);
    if (before !== undefined) this.#finish(before);
    if (enabled) this.#begin(destination);
  }

  /** To be told of a new table: rows that are gone are forgotten. The balancer keeps the shares of the others. */
  tableChanged(destinations: readonly Destination[]): void {
    if (this.#growing.size === 0) return;
    const keys = new Set(destinations.map(({ key }) => key));
    for (const growing of [...this.#growing.values()]) {
      if (!keys.has(growing.destination.key)) this.#forget(growing);
    }
  }

  stop(): void {
    for (const growing of [...this.#growing.values()]) this.#forget(growing);
  }

  #begin(destination: Destination): void {
    const growing: Growing = {
      destination,
      sinceMs: this.#options.nowMs(),
      timer: undefined,
      timerFired: () => this.#grow(growing),
    };
    this.#growing.set(destination.key, growing);
    this.#grow(growing);
  }

  #grow(growing: Growing): void {
    const { durationMs, setShare, wheel, nowMs } = this.#options;
    const now = nowMs();
    growing.timer = undefined;
    const share = slowStartShare(now - growing.sinceMs, durationMs);
    if (share >= 1) {
      this.#finish(growing);
      return;
    }
    setShare(growing.destination.id, share);
    const stepMs = Math.min(LONGEST_STEP_MS, Math.max(SHORTEST_STEP_MS, durationMs / STEPS));
    growing.timer = wheel.schedule(stepMs, growing, 0, now);
  }

  #finish(growing: Growing): void {
    this.#forget(growing);
    this.#options.setShare(growing.destination.id, 1);
  }

  #forget(growing: Growing): void {
    growing.timer = this.#options.wheel.cancel(growing.timer);
    this.#growing.delete(growing.destination.key);
  }
}
