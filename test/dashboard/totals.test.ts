import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallLoad } from "../../src/balancer/index.ts";
import { FeedRig, row } from "./feed-rig.ts";

const ROWS = [row(1, 1, "pstn=30;conf=5"), row(2, 1, "pstn=10"), row(7, 2, "pstn=3", { attrs: "x=1", probeMode: 1 })];

describe("the totals", () => {
  it("say how fast calls and decisions come, by the time that has passed", () => {
    const rig = new FeedRig(ROWS);
    const reader = rig.open();
    rig.settle();
    reader.take();
    Object.assign(rig.totals, { ongoing: 12, early: 3, begun: 20, failovers: 4, refused: 2, lagMs: 7.25 });
    for (let i = 0; i < 5; i++) rig.balancer.start(new CallLoad(), 2, "pstn");
    rig.pass(1_000);
    const totals = reader.take().find(({ event }) => event === "totals")!.data;
    const { calls, early, cps, decisions, decisionsPerSecond, failovers, refused, lagMs, memoryMb, cluster } = totals;
    assert.deepEqual([calls, early, cps, failovers, refused, lagMs, memoryMb, cluster], [12, 3, 20, 4, 2, 7.3, 100, null]);
    assert.deepEqual(decisions, { "1": 3, "-1": 0, "-2": 2, "-3": 0, "-4": 0 });
    assert.deepEqual(decisionsPerSecond, decisions);
    rig.pass(1_000);
    const later = reader.take().find(({ event }) => event === "totals")!.data;
    assert.deepEqual([later.cps, later.decisionsPerSecond["1"], later.decisions["1"]], [0, 0, 3]);
  });

  it("do not jump when a new reader makes it look soon after", () => {
    const rig = new FeedRig(ROWS);
    rig.open();
    rig.settle();
    rig.totals.begun = 10;
    rig.pass(1_000);
    rig.totals.begun = 11;
    rig.pass(150);
    const second = rig.open();
    rig.settle();
    assert.equal(second.take().find(({ event }) => event === "totals")!.data.cps, 10);
  });

  it("have the nodes of the cluster, and who holds each tag", () => {
    const node = {
      isAlive: true,
      version: "1.2.3",
      sip: ["udp:192.0.2.1:5060"],
      managementUrl: "http://192.0.2.1:8888/mi",
      lastSeenMs: 999_000.5,
    };
    const cluster = {
      nodeId: 1,
      redis: "connected",
      rttMs: 0.4321,
      nodes: () => [
        { ...node, nodeId: 1, isSelf: true },
        { ...node, nodeId: 2, isSelf: false, isAlive: false },
      ],
      tags: () => [
        { tag: "vip", state: "active", owner: 1 },
        { tag: "b", state: "backup" },
      ],
    };
    const rig = new FeedRig(ROWS, { cluster });
    const reader = rig.open();
    rig.settle();
    const told = { version: "1.2.3", sip: ["udp:192.0.2.1:5060"], url: "http://192.0.2.1:8888/mi", lastSeen: 999_001 };
    assert.deepEqual(reader.take().at(-1)!.data.cluster, {
      node: 1,
      redis: "connected",
      rttMs: 0.4,
      nodes: [
        { id: 1, alive: true, self: true, ...told },
        { id: 2, alive: false, self: false, ...told },
      ],
      tags: [
        { tag: "vip", state: "active", owner: 1 },
        { tag: "b", state: "backup", owner: null },
      ],
    });
  });

  it("of groups count those that take calls, and a pool once", () => {
    const rig = new FeedRig([
      row(1, 1, "pstn=30", { attrs: "shared=a" }),
      row(2, 1, "pstn=30", { attrs: "shared=a" }),
      row(3, 1, "pstn=5"),
      row(4, 2, "pstn=9"),
    ]);
    rig.balancer.start(new CallLoad(), 1, "pstn");
    rig.balancer.setStatus(3, false, "mi");
    rig.balancer.setStatus(4, false, "mi");
    const reader = rig.open();
    rig.settle();
    assert.deepEqual(reader.take().at(-1)!.data.groups, { "1": { pstn: [1, 30] }, "2": { pstn: [0, 0] } });
  });
});
