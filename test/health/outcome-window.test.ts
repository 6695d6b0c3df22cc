import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { OutcomeWindow } from "../../src/health/index.ts";

describe("the window of outcomes", () => {
  it("counts calls and failures apart, each for a window, and forgets a tenth at a time", () => {
    const window = new OutcomeWindow(1_000);
    window.countCall(0);
    window.countFailure(50);
    window.countCall(100);
    const rows: readonly (readonly [nowMs: number, calls: number, failures: number])[] = [
      [999, 2, 1],
      [1_000, 1, 0],
      [1_099, 1, 0],
      [1_100, 0, 0],
      [5_000_000, 0, 0],
    ];
    for (const [nowMs, calls, failures] of rows) {
      assert.deepEqual([window.calls(nowMs), window.failures(nowMs)], [calls, failures], `at ${nowMs}`);
    }
  });

  it("begins anywhere on the clock, also at a fraction of a millisecond", () => {
    const window = new OutcomeWindow(30_000);
    window.countCall(86_400_000.25);
    assert.equal(window.calls(86_400_000.5), 1);
    assert.equal(window.calls(86_430_000.5), 0);
  });

  it("clear() forgets everything", () => {
    const window = new OutcomeWindow(1_000);
    window.countCall(5);
    window.countFailure(5);
    window.clear();
    assert.deepEqual([window.calls(5), window.failures(5)], [0, 0]);
  });

  it("holds everything of the last nine tenths and nothing older than the window", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400), { maxLength: 60 }), fc.nat(3_000), (gapsMs, afterMs) => {
        const window = new OutcomeWindow(1_000);
        const times: number[] = [];
        let nowMs = 0;
        for (const gapMs of gapsMs) {
          nowMs += gapMs;
          window.countCall(nowMs);
          times.push(nowMs);
        }
        nowMs += afterMs;
        const counted = window.calls(nowMs);
        const since = (ms: number): number => times.filter((time) => time > nowMs - ms).length;
        assert.ok(counted >= since(900), `${counted} of at least ${since(900)}`);
        assert.ok(counted <= since(1_000), `${counted} of at most ${since(1_000)}`);
      }),
    );
  });
});
