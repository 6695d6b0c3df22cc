/** Resolution of the wheel: a timer fires at most this many milliseconds late, and never early. */
export const TICK_MS = 10;
const SLOT_BITS = 8;
const SLOTS = 1 << SLOT_BITS;
const SLOT_MASK = SLOTS - 1;
/** 256^4 ticks of 10 ms are 497 days: longer timers wait in the last level and are placed again. */
const LEVELS = 4;

/** What a timer wakes. `kind` tells its timers apart, so that no closure is needed for each. */
export interface TimerOwner {
  timerFired(kind: number, nowMs: number): void;
}

/** A pending timer. Give it back to `cancel`. */
export class Timer {
  owner: TimerOwner | undefined;
  kind: number;
  dueTick: number;
  /** Neighbours in the slot's ring; a timer without them is not pending. */
  next: Timer | undefined = undefined;
  previous: Timer | undefined = undefined;

  constructor(owner: TimerOwner | undefined, kind: number, dueTick: number) {
    this.owner = owner;
    this.kind = kind;
    this.dueTick = dueTick;
  }

  /** Whether it waits to fire. */
  get isPending(): boolean {
    return this.next !== undefined;
  }
}

/**
 * Hierarchical timing wheel (Varghese and Lauck): scheduling and cancelling are O(1) whatever the number of timers.
 * It has no clock of its own: somebody calls `advance` with the time.
 */
export class TimerWheel {
  readonly #slots: Timer[] = [];
  readonly #startMs: number;
  #tick = 0;
  #pending = 0;
  /** A timer owner that throws must not keep the others from firing. */
  readonly #onFault: (error: unknown) => void;

  constructor(startMs: number, onFault: (error: unknown) => void) {
    this.#startMs = startMs;
    this.#onFault = onFault;
    for (let i = 0; i < SLOTS * LEVELS; i++) {
      const ring = new Timer(undefined, 0, 0);
      ring.next = ring;
      ring.previous = ring;
      this.#slots.push(ring);
    }
  }

  /** How many timers are waiting. */
  get pending(): number {
    return this.#pending;
  }

  /** Milliseconds of the wheel's own time: that of the last `advance`, on the tick. */
  get nowMs(): number {
    return this.#startMs + this.#tick * TICK_MS;
  }

  /**
   * Wakes `owner` with `kind` after `delayMs`.
   * @param nowMs the present time; timers are due at least `delayMs` after it
   */
  schedule(delayMs: number, owner: TimerOwner, kind: number, nowMs: number): Timer {
    const timer = new Timer(undefined, kind, 0);
    this.restart(timer, delayMs, owner, nowMs);
    return timer;
  }

  /** The same with a timer that the owner has made, or is, and that may be pending: it is then due at the new time alone. */
  restart(timer: Timer, delayMs: number, owner: TimerOwner, nowMs: number): void {
    this.cancel(timer);
    const due = Math.ceil((nowMs + delayMs - this.#startMs) / TICK_MS);
    timer.owner = owner;
    timer.dueTick = due > this.#tick ? due : this.#tick + 1;
    this.#place(timer);
    this.#pending++;
  }

  /** Forgets the timer; harmless when it has fired or was cancelled. Returns undefined so that a field can be cleared in one line. */
  cancel(timer: Timer | undefined): undefined {
    if (timer?.next === undefined) return undefined;
    unlink(timer);
    timer.owner = undefined;
    this.#pending--;
    return undefined;
  }

  /** Fires all that is due up to `nowMs`, in the order of time. A clock that goes backwards fires nothing. */
  advance(nowMs: number): void {
    const target = Math.floor((nowMs - this.#startMs) / TICK_MS);
    while (this.#tick < target) {
      if (this.#pending === 0) {
        this.#tick = target;
        return;
      }
      this.#tick++;
      this.#cascade();
      this.#fire(this.#slots[this.#tick & SLOT_MASK]!, nowMs);
    }
  }

  #fire(ring: Timer, nowMs: number): void {
    // A timer that is scheduled meanwhile is due in a later tick, so the ring only empties.
    for (let timer = ring.next!; timer !== ring; timer = ring.next!) {
      unlink(timer);
      this.#pending--;
      const owner = timer.owner;
      timer.owner = undefined;
      if (owner === undefined) continue;
      try {
        owner.timerFired(timer.kind, nowMs);
      } catch (error) {
        this.#onFault(error);
      }
    }
  }

  /** When a level has gone round, the next slot of the level above is spread over it. */
  #cascade(): void {
    let tick = this.#tick;
    for (let level = 1; level < LEVELS && (tick & SLOT_MASK) === 0; level++) {
      tick = Math.floor(tick / SLOTS);
      const ring = this.#slots[level * SLOTS + (tick & SLOT_MASK)]!;
      let timer = ring.next!;
      ring.next = ring;
      ring.previous = ring;
      while (timer !== ring) {
        const next = timer.next!;
        this.#place(timer);
        timer = next;
      }
    }
  }

  #place(timer: Timer): void {
    const ticksLeft = timer.dueTick - this.#tick;
    let level = 0;
    let span = SLOTS;
    let unit = 1;
    while (level < LEVELS - 1 && ticksLeft >= span) {
      level++;
      unit = span;
      span *= SLOTS;
    }
    // Beyond the last level: its farthest slot, to be placed again when that comes round.
    const due = ticksLeft < span ? timer.dueTick : this.#tick + span - 1;
    const ring = this.#slots[level * SLOTS + (Math.floor(due / unit) & SLOT_MASK)]!;
    const last = ring.previous!;
    timer.previous = last;
    timer.next = ring;
    last.next = timer;
    ring.previous = timer;
  }
}

function unlink(timer: Timer): void {
  timer.previous!.next = timer.next;
  timer.next!.previous = timer.previous;
  timer.next = undefined;
  timer.previous = undefined;
}
