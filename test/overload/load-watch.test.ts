import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LoadWatch } from "../../src/overload/load-watch.ts";

/** A sample of [lag in ms, utilization, share of repeated INVITEs, none without it]. */
type Sample = readonly [lagMs: number, utilization: number, repeatedShare?: number];

/** What the watch says after each sample. */
function played(samples: readonly Sample[], settings = { maxLagMs: 200, maxUtilization: 0.98 }): string[] {
  const watch = new LoadWatch(settings);
  return samples.map(([lagMs, utilization, repeatedShare = 0]) => {
    watch.take({ lagMs, utilization, repeatedShare });
    return watch.cause ?? "-";
  });
}

const idle: readonly [number, number] = [1, 0.1];
const busy: Sample = [1, 1];
const late: Sample = [1, 1, 0.2];

describe("the watch of the event loop", () => {
  it("sees an overload when it stands still twice in a row, and its end after four calm samples", () => {
    const samples: (readonly [number, number])[] = [idle, [250, 0.5], [200, 0.5], idle, idle, idle, idle, idle];
    assert.deepEqual(played(samples), ["-", "-", "lag", "lag", "lag", "lag", "-", "-"]);
  });

  it("overlooks a single standstill, as of a machine that was paused", () => {
    assert.deepEqual(new Set(played([[9_000, 0.2], idle, [300, 0.2], idle])), new Set(["-"]));
  });

  it("takes full use for no overload as long as callers are answered in time, a lost datagram now and then included", () => {
    assert.deepEqual(new Set(played(Array<Sample>(100).fill(busy))), new Set(["-"]));
    assert.deepEqual(new Set(played(Array<Sample>(100).fill([1, 1, 0.02]))), new Set(["-"]));
    assert.deepEqual(new Set(played(Array<Sample>(100).fill([1, 0.5, 1]))), new Set(["-"]), "copies alone are none either");
  });

  it("sees one as soon as callers wait, within two times twelve samples", () => {
    const seen = played([...Array<Sample>(30).fill(busy), ...Array<Sample>(30).fill(late)]);
    assert.equal(seen.indexOf("utilization"), 35);
  });

  it("sees an overload when it has had no idle moment for twelve samples and callers have repeated INVITEs", () => {
    const seen = played([...Array<Sample>(8).fill(busy), ...Array<Sample>(6).fill(late), idle, idle, idle, idle]);
    assert.equal(seen.indexOf("utilization"), 11);
    assert.equal(seen.at(-2), "utilization");
    assert.equal(seen.at(-1), "-");
  });

  it("stays with what is just below the limit until it is well below", () => {
    const seen = played([[250, 0], [250, 0], ...Array<[number, number]>(20).fill([170, 0])]);
    assert.equal(seen.at(-1), "lag");
  });

  it("does not look at what is set to 0", () => {
    const samples = Array<Sample>(20).fill([5_000, 1, 0.5]);
    assert.deepEqual(new Set(played(samples, { maxLagMs: 0, maxUtilization: 0 })), new Set(["-"]));
    assert.equal(played(samples, { maxLagMs: 0, maxUtilization: 0.9 }).at(-1), "utilization");
  });

  it("ends an overload whose limits are taken away", () => {
    const watch = new LoadWatch({ maxLagMs: 200, maxUtilization: 0.98 });
    for (let n = 0; n < 2; n++) watch.take({ lagMs: 500, utilization: 1, repeatedShare: 0 });
    watch.use({ maxLagMs: 0, maxUtilization: 0 });
    for (let n = 0; n < 4; n++) watch.take({ lagMs: 500, utilization: 1, repeatedShare: 0 });
    assert.equal(watch.cause, undefined);
  });
});
