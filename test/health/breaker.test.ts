import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Breaker, type BreakerPhase, type BreakerSettings } from "../../src/health/index.ts";

const SETTINGS: BreakerSettings = { windowMs: 10_000, minCalls: 4, failureRatio: 0.5, openMs: 5_000, trialCalls: 2 };

/** Plays calls that begin at once: `+` passed, `o` rang and passed, `-` failed, `~` rang and failed, `r` rings on. `t`: the time of the phase is up. */
function play(outcomes: string, settings: Partial<BreakerSettings> = {}, breaker = new Breaker({ ...SETTINGS, ...settings })): Breaker {
  for (const outcome of outcomes) {
    const { epoch } = breaker;
    if (outcome === "t") breaker.tryOut() || breaker.endRound();
    else if (outcome === "-") breaker.failed(epoch, false, 0);
    else if (outcome === "+") breaker.passed(epoch, false, 0);
    else {
      const ticket = breaker.alive(epoch, 0);
      if (outcome === "~") breaker.failed(ticket, true, 0);
      if (outcome === "o") breaker.passed(ticket, true, 0);
    }
  }
  return breaker;
}

describe("a breaker", () => {
  const rows: readonly (readonly [name: string, outcomes: string, settings: Partial<BreakerSettings>, want: BreakerPhase])[] = [
    ["is closed", "", {}, "closed"],
    ["stays closed while calls succeed", "++++++++", {}, "closed"],
    ["stays closed below min_calls, all failed", "---", {}, "closed"],
    ["opens at min_calls", "----", {}, "open"],
    ["opens at the ratio exactly", "++--", {}, "open"],
    ["stays closed below the ratio", "+++--", {}, "closed"],
    ["opens with the failure that reaches the ratio", "+++---", {}, "open"],
    ["does not open with a success, although the ratio is reached with min_calls", "---+", {}, "closed"],
    ["opens with the failure after it", "---+-", {}, "open"],
    ["ratio 1: one success keeps it closed", "+-------", { failureRatio: 1 }, "closed"],
    ["ratio 1: only failures", "----", { failureRatio: 1 }, "open"],
    ["min_calls 1", "-", { minCalls: 1 }, "open"],
    ["a call that rang and failed is one call", "~~~", {}, "closed"],
    ["and counts as failed", "~~++", {}, "closed"],
    ["with the last of them it opens", "++~~", {}, "open"],
    ["stays open whatever calls from before come to", "----++++", {}, "open"],
    ["lets trials through", "----t", {}, "trials"],
    ["one good trial is not enough", "----t+", {}, "trials"],
    ["closes after trial_calls", "----t++", {}, "closed"],
    ["one bad trial opens it", "----t-", {}, "open"],
    ["also after a good one", "----t+-", {}, "open"],
    ["a trial that rang and failed opens it", "----t~", {}, "open"],
    ["trials that ring close nothing yet", "----trrrr", {}, "trials"],
    ["when their time is up they have passed", "----trrt", {}, "closed"],
    ["one that rings is not enough", "----trt", {}, "trials"],
    ["it counts with those of the next round", "----trt+", {}, "closed"],
    ["a failure beside trials that ring opens", "----trr-", {}, "open"],
    ["and forgets them", "----trr-tt", {}, "trials"],
    ["one that rings and one that passed", "----t+rt", {}, "closed"],
    ["a trial that rang and passed is one", "----to", {}, "trials"],
    ["also when the time is up", "----tot", {}, "trials"],
    ["two of them close", "----too", {}, "closed"],
    ["while calls ring it stays closed", "rrrrrr", {}, "closed"],
    ["they count as calls", "rrrr---", {}, "closed"],
    ["another round of trials may close it", "----t-t++", {}, "closed"],
    ["good trials of the round before do not count", "----t+-t+", {}, "trials"],
    ["after closing the window is empty", "----t++---", {}, "closed"],
    ["and it can open again", "----t++----", {}, "open"],
    ["time means nothing while it is closed", "---t", {}, "closed"],
    ["time alone closes nothing", "----tttttt", {}, "trials"],
  ];
  for (const [name, outcomes, settings, want] of rows) {
    it(`${outcomes || "no call"}: ${want} (${name})`, () => assert.equal(play(outcomes, settings).phase, want));
  }

  it("forgets calls that are older than the window", () => {
    const breaker = new Breaker(SETTINGS);
    for (let i = 0; i < 3; i++) breaker.failed(0, false, 0);
    assert.equal(breaker.failed(0, false, 10_000), false);
    assert.deepEqual([breaker.calls(10_000), breaker.failures(10_000)], [1, 1]);
    for (let i = 0; i < 3; i++) breaker.failed(0, false, 19_999);
    assert.equal(breaker.phase, "open");
  });

  it("a failure whose beginning the window has forgotten counts as a call", () => {
    const breaker = new Breaker({ ...SETTINGS, minCalls: 1 });
    assert.equal(breaker.alive(0, 0), 0);
    assert.ok(breaker.failed(0, true, 60_000));
    assert.deepEqual([breaker.calls(60_000), breaker.failures(60_000)], [1, 1]);
  });

  it("a call that was sent in another phase says nothing: not a late success in the trials, not a late time-out after closing", () => {
    const breaker = play("----t");
    assert.equal(breaker.alive(0, 0), 0, "its ticket is as old as before");
    assert.equal(breaker.passed(0, true, 0), false);
    assert.equal(breaker.failed(0, false, 0), false);
    assert.deepEqual([breaker.phase, breaker.trialsPassed, breaker.trialsWanted], ["trials", 0, 2]);
    const trials = breaker.epoch;
    play("++", {}, breaker);
    for (let i = 0; i < 9; i++) assert.equal(breaker.failed(trials, true, 0), false);
    assert.deepEqual([breaker.phase, breaker.failures(0)], ["closed", 0]);
  });

  it("a ticket of a breaker that its row had before says nothing", () => {
    const breaker = play("----t");
    assert.equal(breaker.alive(9, 0), 9);
    assert.equal(breaker.failed(9, false, 0), false);
    assert.deepEqual([breaker.phase, play("t", {}, breaker).trialsPassed], ["trials", 0]);
  });

  it("a trial of an earlier round passes once, and opens the breaker whenever it fails", () => {
    for (const fails of [false, true]) {
      const breaker = play("----t", { trialCalls: 3 });
      const slow = breaker.epoch;
      const ringing = breaker.alive(breaker.epoch, 0);
      play("t", {}, breaker);
      assert.equal(breaker.trialsPassed, 1);
      assert.equal(breaker.passed(ringing, true, 0), false);
      assert.equal(breaker.trialsPassed, 1, "it had passed with its round");
      if (fails) assert.ok(breaker.failed(ringing, true, 0));
      else assert.equal(breaker.passed(slow, false, 0), false);
      assert.deepEqual([breaker.phase, breaker.trialsPassed], fails ? ["open", 0] : ["trials", 2]);
    }
  });

  it("says how many trials are still wanted", () => {
    assert.deepEqual(
      ["", "----", "----t", "----t+", "----t++"].map((outcomes) => play(outcomes).trialsWanted),
      [0, 0, 2, 1, 0],
    );
  });

  it("never skips a phase, and opens only with min_calls and the ratio", () => {
    const next: Record<BreakerPhase, BreakerPhase[]> = { closed: ["open"], open: ["trials"], trials: ["open", "closed"] };
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("+", "o", "r", "-", "~", "t"), { maxLength: 80 }),
        fc.integer({ min: 1, max: 8 }),
        (outcomes, minCalls) => {
          const breaker = new Breaker({ ...SETTINGS, minCalls });
          for (const outcome of outcomes) {
            const before = breaker.phase;
            play(outcome, {}, breaker);
            if (breaker.phase === before) continue;
            assert.ok(next[before].includes(breaker.phase), `${before} → ${breaker.phase}`);
            if (before !== "closed") continue;
            assert.ok(breaker.calls(0) >= minCalls);
            assert.ok(breaker.failures(0) * 2 >= breaker.calls(0));
          }
        },
      ),
    );
  });

  it("does as a model that remembers every call, however calls and rounds overlap", () => {
    const settings = { ...SETTINGS, minCalls: 3, trialCalls: 2 };
    const event = fc.record({ kind: fc.constantFrom("begin", "begin", "ring", "pass", "pass", "fail", "time"), call: fc.nat() });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const breaker = new Breaker(settings);
        const model = new BreakerModel(settings);
        for (const { kind, call } of events) {
          model.happen(kind, call, breaker);
          assert.equal(breaker.phase, model.phase);
          assert.equal(breaker.trialsPassed, model.phase === "trials" ? model.passed.size : 0);
        }
      }),
      { numRuns: 500 },
    );
  });
});

interface ModelCall {
  ticket: number;
  readonly phaseNumber: number;
  rang: boolean;
  over: boolean;
}

/** What the breaker should do, told call by call instead of by tickets and sums. The clock stands still. */
class BreakerModel {
  phase: BreakerPhase = "closed";
  phaseNumber = 0;
  /** Trials of this phase that have passed. */
  readonly passed = new Set<ModelCall>();
  readonly #settings: BreakerSettings;
  readonly #calls: ModelCall[] = [];
  readonly #counted = new Set<ModelCall>();
  #failures = 0;

  constructor(settings: BreakerSettings) {
    this.#settings = settings;
  }

  happen(kind: string, index: number, breaker: Breaker): void {
    if (kind === "begin") this.#calls.push({ ticket: breaker.epoch, phaseNumber: this.phaseNumber, rang: false, over: false });
    else if (kind === "time") {
      breaker.tryOut() || breaker.endRound();
      this.#timeUp();
    } else {
      const open = this.#calls.filter(({ over }) => !over);
      const call = open[index % open.length];
      if (call !== undefined) this.#outcome(kind, call, breaker);
    }
  }

  #outcome(kind: string, call: ModelCall, breaker: Breaker): void {
    const before = breaker.phase;
    if (kind === "ring") {
      if (!call.rang) call.ticket = breaker.alive(call.ticket, 0);
      call.rang = true;
    } else {
      call.over = true;
      const changed = kind === "pass" ? breaker.passed(call.ticket, call.rang, 0) : breaker.failed(call.ticket, call.rang, 0);
      assert.equal(changed, breaker.phase !== before, "it tells of each change");
    }
    if (call.phaseNumber !== this.phaseNumber) return;
    if (this.phase === "closed") this.#judge(kind, call);
    else if (this.phase === "trials" && kind === "fail") this.#turn("open");
    else if (this.phase === "trials" && kind === "pass") this.#pass(call);
  }

  #judge(kind: string, call: ModelCall): void {
    const { minCalls, failureRatio } = this.#settings;
    this.#counted.add(call);
    if (kind !== "fail") return;
    this.#failures++;
    if (this.#counted.size >= minCalls && this.#failures >= failureRatio * this.#counted.size) this.#turn("open");
  }

  #timeUp(): void {
    if (this.phase === "open") this.#turn("trials");
    else if (this.phase === "trials") {
      for (const call of this.#calls) if (call.phaseNumber === this.phaseNumber && call.rang && !call.over) this.passed.add(call);
      if (this.passed.size >= this.#settings.trialCalls) this.#turn("closed");
    }
  }

  #pass(call: ModelCall): void {
    this.passed.add(call);
    if (this.passed.size >= this.#settings.trialCalls) this.#turn("closed");
  }

  #turn(phase: BreakerPhase): void {
    this.phase = phase;
    this.phaseNumber++;
    this.passed.clear();
    this.#counted.clear();
    this.#failures = 0;
  }
}
