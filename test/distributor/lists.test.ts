import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  checkLists,
  Distributor,
  MAX_COMMAND_LENGTH,
  MAX_LISTS,
  MAX_NODES,
  runDistributor,
  runDistributorCtl,
} from "../../src/distributor/index.ts";

const never = (): boolean => {
  throw new Error("nothing was to be reloaded");
};

/** A distributor of lists such as `{ l: "a=1 b=2" }`. */
function distributorOf(lists: Readonly<Record<string, string>>, isUsable = (_: string) => true): Distributor {
  const specs = Object.entries(lists).map(([name, text]) => ({
    name,
    nodes: text.split(" ").map((pair) => ({ name: pair.split("=")[0] ?? "", weight: pair.split("=")[1] ?? "" })),
  }));
  return new Distributor({ isUsable }, specs);
}

describe("the lists of a distributor", () => {
  const weights: { text: string | number; want: number | undefined }[] = [
    { text: "3", want: 3 },
    { text: " 7", want: 7 },
    { text: "+2", want: 2 },
    { text: "3abc", want: 3 },
    { text: "1.9", want: 1 },
    { text: 2.9, want: 2 },
    { text: "2147483647", want: 2_147_483_647 },
    { text: "0", want: undefined },
    { text: "-1", want: undefined },
    { text: "", want: undefined },
    { text: "abc", want: undefined },
    { text: "2147483648", want: undefined },
    { text: "9".repeat(400), want: undefined },
    { text: Number.NaN, want: undefined },
    { text: Number.POSITIVE_INFINITY, want: undefined },
  ];
  for (const { text, want } of weights) {
    it(`${want === undefined ? "leave out" : `read ${want} from`} the weight ${JSON.stringify(text).slice(0, 20)}`, () => {
      const { lists, problems } = checkLists([{ name: "l", nodes: [{ name: "a", weight: text }] }]);
      assert.deepEqual(lists[0]?.nodes, want === undefined ? [] : [{ name: "a", weight: want }]);
      assert.equal(problems.length, want === undefined ? 1 : 0);
    });
  }

  it("are those that have a name, the first of two with one name, each with the nodes that have a name", () => {
    const node = { name: "a", weight: 1 };
    const { lists, problems } = checkLists([
      { name: "", nodes: [node] },
      { name: "l", nodes: [{ name: "", weight: 1 }, { name: "x\ny", weight: 1 }, { name: "n".repeat(256), weight: 1 }, node] },
      { name: "L", nodes: [] },
      { name: "line\nbreak", nodes: [] },
    ]);
    assert.deepEqual(lists, [{ name: "l", nodes: [node] }]);
    assert.equal(problems.length, 6);
    for (const problem of problems) assert.match(problem, /^Cannot use (?:list|node) .*want .*[^.]$/);
  });

  it("have bounds, and say little about what is beyond them", () => {
    const nodes = Array.from({ length: MAX_NODES + 5 }, (_, i) => ({ name: `n${i}`, weight: 1 }));
    assert.equal(checkLists([{ name: "l", nodes }]).lists[0]?.nodes.length, MAX_NODES);
    assert.match(checkLists([{ name: "l", nodes }]).problems[0] ?? "", /Cannot use 5 nodes of list "l": want at most 1000/);
    const many = Array.from({ length: MAX_LISTS + 7 }, (_, i) => ({ name: `l${i}`, nodes: [] }));
    assert.deepEqual([checkLists(many).lists.length, checkLists(many).problems], [MAX_LISTS, ["Cannot use 7 lists: want at most 1000"]]);
    const bad = Array.from({ length: 900 }, () => ({ name: "", nodes: [] }));
    assert.deepEqual([checkLists(bad).problems.length, checkLists(bad).problems.at(-1)?.slice(0, 14)], [101, "Cannot use 800"]);
  });

  it("stay when a reload has none that can be used, and its problems are told", () => {
    const distributor = distributorOf({ l: "a=1" });
    assert.equal(distributor.reload([]), false);
    assert.equal(distributor.reload([{ name: "", nodes: [] }]), false);
    assert.equal(distributor.problems.length, 1);
    assert.equal(distributor.next("l"), "a");
    assert.deepEqual(distributor.counters, { picks: 1, no_node: 0, no_list: 0, reloads: 1, reload_failures: 2, modifications: 0 });
  });

  it("are counted: what was chosen, and why nothing was", () => {
    const distributor = distributorOf({ l: "a=1 b=1" }, (node) => node !== "b");
    for (let i = 0; i < 3; i++) assert.equal(distributor.next("L"), "a");
    assert.equal(distributor.next("l", ["a"]), undefined);
    assert.equal(
      distributor.next("l", [], (node) => node === "a"),
      undefined,
    );
    assert.equal(distributor.next("m"), undefined);
    const { picks, no_node, no_list } = distributor.counters;
    assert.deepEqual([picks, no_node, no_list], [3, 2, 1]);
    assert.deepEqual(
      distributor.lists.map((list) => list.nodes.map(({ picked }) => picked)),
      [[3, 0]],
    );
  });
});

describe("the commands", () => {
  const ctl = (distributor: Distributor, text: string, reload = never) => runDistributorCtl(distributor, text, reload);

  it("take any number of spaces between words", () => {
    const distributor = distributorOf({ l: "a=1 b=1" });
    assert.equal(runDistributor(distributor, "  l   a "), "b");
    assert.equal(ctl(distributor, " dump   L"), "list: name=l\nnode: name=a weight=1\nnode: name=b weight=1\n");
  });

  it("modify finds nodes whatever their case, ignores words without =, and starts the rotation anew even when nothing changes", () => {
    const distributor = distributorOf({ l: "Aa=2 b=3" });
    assert.equal(runDistributor(distributor, "l"), "Aa");
    assert.equal(ctl(distributor, "modify l word"), "list: name=l\nnode: name=Aa weight=2\nnode: name=b weight=3\n");
    assert.equal(runDistributor(distributor, "l"), "Aa");
    assert.equal(
      ctl(distributor, "modify l aA=4x B= =5"),
      "error: name=b, specified weight invalid\nerror: node  not found\nlist: name=l\nnode: name=Aa weight=4\nnode: name=b weight=3\n",
    );
  });

  it("reload answers -error when it failed", () => {
    assert.equal(
      ctl(distributorOf({ l: "a=1" }), "reload", () => false),
      "-error\n",
    );
  });

  it("are bounded", () => {
    const distributor = distributorOf({ l: "a=1" });
    const long = `l ${"x ".repeat(MAX_COMMAND_LENGTH)}`;
    assert.deepEqual([runDistributor(distributor, long), ctl(distributor, `dump ${long}`)], ["-err", "-error\n"]);
    assert.deepEqual([runDistributor(distributor, " "), ctl(distributor, "  ")], ["-err", "-error\n"]);
  });
});
