import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LoadWatch } from "../../src/overload/load-watch.ts";

/** What the watch says after each sample of [lag in ms, utilization]. */
function played(samples: readonly (readonly [number, number])[], settings = { maxLagMs: 200, maxUtilization: 0.98 }): string[] {
  const watch = new LoadWatch(settings);
  return samples.map(([lagMs, utilization]) => {
    watch.take({ lagMs, utilization });
    return watch.cause ?? "-";
  });
}

const idle: readonly [number, number] = [1, 0.1];
const busy: readonly [number, number] = [1, 1];

describe("the watch of the event loop", () => {
  it("sees an overload when it stands still twice in a row, and its end after four calm samples", () => {
    const samples: (readonly [number, number])[] = [idle, [250, 0.5], [200, 0.5], idle, idle, idle, idle, idle];
    assert.deepEqual(played(samples), ["-", "-", "lag", "lag", "lag", "lag", "-", "-"]);
  });

  it("overlooks a single standstill, as of a machine that was paused", () => {
    assert.deepEqual(new Set(played([[9_000, 0.2], idle, [300, 0.2], idle])), new Set(["-"]));
  });

  it("sees an overload when it has had no idle moment for twelve samples", () => {
    const seen = played([...Array<typeof busy>(14).fill(busy), idle, idle, idle, idle]);
    assert.equal(seen.indexOf("utilization"), 11);
    assert.equal(seen.at(-2), "utilization");
    assert.equal(seen.at(-1), "-");
  });

  it("stays with what is just below the limit until it is well below", () => {
    const seen = played([[250, 0], [250, 0], ...Array<[number, number]>(20).fill([170, 0])]);
    assert.equal(seen.at(-1), "lag");
  });

  it("does not look at what is set to 0", () => {
    const samples = Array<[number, number]>(20).fill([5_000, 1]);
    assert.deepEqual(new Set(played(samples, { maxLagMs: 0, maxUtilization: 0 })), new Set(["-"]));
    assert.equal(played(samples, { maxLagMs: 0, maxUtilization: 0.9 }).at(-1), "utilization");
  });

  it("ends an overload whose limits are taken away", () => {
    const watch = new LoadWatch({ maxLagMs: 200, maxUtilization: 0.98 });
    for (let n = 0; n < 2; n++) watch.take({ lagMs: 500, utilization: 1 });
    watch.use({ maxLagMs: 0, maxUtilization: 0 });
    for (let n = 0; n < 4; n++) watch.take({ lagMs: 500, utilization: 1 });
    assert.equal(watch.cause, undefined);
  });
});
