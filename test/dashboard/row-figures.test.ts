import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FeedState } from "../../src/health/index.ts";
import { FeedRig, row } from "./feed-rig.ts";

describe("the figures of a destination", () => {
  /** What a reader is told of the first row after a change. */
  function told(change: (rig: FeedRig) => void, attrs?: string): { status: string; why: string; [name: string]: unknown } {
    const rig = new FeedRig([row(1, 1, "pstn=10", { probeMode: 2, attrs })]);
    const reader = rig.open();
    rig.settle();
    reader.take();
    change(rig);
    rig.pass(1_000);
    const figures = reader.take().find(({ event }) => event === "figures");
    assert.ok(figures !== undefined, "nothing has changed");
    return figures.data.rows[0];
  }

  it("have what probes have shown, in thousandths of a millisecond", () => {
    const row = told((rig) => rig.probes.set(1, { lastStatus: 200, latency: { last: 1.23456, ewma: 2, samples: 1 } }));
    assert.deepEqual([row["probeMs"], row["probeAvgMs"], row["lastCode"]], [1.235, 2, 200]);
  });

  it("have no latency when nothing was answered", () => {
    const row = told((rig) => rig.probes.set(1, { lastStatus: 408, latency: { last: 0, ewma: 0, samples: 0 } }));
    assert.deepEqual([row["probeMs"], row["probeAvgMs"], row["lastCode"]], [null, null, 408]);
  });

  it("have the drain, and its deadline if there is one", () => {
    const drain = (deadlineMs: number) => (rig: FeedRig) => {
      rig.balancer.setDraining(1, true);
      rig.drains.set(1, { load: 3, deadlineMs });
    };
    assert.deepEqual(told(drain(0))["drain"], { load: 3, deadline: null });
    assert.deepEqual(told(drain(1_700_000_000_000.5))["drain"], { load: 3, deadline: 1_700_000_000_001 });
  });

  it("say that a drain has disabled it", () => {
    const row = told((rig) => {
      rig.balancer.setStatus(1, false, "drain");
      rig.drained.add(1);
    });
    assert.deepEqual([row.status, row.why], ["disabled", "A drain is over and has disabled it"]);
  });

  it("have loads of other nodes, those of strangers, and a slow start", () => {
    const row = told((rig) => {
      const cell = rig.balancer.destination(1)!.resources[0]!.cell;
      rig.balancer.setRemoteLoad(cell, 4);
      rig.balancer.feed(cell, 20, 2);
      rig.balancer.setCapacityFactor(1, 0.5);
    });
    assert.deepEqual([row["loads"], row["factor"]], [[[4, 10, 20, 4, 2]], 0.5]);
  });

  it("follow breakers, rests and limits of calls a second", () => {
    assert.equal(told((rig) => rig.balancer.setBreaker(1, "open")).status, "breaker");
    assert.match(told((rig) => rig.balancer.restUntil(1, rig.nowMs + 9_000)).why, /^8 s are left of the rest/);
    assert.equal(told((rig) => rig.balancer.setWithdrawn(1, true)).status, "withdrawn");
    assert.equal(told((rig) => rig.balancer.setLeaving(1, true)).status, "withdrawn");
  });

  it("are JSON whatever stands in the table", () => {
    const attrs = 'a="b\\c"\n\u2028';
    const rig = new FeedRig([row(1, 1, "pstn=1", { attrs, uri: 'sip:"\\@192.0.2.1' })]);
    const reader = rig.open();
    rig.settle();
    const [, table, figures] = reader.take();
    const [listed] = table!.data.destinations;
    assert.deepEqual([listed.attrs, listed.uri], [attrs, 'sip:"\\@192.0.2.1']);
    assert.equal(figures!.data.rows.length, 1);
  });

  it("are asked of a FreeSWITCH only where one feeds it", () => {
    const state: FeedState = "stale";
    const rig = new FeedRig([row(1, 1, "pstn=10")]);
    rig.feedState = state;
    const reader = rig.open();
    rig.settle();
    assert.equal(reader.take()[2]!.data.rows[0].why, "");
  });
});
