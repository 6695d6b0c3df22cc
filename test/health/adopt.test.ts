import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, type Destination } from "../../src/balancer/index.ts";
import { type BreakerChange, CallOutcomes } from "../../src/health/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { DrainFarm, row, START_MS } from "./drain-farm.ts";

describe("a drain taken over from another node", () => {
  it("is one as if it had been begun here, and says whose it is", () => {
    const farm = new DrainFarm([row(1)]);
    const [name = ""] = farm.place(1);
    assert.equal(farm.drains.adopt(1, { deadlineMs: START_MS + 5_000, bye: true }), true);
    assert.equal(farm.state(1), "draining 1");
    assert.deepEqual(
      farm.changes.map(({ kind, cause }) => [kind, cause]),
      [["started", "cluster"]],
    );
    assert.equal(farm.saved.at(-1)?.drainDeadlineMs, START_MS + 5_000);
    farm.clock.advance(5_100);
    assert.deepEqual([farm.ended, farm.state(1)], [[name], "drained"]);
    assert.equal(farm.changes.at(-1)?.cause, undefined);
  });

  it("with the same terms is no news, with others is", () => {
    const farm = new DrainFarm([row(1)]);
    farm.place(1);
    for (const deadlineMs of [0, 0, START_MS + 9_000]) farm.drains.adopt(1, { deadlineMs, bye: false });
    assert.deepEqual(farm.told(), ["1 started 1", "1 changed 1"]);
    assert.equal(farm.drains.counters.drains_started, 1);
  });

  it("does not begin again where it has ended", () => {
    const farm = new DrainFarm([row(1)]);
    farm.drains.adopt(1, { deadlineMs: 0, bye: false });
    assert.deepEqual(farm.told(), ["1 started 0", "1 ended 0 idle"]);
    farm.drains.adopt(1, { deadlineMs: 0, bye: false });
    assert.deepEqual(farm.told(), []);
  });

  it("is undone with the status from before its end, or leaves that to others", () => {
    for (const givesBack of [true, false]) {
      const farm = new DrainFarm([row(1)]);
      farm.drains.begin(1, 0, false);
      assert.equal(farm.state(1), "drained");
      farm.statuses.length = 0;
      assert.equal(farm.drains.adoptUndo(1, givesBack), true);
      assert.equal(farm.state(1), givesBack ? "enabled" : "disabled");
      assert.deepEqual(
        farm.statuses.map(({ cause }) => cause),
        givesBack ? ["cluster"] : [],
      );
      assert.equal(farm.changes.at(-1)?.cause, "cluster");
    }
  });

  it("of a destination that is not here is none", () => {
    const farm = new DrainFarm([row(1)]);
    assert.equal(farm.drains.adopt(9, { deadlineMs: 0, bye: false }), false);
    assert.equal(farm.drains.adoptUndo(9, true), false);
    assert.deepEqual(farm.told(), []);
  });
});

describe("a breaker that follows another node's", () => {
  const OPEN_MS = 10_000;

  function world(windowMs = 30_000): {
    clock: FakeClock;
    balancer: Balancer;
    outcomes: CallOutcomes;
    changes: BreakerChange[];
    to: Destination;
  } {
    const clock = new FakeClock(1_000);
    const balancer = new Balancer({ below: () => 0, nowMs: clock.now });
    balancer.replaceTable([row(1)]);
    const changes: BreakerChange[] = [];
    const outcomes = new CallOutcomes({
      balancer,
      settings: { breaker: { windowMs, minCalls: 2, failureRatio: 0.5, openMs: OPEN_MS, trialCalls: 1 }, retryAfterMaxMs: 0 },
      nowMs: clock.now,
      after: (ms, run) => clock.after(ms, run),
      onBreaker: (change) => changes.push(change),
    });
    return { clock, balancer, outcomes, changes, to: balancer.destination(1)! };
  }

  it("is open for as long as that is, then lets trial calls of its own through", () => {
    const { balancer, changes, clock, outcomes, to } = world();
    outcomes.adopt(1, 3_000);
    assert.equal(balancer.breaker(to), "open");
    clock.advance(2_999);
    assert.equal(balancer.breaker(to), "open");
    clock.advance(1);
    assert.equal(balancer.breaker(to), "trials");
    assert.deepEqual(
      changes.map(({ phase, cause }) => [phase, cause]),
      [
        ["open", "cluster"],
        ["trials", undefined],
      ],
    );
    assert.deepEqual([outcomes.counters.breakers_open, clock.pending], [1, 1]);
  });

  it("that is open already stays so, until the later news says", () => {
    const { balancer, changes, clock, outcomes, to } = world();
    outcomes.adopt(1, 3_000);
    outcomes.adopt(1, 8_000);
    clock.advance(7_999);
    assert.equal(balancer.breaker(to), "open");
    clock.advance(1);
    assert.equal(balancer.breaker(to), "trials");
    assert.equal(changes.length, 2);
  });

  it("lets trial calls through at once when the time is over already", () => {
    const { balancer, clock, outcomes, to } = world();
    outcomes.adopt(1, 0);
    assert.equal(balancer.breaker(to), "trials");
    outcomes.adopt(1, -5);
    assert.deepEqual([balancer.breaker(to), clock.pending], ["trials", 1]);
    outcomes.passed(to, outcomes.begun(to), false);
    assert.deepEqual([balancer.breaker(to), clock.pending], ["closed", 0]);
  });

  it("closes, and opens again while it tries", () => {
    const { balancer, changes, clock, outcomes, to } = world();
    outcomes.adopt(1, 1_000);
    clock.advance(1_000);
    outcomes.adopt(1, 1_000);
    assert.equal(balancer.breaker(to), "open");
    outcomes.adopt(1, undefined);
    outcomes.adopt(1, undefined);
    assert.deepEqual([balancer.breaker(to), clock.pending, outcomes.counters.breakers_open], ["closed", 0, 0]);
    assert.deepEqual(
      changes.map(({ phase, cause }) => `${phase} ${cause ?? "here"}`),
      ["open cluster", "trials here", "open cluster", "closed cluster"],
    );
  });

  it("does nothing where there are no breakers, or no such destination", () => {
    const { changes, outcomes } = world(0);
    outcomes.adopt(1, 5_000);
    outcomes.adopt(9, 5_000);
    outcomes.adopt(9, undefined);
    assert.deepEqual(changes, []);
  });
});
