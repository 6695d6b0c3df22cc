import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Breaker, type BreakerPhase, type BreakerSettings } from "../../src/health/index.ts";

const SETTINGS: BreakerSettings = { windowMs: 10_000, minCalls: 4, failureRatio: 0.5, openMs: 5_000, trialCalls: 2 };

/** Plays calls that begin and end at once: `+` alive, `-` failed, `~` alive and failed afterwards, `t` the open time is over. */
function play(outcomes: string, settings: Partial<BreakerSettings> = {}, breaker = new Breaker({ ...SETTINGS, ...settings })): Breaker {
  for (const outcome of outcomes) {
    const { epoch } = breaker;
    if (outcome === "t") breaker.tryOut();
    else if (outcome === "-") breaker.failed(epoch, false, 0);
    else breaker.alive(epoch, 0);
    if (outcome === "~") breaker.failed(epoch, true, 0);
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
    ["another round of trials may close it", "----t-t++", {}, "closed"],
    ["good trials of the round before do not count", "----t+-t+", {}, "trials"],
    ["after closing the window is empty", "----t++---", {}, "closed"],
    ["and it can open again", "----t++----", {}, "open"],
    ["time means nothing while it is closed", "---t", {}, "closed"],
    ["time means nothing during trials", "----tt+", {}, "trials"],
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
    breaker.alive(0, 0);
    assert.ok(breaker.failed(0, true, 60_000));
    assert.deepEqual([breaker.calls(60_000), breaker.failures(60_000)], [1, 1]);
  });

  it("a call that was sent in another phase says nothing: not a late success in the trials, not a late time-out after closing", () => {
    const breaker = play("----t");
    assert.equal(breaker.alive(0, 0), false);
    assert.equal(breaker.failed(0, false, 0), false);
    assert.deepEqual([breaker.phase, breaker.trialsPassed, breaker.trialsWanted], ["trials", 0, 2]);
    const trials = breaker.epoch;
    play("++", {}, breaker);
    for (let i = 0; i < 9; i++) assert.equal(breaker.failed(trials, true, 0), false);
    assert.deepEqual([breaker.phase, breaker.failures(0)], ["closed", 0]);
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
        fc.array(fc.constantFrom("+", "-", "~", "t"), { maxLength: 80 }),
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
});
