import { evenSlots, isCrowded, jitterOffset, nextFastTurn, nextSlot, slotsInGaps } from "../health/index.ts";
import type { Timer, TimerOwner, TimerWheel } from "../transaction/index.ts";
import type { Probe } from "./probe.ts";

/** Kind of a turn's timer: who is asked has no other. */
const TURN = 1;

/** Somebody who is asked again and again. */
export class Asked implements TimerOwner {
  /** Its turn in the interval: the one that the timer waits for, or the last one before. */
  slotMs = 0;
  /** When the timer fires: at the slot, moved by the jitter, or at a turn besides it. */
  dueMs = 0;
  /** The timer waits for a turn besides the slots, because the destination fails or comes back. */
  extraTurn = false;
  timer: Timer | undefined;
  /** Probes in the order in which they were sent. */
  readonly underWay = new Set<Probe>();
  sent = 0;
  /** Set once the log has said that it cannot be probed. */
  warned = false;
  /** Set as soon as it has turns. */
  turn: () => void = () => undefined;

  timerFired(): void {
    this.timer = undefined;
    this.turn();
  }
}

/** When those who are asked together have their turns. Times in milliseconds. */
export interface TurnsOptions<A extends Asked> {
  /** Between two turns of one, from 1. */
  readonly intervalMs: number;
  /** The same while {@link isFast}; 0, or more than `intervalMs`: no difference. */
  readonly fastIntervalMs: number;
  /** Share of the interval by which each turn is moved at random, 0 to 0.5. */
  readonly jitter: number;
  readonly wheel: TimerWheel;
  readonly nowMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Failing, or coming back: its next probe is more telling than usual. */
  isFast(asked: A): boolean;
  /** It is its turn. */
  turn(asked: A, nowMs: number): void;
}

/** Turns of those who share one interval, spread over it. */
export class Turns<A extends Asked> {
  readonly #options: TurnsOptions<A>;
  readonly #fastIntervalMs: number;
  readonly #all = new Set<A>();
  /** Where slots are counted from: the start of probing. */
  readonly #anchorMs: number;

  constructor(options: TurnsOptions<A>) {
    const { fastIntervalMs, intervalMs, nowMs } = options;
    this.#options = options;
    this.#fastIntervalMs = fastIntervalMs > 0 && fastIntervalMs < intervalMs ? fastIntervalMs : intervalMs;
    this.#anchorMs = nowMs();
  }

  /** Gives each a turn of its own, between those of the others. */
  add(added: readonly A[]): void {
    if (added.length === 0) return;
    const { intervalMs, nowMs } = this.#options;
    const now = nowMs();
    const taken = Array.from(this.#all, ({ slotMs }) => slotMs);
    const slots =
      taken.length === 0 ? evenSlots(this.#anchorMs, now, added.length, intervalMs) : slotsInGaps(taken, now, added.length, intervalMs);
    for (const [k, asked] of added.entries()) {
      this.#all.add(asked);
      asked.turn = () => this.#turn(asked);
      asked.slotMs = slots[k]!;
      this.#wait(asked, asked.slotMs, false);
    }
  }

  remove(asked: A): void {
    asked.timer = this.#options.wheel.cancel(asked.timer);
    this.#all.delete(asked);
  }

  /** Gives all new slots, in the order of their turns, when too many stand close together. */
  spread(): void {
    const { intervalMs, nowMs } = this.#options;
    const slotsNow = Array.from(this.#all, ({ slotMs }) => slotMs);
    if (!isCrowded(slotsNow, intervalMs)) return;
    const now = nowMs();
    const upcoming = ({ slotMs }: A): number => (slotMs >= now ? slotMs : nextSlot(slotMs, now, intervalMs));
    const slots = evenSlots(this.#anchorMs, now, this.#all.size, intervalMs);
    for (const [k, asked] of [...this.#all].sort((a, b) => upcoming(a) - upcoming(b)).entries()) {
      asked.slotMs = slots[k]!;
      if (!asked.extraTurn) this.#wait(asked, asked.slotMs, false);
    }
  }

  /** Moves the next turn forward when somebody has begun to fail or to come back. */
  hurry(asked: A): void {
    if (asked.timer === undefined || asked.extraTurn || !this.#isFast(asked)) return;
    const fastMs = this.#fastTurn(asked, this.#options.nowMs());
    if (asked.dueMs > fastMs) this.#wait(asked, fastMs, true);
  }

  stop(): void {
    for (const asked of this.#all) asked.timer = this.#options.wheel.cancel(asked.timer);
    this.#all.clear();
  }

  #turn(asked: A): void {
    const { intervalMs, nowMs, turn } = this.#options;
    const now = nowMs();
    // A jittered turn may come before its slot, which is then used up all the same; an extra turn uses up none.
    if (!asked.extraTurn || asked.slotMs <= now) asked.slotMs = nextSlot(asked.slotMs, now, intervalMs);
    const halfLaterMs = now + this.#fastIntervalMs / 2;
    const fastMs = this.#isFast(asked) ? this.#fastTurn(asked, halfLaterMs) : Number.POSITIVE_INFINITY;
    // A slot that comes right after this turn would tell nothing new; one that comes before the fast turn will do for it.
    const extra = fastMs < asked.slotMs || (fastMs < Number.POSITIVE_INFINITY && asked.slotMs < halfLaterMs);
    this.#wait(asked, extra ? fastMs : asked.slotMs, extra);
    turn(asked, now);
  }

  #isFast(asked: A): boolean {
    return this.#fastIntervalMs !== this.#options.intervalMs && this.#options.isFast(asked);
  }

  #fastTurn({ slotMs }: A, earliestMs: number): number {
    return nextFastTurn(slotMs, earliestMs, this.#options.intervalMs, this.#fastIntervalMs);
  }

  /** @param extra the turn at `atMs` is one of the fast interval, else it is the slot */
  #wait(asked: A, atMs: number, extra: boolean): void {
    const { intervalMs, jitter, nowMs, random, wheel } = this.#options;
    const now = nowMs();
    asked.timer = wheel.cancel(asked.timer);
    asked.extraTurn = extra;
    asked.dueMs = atMs + jitterOffset(extra ? this.#fastIntervalMs : intervalMs, jitter, random());
    asked.timer = wheel.schedule(Math.max(0, asked.dueMs - now), asked, TURN, now);
  }
}
