import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_SILENT_ENDS, PingOutages } from "../../src/dialog/index.ts";

const INTERVAL_MS = 30_000;
const FR_MS = 5_000;
const HOLD_MS = 300_000;
/** No copy of a ping goes out so shortly before its time is up. */
const LAST_COPY_MS = 1_000;
const STEP_MS = 10;

interface FarmOptions {
  readonly calls: number;
  /** Calls that never answer. */
  readonly vanished: number;
  /** Addresses that the calls have, in turn; 1 unless given. */
  readonly addresses?: number;
  /** How often others are heard, who are not pinged. */
  readonly othersMs?: number;
  /** When nobody can be reached. */
  readonly down?: readonly [fromMs: number, toMs: number];
}

/** Calls that are pinged as `PingRound` does, on a clock of their own. */
class Farm {
  readonly told: string[] = [];
  ended = 0;
  vanished: number;
  readonly #options: FarmOptions;
  readonly #outages: PingOutages;
  readonly #steps = new Map<number, (() => void)[]>();
  #step = 0;
  #answers = 0;

  constructor(options: FarmOptions) {
    this.#options = options;
    this.vanished = options.vanished;
    this.#outages = new PingOutages({
      holdMs: HOLD_MS,
      nowMs: () => this.#nowMs,
      answers: () => this.#answers,
      changed: ({ kind }) => this.told.push(kind),
    });
    for (let i = 0; i < options.calls; i++) this.#call(i);
    if (options.othersMs !== undefined) this.#others(options.othersMs);
  }

  run(untilMs: number): this {
    for (; this.#nowMs < untilMs; this.#step++) {
      for (const run of this.#steps.get(this.#step) ?? []) run();
      this.#steps.delete(this.#step);
    }
    return this;
  }

  get #nowMs(): number {
    return this.#step * STEP_MS;
  }

  get #isDown(): boolean {
    const [fromMs, toMs] = this.#options.down ?? [0, 0];
    return this.#nowMs >= fromMs && this.#nowMs < toMs;
  }

  #after(ms: number, run: () => void): void {
    const step = this.#step + Math.max(1, Math.round(ms / STEP_MS));
    const others = this.#steps.get(step);
    if (others === undefined) this.#steps.set(step, [run]);
    else others.push(run);
  }

  #others(everyMs: number): void {
    this.#answers++;
    this.#after(everyMs, () => this.#others(everyMs));
  }

  #call(i: number): void {
    const isGone = i < this.#options.vanished;
    const address = `a${i % (this.#options.addresses ?? 1)}`;
    let [isOver, isSilent, firstMs, silentMs] = [false, false, 0, 0];
    const asks = (): void => {
      if (!isSilent || isGone || this.#isDown) return;
      isSilent = false;
      this.#answers++;
      this.#outages.alive(address);
    };
    const ends = (): void => {
      if (!isSilent || !this.#outages.mayEnd(address, { firstMs, lastMs: firstMs + FR_MS, silentMs })) return;
      isOver = true;
      this.ended++;
      if (isGone) this.vanished--;
    };
    const round = (): void => {
      if (isOver) return;
      this.#after(INTERVAL_MS, round);
      firstMs = this.#nowMs;
      if (!isSilent) [isSilent, silentMs] = [true, firstMs];
      asks();
      for (const ms of [FR_MS - LAST_COPY_MS, FR_MS, 2 * FR_MS - LAST_COPY_MS]) this.#after(ms, asks);
      this.#after(2 * FR_MS, ends);
    };
    this.#after((i * 7_919) % INTERVAL_MS, round);
  }
}

describe("silence of many parties among others that answer", () => {
  it("of the calls at one address most have vanished, one in ten answers on: nobody is kept for that", () => {
    const farm = new Farm({ calls: 2_000, vanished: 1_800 }).run(2 * INTERVAL_MS);
    assert.ok(farm.vanished < 20, `${farm.vanished} calls are left`);
    assert.deepEqual([farm.run(4 * INTERVAL_MS).vanished, farm.ended], [0, 1_800]);
  });

  it("callers have vanished, each at its own address, and others are heard once a second", () => {
    const farm = new Farm({ calls: 2_000, vanished: 2_000, addresses: 2_000, othersMs: 1_000 });
    assert.equal(farm.run(4 * INTERVAL_MS).vanished, 0);
  });

  it("hardly anybody at an address answers on: no call is kept for longer than any may be", () => {
    const farm = new Farm({ calls: 1_000, vanished: 995 });
    assert.equal(farm.run(HOLD_MS + 3 * INTERVAL_MS).vanished, 0);
  });

  it("the network is gone for a minute: of ten thousand calls a few end, and that is told once", () => {
    const down = [2 * INTERVAL_MS, 4 * INTERVAL_MS] as const;
    const farm = new Farm({ calls: 10_000, vanished: 0, addresses: 20, down }).run(8 * INTERVAL_MS);
    assert.ok(farm.ended <= MAX_SILENT_ENDS, `${farm.ended} calls have ended`);
    assert.deepEqual(farm.told, ["began", "ended"]);
  });

  it("the network comes and goes: those who can be reached in between stay", () => {
    const farm = new Farm({ calls: 1_000, vanished: 0, down: [INTERVAL_MS, INTERVAL_MS + HOLD_MS - 20_000] }).run(2 * HOLD_MS);
    assert.ok(farm.ended <= MAX_SILENT_ENDS, `${farm.ended} calls have ended`);
  });
});
