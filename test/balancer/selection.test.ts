import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallLoad } from "../../src/balancer/index.ts";
import { balancerOf, newCall, occupy, permutations, type RowSketch, usage } from "./support.ts";

/** Destinations 1, 2, … with one resource `t` each, so much capacity and so many calls; answers the id that start chooses, or its code. */
function chosen(max: readonly number[], calls: readonly number[], flags = ""): number {
  const balancer = balancerOf(max.map((capacity, i) => ({ id: i + 1, resources: `t=${capacity}` })));
  for (const [i, times] of calls.entries()) occupy(balancer, i + 1, "t", times);
  const call = newCall();
  const code = balancer.start(call, 1, "t", flags);
  return code === 1 ? call.destination!.id : code;
}

describe("selection: the largest available slot wins", () => {
  const cases = [
    { name: "prefers the larger slot to the fewer calls", max: [10, 100], calls: [1, 50], want: 2 },
    { name: "takes the first of equals", max: [5, 5], calls: [0, 0], want: 1 },
    { name: "passes over a full destination", max: [5, 9], calls: [5, 8], want: 2 },
    { name: "answers -2 when all are full", max: [1, 0], calls: [1, 0], want: -2 },
    { name: "answers -2 when load is above capacity", max: [1], calls: [3], want: -2 },
    { name: "answers -4 without any destination: nobody has the resource", max: [], calls: [], want: -4 },
    { name: "r compares percentages", max: [20, 4], calls: [10, 0], flags: "r", want: 2 },
    { name: "r counts whole percents: 9 of 1000 taken equal none of 3 taken", max: [1000, 3], calls: [9, 0], flags: "r", want: 1 },
    { name: "r keeps a 1000-slot destination at 99 from its tenth call on", max: [1000, 3], calls: [10, 0], flags: "r", want: 2 },
    { name: "r lets 199 of 200 pass: 100 - trunc(99.5) is 1", max: [200], calls: [199], flags: "r", want: 1 },
    { name: "r gives no percentage to capacity 0", max: [0], calls: [0], flags: "r", want: -2 },
    { name: "n takes the least overloaded", max: [1, 2], calls: [3, 3], flags: "n", want: 2 },
    { name: "n takes capacity 0", max: [0], calls: [0], flags: "n", want: 1 },
    { name: "n prefers a free slot all the same", max: [1, 2], calls: [1, 1], flags: "n", want: 2 },
    { name: "nr compares overload in percent", max: [1, 2], calls: [2, 3], flags: "nr", want: 2 },
    { name: "nr counts capacity 0 as 0 percent, better than overload", max: [1, 0], calls: [2, 5], flags: "rn", want: 2 },
    { name: "flags are lower case and others are ignored", max: [20, 4], calls: [10, 0], flags: "RxyN ", want: 1 },
  ];
  for (const { name, max, calls, flags, want } of cases) it(name, () => assert.equal(chosen(max, calls, flags), want));
});

describe("selection over several resources", () => {
  const rows: RowSketch[] = [
    { id: 1, resources: "t=10;c=3" },
    { id: 2, resources: "t=5;c=5" },
    { id: 3, resources: "t=50" },
    { id: 4, group: 2, resources: "v=9;t=90" },
  ];
  const cases: { name: string; group: number; resources: string; want: number }[] = [
    { name: "the scarcest one decides", group: 1, resources: "t;c", want: 2 },
    { name: "their order does not", group: 1, resources: "c;t", want: 2 },
    { name: "spaces and a last semicolon do not", group: 1, resources: " c ; t ; ", want: 2 },
    { name: "one is enough to exclude who lacks the other", group: 1, resources: "c", want: 2 },
    { name: "groups do not mix", group: 2, resources: "t", want: 4 },
    { name: "-3 when the group has none with it", group: 1, resources: "v", want: -3 },
    { name: "-3 for a group that is not there", group: 7, resources: "t", want: -3 },
    { name: "-3 for group -1, which means any only when a call is counted", group: -1, resources: "t", want: -3 },
    { name: "-4 for a name that nobody has", group: 1, resources: "t;nosuch", want: -4 },
    { name: "-4 for another case of the name", group: 1, resources: "T", want: -4 },
    { name: "-4 for a name that stands twice", group: 1, resources: "t;t", want: -4 },
    { name: "-4 before -3", group: 7, resources: "nosuch", want: -4 },
    { name: "-4 for a name with a space inside", group: 1, resources: "t c", want: -4 },
    { name: "-4 for a name of the language's own objects", group: 1, resources: "constructor;__proto__", want: -4 },
    { name: "-1 for an empty list", group: 1, resources: "", want: -1 },
    { name: "-1 for a blank list", group: 1, resources: "  ", want: -1 },
    { name: "-1 for a lone semicolon", group: 1, resources: ";", want: -1 },
    { name: "-1 for an empty item", group: 1, resources: "t;;c", want: -1 },
    { name: "-1 for a value", group: 1, resources: "t=1", want: -1 },
    { name: "-1 for a list that is too long", group: 1, resources: "t;".repeat(3000), want: -1 },
  ];
  for (const { name, group, resources, want } of cases) {
    it(`${name}, in every order of the rows`, () => {
      for (const order of permutations(rows)) {
        const balancer = balancerOf(order);
        const call = newCall();
        const code = balancer.start(call, group, resources);
        assert.equal(code === 1 ? call.destination?.id : code, want);
        assert.equal(balancer.isStarted(call), want > 0 || want === -2 || want === -3);
      }
    });
  }
});

describe("equals over several resources", () => {
  for (const flags of ["s", "rs"]) {
    it(`are equal in their scarcest one, with flags ${flags}`, () => {
      const asked: number[] = [];
      const balancer = balancerOf(
        [
          { id: 1, resources: "t=5;c=10" },
          { id: 2, resources: "t=5;c=2" },
          { id: 3, resources: "t=9;c=5" },
        ],
        { below: (n) => asked.push(n) - 1 },
      );
      occupy(balancer, 1, "t", 1);
      occupy(balancer, 2, "t", 1);
      occupy(balancer, 2, "c", 1);
      occupy(balancer, 3, "c", 1);
      for (const id of [1, 3]) {
        const call = newCall();
        assert.equal(balancer.start(call, 1, "t;c", flags), 1);
        assert.equal(call.destination?.id, id);
        balancer.release(call);
      }
      assert.deepEqual(asked, [2, 2]);
    });
  }
});

describe("selection does not depend on the order in which rows come", () => {
  it("takes the lowest id of equals", () => {
    const rows: RowSketch[] = [7, 2, 5, 11].map((id) => ({ id, resources: "t=5" }));
    for (const order of permutations(rows)) {
      const balancer = balancerOf(order);
      const call = newCall();
      const picks = [balancer.start(call, 1, "t")].map(() => call.destination?.id);
      while (balancer.next(call) === 1) picks.push(call.destination?.id);
      assert.deepEqual(picks, [2, 5, 7, 11]);
    }
  });

  it("spreads 100 calls over capacities 10, 20, 30, 40 to the last slot, and refuses the next", () => {
    const rows: RowSketch[] = [10, 20, 30, 40].map((capacity, i) => ({ id: i + 1, resources: `t=${capacity}` }));
    for (const order of permutations(rows)) {
      const balancer = balancerOf(order);
      for (let i = 0; i < 100; i++) assert.equal(balancer.start(newCall(), 1, "t"), 1);
      assert.deepEqual(
        [1, 2, 3, 4].map((id) => usage(balancer, id, "t")),
        ["10/10", "20/20", "30/30", "40/40"],
      );
      assert.equal(balancer.start(newCall(), 1, "t"), -2);
    }
  });
});

describe("flag s: equals are chosen by chance", () => {
  it("asks for one random number, below the number of equals, and only when there are several", () => {
    const asked: number[] = [];
    const below = (n: number) => {
      asked.push(n);
      return n - 1;
    };
    const balancer = balancerOf(
      [5, 9, 9, 3, 9].map((capacity, i) => ({ id: i + 1, resources: `t=${capacity}` })),
      { below },
    );
    const call = newCall();
    balancer.start(call, 1, "t", "s");
    assert.equal(call.destination?.id, 5);
    balancer.next(call);
    assert.equal(call.destination?.id, 3);
    balancer.next(call);
    assert.equal(call.destination?.id, 2);
    balancer.next(call);
    assert.equal(call.destination?.id, 1);
    assert.deepEqual(asked, [3, 2]);
  });

  it("reaches each of the equals with each number", () => {
    for (const draw of [0, 1, 2]) {
      const balancer = balancerOf(
        [1, 2, 3].map((id) => ({ id, resources: "t=4" })),
        { below: () => draw },
      );
      const call = newCall();
      balancer.start(call, 1, "t", "rs");
      assert.equal(call.destination?.id, draw + 1);
    }
  });

  it("is not asked for without the flag", () => {
    const below = () => assert.fail("chance without flag s");
    const balancer = balancerOf(
      [1, 2].map((id) => ({ id, resources: "t=4" })),
      { below },
    );
    assert.equal(balancer.start(newCall(), 1, "t", "nr"), 1);
  });
});

describe("a call that is over", () => {
  it("is not counted any more by a route that wakes up late", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=5" }]);
    const call = new CallLoad();
    assert.equal(balancer.start(call, 1, "t"), 1);
    balancer.release(call);
    call.closed = true;
    assert.equal(balancer.start(call, 1, "t"), -1);
    assert.equal(balancer.next(call), -1);
    assert.equal(balancer.countCall(call, "127.0.0.21", 5080, -1, "t"), -1);
    assert.equal(usage(balancer, 1, "t"), "0/5");
  });
});

describe("many groups and resource lists that callers make up", () => {
  it("do not change answers", () => {
    const balancer = balancerOf([
      { id: 1, resources: "a=9;b=9" },
      { id: 2, group: 2, resources: "a=1" },
    ]);
    const call = newCall();
    for (let i = 0; i < 100_000; i++) {
      assert.equal(balancer.start(call, i + 10, "a;b"), -3);
    }
    assert.equal(balancer.start(call, 1, `${" ".repeat(4000)}b;a`), 1);
    assert.equal(call.destination?.id, 1);
  });
});
