import assert from "node:assert/strict";
import { describe, it } from "node:test";
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
