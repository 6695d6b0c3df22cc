import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FeedState } from "../../src/dashboard/index.ts";
import { describeStatus, type RowState } from "../../src/dashboard/row-status.ts";
import { FeedRig, row } from "./feed-rig.ts";

const WELL: RowState = {
  isEnabled: true,
  isAutoReenable: true,
  isProbed: false,
  lastCode: 0,
  wasDrained: false,
  isDraining: false,
  drainLoad: 0,
  isLeaving: false,
  isWithdrawn: false,
  feedState: "fresh",
  breaker: "closed",
  restS: 0,
  isOverRate: false,
  callsPerSecond: 0,
  factor: 1,
  full: [],
};

describe("the status of a destination", () => {
  const cases: [Partial<RowState>, string, string][] = [
    [{}, "up", ""],
    [{ full: ["pstn", "conf"] }, "up", "No free slot for pstn, conf"],
    [{ factor: 0.25, full: ["pstn"] }, "up", "No free slot for pstn; It starts slowly, with 25 % of its capacity"],
    [{ feedState: "stale" }, "up", "The heartbeats of its FreeSWITCH have stopped"],
    [{ isEnabled: false, isAutoReenable: false }, "disabled", "An operator has disabled it"],
    [{ isEnabled: false, isAutoReenable: false, wasDrained: true }, "disabled", "A drain is over and has disabled it"],
    [{ isEnabled: false }, "disabled", "A route has disabled it, and no probe looks whether it is back"],
    [{ isEnabled: false, isProbed: true }, "probing", "It is down, and probes look whether it is back"],
    [{ isEnabled: false, isProbed: true, lastCode: 503 }, "probing", "It is down: the last probe ended with 503"],
    [{ isEnabled: false, isProbed: true, lastCode: 408 }, "probing", "It is down: the last probe was not answered"],
    [{ isDraining: true, drainLoad: 1 }, "draining", "No new calls come, 1 of the load is left"],
    [{ isDraining: true, drainLoad: 12, breaker: "open" }, "draining", "No new calls come, 12 of the load are left"],
    [{ isLeaving: true }, "withdrawn", "Its registration has ended, and its calls are left to end"],
    [{ isWithdrawn: true, feedState: "paused" }, "withdrawn", "Its FreeSWITCH is paused"],
    [{ isWithdrawn: true }, "withdrawn", "Whoever tells its capacity says that it takes no calls"],
    [{ breaker: "open" }, "breaker", "Too many of its calls failed, and none are sent for a while"],
    [{ breaker: "trials" }, "breaker", "Too many of its calls failed, and trial calls show whether it is well again"],
    [{ restS: 12, isOverRate: true }, "resting", "It asked by a 503 with Retry-After to be left alone, for another 12 s"],
    [{ isOverRate: true, callsPerSecond: 5 }, "rate", "It got all 5 calls that it may get within a second"],
  ];
  for (const [state, status, why] of cases) {
    it(`is ${status}: "${why}"`, () => assert.deepEqual(describeStatus({ ...WELL, ...state }), [status, why]));
  }
});

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
    assert.match(told((rig) => rig.balancer.restUntil(1, rig.nowMs + 9_000)).why, /for another 8 s$/);
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
