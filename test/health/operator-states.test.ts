import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DestinationState } from "../../src/health/index.ts";
import { DrainFarm, row, START_MS } from "./drain-farm.ts";

const ROWS = [row(1), row(2)];

function state(id: number, over: Partial<DestinationState>): DestinationState {
  return {
    id,
    group: 1,
    uri: `sip:192.0.2.${id}`,
    enabled: true,
    autoReenable: true,
    draining: false,
    drainDeadlineMs: 0,
    drainBye: false,
    changedAtMs: START_MS,
    cause: "mi",
    ...over,
  };
}

const DISABLED = { enabled: false, autoReenable: false } as const;

describe("what is written down", () => {
  it("is what an operator decides, once for each decision", () => {
    const farm = new DrainFarm(ROWS);
    farm.clock.advance(5);
    farm.balancer.setStatus(1, false, "mi");
    farm.balancer.setStatus(1, false, "mi");
    farm.balancer.setStatus(1, true, "mi");
    farm.balancer.setStatus(1, true, "mi");
    const changedAtMs = START_MS + 5;
    assert.deepEqual(farm.saved, [state(1, { ...DISABLED, changedAtMs }), state(1, { changedAtMs })]);
  });

  it("is not what probes and scripts do", () => {
    const farm = new DrainFarm(ROWS);
    farm.balancer.setStatus(1, false, "probe");
    farm.balancer.setStatus(1, true, "probe");
    farm.balancer.setStatus(1, false, "script");
    assert.deepEqual(farm.saved, []);
    farm.balancer.setStatus(1, false, "mi");
    assert.deepEqual(farm.saved, [state(1, DISABLED)]);
  });

  it("is each change of a drain, with its terms", () => {
    const farm = new DrainFarm(ROWS);
    farm.place(1);
    farm.drains.begin(1, 0, false);
    farm.drains.begin(1, 60, true);
    farm.drains.begin(1, 90, true);
    farm.drains.begin(1, 90, true);
    farm.drains.undo(1);
    farm.drains.begin(1, 1, false);
    farm.clock.advance(1_000);
    farm.drains.undo(1);
    assert.deepEqual(farm.saved, [
      state(1, { draining: true }),
      state(1, { draining: true, drainDeadlineMs: START_MS + 60_000, drainBye: true }),
      state(1, { draining: true, drainDeadlineMs: START_MS + 90_000, drainBye: true }),
      state(1, {}),
      state(1, { draining: true, drainDeadlineMs: START_MS + 1_000 }),
      state(1, { ...DISABLED, cause: "drain", changedAtMs: START_MS + 1_000 }),
      state(1, { changedAtMs: START_MS + 1_000 }),
    ]);
  });

  it("tells of a drain that has ended whether the destination was down, and no more of it once an operator has disabled it", () => {
    const farm = new DrainFarm(ROWS);
    farm.balancer.setStatus(1, false, "probe");
    farm.drains.begin(1, 0, false);
    farm.drains.begin(2, 0, false);
    farm.setStatus(1, false);
    farm.setStatus(2, false);
    farm.setStatus(2, false);
    assert.deepEqual(farm.saved, [
      state(1, { draining: true }),
      state(1, { enabled: false, autoReenable: true, cause: "drain" }),
      state(2, { draining: true }),
      state(2, { ...DISABLED, cause: "drain" }),
      state(1, DISABLED),
      state(2, DISABLED),
    ]);
  });

  it("keeps the operator's status apart from that of a probe while draining", () => {
    const farm = new DrainFarm(ROWS);
    farm.place(1);
    farm.balancer.setStatus(1, false, "probe");
    farm.drains.begin(1, 0, false);
    assert.deepEqual(farm.saved, [state(1, { draining: true })]);
    farm.balancer.setStatus(1, false, "mi");
    assert.deepEqual(farm.saved[1], state(1, { ...DISABLED, draining: true }));
  });
});

describe("after a restart", () => {
  it("a destination that an operator disabled is disabled before the first call, and no news is made of it", () => {
    const before = new DrainFarm(ROWS);
    before.balancer.setStatus(1, false, "mi");
    const farm = before.restarted(ROWS);
    assert.deepEqual([farm.state(1), farm.state(2), farm.kept], ["disabled", "enabled", [1]]);
    assert.equal(farm.balancer.isAutoReenable(farm.destination(1)), false);
    assert.deepEqual([farm.statuses, farm.saved, farm.changes], [[], [], []]);
    farm.balancer.setStatus(1, true, "mi");
    assert.deepEqual([farm.state(1), farm.saved.length], ["enabled", 1]);
    assert.equal(farm.restarted(ROWS).state(1), "enabled");
  });

  it("a drain goes on, with the deadline that it had", () => {
    const before = new DrainFarm(ROWS);
    before.place(1);
    before.drains.begin(1, 60, true);
    before.clock.advance(20_000);
    const farm = before.restarted(ROWS);
    assert.deepEqual(farm.drains.of(farm.destination(1)), { load: 0, deadlineMs: START_MS + 60_000, bye: true });
    farm.place(1);
    assert.equal(farm.state(1), "draining 0", "the call went elsewhere");
    farm.clock.advance(1_000);
    assert.deepEqual([farm.state(1), farm.told()], ["drained", ["1 ended 0 idle"]]);
  });

  it("a destination that a drain has disabled is disabled, and can be enabled by undoing the drain", () => {
    const before = new DrainFarm(ROWS);
    before.drains.begin(1, 0, false);
    const farm = before.restarted(ROWS);
    assert.deepEqual([farm.state(1), farm.changes, farm.saved], ["drained", [], []]);
    assert.equal(farm.drains.undo(1), "undone");
    assert.equal(farm.restarted(ROWS).state(1), "enabled");
  });

  it("a destination is known by id, group and URI, the URI without regard to case", () => {
    const states = [state(1, { ...DISABLED, uri: "SIP:192.0.2.1" }), state(2, { ...DISABLED, group: 7 }), state(9, DISABLED)];
    const farm = new DrainFarm(ROWS, states);
    assert.deepEqual([farm.state(1), farm.state(2), farm.kept], ["disabled", "enabled", [1]]);
  });
});

describe("a reload", () => {
  it("that takes a row away and brings it back keeps what an operator decided for it", () => {
    const farm = new DrainFarm(ROWS);
    farm.balancer.setStatus(1, false, "mi");
    farm.drains.begin(2, 0, false);
    farm.replaceTable([]);
    farm.replaceTable(ROWS);
    assert.deepEqual([farm.state(1), farm.state(2), farm.kept], ["disabled", "drained", [1, 2]]);
    assert.equal(farm.saved.length, 3, "nothing was written again");
  });

  it("touches nothing of rows that stay", () => {
    const farm = new DrainFarm(ROWS, [state(1, DISABLED)]);
    farm.balancer.setStatus(1, true, "mi");
    farm.balancer.setStatus(2, false, "probe");
    farm.replaceTable([...ROWS, row(3)]);
    assert.deepEqual([farm.state(1), farm.state(2), farm.state(3)], ["enabled", "disabled", "enabled"]);
    farm.replaceTable([]);
    farm.replaceTable(ROWS);
    assert.deepEqual(farm.kept, [1], "only at the start");
  });
});
