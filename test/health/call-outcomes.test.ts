import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, CallLoad, type Destination, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import { type BreakerChange, type CallFailure, CallOutcomes, type OutcomeSettings, outcomeSettings } from "../../src/health/index.ts";
import { FakeClock } from "../support/fake-clock.ts";

const SETTINGS: OutcomeSettings = {
  breaker: { windowMs: 30_000, minCalls: 4, failureRatio: 0.5, openMs: 10_000, trialCalls: 2 },
  retryAfterMaxMs: 60_000,
};

interface World {
  readonly clock: FakeClock;
  readonly balancer: Balancer;
  readonly outcomes: CallOutcomes;
  readonly changes: BreakerChange[];
  readonly rests: (readonly [id: number, ms: number])[];
}

function rowOf(id: number, attrs?: string): DestinationRow {
  return {
    id,
    group: 1,
    uri: `sip:192.0.2.${id}`,
    resources: parseResources("pstn=10"),
    probeMode: 0,
    attrs,
    description: undefined,
    addresses: [{ ip: `192.0.2.${id}`, port: 5060, transport: "udp" }],
  };
}

function makeWorld(settings: Partial<OutcomeSettings> = {}, rows = [rowOf(1), rowOf(2)]): World {
  const clock = new FakeClock(1_000);
  const balancer = new Balancer({ below: () => 0, nowMs: clock.now });
  balancer.replaceTable(rows);
  const changes: BreakerChange[] = [];
  const rests: (readonly [number, number])[] = [];
  const outcomes = new CallOutcomes({
    balancer,
    settings: { ...SETTINGS, ...settings },
    nowMs: clock.now,
    after: (ms, run) => clock.after(ms, run),
    onBreaker: (change) => changes.push(change),
    onRest: ({ id }, ms) => rests.push([id, ms]),
  });
  return { clock, balancer, outcomes, changes, rests };
}

function destination({ balancer }: World, id = 1): Destination {
  const found = balancer.destination(id);
  assert.ok(found);
  return found;
}

/** A call goes to the destination and comes to this; one that "rings" has come to nothing yet. Answers its ticket. */
function call(world: World, outcome: "alive" | "rings" | CallFailure, id = 1, retryAfterS?: number): number {
  const { outcomes } = world;
  const to = destination(world, id);
  const ticket = outcomes.begun(to);
  if (outcome === "rings") return outcomes.alive(to, ticket);
  if (outcome === "alive") outcomes.passed(to, ticket, false);
  else outcomes.failed(to, ticket, outcome, false, retryAfterS);
  return ticket;
}

/** Whom `lb_start` selects, again and again until nobody is left; the calls stay counted. */
function picks({ balancer }: World, most = 100): number[] {
  const chosen: number[] = [];
  while (chosen.length < most) {
    const load = new CallLoad();
    load.opened = true;
    if (balancer.start(load, 1, "pstn") !== 1) break;
    chosen.push(load.destination?.id ?? 0);
  }
  return chosen;
}

describe("the breaker of a destination", () => {
  it("opens by time-outs, 408, 503 and transport errors together: no call goes there any more", () => {
    const world = makeWorld();
    call(world, "alive");
    call(world, "alive");
    for (const failure of ["timeout", "503", "408", "transport"] as const) call(world, failure);
    assert.equal(world.balancer.breaker(destination(world)), "open");
    assert.deepEqual(picks(world, 4), [2, 2, 2, 2]);
    assert.deepEqual(
      world.changes.map(({ destination: { id }, phase, before, calls, failures }) => [id, before, phase, calls, failures]),
      [[1, "closed", "open", 4, 2]],
    );
    assert.deepEqual(world.outcomes.figures(), [
      { id: 1, group: 1, uri: "sip:192.0.2.1", phase: "open", calls: 4, failures: 2, trialsWanted: 0 },
    ]);
    const { counters } = world.outcomes;
    assert.deepEqual(
      [counters.calls_alive, counters.failures_timeout, counters.failures_503, counters.failures_408, counters.failures_transport],
      [2, 1, 1, 1, 1],
    );
    assert.equal(counters.breaker_openings, 1);
    assert.equal(counters.breakers_open, 1);
  });

  it("judges each destination by its own calls", () => {
    const world = makeWorld();
    for (let i = 0; i < 3; i++) {
      call(world, "timeout", 1);
      call(world, "timeout", 2);
    }
    assert.equal(world.changes.length, 0);
    call(world, "timeout", 2);
    assert.equal(world.balancer.breaker(destination(world, 1)), "closed");
    assert.equal(world.balancer.breaker(destination(world, 2)), "open");
  });

  function opened(): World {
    const world = makeWorld();
    for (let i = 0; i < 4; i++) call(world, "timeout");
    return world;
  }

  it("after open_for lets exactly trial_calls through", () => {
    const world = opened();
    world.clock.advance(9_999);
    assert.equal(world.balancer.breaker(destination(world)), "open");
    world.clock.advance(1);
    assert.deepEqual(picks(world, 5), [1, 2, 1, 2, 2]);
    assert.equal(world.outcomes.counters.breaker_trials, 1);
  });

  it("closes when all trials are well, and counts from nothing again", () => {
    const world = opened();
    world.clock.advance(10_000);
    call(world, "alive");
    assert.equal(world.outcomes.figures()[0]?.trialsWanted, 1);
    call(world, "alive");
    assert.equal(world.balancer.breaker(destination(world)), "closed");
    assert.equal(world.clock.pending, 0);
    assert.equal(picks(world).filter((id) => id === 1).length, 10);
    for (let i = 0; i < 3; i++) call(world, "timeout");
    assert.deepEqual(
      world.changes.map(({ before, phase }) => `${before} → ${phase}`),
      ["closed → open", "open → trials", "trials → closed"],
    );
    assert.deepEqual([world.outcomes.counters.breakers_open, world.outcomes.counters.breaker_closings], [0, 1]);
  });

  it("opens for another open_for when one trial fails", () => {
    const world = opened();
    world.clock.advance(10_000);
    call(world, "alive");
    call(world, "503");
    assert.equal(world.balancer.breaker(destination(world)), "open");
    assert.deepEqual(picks(world, 1), [2]);
    world.clock.advance(9_999);
    assert.equal(world.balancer.breaker(destination(world)), "open");
    world.clock.advance(1);
    assert.equal(world.balancer.breaker(destination(world)), "trials");
    assert.deepEqual([world.outcomes.counters.breakers_open, world.outcomes.counters.breaker_openings], [1, 1]);
  });

  it("a trial that rings closes nothing: it is answered 503 a moment later", () => {
    const world = opened();
    world.clock.advance(10_000);
    const tickets = [call(world, "rings"), call(world, "rings")];
    assert.equal(world.balancer.breaker(destination(world)), "trials");
    world.outcomes.failed(destination(world), tickets[1]!, "503", true, undefined);
    assert.equal(world.balancer.breaker(destination(world)), "open");
    world.outcomes.passed(destination(world), tickets[0]!, true);
    world.clock.advance(9_999);
    assert.equal(world.balancer.breaker(destination(world)), "open");
  });

  it("trials that ring when their time is up have passed, those that have not answered at all have not", () => {
    const world = opened();
    world.clock.advance(10_000);
    call(world, "rings");
    assert.deepEqual(picks(world, 5), [1, 2, 1, 2, 2]);
    world.clock.advance(10_000);
    assert.equal(world.outcomes.figures()[0]?.trialsWanted, 1);
    assert.deepEqual(picks(world, 2), [1, 2], "one more may come");
    call(world, "rings");
    world.clock.advance(10_000);
    assert.equal(world.balancer.breaker(destination(world)), "closed");
    assert.equal(world.clock.pending, 0);
    assert.equal(world.outcomes.counters.breaker_closings, 1);
    assert.equal(world.outcomes.counters.breakers_open, 0);
  });

  it("replaces trials that come to no outcome after open_for, those that are still wanted", () => {
    const world = opened();
    world.clock.advance(10_000);
    call(world, "alive");
    assert.deepEqual(picks(world, 3), [1, 2, 1], "the second trial is picked, and lost");
    assert.deepEqual(picks(world, 2), [2, 2]);
    world.clock.advance(10_000);
    assert.deepEqual(picks(world, 3), [1, 2, 2]);
    call(world, "alive");
    assert.equal(world.balancer.breaker(destination(world)), "closed");
  });

  it("calls that were sent before it opened say nothing of the trials", () => {
    const world = makeWorld();
    const to = destination(world);
    const early = world.outcomes.begun(to);
    for (let i = 0; i < 4; i++) call(world, "timeout");
    world.clock.advance(10_000);
    world.outcomes.alive(to, early);
    world.outcomes.alive(to, early);
    world.outcomes.failed(to, early, "timeout", true, undefined);
    assert.equal(world.balancer.breaker(to), "trials");
  });

  it("stays through a reload, and its time goes on", () => {
    const world = opened();
    world.clock.advance(5_000);
    world.balancer.replaceTable([rowOf(1, "changed"), rowOf(2)]);
    world.outcomes.tableChanged();
    assert.equal(world.balancer.breaker(destination(world)), "open");
    world.clock.advance(5_000);
    assert.equal(world.balancer.breaker(destination(world)), "trials");
    assert.equal(world.changes.at(-1)?.destination.attrs, "changed");
  });

  it("goes with its row; a row that comes back begins closed, and outcomes of calls to what is gone are counted only", () => {
    const world = opened();
    const gone = destination(world);
    world.balancer.replaceTable([rowOf(2)]);
    world.outcomes.tableChanged();
    assert.equal(world.clock.pending, 0);
    assert.equal(world.outcomes.counters.breakers_open, 0);
    for (let i = 0; i < 4; i++) world.outcomes.failed(gone, 0, "503", false, 30);
    world.outcomes.alive(gone, 0);
    assert.deepEqual(world.outcomes.figures(), []);
    assert.equal(world.outcomes.counters.outcomes_stale, 5);
    assert.deepEqual(world.rests, []);
    world.balancer.replaceTable([rowOf(1), rowOf(2)]);
    world.outcomes.tableChanged();
    assert.equal(world.balancer.breaker(destination(world)), "closed");
  });

  it("an id that went to another URI is another destination", () => {
    const world = makeWorld();
    const old = destination(world);
    world.balancer.replaceTable([{ ...rowOf(1), uri: "sip:192.0.2.77" }]);
    world.outcomes.tableChanged();
    for (let i = 0; i < 9; i++) world.outcomes.failed(old, 0, "timeout", false, undefined);
    assert.equal(world.balancer.breaker(destination(world)), "closed");
  });

  it("stop() leaves no timer", () => {
    const world = opened();
    world.outcomes.stop();
    assert.equal(world.clock.pending, 0);
  });

  it("is off with a window of 0: calls are counted and nothing is kept", () => {
    const world = makeWorld({ breaker: { ...SETTINGS.breaker, windowMs: 0 } });
    for (let i = 0; i < 50; i++) call(world, "timeout");
    assert.equal(world.balancer.breaker(destination(world)), "closed");
    assert.deepEqual(world.outcomes.figures(), []);
    assert.equal(world.outcomes.counters.failures_timeout, 50);
  });
});

describe("Retry-After of a destination's 503", () => {
  const rows: readonly (readonly [name: string, askedS: number | undefined, maxMs: number, restMs: number])[] = [
    ["is obeyed", 30, 60_000, 30_000],
    ["up to the ceiling", 3_600, 60_000, 60_000],
    ["ignored with a ceiling of 0", 30, 0, 0],
    ["0 asks for nothing", 0, 60_000, 0],
    ["none, or one that cannot be read", undefined, 60_000, 0],
  ];
  for (const [name, askedS, retryAfterMaxMs, restMs] of rows) {
    it(`${askedS ?? "none"} s, at most ${retryAfterMaxMs / 1000} s: rests ${restMs / 1000} s (${name})`, () => {
      const world = makeWorld({ retryAfterMaxMs });
      call(world, "503", 1, askedS);
      assert.deepEqual(world.rests, restMs === 0 ? [] : [[1, restMs]]);
      const counters = world.outcomes.counters;
      assert.equal(counters.retry_after_obeyed, restMs === 0 ? 0 : 1);
      assert.equal(counters.retry_after_capped, restMs > 0 && restMs < (askedS ?? 0) * 1000 ? 1 : 0);
      if (restMs > 0) {
        assert.deepEqual(picks(world, 1), [2]);
        world.clock.advance(restMs - 1);
        assert.deepEqual(picks(world, 1), [2]);
        world.clock.advance(1);
      }
      assert.deepEqual(picks(world, 1), [1]);
    });
  }

  it("a rest becomes longer, never shorter, and is told once", () => {
    const world = makeWorld();
    call(world, "503", 1, 30);
    call(world, "503", 1, 5);
    assert.equal(world.balancer.restsUntilMs(destination(world)), 31_000);
    world.clock.advance(10_000);
    call(world, "503", 1, 30);
    assert.equal(world.balancer.restsUntilMs(destination(world)), 41_000);
    assert.deepEqual(world.rests, [[1, 30_000]]);
    assert.equal(world.outcomes.counters.retry_after_obeyed, 2);
    world.clock.advance(30_000);
    call(world, "503", 1, 2);
    assert.deepEqual(world.rests.at(-1), [1, 2_000]);
  });

  it("counts for all rows of the server when they share a pool", () => {
    const world = makeWorld({}, [rowOf(1, "shared=box"), rowOf(2, "shared=box"), rowOf(3), rowOf(4, "shared=other")]);
    call(world, "503", 2, 20);
    assert.deepEqual(
      [1, 2, 3, 4].map((id) => world.balancer.restsUntilMs(destination(world, id))),
      [21_000, 21_000, 0, 0],
    );
  });

  it("and for the breaker: a 503 is a failure with or without it", () => {
    const world = makeWorld();
    for (let i = 0; i < 4; i++) call(world, "503", 1, 2);
    assert.equal(world.balancer.breaker(destination(world)), "open");
    world.clock.advance(5_000);
    assert.deepEqual(picks(world, 1), [2], "the rest is over, the breaker is open");
  });
});

describe("the keys of the configuration", () => {
  const breaker = { window: 0, min_calls: 10, failure_ratio: 0.5, open_for: 10, trial_calls: 3 };
  it("by default nobody judges calls", () => assert.equal(outcomeSettings({ retry_after_max: 0, breaker }), undefined));
  it("seconds become milliseconds", () => {
    assert.deepEqual(outcomeSettings({ retry_after_max: 2.5, breaker: { ...breaker, window: 30 } }), {
      retryAfterMaxMs: 2_500,
      breaker: { windowMs: 30_000, minCalls: 10, failureRatio: 0.5, openMs: 10_000, trialCalls: 3 },
    });
  });
  it("each of the two works without the other", () => {
    assert.equal(outcomeSettings({ retry_after_max: 1, breaker })?.breaker.windowMs, 0);
    assert.equal(outcomeSettings({ retry_after_max: 0, breaker: { ...breaker, window: 1 } })?.retryAfterMaxMs, 0);
  });
});

describe("an operator who vouches for a destination", () => {
  it("closes its breaker, open or with trials, and calls from before count no more", () => {
    for (const trials of [false, true]) {
      const world = makeWorld();
      const before = call(world, "rings");
      for (let i = 0; i < 4; i++) call(world, "timeout");
      if (trials) world.clock.advance(SETTINGS.breaker.openMs);
      assert.equal(world.balancer.breaker(destination(world)), trials ? "trials" : "open");
      world.outcomes.forgive(destination(world));
      assert.equal(world.balancer.breaker(destination(world)), "closed");
      const { phase, before: from, cause } = world.changes.at(-1)!;
      assert.deepEqual([from, phase, cause], [trials ? "trials" : "open", "closed", "mi"]);
      assert.deepEqual([world.outcomes.counters.breakers_open, world.outcomes.counters.breaker_closings], [0, 1]);
      world.outcomes.failed(destination(world), before, "timeout", true, undefined);
      assert.deepEqual([world.outcomes.figures()[0]?.calls, world.clock.pending], [0, 0]);
      for (let i = 0; i < 4; i++) call(world, "timeout");
      assert.equal(world.balancer.breaker(destination(world)), "open", "what fails from now on opens it");
      world.outcomes.stop();
    }
  });

  it("empties the window of a breaker that is closed, and tells of nothing", () => {
    const world = makeWorld();
    for (let i = 0; i < 3; i++) call(world, "timeout");
    world.outcomes.forgive(destination(world));
    call(world, "timeout");
    assert.deepEqual([world.changes.length, world.outcomes.figures()[0]?.failures], [0, 1]);
  });

  it("ends its rest, and that of no other row; says so only when it rests", () => {
    const world = makeWorld({}, [rowOf(1, "shared=a"), rowOf(2, "shared=a")]);
    world.outcomes.forgive(destination(world));
    call(world, "503", 1, 20);
    world.outcomes.forgive(destination(world));
    assert.deepEqual(world.rests, [
      [1, 20_000],
      [1, 0],
    ]);
    assert.equal(world.balancer.restsUntilMs(destination(world)), 0);
    assert.ok(world.balancer.restsUntilMs(destination(world, 2)) > 0);
  });
});
