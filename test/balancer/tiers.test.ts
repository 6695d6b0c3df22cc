import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { balancerOf, newCall, occupy, permutations, type RowSketch, usage } from "./support.ts";

interface Place {
  max: number;
  calls?: number;
  attrs?: string;
}

/** Destinations 1, 2, … with a resource `t` each; answers the id that start chooses or its code, the same for every order of the rows. */
function chosen(places: readonly Place[], flags: string): number {
  const sketches = places.map(({ max, attrs }, i): RowSketch => ({ id: i + 1, resources: `t=${max}`, attrs: attrs ?? "" }));
  const answers = permutations(sketches).map((order) => {
    const balancer = balancerOf(order);
    for (const [i, { calls }] of places.entries()) occupy(balancer, i + 1, "t", calls ?? 0);
    const call = newCall();
    const code = balancer.start(call, 1, "t", flags);
    return code === 1 ? call.destination!.id : code;
  });
  assert.equal(new Set(answers).size, 1);
  return answers[0]!;
}

describe("priority tiers", () => {
  const cases: { name: string; places: Place[]; flags?: string; want: number }[] = [
    { name: "go lowest first, whatever the slots", places: [{ max: 90, attrs: "priority=1" }, { max: 1 }], want: 2 },
    {
      name: "give way when all of a tier are full",
      places: [
        { max: 5, attrs: "priority=1" },
        { max: 1, calls: 1 },
      ],
      want: 1,
    },
    {
      name: "give way one after the other",
      places: [
        { max: 1, calls: 1 },
        { max: 1, calls: 1, attrs: "priority=1" },
        { max: 1, attrs: "priority=2" },
      ],
      want: 3,
    },
    { name: "take the largest slot within a tier", places: [{ max: 3 }, { max: 5 }, { max: 9, attrs: "priority=3" }], want: 2 },
    {
      name: "are full when every tier is",
      places: [
        { max: 1, calls: 1 },
        { max: 0, attrs: "priority=1" },
      ],
      want: -2,
    },
    {
      name: "with r compare percentages within the tier only",
      places: [
        { max: 10, calls: 9 },
        { max: 9, attrs: "priority=1" },
      ],
      flags: "r",
      want: 1,
    },
    {
      name: "with n prefer a free slot of a later tier to overload",
      places: [
        { max: 1, calls: 1 },
        { max: 1, attrs: "priority=1" },
      ],
      flags: "n",
      want: 2,
    },
    {
      name: "with n overload the first tier when nothing is free",
      places: [
        { max: 1, calls: 5 },
        { max: 1, calls: 1, attrs: "priority=1" },
      ],
      flags: "n",
      want: 1,
    },
  ];
  for (const { name, places, flags, want } of cases) it(name, () => assert.equal(chosen(places, flags ?? ""), want));

  it("are gone through by lb_next: the rest of a tier first, then the next tier", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=3" },
      { id: 2, resources: "t=9", attrs: "priority=1" },
      { id: 3, resources: "t=8" },
      { id: 4, resources: "t=4", attrs: "priority=1" },
    ]);
    const call = newCall();
    const picks: (number | undefined)[] = [];
    for (let code = balancer.start(call, 1, "t"); code === 1; code = balancer.next(call)) picks.push(call.destination?.id);
    assert.deepEqual(picks, [3, 1, 2, 4]);
  });

  it("give way when all of a tier are down, and go back at once", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=3" },
      { id: 2, resources: "t=9", attrs: "priority=1" },
    ]);
    const pick = () => {
      const call = newCall();
      balancer.start(call, 1, "t");
      balancer.release(call);
      return call.destination?.id;
    };
    balancer.setStatus(1, false, "probe");
    assert.equal(pick(), 2);
    balancer.setStatus(1, true, "probe");
    assert.equal(pick(), 1);
  });
});

describe("weights", () => {
  const cases: { name: string; places: Place[]; flags?: string; want: number }[] = [
    { name: "multiply the slot", places: [{ max: 10 }, { max: 6, attrs: "weight=2" }], want: 2 },
    { name: "below 1 hold back", places: [{ max: 100, attrs: "weight=0.05" }, { max: 6 }], want: 2 },
    {
      name: "multiply the percentage with r",
      places: [
        { max: 10, calls: 5 },
        { max: 90, attrs: "weight=0.4" },
      ],
      flags: "r",
      want: 1,
    },
    {
      name: "leave equals equal: 3 * 0.1 is 1 * 0.3",
      places: [
        { max: 1, attrs: "weight=0.3" },
        { max: 3, attrs: "weight=0.1" },
      ],
      want: 1,
    },
    {
      name: "leave equals equal: 2 * 0.29 is 1 * 0.58",
      places: [
        { max: 2, attrs: "weight=0.29" },
        { max: 1, attrs: "weight=0.58" },
      ],
      want: 1,
    },
    {
      name: "do not make a full destination free",
      places: [
        { max: 2, calls: 2, attrs: "weight=100" },
        { max: 1, attrs: "weight=0.01" },
      ],
      want: 2,
    },
    { name: "do not fill a free destination", places: [{ max: 1, attrs: "weight=0.01" }], want: 1 },
    {
      name: "with n divide an overload",
      places: [
        { max: 1, calls: 3 },
        { max: 1, calls: 4, attrs: "weight=2" },
      ],
      flags: "n",
      want: 2,
    },
    {
      name: "do not reach over tiers",
      places: [
        { max: 90, attrs: "priority=1;weight=100" },
        { max: 1, attrs: "weight=0.01" },
      ],
      want: 2,
    },
  ];
  for (const { name, places, flags, want } of cases) it(name, () => assert.equal(chosen(places, flags ?? ""), want));

  it("spread calls so that weighted slots stay level, down to the last slot", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=30" },
      { id: 2, resources: "t=30", attrs: "weight=2" },
    ]);
    for (let i = 0; i < 30; i++) balancer.start(newCall(), 1, "t");
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t")], ["10/30", "20/30"]);
    for (let i = 0; i < 30; i++) assert.equal(balancer.start(newCall(), 1, "t"), 1);
    assert.equal(balancer.start(newCall(), 1, "t"), -2);
  });

  it("that are equal leave flag s its chance among equals", () => {
    const asked: number[] = [];
    const balancer = balancerOf(
      [1, 2, 3].map((id) => ({ id, resources: id === 3 ? "t=8" : "t=4", attrs: id === 3 ? "weight=0.5" : "" })),
      { below: (n) => asked.push(n) - 1 + n - 1 },
    );
    const call = newCall();
    balancer.start(call, 1, "t", "s");
    assert.deepEqual([call.destination?.id, asked], [3, [3]]);
  });
});
