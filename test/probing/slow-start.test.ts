import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, CallLoad } from "../../src/balancer/index.ts";
import { SlowStart } from "../../src/probing/index.ts";
import { TimerWheel } from "../../src/transaction/index.ts";
import { row } from "./probe-bench.ts";

class Bench {
  readonly wheel = new TimerWheel(0, (error) => {
    throw error;
  });
  /** What was set, in order. */
  readonly set: [id: number, share: number, atMs: number][] = [];
  readonly slowStart: SlowStart;
  readonly balancer: Balancer;

  constructor(durationMs: number) {
    this.slowStart = new SlowStart({
      durationMs,
      setShare: (id, share) => {
        this.set.push([id, share, this.wheel.nowMs]);
        this.balancer.setCapacityFactor(id, share);
      },
      wheel: this.wheel,
      nowMs: () => this.wheel.nowMs,
    });
    this.balancer = new Balancer({ below: () => 0, onStatus: (change) => this.slowStart.statusChanged(change) });
    this.balancer.replaceTable([row(1, 2, { group: 7 }), row(2, 2)]);
  }

  run(ms: number): void {
    this.wheel.advance(this.wheel.nowMs + ms);
  }

  reenable(id: number): void {
    this.balancer.setStatus(id, false, "script");
    this.balancer.setStatus(id, true, "probe");
  }

  get shares(): number[] {
    return this.set.map(([, share]) => share);
  }
}

describe("slow start", () => {
  it("lets capacity grow evenly from 10 % to all, from when a destination was enabled again", () => {
    const bench = new Bench(10_000);
    bench.reenable(1);
    bench.run(10_100);
    assert.equal(bench.set.length, 21);
    assert.deepEqual(
      [bench.set[0], bench.set.at(-1)],
      [
        [1, 0.1, 0],
        [1, 1, 10_000],
      ],
    );
    for (const [id, share, atMs] of bench.set) {
      assert.equal(id, 1);
      assert.ok(Math.abs(share - (0.1 + (0.9 * atMs) / 10_000)) < 1e-9);
    }
    assert.equal(bench.wheel.pending, 0);
  });

  it("grows once a second at most, and ten times a second at most when it is short", () => {
    const long = new Bench(600_000);
    long.reenable(1);
    long.run(10_000);
    assert.equal(long.set.length, 11);
    const short = new Bench(300);
    short.reenable(1);
    short.run(1_000);
    assert.equal(short.set.length, 4);
  });

  it("is the same whoever enabled it", () => {
    for (const cause of ["mi", "script", "probe"] as const) {
      const bench = new Bench(10_000);
      bench.balancer.setStatus(1, false, "script");
      bench.balancer.setStatus(1, true, cause);
      bench.run(5_000);
      const [first, second] = bench.balancer.destinations().map((destination) => bench.balancer.capacityFactor(destination));
      assert.ok(Math.abs(first! - 0.55) < 1e-9);
      assert.equal(second, 1);
    }
  });

  it("limits the calls that the balancer gives", () => {
    const bench = new Bench(10_000);
    bench.reenable(1);
    let taken = 0;
    while (taken < 101 && bench.balancer.start(new CallLoad(), 7, "pstn") === 1) taken++;
    assert.equal(taken, 10);
    bench.run(10_100);
    while (taken < 101 && bench.balancer.start(new CallLoad(), 7, "pstn") === 1) taken++;
    assert.equal(taken, 100);
  });

  it("begins again when the destination went down meanwhile", () => {
    const bench = new Bench(10_000);
    bench.reenable(1);
    bench.run(5_100);
    bench.balancer.setStatus(1, false, "probe");
    assert.equal(bench.shares.at(-1), 1, "a disabled destination has all of its capacity");
    assert.equal(bench.wheel.pending, 0);
    bench.run(3_000);
    bench.balancer.setStatus(1, true, "probe");
    assert.equal(bench.shares.at(-1), 0.1);
    bench.run(10_100);
    assert.equal(bench.shares.at(-1), 1);
  });

  it("is not touched by a change of the MI flag alone", () => {
    const bench = new Bench(10_000);
    bench.balancer.setStatus(1, false, "script");
    bench.balancer.setStatus(1, false, "mi");
    assert.deepEqual(bench.set, []);
  });

  it("goes on after a reload, and is forgotten with its destination", () => {
    const bench = new Bench(10_000);
    bench.reenable(1);
    bench.reenable(2);
    bench.run(5_100);
    bench.balancer.replaceTable([row(2, 2, { attrs: "changed" })]);
    bench.slowStart.tableChanged(bench.balancer.destinations());
    assert.ok(bench.balancer.capacityFactor(bench.balancer.destination(2)!) > 0.5);
    bench.run(10_000);
    assert.deepEqual(bench.set.at(-1)?.slice(0, 2), [2, 1]);
    assert.equal(bench.set.filter(([id]) => id === 1).at(-1)![1] < 1, true);
    assert.equal(bench.wheel.pending, 0);
  });

  it("does nothing when it is off, and leaves no timer when it is stopped", () => {
    const off = new Bench(0);
    off.reenable(1);
    assert.deepEqual(off.set, []);
    assert.equal(off.wheel.pending, 0);
    const stopped = new Bench(10_000);
    stopped.reenable(1);
    stopped.slowStart.stop();
    assert.equal(stopped.wheel.pending, 0);
  });
});
