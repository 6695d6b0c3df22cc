import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallLoad } from "../../src/balancer/index.ts";
import { DRAIN_CHECK_MS, END_STEP_MS } from "../../src/health/drain.ts";
import { ENDED_A_STEP } from "../../src/health/ended-drains.ts";
import { DrainFarm, row, START_MS } from "./drain-farm.ts";

describe("a drain", () => {
  it("keeps new calls away, lets ongoing ones go on, and disables the destination when the last has ended", () => {
    const farm = new DrainFarm([row(1), row(2, "pstn=10")]);
    const calls = farm.place(3);
    assert.equal(farm.drains.begin(1, 0, false), true);
    assert.deepEqual(farm.told(), ["1 started 3"]);
    assert.equal(farm.state(1), "draining 3");
    farm.place(2);
    assert.deepEqual([farm.state(1), farm.balancer.ownLoad(farm.destination(2).resources[0]!.cell)], ["draining 3", 2]);

    farm.hangUp(calls[0]!, calls[1]!);
    farm.clock.advance(10 * DRAIN_CHECK_MS);
    assert.deepEqual([farm.state(1), farm.told()], ["draining 1", []]);
    farm.hangUp(calls[2]!);
    farm.clock.advance(DRAIN_CHECK_MS);
    assert.deepEqual([farm.state(1), farm.told()], ["drained", ["1 ended 0 idle"]]);
    assert.deepEqual(farm.ended, []);
    assert.equal(farm.balancer.isAutoReenable(farm.destination(1)), false, "a probe must not enable it");
    assert.deepEqual(
      farm.statuses.map(({ destination, enabled, cause }) => [destination.id, enabled, cause]),
      [[1, false, "drain"]],
    );
    assert.equal(farm.clock.pending, 0);
  });

  it("of a destination without calls ends at once", () => {
    const farm = new DrainFarm([row(1)]);
    farm.drains.begin(1, 60, true);
    assert.deepEqual([farm.state(1), farm.told(), farm.clock.pending], ["drained", ["1 started 0", "1 ended 0 idle"], 0]);
  });

  it("of an id that does not exist changes nothing", () => {
    const farm = new DrainFarm([row(1)]);
    assert.equal(farm.drains.begin(9, 0, false), false);
    assert.equal(farm.drains.undo(9), "no-destination");
    assert.equal(farm.drains.undo(1), "not-draining");
    assert.deepEqual([farm.told(), farm.saved], [[], []]);
  });

  it("tells the load of the resource that has most of it", () => {
    const farm = new DrainFarm([row(1, "pstn=9;conf=9;fax=9")]);
    farm.place(2, "pstn");
    farm.place(3, "pstn;conf");
    farm.drains.begin(1, 0, false);
    assert.equal(farm.state(1), "draining 5");
    const [first] = farm.calls.keys();
    farm.hangUp(first!);
    assert.equal(farm.state(1), "draining 4");
  });

  it("looks at the destination's own calls, not at those of its pool", () => {
    const pooled = (id: number) => ({ ...row(id), attrs: "shared=box" });
    const farm = new DrainFarm([pooled(1), pooled(2)]);
    farm.place(4);
    const own = [1, 2].map((id) => farm.balancer.ownLoad(farm.destination(id).resources[0]!.cell));
    assert.deepEqual(own, [4, 0]);
    farm.drains.begin(2, 0, false);
    assert.equal(farm.state(2), "drained");
  });

  it("waits for a call that comes from the destination as well", () => {
    const farm = new DrainFarm([row(1)]);
    farm.drains.begin(1, 0, false);
    assert.equal(farm.state(1), "drained");
    const load = new CallLoad();
    assert.equal(farm.balancer.countCall(load, "192.0.2.1", 5060, -1, "pstn"), 1);
    farm.drains.begin(1, 0, false);
    assert.equal(farm.state(1), "draining 1 (drained)");
    farm.balancer.release(load);
    farm.clock.advance(DRAIN_CHECK_MS);
    assert.equal(farm.state(1), "drained");
  });

  it("waits for calls of a resource that the row lacks, and ends them at the deadline", () => {
    const farm = new DrainFarm([row(1), row(2, "pstn=10;fax=1")]);
    const load = new CallLoad();
    assert.equal(farm.balancer.countCall(load, "192.0.2.1", 5060, -1, "fax"), 1);
    farm.calls.set("fax", load);
    farm.drains.begin(1, 10, true);
    assert.equal(farm.state(1), "draining 1");
    farm.clock.advance(10_000);
    assert.deepEqual([farm.state(1), farm.ended, farm.told()], ["drained", ["fax"], ["1 started 1", "1 ended 0 deadline"]]);
  });

  it("counts what it did", () => {
    const farm = new DrainFarm([row(1), row(2, "pstn=10")]);
    farm.place(2);
    farm.drains.begin(1, 1, true);
    farm.drains.begin(1, 2, true);
    farm.drains.begin(2, 0, false);
    assert.deepEqual(
      { ...farm.drains.counters },
      { draining: 1, drains_started: 2, drains_undone: 0, drains_ended: 1, drain_calls_ended: 0 },
    );
    farm.drains.undo(2);
    farm.clock.advance(5_000);
    assert.deepEqual(
      { ...farm.drains.counters },
      { draining: 0, drains_started: 2, drains_undone: 1, drains_ended: 2, drain_calls_ended: 2 },
    );
  });
});

describe("the deadline of a drain", () => {
  it("disables the destination and leaves its calls alone, not before its time", () => {
    const farm = new DrainFarm([row(1)]);
    const calls = farm.place(2);
    farm.drains.begin(1, 90, false);
    assert.equal(farm.drains.of(farm.destination(1))?.deadlineMs, START_MS + 90_000);
    farm.clock.advance(89_999);
    assert.deepEqual([farm.state(1), farm.told()], ["draining 2", ["1 started 2"]]);
    farm.clock.advance(20);
    assert.deepEqual([farm.state(1), farm.told(), farm.ended], ["drained", ["1 ended 2 deadline"], []]);
    farm.hangUp(...calls);
    farm.clock.advance(DRAIN_CHECK_MS);
    assert.deepEqual(farm.told(), []);
  });

  it("with bye ends the calls that are left, a part at a time, and then disables the destination", () => {
    const farm = new DrainFarm([row(1, "pstn=1000"), row(2, "pstn=10")]);
    farm.place(2 * ENDED_A_STEP + 1);
    farm.drains.begin(1, 1, true);
    const elsewhere = farm.place(3);
    farm.told();
    farm.clock.advance(1_000);
    assert.deepEqual([farm.ended.length, farm.state(1)], [ENDED_A_STEP, `draining ${ENDED_A_STEP + 1}`]);
    farm.clock.advance(END_STEP_MS);
    assert.equal(farm.state(1), "draining 1");
    farm.clock.advance(END_STEP_MS);
    assert.deepEqual([farm.state(1), farm.told()], ["drained", ["1 ended 0 deadline"]]);
    assert.deepEqual([...farm.calls.keys()], elsewhere);
  });

  it("ends no call that has gone to another destination meanwhile, or ended", () => {
    const farm = new DrainFarm([row(1, "pstn=1000"), row(2, "pstn=100")]);
    const calls = farm.place(ENDED_A_STEP + 2);
    farm.drains.begin(1, 1, true);
    farm.clock.advance(1_000);
    const [moved, gone] = calls.slice(ENDED_A_STEP);
    assert.equal(farm.balancer.next(farm.calls.get(moved!)!), 1);
    farm.hangUp(gone!);
    farm.clock.advance(END_STEP_MS);
    assert.deepEqual([farm.state(1), farm.ended.length, [...farm.calls.keys()]], ["drained", ENDED_A_STEP, [moved]]);
    assert.equal(farm.told().at(-1), "1 ended 0 deadline");
  });

  it("goes on when ending one call throws", () => {
    const farm = new DrainFarm([row(1)]);
    const [first] = farm.place(3);
    farm.onEnding = (name) => {
      if (name === first) throw new Error("no socket");
    };
    farm.drains.begin(1, 1, true);
    assert.throws(() => farm.clock.advance(1_000), /no socket/);
    farm.clock.advance(1_000);
    assert.deepEqual([farm.state(1), farm.ended.length, farm.told().at(-1)], ["drained", 2, "1 ended 1 deadline"]);
  });

  it("may be changed, taken away and made nearer while the drain goes on", () => {
    const farm = new DrainFarm([row(1)]);
    farm.place(1);
    farm.drains.begin(1, 10, true);
    farm.clock.advance(9_000);
    farm.drains.begin(1, 0, false);
    farm.clock.advance(60_000);
    assert.equal(farm.state(1), "draining 1");
    farm.drains.begin(1, 1, false);
    farm.clock.advance(1_000);
    assert.deepEqual(farm.told(), ["1 started 1", "1 changed 1", "1 changed 1", "1 ended 1 deadline"]);
    assert.deepEqual(farm.ended, []);
  });
});

describe("undoing a drain", () => {
  it("lets calls come again", () => {
    const farm = new DrainFarm([row(1)]);
    farm.place(1);
    farm.drains.begin(1, 10, true);
    assert.equal(farm.drains.undo(1), "undone");
    farm.place(1);
    farm.clock.advance(60_000);
    assert.deepEqual([farm.state(1), farm.told(), farm.ended, farm.clock.pending], ["enabled", ["1 started 1", "1 undone 1"], [], 0]);
    assert.equal(farm.drains.undo(1), "not-draining");
  });

  it("stops the ending of calls at the deadline", () => {
    const farm = new DrainFarm([row(1, "pstn=1000")]);
    farm.place(ENDED_A_STEP + 5);
    farm.drains.begin(1, 1, true);
    farm.clock.advance(1_000);
    assert.equal(farm.drains.undo(1), "undone");
    farm.clock.advance(60_000);
    assert.deepEqual([farm.state(1), farm.ended.length, farm.calls.size], ["enabled", ENDED_A_STEP, 5]);
  });

  it("enables a destination that a drain has disabled", () => {
    const farm = new DrainFarm([row(1)]);
    farm.drains.begin(1, 0, false);
    assert.equal(farm.state(1), "drained");
    assert.equal(farm.drains.undo(1), "undone");
    assert.equal(farm.state(1), "enabled");
    assert.deepEqual(
      farm.statuses.map(({ enabled, cause }) => [enabled, cause]),
      [
        [false, "drain"],
        [true, "mi"],
      ],
    );
  });

  it("does not enable what an operator or a probe had disabled", () => {
    const farm = new DrainFarm([row(1), row(2)]);
    farm.place(1);
    farm.balancer.setStatus(1, false, "mi");
    farm.drains.begin(1, 0, false);
    assert.equal(farm.state(1), "draining 1 (disabled)");
    farm.drains.undo(1);
    assert.equal(farm.state(1), "disabled");

    farm.balancer.setStatus(1, true, "mi");
    farm.balancer.setStatus(1, false, "probe");
    farm.drains.begin(1, 0, false);
    farm.drains.undo(1);
    assert.deepEqual([farm.state(1), farm.balancer.isAutoReenable(farm.destination(1))], ["disabled", true]);
  });

  const downs: readonly (readonly [string, (farm: DrainFarm) => void])[] = [
    ["before the drain, by a probe", (farm) => begin(farm, () => farm.balancer.setStatus(1, false, "probe"), undefined)],
    ["before the drain, by a script", (farm) => begin(farm, () => farm.balancer.setStatus(1, false, "script"), undefined)],
    ["during the drain, by a probe", (farm) => begin(farm, undefined, () => farm.balancer.setStatus(1, false, "probe"))],
  ];
  for (const [when, act] of downs) {
    it(`gives a destination that was disabled ${when}, back to the probes, also after a restart`, () => {
      for (const restarts of [false, true]) {
        const before = new DrainFarm([row(1)]);
        act(before);
        const farm = restarts ? before.restarted([row(1)]) : before;
        assert.equal(farm.state(1), "drained, was down");
        farm.statuses.length = 0;
        assert.equal(farm.drains.undo(1), "undone");
        assert.deepEqual([farm.state(1), farm.balancer.isAutoReenable(farm.destination(1))], ["disabled", true]);
        assert.deepEqual(
          farm.statuses.map(({ enabled, wasEnabled, autoReenable, cause }) => [enabled, wasEnabled, autoReenable, cause]),
          [[false, false, true, "mi"]],
          "never enabled in between",
        );
        assert.equal(farm.balancer.setStatus(1, true, "probe") && farm.state(1), "enabled");
        assert.equal(farm.drains.undo(1), "not-draining");
        assert.equal(farm.restarted([row(1)]).state(1), "enabled");
      }
    });
  }

  it("does not enable what an operator disabled once the drain had ended, also after a restart", () => {
    for (const wasDown of [false, true]) {
      for (const restarts of ["never", "before", "after"]) {
        let farm = new DrainFarm([row(1)]);
        if (wasDown) farm.balancer.setStatus(1, false, "probe");
        farm.drains.begin(1, 0, false);
        if (restarts === "before") farm = farm.restarted([row(1)]);
        farm.setStatus(1, false);
        if (restarts === "after") farm = farm.restarted([row(1)]);
        assert.equal(farm.state(1), "disabled");
        assert.equal(farm.drains.undo(1), "not-draining");
        assert.deepEqual([farm.state(1), farm.balancer.isAutoReenable(farm.destination(1))], ["disabled", false]);
        farm.setStatus(1, true);
        assert.deepEqual([farm.state(1), farm.restarted([row(1)]).state(1)], ["enabled", "enabled"]);
      }
    }
  });

  it("does not enable what an operator disabled while it was drained a second time", () => {
    const farm = new DrainFarm([row(1)]);
    farm.drains.begin(1, 0, false);
    const load = new CallLoad();
    assert.equal(farm.balancer.countCall(load, "192.0.2.1", 5060, -1, "pstn"), 1);
    farm.drains.begin(1, 0, false);
    farm.setStatus(1, false);
    assert.equal(farm.drains.undo(1), "undone");
    assert.equal(farm.state(1), "disabled");
  });

  it("has nothing to do once an operator has enabled the destination, or disabled it before the drain ended", () => {
    const farm = new DrainFarm([row(1), row(2)]);
    farm.drains.begin(1, 0, false);
    farm.balancer.setStatus(1, true, "mi");
    assert.equal(farm.drains.undo(1), "not-draining");

    const [call] = farm.place(1);
    farm.drains.begin(1, 0, false);
    farm.balancer.setStatus(1, false, "mi");
    farm.hangUp(call!);
    farm.clock.advance(DRAIN_CHECK_MS);
    assert.deepEqual([farm.state(1), farm.drains.undo(1)], ["disabled", "not-draining"]);
  });

  it("from a listener of the drain itself is safe", () => {
    const farm = new DrainFarm([row(1)]);
    farm.changes.push = (change) => {
      if (change.kind === "started") farm.drains.undo(1);
      return 0;
    };
    farm.drains.begin(1, 1, true);
    farm.clock.advance(5_000);
    assert.deepEqual([farm.state(1), farm.ended, farm.clock.pending], ["enabled", [], 0]);
  });
});

describe("a reload during a drain", () => {
  it("goes on with it when the row stays, also with other resources", () => {
    const farm = new DrainFarm([row(1), row(2)]);
    const calls = farm.place(1);
    farm.drains.begin(1, 0, false);
    farm.replaceTable([row(1, "pstn=5;conf=5"), row(2)]);
    assert.equal(farm.state(1), "draining 1");
    farm.hangUp(...calls);
    farm.clock.advance(DRAIN_CHECK_MS);
    assert.equal(farm.state(1), "drained");
  });

  it("forgets it when the row goes, and takes it up when the row comes back", () => {
    const farm = new DrainFarm([row(1), row(2)]);
    farm.place(1);
    farm.drains.begin(1, 30, true);
    farm.told();
    farm.replaceTable([row(2)]);
    assert.deepEqual([farm.clock.pending, farm.drains.counters.draining], [0, 0]);
    farm.clock.advance(60_000);
    assert.deepEqual(farm.ended, []);
    farm.replaceTable([row(1), row(2)]);
    assert.equal(farm.state(1), "draining 1");
    farm.clock.advance(100);
    assert.deepEqual([farm.state(1), farm.ended.length, farm.told()], ["drained", 1, ["1 ended 0 deadline"]]);
  });

  it("does not hand it on to another destination under the same id", () => {
    const farm = new DrainFarm([row(1), row(2)]);
    farm.place(1);
    farm.drains.begin(1, 0, false);
    farm.replaceTable([{ ...row(1), uri: "sip:192.0.2.99" }, row(2)]);
    assert.equal(farm.state(1), "enabled");
    assert.equal(farm.drains.undo(1), "not-draining");
    assert.deepEqual([farm.drains.counters.draining, farm.clock.pending], [0, 0]);
  });
});

/** A drain that waits for one call, with something done before it begins and before it ends. */
function begin(farm: DrainFarm, before: (() => void) | undefined, during: (() => void) | undefined): void {
  const calls = farm.place(1);
  before?.();
  farm.drains.begin(1, 0, false);
  during?.();
  farm.hangUp(...calls);
  farm.clock.advance(DRAIN_CHECK_MS);
}
