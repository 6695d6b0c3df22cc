import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { TICK_MS, type Timer, type TimerOwner, TimerWheel } from "../../src/transaction/index.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Records when each kind fired. */
class Recorder implements TimerOwner {
  readonly fired: [kind: number, nowMs: number][] = [];

  timerFired(kind: number, nowMs: number): void {
    this.fired.push([kind, nowMs]);
  }

  get kinds(): number[] {
    return this.fired.map(([kind]) => kind);
  }
}

function wheelAt(startMs = 0): { wheel: TimerWheel; owner: Recorder; faults: unknown[] } {
  const faults: unknown[] = [];
  return { wheel: new TimerWheel(startMs, (error) => faults.push(error)), owner: new Recorder(), faults };
}

describe("timer wheel: a single timer", () => {
  for (const delayMs of [0, 1, 9, 10, 11, 500, 2_550, 2_560, 2_570, 32_000, 655_350, 655_360, 655_370, HOUR_MS]) {
    it(`of ${delayMs} ms never fires early and at most one tick late`, () => {
      for (const offsetMs of [0, 1, 5, 9.999, 2_555]) {
        const { wheel, owner } = wheelAt(100);
        const setMs = 100 + offsetMs;
        wheel.advance(setMs);
        wheel.schedule(delayMs, owner, 7, setMs);
        let nowMs = setMs;
        while (owner.fired.length === 0) {
          assert.equal(wheel.pending, 1);
          nowMs += TICK_MS / 2;
          assert.ok(nowMs <= setMs + delayMs + 2 * TICK_MS, "late");
          wheel.advance(nowMs);
        }
        assert.deepEqual(owner.fired, [[7, nowMs]]);
        assert.ok(nowMs >= setMs + delayMs, "early");
        assert.ok(nowMs <= setMs + delayMs + TICK_MS + TICK_MS / 2, "late");
        assert.equal(wheel.pending, 0);
      }
    });
  }

  it("fires exactly when it is due if that is on a tick", () => {
    for (const delayMs of [10, 500, 2_560, 32_000, 655_360, 12 * HOUR_MS]) {
      const { wheel, owner } = wheelAt();
      wheel.schedule(delayMs, owner, 1, 0);
      wheel.advance(delayMs - 0.001);
      assert.equal(owner.fired.length, 0);
      wheel.advance(delayMs);
      assert.equal(owner.fired.length, 1);
    }
  });

  it("of days fires on its tick", () => {
    const { wheel, owner } = wheelAt();
    const dueMs = 2 * DAY_MS + 123_450; // beyond 256^3 ticks
    wheel.schedule(dueMs, owner, 1, 0);
    wheel.advance(DAY_MS);
    wheel.advance(dueMs - 1);
    assert.equal(owner.fired.length, 0);
    wheel.advance(dueMs);
    assert.equal(owner.fired.length, 1);
  });

  it("of more than the wheel holds waits and can be cancelled", () => {
    const { wheel, owner } = wheelAt();
    const timers = [498 * DAY_MS, 10_000 * DAY_MS, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY].map((delayMs) =>
      wheel.schedule(delayMs, owner, 1, 0),
    );
    wheel.advance(HOUR_MS);
    assert.equal(wheel.pending, 4);
    for (const timer of timers) wheel.cancel(timer);
    assert.equal(wheel.pending, 0);
    wheel.advance(2 * HOUR_MS);
    assert.deepEqual(owner.fired, []);
  });

  it("of zero or less waits for the next tick: its owner is not called inside schedule", () => {
    const { wheel, owner } = wheelAt();
    for (const delayMs of [0, -5, -1e9]) wheel.schedule(delayMs, owner, 1, 0);
    assert.equal(owner.fired.length, 0);
    wheel.advance(9.9);
    assert.equal(owner.fired.length, 0);
    wheel.advance(10);
    assert.equal(owner.fired.length, 3);
  });

  it("is counted from the present time, not from the last advance", () => {
    const { wheel, owner } = wheelAt();
    wheel.advance(100);
    wheel.schedule(50, owner, 1, 1_000);
    wheel.advance(1_049);
    assert.equal(owner.fired.length, 0);
    wheel.advance(1_050);
    assert.equal(owner.fired.length, 1);
  });
});

describe("timer wheel: cancelling", () => {
  it("keeps a timer from firing; twice, after it fired, or without a timer it is harmless", () => {
    const { wheel, owner } = wheelAt();
    const first = wheel.schedule(100, owner, 1, 0);
    const second = wheel.schedule(100, owner, 2, 0);
    assert.equal(wheel.cancel(first), undefined);
    assert.equal(wheel.cancel(first), undefined);
    assert.equal(wheel.cancel(undefined), undefined);
    assert.equal(wheel.pending, 1);
    wheel.advance(100);
    wheel.cancel(second);
    wheel.cancel(first);
    assert.deepEqual(owner.kinds, [2]);
    assert.equal(wheel.pending, 0);
  });

  it("lets go of the owner", () => {
    const { wheel, owner } = wheelAt();
    const cancelled = wheel.schedule(100, owner, 1, 0);
    const fired = wheel.schedule(10, owner, 1, 0);
    wheel.cancel(cancelled);
    wheel.advance(10);
    assert.equal(cancelled.owner, undefined);
    assert.equal(fired.owner, undefined);
  });

  it("works inside timerFired for others of the same tick, of later ticks, and for the one that fires", () => {
    const { wheel } = wheelAt();
    const kinds: number[] = [];
    const timers: Timer[] = [];
    const owner: TimerOwner = {
      timerFired(kind) {
        kinds.push(kind);
        for (const timer of timers) wheel.cancel(timer);
      },
    };
    for (const delayMs of [100, 100, 100, 200, 5_000, 700_000]) timers.push(wheel.schedule(delayMs, owner, timers.length, 0));
    wheel.advance(HOUR_MS);
    assert.deepEqual(kinds, [0]);
    assert.equal(wheel.pending, 0);
  });
});

describe("timer wheel: owners", () => {
  it("that schedule inside timerFired wait for a later tick, whatever the delay", () => {
    const { wheel } = wheelAt();
    const times: number[] = [];
    const owner: TimerOwner = {
      timerFired(_kind, nowMs) {
        times.push(nowMs);
        wheel.schedule(0, owner, 1, nowMs);
      },
    };
    wheel.schedule(10, owner, 1, 0);
    for (let nowMs = 10; nowMs <= 50; nowMs += 10) wheel.advance(nowMs);
    assert.deepEqual(times, [10, 20, 30, 40, 50]);
  });

  it("that schedule 256 ticks and its powers ahead inside timerFired are not called at once", () => {
    for (const ticks of [256, 512, 65_536]) {
      const { wheel } = wheelAt();
      const times: number[] = [];
      const owner: TimerOwner = {
        timerFired(_kind, nowMs) {
          times.push(nowMs);
          if (times.length < 3) wheel.schedule(ticks * TICK_MS, owner, 1, nowMs);
        },
      };
      wheel.schedule(30, owner, 1, 0);
      for (let nowMs = 0; nowMs <= 30 + 2 * ticks * TICK_MS; nowMs += TICK_MS) wheel.advance(nowMs);
      assert.deepEqual(times, [30, 30 + ticks * TICK_MS, 30 + 2 * ticks * TICK_MS]);
    }
  });

  it("that throw keep no other timer from firing; each fault is reported", () => {
    const { wheel, owner, faults } = wheelAt();
    const bad: TimerOwner = {
      timerFired(kind) {
        throw new Error(`fault ${kind}`);
      },
    };
    wheel.schedule(100, bad, 1, 0);
    wheel.schedule(100, owner, 2, 0);
    wheel.schedule(110, bad, 3, 0);
    wheel.schedule(120, owner, 4, 0);
    wheel.advance(200);
    assert.deepEqual(owner.kinds, [2, 4]);
    assert.deepEqual(faults.map(String), ["Error: fault 1", "Error: fault 3"]);
    assert.equal(wheel.pending, 0);
  });

  it("are told the time of the advance, also when they are late", () => {
    const { wheel, owner } = wheelAt();
    wheel.schedule(100, owner, 1, 0);
    wheel.schedule(200, owner, 2, 0);
    wheel.advance(10_000);
    assert.deepEqual(owner.fired, [
      [1, 10_000],
      [2, 10_000],
    ]);
  });
});

describe("timer wheel: the clock", () => {
  it("that goes backwards fires nothing, and goes on where it was", () => {
    const { wheel, owner } = wheelAt(1_000);
    wheel.schedule(100, owner, 1, 1_000);
    wheel.advance(1_090);
    wheel.advance(1_000);
    wheel.advance(0);
    assert.equal(owner.fired.length, 0);
    assert.equal(wheel.nowMs, 1_090);
    wheel.advance(1_100);
    assert.equal(owner.fired.length, 1);
  });

  it("that jumps fires all that fell due, in the order of time", () => {
    const { wheel, owner } = wheelAt();
    const delays = [700_000, 20, 2_600, 10, 65_000, 2_560, 3 * HOUR_MS, 655_360, 500, 2_550];
    for (const delayMs of delays) wheel.schedule(delayMs, owner, delayMs, 0);
    wheel.advance(4 * HOUR_MS);
    assert.deepEqual(
      owner.kinds,
      delays.toSorted((a, b) => a - b),
    );
  });

  it("that jumps by years costs nothing when no timer waits", () => {
    const { wheel, owner } = wheelAt();
    wheel.advance(20 * 365 * DAY_MS);
    const nowMs = wheel.nowMs;
    wheel.schedule(100, owner, 1, nowMs);
    wheel.advance(nowMs + 100);
    assert.equal(owner.fired.length, 1);
  });
});

/** What the n-th timer does when it fires. */
interface Reaction {
  readonly scheduleMs: number | undefined;
  readonly cancel: number | undefined;
  readonly throws: boolean;
}

type Step = ["schedule", number, Reaction] | ["cancel", number] | ["advance", number];

const tiny = fc.nat(60);
const delay = fc.oneof(
  { weight: 4, arbitrary: tiny },
  { weight: 4, arbitrary: fc.nat(6_000) },
  { weight: 2, arbitrary: fc.constantFrom(2_540, 2_550, 2_560, 2_570, 655_350, 655_360, 655_370) },
  { weight: 2, arbitrary: fc.nat(20 * MINUTE_MS) },
  { weight: 1, arbitrary: fc.nat(9 * HOUR_MS) },
  { weight: 1, arbitrary: fc.nat(900 * DAY_MS) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 5_000, noNaN: true }) },
);
const reaction: fc.Arbitrary<Reaction> = fc.record({
  scheduleMs: fc.option(delay, { nil: undefined, freq: 3 }),
  cancel: fc.option(fc.nat(40), { nil: undefined, freq: 3 }),
  throws: fc.boolean(),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant("schedule" as const), delay, reaction) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("cancel" as const), fc.nat(40)) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("advance" as const), fc.oneof(tiny, fc.nat(3_000), fc.nat(5 * MINUTE_MS))) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("advance" as const), fc.oneof(fc.constant(-500), fc.nat(HOUR_MS))) },
);
/** Where the wheel stands when the run begins, in ticks: also where its levels, and 32-bit integers, go round. */
const origin = fc
  .tuple(fc.constantFrom(0, 256, 65_536, 16_777_216, 2 ** 31, 2 ** 32, 2 ** 33 - 16_777_216), fc.integer({ min: -300, max: 300 }))
  .map(([ticks, offset]) => Math.max(0, ticks + offset));

/** The wheel next to a naive list of what is pending; a fault when one does what the other does not. */
class Model implements TimerOwner {
  readonly wheel: TimerWheel;
  readonly startMs: number;
  nowMs: number;
  throws = 0;
  readonly faults: unknown[] = [];
  readonly #timers: { timer: Timer; dueTick: number; dueMs: number; reaction: Reaction | undefined; pending: boolean }[] = [];
  #lastTick = 0;

  constructor(startMs: number, originTicks: number) {
    this.startMs = startMs;
    this.wheel = new TimerWheel(startMs, (error) => this.faults.push(error));
    this.nowMs = startMs + originTicks * TICK_MS;
    this.wheel.advance(this.nowMs);
  }

  get #tick(): number {
    return Math.round((this.wheel.nowMs - this.startMs) / TICK_MS);
  }

  schedule(delayMs: number, reaction?: Reaction): void {
    const dueMs = this.nowMs + delayMs;
    const dueTick = Math.max(this.#tick + 1, Math.ceil((dueMs - this.startMs) / TICK_MS));
    const timer = this.wheel.schedule(delayMs, this, this.#timers.length, this.nowMs);
    this.#timers.push({ timer, dueTick, dueMs, reaction, pending: true });
  }

  cancel(n: number): void {
    const entry = this.#timers[n % Math.max(1, this.#timers.length)];
    if (entry === undefined) return;
    entry.pending = false;
    this.wheel.cancel(entry.timer);
  }

  /** Time passes; `ms` below 0: a clock that went backwards for a moment. */
  run(ms: number): void {
    if (ms > 0) this.nowMs += ms; // owners that are called read the time too
    this.wheel.advance(this.nowMs + Math.min(0, ms));
    const tick = Math.floor((this.nowMs - this.startMs) / TICK_MS);
    const pending = this.#timers.filter((entry) => entry.pending);
    assert.equal(this.wheel.pending, pending.length);
    for (const { dueTick } of pending) assert.ok(dueTick > tick, `due at tick ${dueTick}, still waiting at ${tick}`);
    assert.equal(this.faults.length, this.throws, String(this.faults.at(-1)));
    for (const fault of this.faults) assert.equal(fault, EXPECTED);
  }

  timerFired(kind: number, nowMs: number): void {
    const entry = this.#timers[kind]!;
    assert.ok(entry.pending, "fired twice, or after it was cancelled");
    entry.pending = false;
    assert.equal(nowMs, this.nowMs);
    assert.ok(nowMs >= entry.dueMs - 1e-3, `early: ${nowMs} instead of ${entry.dueMs}`);
    assert.equal(this.#tick, entry.dueTick, "fires on its tick");
    assert.ok(entry.dueTick >= this.#lastTick, "in the order of time");
    this.#lastTick = entry.dueTick;
    const { reaction } = entry;
    if (reaction?.scheduleMs !== undefined) this.schedule(reaction.scheduleMs);
    if (reaction?.cancel !== undefined) this.cancel(reaction.cancel);
    if (reaction?.throws !== true) return;
    this.throws++;
    throw EXPECTED;
  }
}

const EXPECTED = new Error("fault of an owner");

describe("timer wheel: property", () => {
  it("does what a sorted list would do: random timers, cancels and clock jumps, owners that schedule, cancel and throw", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e7, noNaN: true }),
        origin,
        fc.array(step, { minLength: 1, maxLength: 60 }),
        (startMs, originTicks, steps) => {
          const model = new Model(startMs, originTicks);
          for (const [what, ms, react] of steps) {
            if (what === "schedule") model.schedule(ms, react);
            else if (what === "cancel") model.cancel(ms);
            else model.run(ms);
          }
          model.run(25 * MINUTE_MS);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("keeps thousands of timers apart", () => {
    fc.assert(
      fc.property(origin, fc.array(fc.nat(12 * MINUTE_MS), { minLength: 2_000, maxLength: 2_000 }), (originTicks, delays) => {
        const model = new Model(0, originTicks);
        for (const delayMs of delays) model.schedule(delayMs);
        for (let i = 0; i < delays.length; i += 3) model.cancel(i);
        for (let i = 0; i < 12; i++) model.run(MINUTE_MS);
        assert.equal(model.wheel.pending, 0);
      }),
      { numRuns: 5 },
    );
  });
});
