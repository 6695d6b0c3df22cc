import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Balancer } from "../../src/balancer/index.ts";
import { balancerOf, newCall, occupy, type RowSketch, row, usage } from "./support.ts";

/** A balancer with a clock that the test moves. */
function timed(sketches: readonly RowSketch[], options: { maxCallsPerSecond?: number; failOpen?: boolean } = {}) {
  const clock = { now: 5000 };
  const balancer = balancerOf(sketches, { ...options, nowMs: () => clock.now });
  const pick = (flags = "") => {
    const call = newCall();
    const code = balancer.start(call, 1, "t", flags);
    return code === 1 ? call.destination!.id : code;
  };
  return { balancer, clock, pick };
}

describe("calls a second", () => {
  it("of a row that is limited count as full when they are used up, also with flag n, until a second after the first", () => {
    const { clock, pick } = timed([{ id: 1, resources: "t=100", attrs: "cps=2" }]);
    assert.equal(pick(), 1);
    clock.now += 400;
    assert.equal(pick(), 1);
    assert.deepEqual([pick(), pick("n")], [-2, -2]);
    clock.now += 599;
    assert.equal(pick(), -2);
    clock.now += 1;
    assert.deepEqual([pick(), pick()], [1, -2]);
    clock.now += 400;
    assert.deepEqual([pick(), pick()], [1, -2]);
  });

  it("send the others to the next best", () => {
    const { pick } = timed([
      { id: 1, resources: "t=100", attrs: "cps=1" },
      { id: 2, resources: "t=5" },
    ]);
    assert.deepEqual([pick(), pick(), pick()], [1, 2, 2]);
  });

  it("are those of the configuration for a row that says nothing, and without limit for one that says 0", () => {
    const { pick } = timed(
      [
        { id: 1, resources: "t=100" },
        { id: 2, resources: "t=50", attrs: "cps=0" },
      ],
      { maxCallsPerSecond: 1 },
    );
    assert.deepEqual([pick(), pick(), pick(), pick()], [1, 2, 2, 2]);
  });

  it("are used up by a call that is over, and not by one that the destination makes", () => {
    const { balancer, pick } = timed([{ id: 1, resources: "t=100", attrs: "cps=1" }]);
    for (const call of occupy(balancer, 1, "t", 5)) balancer.release(call);
    const call = newCall();
    assert.equal(balancer.start(call, 1, "t"), 1);
    balancer.release(call);
    assert.equal(pick(), -2);
  });

  it("belong to the whole pool, the smallest number of its rows", () => {
    const { balancer, pick } = timed([
      { id: 1, resources: "t=100", attrs: "shared=p;cps=2" },
      { id: 2, group: 2, resources: "t=100", attrs: "shared=p;cps=3" },
      { id: 3, group: 2, resources: "t=100", attrs: "shared=p" },
    ]);
    assert.equal(balancer.start(newCall(), 2, "t"), 1);
    assert.equal(pick(), 1);
    assert.equal(pick(), -2);
    assert.equal(balancer.start(newCall(), 2, "t"), -2);
  });

  it("are remembered over a reload, and a changed limit counts at once", () => {
    const { balancer, clock, pick } = timed([{ id: 1, resources: "t=100", attrs: "cps=2" }]);
    pick();
    clock.now += 10;
    pick();
    const reload = (cps: number) => balancer.replaceTable([row({ id: 1, resources: "t=100", attrs: `cps=${cps}` })]);
    reload(2);
    assert.equal(pick(), -2);
    reload(3);
    assert.deepEqual([pick(), pick()], [1, -2]);
    reload(1);
    clock.now += 999;
    assert.equal(pick(), -2);
    clock.now += 1;
    assert.deepEqual([pick(), pick()], [1, -2]);
  });

  it("limit nobody without a clock", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=100", attrs: "cps=1" }], { maxCallsPerSecond: 1 });
    assert.deepEqual([balancer.start(newCall(), 1, "t"), balancer.start(newCall(), 1, "t")], [1, 1]);
    balancer.restUntil(1, 99);
    assert.equal(balancer.start(newCall(), 1, "t"), 1);
  });

  it("are counted right when a burst comes after a quiet time", () => {
    const { clock, pick } = timed([{ id: 1, resources: "t=1000", attrs: "cps=40" }]);
    const burst = (calls: number) => Array.from({ length: calls }, () => [pick(), clock.now++][0]);
    burst(5);
    clock.now += 2000;
    assert.deepEqual(burst(41), [...Array(40).fill(1), -2]);
    clock.now += 1000 - 41;
    assert.deepEqual([pick(), pick()], [1, -2]);
    clock.now += 1;
    assert.deepEqual([pick(), pick()], [1, -2]);
  });

  it("are never more than the limit within any 1000 ms, and no call is refused for less", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.oneof(fc.nat(200), fc.nat(9), fc.constant(1000)), { maxLength: 400 }),
        (limit, gaps) => {
          const { clock, pick } = timed([{ id: 1, resources: "t=2147483647", attrs: `cps=${limit}` }]);
          const sent: number[] = [];
          for (const gap of gaps) {
            clock.now += gap;
            const within = sent.filter((at) => at > clock.now - 1000).length;
            assert.equal(pick(), within < limit ? 1 : -2);
            if (within < limit) sent.push(clock.now);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe("a drain, an open breaker and a rest", () => {
  const rows = [
    { id: 1, resources: "t=10" },
    { id: 2, resources: "t=5" },
  ];

  it("keep new calls away and leave the ongoing, the status and the probes alone", () => {
    const { balancer, clock, pick } = timed(rows);
    const destination = balancer.destination(1)!;
    const shut = [
      () => balancer.setDraining(1, true),
      () => balancer.setBreaker(1, "open"),
      () => balancer.restUntil(1, clock.now + 10),
      () => balancer.setLeaving(1, true),
    ];
    const open = [
      () => balancer.setDraining(1, false),
      () => balancer.setBreaker(1, "closed"),
      () => balancer.restUntil(1, 0),
      () => balancer.setLeaving(1, false),
    ];
    occupy(balancer, 1, "t", 2);
    for (const [i, act] of shut.entries()) {
      assert.equal(act(), true);
      assert.equal(pick(), 2);
      assert.deepEqual(
        [balancer.isEnabled(destination), balancer.isAutoReenable(destination), balancer.isAvailable(destination)],
        [true, true, false],
      );
      assert.equal(usage(balancer, 1, "t"), "2/10");
      assert.equal(balancer.isDestination("127.0.0.21", 5080, 1, true), destination);
      open[i]!();
      assert.equal(balancer.isAvailable(destination), true);
    }
  });

  it("of everybody answer -3, where full ones answer -2", () => {
    const { balancer, pick } = timed(rows);
    balancer.setDraining(1, true);
    balancer.setBreaker(2, "open");
    assert.equal(pick(), -3);
    balancer.setBreaker(2, "closed");
    balancer.resize(2, "t", 0);
    assert.equal(pick(), -2);
  });

  it("stand beside each other and beside the status", () => {
    const { balancer, pick } = timed([rows[0]!]);
    balancer.setDraining(1, true);
    balancer.setBreaker(1, "open");
    balancer.setStatus(1, false, "mi");
    balancer.setStatus(1, true, "mi");
    assert.equal(pick(), -3);
    balancer.setDraining(1, false);
    assert.equal(pick(), -3);
    balancer.setBreaker(1, "closed");
    assert.equal(pick(), 1);
  });

  it("of a registration that ended and of a drain do not undo each other, and hold for a group that fails open", () => {
    const { balancer, pick } = timed([rows[0]!], { failOpen: true });
    const destination = balancer.destination(1)!;
    balancer.setLeaving(1, true);
    balancer.setDraining(1, true);
    balancer.setDraining(1, false);
    assert.deepEqual([pick(), balancer.isLeaving(destination), balancer.isDraining(destination)], [-3, true, false]);
    balancer.replaceTable([row(rows[0]!)]);
    assert.deepEqual([pick(), balancer.setLeaving(9, true)], [-3, false]);
    balancer.setLeaving(1, false);
    assert.equal(pick(), 1);
  });

  it("survive a reload, and a row that is gone forgets them", () => {
    const { balancer, clock, pick } = timed(rows);
    balancer.setDraining(1, true);
    balancer.setBreaker(2, { trials: 1 });
    balancer.replaceTable(rows.map(row));
    assert.deepEqual([pick(), pick()], [2, -3]);
    assert.equal(balancer.breaker(balancer.destination(2)!), "trials");
    balancer.restUntil(2, clock.now + 100);
    balancer.setBreaker(2, "closed");
    balancer.replaceTable(rows.map(row));
    assert.equal(pick(), -3);
    clock.now += 100;
    assert.equal(pick(), 2);
    balancer.replaceTable([]);
    balancer.replaceTable(rows.map(row));
    assert.equal(pick(), 1);
  });

  it("are unknown to an id that is not there, and a destination that is gone has none", () => {
    const { balancer } = timed(rows);
    const gone = balancer.destination(1)!;
    assert.deepEqual(
      [balancer.setDraining(9, true), balancer.setBreaker(9, "open"), balancer.restUntil(9, 1), balancer.setCapacityFactor(9, 0.5)],
      [false, false, false, false],
    );
    balancer.replaceTable([]);
    assert.deepEqual(
      [
        balancer.isDraining(gone),
        balancer.breaker(gone),
        balancer.restsUntilMs(gone),
        balancer.capacityFactor(gone),
        balancer.isAvailable(gone),
      ],
      [false, "closed", 0, 1, false],
    );
  });
});

describe("trial calls of a breaker", () => {
  it("are as many as were allowed, and then it is open until it is told", () => {
    const { balancer, pick } = timed([
      { id: 1, resources: "t=10" },
      { id: 2, resources: "t=5" },
    ]);
    balancer.setBreaker(1, { trials: 2 });
    assert.deepEqual([pick(), pick(), pick()], [1, 1, 2]);
    assert.equal(balancer.breaker(balancer.destination(1)!), "trials");
    balancer.setBreaker(1, { trials: 1 });
    assert.deepEqual([pick(), pick()], [1, 2]);
    balancer.setBreaker(1, "closed");
    assert.deepEqual([pick(), pick()], [1, 1]);
  });

  for (const trials of [0, -1, 0.5]) {
    it(`of ${trials} are none`, () => {
      const { balancer, pick } = timed([{ id: 1, resources: "t=10" }]);
      balancer.setBreaker(1, { trials });
      assert.equal(pick(), -3);
    });
  }
});

describe("a rest", () => {
  it("ends by itself at its time, and a new one replaces it", () => {
    const { balancer, clock, pick } = timed([{ id: 1, resources: "t=10" }]);
    const destination = balancer.destination(1)!;
    balancer.restUntil(1, clock.now + 3000);
    assert.equal(balancer.restsUntilMs(destination), clock.now + 3000);
    balancer.restUntil(1, clock.now + 50);
    clock.now += 49;
    assert.equal(pick(), -3);
    clock.now += 1;
    assert.deepEqual([balancer.restsUntilMs(destination), balancer.isAvailable(destination), pick()], [0, true, 1]);
  });
});

describe("a share of the capacity", () => {
  const cases: [capacity: number, factor: number, max: number][] = [
    [100, 0.1, 10],
    [100, 0.999, 99],
    [100, 1, 100],
    [100, 0, 1],
    [3, 0.1, 1],
    [0, 0.5, 0],
    [2_147_483_647, 0.5, 1_073_741_823],
    [10, Number.NaN, 10],
    [10, 7, 10],
    [10, -1, 10],
  ];
  for (const [capacity, factor, max] of cases) {
    it(`of ${factor} opens ${max} of ${capacity}`, () => {
      const { balancer } = timed([{ id: 1, resources: `t=${capacity}` }]);
      balancer.setCapacityFactor(1, factor);
      assert.equal(usage(balancer, 1, "t"), `0/${max}`);
      assert.equal(balancer.capacity(balancer.destination(1)!.resources[0]!.cell), capacity);
    });
  }

  it("survives a reload, applies to a new capacity and to a resize, and ends", () => {
    const { balancer } = timed([{ id: 1, resources: "t=100;c=10" }]);
    balancer.setCapacityFactor(1, 0.5);
    balancer.replaceTable([row({ id: 1, resources: "t=60;c=10" })]);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 1, "c")], ["0/30", "0/5"]);
    balancer.resize(1, "t", 20);
    assert.equal(usage(balancer, 1, "t"), "0/10");
    balancer.setCapacityFactor(1, 1);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 1, "c")], ["0/20", "0/10"]);
  });
});

describe("failing open", () => {
  const rows = [1, 2, 3].map((id) => ({ id, resources: `t=${id}` }));

  it("is off unless it is asked for", () => {
    const { balancer, pick } = timed(rows);
    for (const id of [1, 2, 3]) balancer.setStatus(id, false, "probe");
    assert.equal(pick(), -3);
  });

  it("uses those that are down by probe, script or breaker when nobody is up, as far as they have slots", () => {
    const { balancer, pick } = timed(rows, { failOpen: true });
    balancer.setStatus(1, false, "probe");
    balancer.setStatus(2, false, "script");
    balancer.setBreaker(3, "open");
    assert.deepEqual([pick(), pick(), pick(), pick(), pick(), pick(), pick()], [3, 2, 3, 1, 2, 3, -2]);
    assert.equal(balancer.counters.failed_open, 6);
  });

  it("leaves alone whom an operator disabled or drains, who rests, and who has no call left this second", () => {
    const { balancer, clock, pick } = timed([...rows, { id: 4, resources: "t=9", attrs: "cps=1" }], { failOpen: true });
    balancer.setStatus(1, false, "mi");
    balancer.setDraining(2, true);
    balancer.restUntil(3, clock.now + 500);
    balancer.setStatus(4, false, "probe");
    assert.deepEqual([pick(), pick()], [4, -2]);
    balancer.setStatus(4, false, "mi");
    assert.equal(pick(), -3);
  });

  it("waits until the last one is down: those that a call has tried are up all the same", () => {
    const { balancer } = timed(rows, { failOpen: true });
    balancer.setStatus(3, false, "probe");
    const call = newCall();
    assert.deepEqual([balancer.start(call, 1, "t"), balancer.next(call), balancer.next(call)], [1, 1, -3]);
    balancer.setStatus(1, false, "script");
    balancer.setStatus(2, false, "script");
    assert.deepEqual([balancer.next(call), call.destination?.id, balancer.next(call)], [1, 3, -3]);
  });

  it("looks at those that have the resources", () => {
    const { balancer, pick } = timed(
      [
        { id: 1, resources: "t=1" },
        { id: 2, resources: "c=1" },
      ],
      { failOpen: true },
    );
    balancer.setStatus(1, false, "probe");
    assert.equal(pick(), 1);
  });
});

describe("a picked destination that nobody limits", () => {
  it("costs no look at the clock", () => {
    let looks = 0;
    const balancer = new Balancer({ below: () => 0, nowMs: () => ++looks });
    balancer.replaceTable([row({ id: 1, resources: "t=100" })]);
    balancer.start(newCall(), 1, "t");
    const first = looks;
    for (let i = 0; i < 50; i++) balancer.start(newCall(), 1, "t");
    assert.equal(looks, first);
  });
});
