import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer } from "../../src/balancer/index.ts";
import { balancerOf, cellOf, newCall, occupy, permutations, row, usage } from "./support.ts";

/** One server in two groups, and another by itself. */
const twoGroups = [
  { id: 1, group: 1, resources: "t=10", attrs: "shared=fra" },
  { id: 2, group: 2, resources: "t=10", attrs: "shared=fra" },
  { id: 3, group: 2, resources: "t=5" },
];

describe("destinations that share a pool", () => {
  it("have one load and one capacity, in whatever group a call comes", () => {
    const balancer = balancerOf(twoGroups);
    for (let i = 0; i < 4; i++) assert.equal(balancer.start(newCall(), 1, "t"), 1);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t"), usage(balancer, 3, "t")], ["4/10", "4/10", "0/5"]);
    const call = newCall();
    assert.equal(balancer.start(call, 2, "t"), 1);
    assert.equal(call.destination?.id, 2);
    const own = [1, 2].map((id) => balancer.ownLoad(cellOf(balancer.destination(id), "t")));
    assert.deepEqual(own, [4, 1]);
    assert.deepEqual([balancer.profileSize("t"), balancer.profileSize("t", 1), balancer.profileSize("t", 2)], [5, 4, 1]);
  });

  it("are never given more than the pool takes, by whatever mixture of groups", () => {
    const balancer = balancerOf(twoGroups.slice(0, 2));
    const calls = Array.from({ length: 20 }, newCall);
    const codes = calls.map((call, i) => balancer.start(call, 1 + (i % 2), "t"));
    assert.deepEqual(codes, [...Array(10).fill(1), ...Array(10).fill(-2)]);
    assert.deepEqual(balancer.recount(calls), []);
    balancer.release(calls[3]!);
    assert.equal(balancer.start(newCall(), 1, "t"), 1);
    assert.equal(balancer.start(newCall(), 2, "t"), -2);
  });

  it("count calls that the server makes itself, and take them back", () => {
    const balancer = balancerOf(twoGroups);
    const call = newCall();
    balancer.countCall(call, "127.0.0.22", 5080, 2, "t");
    assert.equal(usage(balancer, 1, "t"), "1/10");
    balancer.countCall(call, "127.0.0.22", 5080, 2, "t", true);
    assert.equal(usage(balancer, 1, "t"), "0/10");
  });

  it("have the smallest capacity of their rows, which is told", () => {
    for (const sketches of permutations([
      { id: 1, resources: "t=10;c=3", attrs: "shared=fra" },
      { id: 2, resources: "t=7", attrs: "shared=fra" },
      { id: 3, resources: "t=8;c=3", attrs: "shared=fra" },
    ])) {
      const balancer = balancerOf([]);
      const { problems } = balancer.replaceTable(sketches.map(row));
      assert.deepEqual(problems, [
        'Capacities of "t" of pool "fra" differ (10 in destination 1, 7 in destination 2, 8 in destination 3): the smallest, 7, is used',
      ]);
      assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 3, "t"), usage(balancer, 3, "c")], ["0/7", "0/7", "0/3"]);
    }
  });

  it("are resized together, until the smallest capacity of the rows changes", () => {
    const balancer = balancerOf(twoGroups);
    balancer.resize(2, "t", 50);
    assert.equal(usage(balancer, 1, "t"), "0/50");
    const rows = (first: number, second: number) => [
      row({ ...twoGroups[0]!, resources: `t=${first}` }),
      row({ ...twoGroups[1]!, resources: `t=${second}` }),
    ];
    balancer.replaceTable(rows(10, 30));
    assert.equal(usage(balancer, 1, "t"), "0/50");
    balancer.replaceTable(rows(12, 30));
    assert.equal(usage(balancer, 2, "t"), "0/12");
  });

  it("take their calls along when a reload makes them share, stop sharing, or share with others", () => {
    const sketch = (attrs1: string, attrs2: string) => [
      row({ id: 1, resources: "t=10", attrs: attrs1 }),
      row({ id: 2, resources: "t=10", attrs: attrs2 }),
    ];
    const balancer = balancerOf([]);
    balancer.replaceTable(sketch("", ""));
    const calls = [...occupy(balancer, 1, "t", 3), ...occupy(balancer, 2, "t", 4)];
    const usages = () => [usage(balancer, 1, "t"), usage(balancer, 2, "t")];
    for (const [attrs1, attrs2, want] of [
      ["shared=a", "shared=a", ["7/10", "7/10"]],
      ["shared=a", "shared=b", ["3/10", "4/10"]],
      ["shared=b", "shared=b", ["7/10", "7/10"]],
      ["", "shared=b", ["3/10", "4/10"]],
      ["shared=b", "shared=b", ["7/10", "7/10"]],
    ] as const) {
      balancer.replaceTable(sketch(attrs1, attrs2));
      assert.deepEqual(usages(), want, `${attrs1} ${attrs2}`);
      assert.deepEqual(balancer.recount(calls), []);
    }
    for (const call of calls) balancer.release(call);
    assert.deepEqual(usages(), ["0/10", "0/10"]);
  });

  it("go on counting the calls of a row that is gone: the server has them still", () => {
    const balancer = balancerOf(twoGroups);
    const [call] = occupy(balancer, 1, "t", 1);
    balancer.replaceTable(twoGroups.slice(1).map(row));
    assert.equal(usage(balancer, 2, "t"), "1/10");
    balancer.release(call!);
    assert.equal(usage(balancer, 2, "t"), "0/10");
  });

  it("count a late answer of a destination that changed its pool since in the new one", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=9;c=9", attrs: "shared=a" }]);
    const call = newCall();
    balancer.start(call, 1, "t;c");
    const [destination, cells] = [call.destination!, balancer.pickedCells(call)];
    balancer.release(call);
    balancer.replaceTable([row({ id: 1, resources: "t=9", attrs: "shared=b" }), row({ id: 2, resources: "t=9;c=9", attrs: "shared=b" })]);
    balancer.moveTo(call, destination, cells);
    assert.deepEqual([usage(balancer, 2, "t"), usage(balancer, 2, "c")], ["1/9", "1/9"]);
    assert.deepEqual(balancer.recount([call]), []);
  });

  it("do not let the load table grow when pools come and go", () => {
    const balancer = balancerOf([]);
    for (let i = 1; i <= 2000; i++) {
      balancer.replaceTable([row({ id: 1, resources: "t=1;c=1", attrs: `shared=pool${i}` })]);
      const call = newCall();
      assert.equal(balancer.start(call, 1, "t;c"), 1);
      balancer.release(call);
    }
    balancer.replaceTable([]);
    balancer.replaceTable([row({ id: 5, resources: "t=1" })]);
    assert.ok(cellOf(balancer.destination(5), "t") < 16);
  });

  it("are told apart by the case of the name", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=10", attrs: "shared=x" },
      { id: 2, resources: "t=4", attrs: "shared=X" },
    ]);
    occupy(balancer, 1, "t", 1);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t")], ["1/10", "0/4"]);
  });
});

describe("a share of the capacity, in a pool", () => {
  const sketches = [
    { id: 1, group: 1, resources: "t=10", attrs: "shared=p" },
    { id: 2, group: 2, resources: "t=10;c=4", attrs: "shared=p" },
  ];
  const pick = (balancer: Balancer, group: number, resources = "t", flags = "") => balancer.start(newCall(), group, resources, flags);
  const times = (count: number, run: () => number) => Array.from({ length: count }, run);

  it("holds back the row that is warming up, and none of the others", () => {
    const balancer = balancerOf(sketches);
    balancer.setCapacityFactor(1, 0.3);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t")], ["0/10", "0/10"], "the pool stays open");
    const cell = cellOf(balancer.destination(1), "t");
    assert.deepEqual([balancer.ownMaxLoad(cell), balancer.freeSlots(cell)], [3, 3]);
    assert.deepEqual(
      times(4, () => pick(balancer, 1)),
      [1, 1, 1, -2],
    );
    assert.equal(balancer.freeSlots(cell), 0);
    assert.deepEqual(
      times(8, () => pick(balancer, 2)),
      [1, 1, 1, 1, 1, 1, 1, -2],
    );
    balancer.setCapacityFactor(1, 1);
    assert.deepEqual([pick(balancer, 1), balancer.ownMaxLoad(cell)], [-2, 10], "the pool is full");
  });

  it("does not let a full pool overflow: the row gets what the others leave", () => {
    const balancer = balancerOf(sketches);
    balancer.setCapacityFactor(1, 0.5);
    occupy(balancer, 2, "t", 8);
    assert.deepEqual(
      times(3, () => pick(balancer, 1)),
      [1, 1, -2],
    );
  });

  it("leaves at least one call to the row", () => {
    const balancer = balancerOf(sketches);
    balancer.setCapacityFactor(1, 0);
    assert.deepEqual([pick(balancer, 1), pick(balancer, 1)], [1, -2]);
  });

  it("closes the pool as far as the row that is furthest: a server that warms up in all its rows has one share", () => {
    const balancer = balancerOf(sketches);
    balancer.setCapacityFactor(1, 0.5);
    balancer.setCapacityFactor(2, 0.2);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t"), usage(balancer, 2, "c")], ["0/5", "0/5", "0/1"]);
    assert.deepEqual(
      times(3, () => pick(balancer, 2)),
      [1, 1, -2],
    );
    assert.deepEqual(
      times(4, () => pick(balancer, 1)),
      [1, 1, 1, -2],
    );
    balancer.setCapacityFactor(2, 1);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "c")], ["5/10", "0/4"]);
  });

  it("goes by percentages with flag r, and is passed with flag n", () => {
    const balancer = balancerOf([...sketches, { id: 3, group: 1, resources: "t=100" }]);
    balancer.setCapacityFactor(1, 0.2);
    occupy(balancer, 1, "t", 1); // half of what the row may have, a tenth of the pool
    occupy(balancer, 3, "t", 30);
    const call = newCall();
    balancer.start(call, 1, "t", "r");
    assert.equal(call.destination?.id, 3);
    balancer.setStatus(3, false, "mi");
    assert.deepEqual(
      times(3, () => pick(balancer, 1)),
      [1, -2, -2],
    );
    assert.equal(pick(balancer, 1, "t", "n"), 1);
  });

  it("follows resizes and reloads, and ends when the row leaves the pool or the table", () => {
    const balancer = balancerOf(sketches);
    balancer.setCapacityFactor(1, 0.5);
    const own = () => balancer.ownMaxLoad(cellOf(balancer.destination(1), "t"));
    balancer.resize(2, "t", 20);
    assert.deepEqual([own(), usage(balancer, 1, "t")], [10, "0/20"]);
    balancer.replaceTable(sketches.map(row));
    assert.deepEqual([own(), usage(balancer, 1, "t")], [10, "0/20"], "after a reload too");
    balancer.replaceTable([row({ ...sketches[0]!, resources: "t=8" }), row(sketches[1]!)]);
    assert.deepEqual([own(), usage(balancer, 2, "t")], [4, "0/8"]);
    balancer.replaceTable([row({ ...sketches[0]!, attrs: "" }), row(sketches[1]!)]);
    assert.deepEqual([own(), usage(balancer, 1, "t"), usage(balancer, 2, "t")], [5, "0/5", "0/10"], "by itself it is as any row");
    balancer.replaceTable(sketches.map(row));
    assert.equal(own(), 5);
    balancer.replaceTable([row(sketches[1]!)]);
    assert.deepEqual(times(11, () => pick(balancer, 2)).filter((code) => code === 1).length, 10);
  });

  it("tells what the row itself has and may have", () => {
    const balancer = balancerOf(sketches);
    balancer.setCapacityFactor(1, 0.1);
    assert.equal(pick(balancer, 1), 1);
    const { code, destinations } = balancer.describe(1, "t");
    assert.equal(code, -2);
    assert.deepEqual(destinations[0]?.resources, [{ name: "t", load: 1, max: 10, slot: 0, own: { load: 1, max: 1 } }]);
    assert.deepEqual(balancer.describe(2, "t").destinations[0]?.resources, [{ name: "t", load: 1, max: 10, slot: 9 }]);
  });
});
