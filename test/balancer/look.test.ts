import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Balancer, Looks, type TableView } from "../../src/balancer/index.ts";
import { balancerOf, newCall, occupy, type RowSketch, row } from "./support.ts";

/** `1: full, 2: chosen`, … */
function reasons({ destinations }: TableView): string {
  return destinations.map(({ id, skipped }) => `${id}: ${skipped ?? "chosen"}`).join(", ");
}

describe("what a start would look at", () => {
  const cases: { name: string; rows: RowSketch[]; flags?: string; act?: (balancer: Balancer) => void; tried?: number; want: string }[] = [
    {
      name: "names who lost by score, and who was equal",
      rows: [
        { id: 1, resources: "t=5" },
        { id: 2, resources: "t=9" },
        { id: 3, resources: "t=9" },
      ],
      want: "1: lower-score, 2: chosen, 3: equal",
    },
    {
      name: "names who is not available, and why",
      rows: [1, 2, 3, 4, 5, 6, 7].map((id) => ({ id, resources: `t=${id}`, ...(id === 6 ? { attrs: "cps=1" } : {}) })),
      tried: 7,
      act(balancer) {
        balancer.setStatus(1, false, "mi");
        balancer.setStatus(2, false, "probe");
        balancer.setDraining(3, true);
        balancer.setBreaker(4, "open");
        balancer.restUntil(5, 10);
        balancer.setStatus(7, false, "mi");
        balancer.start(newCall(), 1, "t");
      },
      want: "1: disabled-by-operator, 2: disabled, 3: draining, 4: breaker-open, 5: resting, 6: calls-per-second, 7: tried",
    },
    {
      name: "names whose registration has ended",
      rows: [
        { id: 1, resources: "t=9" },
        { id: 2, resources: "t=1" },
      ],
      act: (balancer) => void balancer.setLeaving(1, true),
      want: "1: leaving, 2: chosen",
    },
    {
      name: "names who is full, who waits in a later tier, who lacks a resource; groups do not mix",
      rows: [
        { id: 1, resources: "t=0" },
        { id: 2, resources: "t=9", attrs: "priority=4" },
        { id: 3, resources: "c=1" },
        { id: 4, resources: "t=1" },
        { id: 5, group: 2, resources: "t=1" },
      ],
      want: "1: full, 2: later-tier, 3: lacks-resource, 4: chosen",
    },
    {
      name: "with n says full only of who lost to a free slot",
      rows: [
        { id: 1, resources: "t=0" },
        { id: 2, resources: "t=1" },
      ],
      flags: "n",
      want: "1: full, 2: chosen",
    },
    {
      name: "with n and nobody free compares overloads",
      rows: [
        { id: 1, resources: "t=0" },
        { id: 2, resources: "t=0" },
        { id: 3, resources: "t=0" },
      ],
      flags: "n",
      act: (balancer) => void occupy(balancer, 1, "t", 1),
      want: "1: lower-score, 2: chosen, 3: equal",
    },
  ];
  for (const { name, rows, flags, act, tried, want } of cases) {
    it(name, () => {
      const balancer = balancerOf(rows, { nowMs: () => 5 });
      act?.(balancer);
      const before = JSON.stringify(balancer.counters);
      const view = balancer.describe(1, "t", flags, tried === undefined ? [] : [balancer.destination(tried)!.key]);
      assert.equal(reasons(view), want);
      assert.equal(JSON.stringify(balancer.counters), before);
    });
  }

  it("tells slots, scores, tiers and weights, with r in percent", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=10;c=4", attrs: "weight=1.5" },
      { id: 2, resources: "t=10;c=4", attrs: "priority=2" },
    ]);
    occupy(balancer, 1, "c", 1);
    assert.deepEqual(balancer.describe(1, "t;c", "r"), {
      code: 1,
      chosen: 1,
      equals: [],
      failedOpen: false,
      omitted: 0,
      destinations: [
        {
          id: 1,
          uri: "sip:127.0.0.21:5080",
          tier: 0,
          weight: 1.5,
          resources: [
            { name: "t", load: 0, max: 10, slot: 100 },
            { name: "c", load: 1, max: 4, slot: 75 },
          ],
          score: 112.5,
          skipped: undefined,
        },
        {
          id: 2,
          uri: "sip:127.0.0.22:5080",
          tier: 2,
          weight: 1,
          resources: [
            { name: "t", load: 0, max: 10, slot: 100 },
            { name: "c", load: 0, max: 4, slot: 100 },
          ],
          score: 100,
          skipped: "later-tier",
        },
      ],
    });
  });

  it("tells of 64 destinations at most, those that have the resources first, and of the best one in any case", () => {
    const sketches = Array.from({ length: 200 }, (_, i) => ({ id: i + 1, resources: i < 150 ? `c=1` : `t=${i === 199 ? 9 : 5}` }));
    const balancer = balancerOf(sketches);
    const tell = (resources: string) => {
      const { destinations, omitted, chosen } = balancer.describe(1, resources);
      const lacking = destinations.filter(({ skipped }) => skipped === "lacks-resource");
      return { chosen, all: destinations.length, lacking: lacking.length, omitted };
    };
    assert.deepEqual(tell("t"), { chosen: 200, all: 64, lacking: 14, omitted: 136 });
    assert.deepEqual(tell("c"), { chosen: 1, all: 64, lacking: 0, omitted: 136 });
    assert.deepEqual(tell("c;t"), { chosen: undefined, all: 64, lacking: 64, omitted: 136 });
    balancer.replaceTable(sketches.map((sketch) => row({ ...sketch, resources: `t=${sketch.id === 200 ? 9 : 5}` })));
    assert.deepEqual(tell("t"), { chosen: 200, all: 64, lacking: 0, omitted: 136 });
  });

  it("says that the group failed open", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=1" }], { failOpen: true });
    balancer.setStatus(1, false, "probe");
    const { failedOpen, code } = balancer.describe(1, "t");
    assert.deepEqual([failedOpen, code], [true, 1]);
  });

  it("answers the code of a start that is refused, and no table", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=1" }]);
    for (const [resources, code] of [
      ["nosuch", -4],
      ["", -1],
    ] as const) {
      assert.deepEqual(balancer.describe(1, resources), {
        code,
        chosen: undefined,
        equals: [],
        failedOpen: false,
        destinations: [],
        omitted: 0,
      });
    }
    assert.deepEqual([balancer.describe(7, "t").code, balancer.describe(7, "t").destinations], [-3, []]);
  });
});

describe("what a call looked at", () => {
  function watched(rows: readonly RowSketch[], size = 10) {
    const looks = new Looks(size, () => 7);
    const views = (): TableView[] => looks.of("").map(({ view }) => view);
    return { balancer: balancerOf(rows, { looks }), looks, views };
  }

  it("is without the pick before and without its own, and stays when the table changes", () => {
    const { balancer, views } = watched([
      { id: 1, resources: "t=5" },
      { id: 2, resources: "t=4" },
    ]);
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.next(call);
    balancer.next(call);
    balancer.replaceTable([row({ id: 2, resources: "t=1" })]);
    balancer.start(newCall(), 1, "nosuch");
    assert.deepEqual(views().map(reasons), ["1: chosen, 2: lower-score", "1: tried, 2: chosen", "1: tried, 2: tried"]);
    assert.deepEqual(
      views().map(({ code, destinations }) => [code, ...destinations.map(({ resources }) => resources[0]!.load)]),
      [
        [1, 0, 0],
        [1, 0, 0],
        [-3, 0, 0],
      ],
    );
  });

  it("keeps 64 destinations of a large group, and the chosen one in any case", () => {
    for (const best of [3, 64, 65, 100]) {
      const { balancer, views } = watched(Array.from({ length: 100 }, (_, i) => ({ id: i + 1, resources: `t=${i + 1 === best ? 9 : 5}` })));
      balancer.start(newCall(), 1, "t");
      const view = views()[0]!;
      assert.deepEqual([view.chosen, view.omitted, view.destinations.length], [best, 36, 64]);
      assert.deepEqual(
        view.destinations.filter(({ skipped }) => skipped === undefined).map(({ id }) => id),
        [best],
      );
    }
  });

  it("counts those that lack a resource among the 64, behind all others", () => {
    const { balancer, views } = watched(Array.from({ length: 5000 }, (_, i) => ({ id: i + 1, resources: i % 100 === 99 ? "t=5" : "c=5" })));
    balancer.start(newCall(), 1, "t");
    const { destinations, omitted } = views()[0]!;
    const lacking = destinations.filter(({ skipped }) => skipped === "lacks-resource");
    assert.deepEqual([destinations.length, lacking.length, omitted], [64, 14, 4936]);
  });

  it("tells what the call comes from, when that is passed over", () => {
    const { balancer, views } = watched([
      { id: 1, resources: "t=5" },
      { id: 2, resources: "t=4" },
    ]);
    const call = newCall();
    call.passedOver = [balancer.destination(1)!.key];
    balancer.start(call, 1, "t");
    balancer.next(call);
    assert.deepEqual(views().map(reasons), ["1: caller, 2: chosen", "1: caller, 2: tried"]);
  });

  it("tells of one that is starting slowly and has its share of a pool, and of the pool that is full", () => {
    const { balancer, views } = watched([
      { id: 1, resources: "t=10", attrs: "shared=a" },
      { id: 2, resources: "t=10", attrs: "shared=a" },
    ]);
    balancer.setCapacityFactor(1, 0.2);
    for (let i = 0; i < 11; i++) balancer.start(newCall(), 1, "t");
    const of = (i: number): string => reasons(views()[i]!);
    assert.deepEqual(balancer.describe(1, "t").destinations[0]?.resources, [
      { name: "t", load: 10, max: 10, slot: 0, own: { load: balancer.ownLoad(balancer.destination(1)!.resources[0]!.cell), max: 2 } },
    ]);
    assert.equal(of(0), "1: lower-score, 2: chosen");
    assert.equal(of(9), "1: full, 2: full");
    const fresh = watched([
      { id: 1, resources: "t=10", attrs: "shared=a" },
      { id: 2, resources: "t=10", attrs: "shared=a;priority=1" },
    ]);
    fresh.balancer.setCapacityFactor(1, 0.2);
    for (let i = 0; i < 3; i++) fresh.balancer.start(newCall(), 1, "t");
    assert.deepEqual(fresh.views().map(reasons), ["1: chosen, 2: later-tier", "1: chosen, 2: later-tier", "1: slow-start, 2: chosen"]);
  });

  it("is kept for the latest decisions, with their times, attempts and Call-IDs", () => {
    const { balancer, looks } = watched([{ id: 1, resources: "t=50" }], 3);
    for (const callId of ["a", "b", "a", "c", "a"]) {
      const call = newCall();
      call.callId = callId;
      balancer.start(call, 1, "t");
    }
    const loads = (callId: string): number[] => looks.of(callId).map(({ view }) => view.destinations[0]!.resources[0]!.load);
    assert.deepEqual([loads("a"), loads("b"), loads("c"), looks.taken], [[2, 4], [], [3], 5]);
    const { atMs, attempt, group, resources } = looks.of("c")[0]!;
    assert.deepEqual([atMs, attempt, group, resources], [7, 1, 1, "t"]);
  });

  it("is kept as long as there is room for its numbers, which larger tables use up sooner; never another's", () => {
    const names = Array.from({ length: 12 }, (_, i) => `r${i}`);
    const all = names.map((name) => `${name}=90`).join(";");
    const { balancer, looks } = watched(
      Array.from({ length: 64 }, (_, i) => ({ id: i + 1, resources: all })),
      20,
    );
    for (let i = 0; i < 100; i++) {
      const call = newCall();
      call.callId = `${i}`;
      const wanted = i % 3 === 0 ? names.join(";") : "r0";
      assert.equal(balancer.start(call, 1, wanted), 1);
      const found = looks.of(`${i}`);
      assert.deepEqual([found.length, found[0]?.resources, found[0]?.view.chosen], [1, wanted, call.destination!.id]);
    }
    const kept = Array.from({ length: 100 }, (_, i) => looks.of(`${i}`).length);
    assert.ok(kept.lastIndexOf(0) >= 80, "not all 20 have room");
    assert.ok(kept.slice(kept.lastIndexOf(0) + 1).length > 2, "and several have");
  });

  it("has room for one that is larger than all that was thought of", () => {
    const names = Array.from({ length: 30 }, (_, i) => `r${i}`);
    const all = names.map((name) => `${name}=90`).join(";");
    const { balancer, views } = watched(
      Array.from({ length: 70 }, (_, i) => ({ id: i + 1, resources: all })),
      1,
    );
    balancer.start(newCall(), 1, names.join(";"));
    assert.deepEqual([views()[0]?.chosen, views()[0]?.destinations.length, views()[0]?.omitted], [1, 64, 6]);
  });
});
