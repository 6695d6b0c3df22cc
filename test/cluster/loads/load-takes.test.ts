import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { GONE_LOADS_MS } from "../../../src/cluster/loads/load-exchange.ts";
import { MAX_TAKEN_NODES } from "../../../src/cluster/loads/load-message.ts";
import { Wire } from "../../../src/cluster/wire.ts";
import { cellOf, type RowSketch } from "../../balancer/support.ts";
import { CHANNEL, Cluster, KEYS, type LoadNode } from "./load-nodes.ts";

const ROWS: RowSketch[] = [
  { id: 1, uri: "sip:a", resources: "t=100000" },
  { id: 2, uri: "sip:b", resources: "t=100000;own=100000" },
];

/** Takes calls over from another node, one after the other. @returns what ends them */
function take(node: LoadNode, from: number, calls: number, id = 1, resource = "t", incarnation = `i${from}`): () => void {
  const ends = Array.from({ length: calls }, () => {
    const end = node.occupy(id, resource, 1);
    node.exchange.took({ nodeId: from, incarnation }, [cellOf(node.balancer.destination(id), resource)]);
    return end;
  });
  return () => {
    for (const end of ends) end();
  };
}

/** All calls of a slot, as a node sees them. */
function all(node: LoadNode, id = 1, resource = "t"): number {
  return node.balancer.load(cellOf(node.balancer.destination(id), resource)) + node.remote(id, resource);
}

/** Three nodes, the third of which had so many calls and is gone. */
async function bereaved(calls: number): Promise<{ cluster: Cluster; one: LoadNode; two: LoadNode }> {
  const cluster = new Cluster();
  const [one, two, three] = [await cluster.join(1, ROWS), await cluster.join(2, ROWS), await cluster.join(3, ROWS)];
  three.occupy(1, "t", calls);
  await cluster.pass(25);
  cluster.lost(3);
  return { cluster, one, two };
}

describe("calls that are taken over", () => {
  it("are counted once by every node, before, while and after the others hear of it", async () => {
    const { cluster, one, two } = await bereaved(500);
    for (let i = 0; i < 5; i++) {
      take(one, 3, 100);
      assert.deepEqual([all(one), all(two)], [500, 500]);
      await cluster.pass(25);
      assert.deepEqual([all(one), all(two), two.remote(1, "t")], [500, 500, 500]);
    }
    for (const { exchange } of [one, two]) exchange.release(3);
    assert.deepEqual([all(one), all(two)], [500, 500]);
    for (let s = 0; s < 40; s++) await cluster.second();
    assert.deepEqual([all(one), all(two), two.exchange.loads.size], [500, 500, 1], "nothing of it is left");
    assert.equal(await cluster.links[0]!.command("hget", KEYS.load(1), "1 sip:a t"), "500");
  });

  it("and have ended since leave every count", async () => {
    const { cluster, one, two } = await bereaved(500);
    const end = take(one, 3, 200);
    await cluster.pass(25);
    end();
    assert.equal(all(one), 300);
    await cluster.pass(25);
    assert.equal(all(two), 300);
    assert.equal(await cluster.links[0]!.command("hget", KEYS.load(1), "1 sip:a t"), "0 3:i3:2:200");
  });

  it("by several nodes, as messages of them come to each, are left out all together", async () => {
    const { cluster, one, two } = await bereaved(500);
    take(one, 3, 100);
    const end = take(two, 3, 5);
    end();
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [495, 495]);
  });

  it("by a node that knows of the death are left out by one that does not know of it", async () => {
    const { cluster, one, two } = await bereaved(500);
    two.members.alive.add(3);
    take(one, 3, 100);
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [500, 500]);
  });

  it("before their node was known to be gone are told when it is", async () => {
    const { cluster, one, two } = await bereaved(500);
    for (const node of [one, two]) node.members.alive.add(3);
    const end = take(one, 3, 10);
    end();
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [490, 500]);
    for (const node of [one, two]) node.members.left(3);
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [490, 490]);
  });

  it("from a node that is alive count with both until it has told so, at the others, and are never left out twice", async () => {
    const cluster = new Cluster();
    const [one, two, three] = [await cluster.join(1, ROWS), await cluster.join(2, ROWS), await cluster.join(3, ROWS)];
    const end = three.occupy(1, "t", 10);
    three.occupy(1, "t", 5);
    await cluster.pass(25);
    take(one, 3, 10);
    assert.equal(all(one), 15);
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [15, 25]);
    end();
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two), all(three)], [15, 15, 15]);
    cluster.lost(3);
    await cluster.second();
    assert.deepEqual([all(one), all(two)], [15, 15]);
  });

  it("are counted twice, not left out, while the message is lost, and once after the next beat", async () => {
    const { cluster, one, two } = await bereaved(500);
    cluster.links[1]!.stall();
    take(one, 3, 100);
    await cluster.pass(25);
    assert.ok(cluster.links[1]!.loseMessage());
    cluster.links[1]!.heal();
    assert.equal(all(two), 500, "it knows of neither");
    take(one, 3, 100);
    await cluster.second();
    assert.deepEqual([all(one), all(two)], [500, 500]);
  });

  it("told twice or late change nothing", async () => {
    const { cluster, one, two } = await bereaved(500);
    cluster.links[1]!.stall();
    take(one, 3, 100);
    await cluster.pass(25);
    assert.ok(cluster.links[1]!.doubleMessage());
    take(one, 3, 100);
    await cluster.pass(25);
    cluster.links[1]!.heal();
    await cluster.pass(0);
    assert.deepEqual([all(one), all(two), two.counters.late], [500, 500, 1]);
  });

  it("of more slots than one message has room for stay with the load that rose by them", async () => {
    const rows: RowSketch[] = Array.from({ length: 250 }, (_, i) => ({ id: i + 1, uri: `sip:${i}`, port: i + 1, resources: "t=100" }));
    const cluster = new Cluster();
    const [one, two, three] = [await cluster.join(1, rows), await cluster.join(2, rows), await cluster.join(3, rows)];
    for (let id = 1; id <= 250; id++) three.occupy(id, "t", 3);
    await cluster.pass(25);
    cluster.lost(3);
    for (let id = 1; id <= 250; id++) take(one, 3, 2, id);
    const { published = 0 } = one.counters;
    cluster.links[1]!.stall();
    await cluster.pass(25);
    assert.equal(one.counters.published, published + 3);
    for (let left = 3; left > 0; left--) {
      for (let id = 1; id <= 250; id++) assert.equal(all(two, id), 3, `${left} messages to come`);
      cluster.links[1]!.deliver("message");
    }
    for (let id = 1; id <= 250; id++) assert.equal(all(two, id), 3);
    assert.equal(
      Object.values(two.wire.counters).reduce((a, b) => a + b),
      0,
    );
  });

  it("never make a load less than 0", async () => {
    const { cluster, one, two } = await bereaved(5);
    take(one, 3, 8);
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [8, 8]);
  });

  it("from more nodes than are told are counted twice until those are released", async () => {
    const cluster = new Cluster();
    const [one, two] = [await cluster.join(1, ROWS), await cluster.join(2, ROWS)];
    const count = MAX_TAKEN_NODES + 2;
    for (let id = 3; id < 3 + count; id++) (await cluster.join(id, ROWS)).occupy(1, "t", 1);
    await cluster.pass(25);
    for (let id = 3; id < 3 + count; id++) cluster.lost(id);
    for (let id = 3; id < 3 + count; id++) take(one, id, 1);
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [count + 2, count + 2]);
    for (let id = 3; id < 3 + count; id++) for (const { exchange } of [one, two]) exchange.release(id);
    assert.deepEqual([all(one), all(two)], [count, count]);
  });

  it("let the loads of their former node stay as long as it takes", async () => {
    const { cluster, one, two } = await bereaved(500);
    for (let s = 0; s < 25; s++) {
      take(one, 3, 10);
      await cluster.second();
      assert.deepEqual([all(one), all(two)], [500, 500]);
    }
    for (let ms = 0; ms <= GONE_LOADS_MS; ms += 1_000) await cluster.second();
    assert.deepEqual([all(one), all(two)], [250, 250]);
  });
});

describe("calls that were taken over, when nodes come and go", () => {
  it("stay with the node that goes on when the first one dies, too", async () => {
    const { cluster, one, two } = await bereaved(500);
    take(one, 3, 200);
    await cluster.pass(25);
    cluster.lost(1);
    take(two, 3, 300);
    take(two, 1, 50);
    assert.equal(all(two), 500);
    two.exchange.release(3);
    take(two, 1, 150);
    two.exchange.release(1);
    assert.deepEqual([all(two), two.remote(1, "t")], [500, 0]);
    two.exchange.release(1);
    assert.equal(two.exchange.loads.size, 2, "what it has taken itself, for those to come");
  });

  it("count with a node again that was not gone: what it says undoes what was taken, before it takes anything back", async () => {
    const { cluster, one, two } = await bereaved(500);
    const end = take(one, 3, 200);
    await cluster.pass(25);
    cluster.links[0]!.publish(CHANNEL, new Wire({ nodeId: 3, incarnation: "i3" }).encode({ seq: 2, changes: [] }));
    await cluster.pass(0);
    assert.equal(all(one), 700);
    take(one, 3, 1);
    end();
    assert.equal(all(one), 501);
    await cluster.pass(25);
    assert.equal(all(two), 501);
  });

  it("count with another incarnation of a node that was gone, as it says", async () => {
    const { cluster, one, two } = await bereaved(500);
    take(one, 3, 200);
    await cluster.pass(25);
    const three = await cluster.join(3, ROWS, "shared", "another");
    three.occupy(1, "t", 7);
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two), all(three)], [207, 207, 207]);
    take(one, 3, 5, 1, "t", "i3"); // a record of its former life
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [212, 212]);
  });

  it("are read by a node that comes later, and written again after a flush", async () => {
    const { cluster, one, two } = await bereaved(500);
    take(one, 3, 200)();
    await cluster.pass(25);
    const four = await cluster.join(4, ROWS);
    assert.deepEqual([all(four), four.counters.malformed], [0, 0]);
    cluster.redis.flush();
    for (const { members } of cluster.nodes) members.generation = "second";
    await cluster.second();
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [300, 300]);
    assert.equal(await cluster.links[0]!.command("hget", KEYS.load(1), "1 sip:a t"), "0 3:i3:2:200");
  });

  it("in slots that the table lacks for a while are told when it has them again", async () => {
    const { cluster, one, two } = await bereaved(500);
    take(one, 3, 200);
    await cluster.pass(25);
    one.load(ROWS.slice(1));
    await cluster.pass(25);
    assert.equal(all(two), 500, "as if they had not been taken");
    one.load(ROWS);
    await cluster.pass(25);
    assert.deepEqual([all(one), all(two)], [500, 500]);
  });

  const taken = (...list: unknown[]) => ({ seq: 2, changes: [["1 sip:a t", 1, list]] });
  for (const [name, body] of [
    ["of no node", taken()],
    ["of node 0", taken([0, "i3", 2, 1])],
    ["of an incarnation that is none", taken([3, "i 3", 2, 1])],
    ["without an incarnation", taken([3, "", 2, 1])],
    ["with a number below 0", taken([3, "i3", -1, 1])],
    ["of no calls", taken([3, "i3", 2, 0])],
    ["of more calls than there can be", taken([3, "i3", 2, 1e12])],
    ["of too many nodes", taken(...Array.from({ length: MAX_TAKEN_NODES + 1 }, (_, i) => [i + 1, "x", 1, 1]))],
  ] as const) {
    it(`${name} are refused`, async () => {
      const { cluster, two } = await bereaved(5);
      cluster.links[0]!.publish(CHANNEL, new Wire({ nodeId: 1, incarnation: "i1" }).encode(body));
      await cluster.pass(0);
      assert.deepEqual([all(two), two.wire.counters.refused_malformed], [5, 1]);
    });
  }

  it("that somebody has written by hand are none", async () => {
    const { cluster } = await bereaved(5);
    const texts = ["0", "0 ", "1 3:i3:2", "1 0:i3:2:1", "1 3:i3:2:0", "1 3::2:1", "1  3:i3:2:1", "1 3:i3:2:1 ", "01 3:i3:2:1"];
    const fields = texts.flatMap((text, i) => [`1 sip:${i} t`, text]);
    await cluster.links[0]!.command("hset", KEYS.load(1), ...fields, "1 sip:a t", "4 3:i3:2:1 4:x:9:2");
    const four = await cluster.join(4, ROWS);
    assert.deepEqual([four.counters.malformed, four.remote(1, "t")], [texts.length, 4]);
  });
});

type Step =
  | { readonly do: "take"; readonly node: number; readonly calls: number; readonly slot: number }
  | { readonly do: "end" | "lose" | "double" | "cut" | "heal" | "beat"; readonly node: number }
  | { readonly do: "scan" }
  | { readonly do: "deliver" };

const SLOTS = [
  [1, "t"],
  [2, "own"],
] as const;
const node = fc.nat(1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("take" as const), node, calls: fc.integer({ min: 1, max: 4 }), slot: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("end" as const), node }) },
  { weight: 6, arbitrary: fc.constant({ do: "scan" } as const) },
  { weight: 9, arbitrary: fc.constant({ do: "deliver" } as const) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("beat" as const), node }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("lose" as const, "double" as const, "cut" as const, "heal" as const), node }) },
);

describe("calls that are taken over, whatever happens on the way", () => {
  it("are never counted too few, and rightly as soon as all messages have come", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 60, size: "max" }),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        async (steps, draws) => {
          const cluster = new Cluster("by-hand");
          const nodes = [await cluster.join(1, ROWS), await cluster.join(2, ROWS)];
          const three = await cluster.join(3, ROWS);
          for (const [id, resource] of SLOTS) three.occupy(id, resource, 40);
          await cluster.pass(25);
          cluster.lost(3);
          const left = [40, 40];
          const truth = [40, 40];
          const ends: (() => void)[][] = [[], []];
          for (const each of steps) {
            if (each.do === "take") {
              const { slot } = each;
              const calls = Math.min(each.calls, left[slot]!);
              left[slot]! -= calls;
              const end = take(nodes[each.node]!, 3, calls, SLOTS[slot]![0], SLOTS[slot]![1]);
              ends[each.node]!.push(() => {
                end();
                truth[slot]! -= calls;
              });
            } else if (each.do === "end") ends[each.node]!.pop()?.();
            else if (each.do === "scan") cluster.clock.advance(25);
            else if (each.do === "beat") {
              if (cluster.links[each.node]!.isUp) nodes[each.node]!.members.beat();
            } else if (each.do === "deliver") {
              cluster.redis.deliver(() => draws.next().value ?? 0);
              await new Promise(setImmediate);
            } else if (each.do === "lose") cluster.links[each.node]!.loseMessage();
            else if (each.do === "double") cluster.links[each.node]!.doubleMessage();
            else if (each.do === "cut") cluster.links[each.node]!.cut();
            else if (each.do === "heal") cluster.links[each.node]!.heal();
            for (const [i, [id, resource]] of SLOTS.entries()) {
              for (const each of nodes)
                assert.ok(all(each, id, resource) >= truth[i]!, `${all(each, id, resource)} counted, ${truth[i]} there`);
            }
          }
          for (const link of cluster.links) link.heal();
          for (let s = 0; s < 3; s++) await cluster.second();
          for (const [i, [id, resource]] of SLOTS.entries()) {
            assert.deepEqual(
              nodes.map((each) => all(each, id, resource)),
              [truth[i], truth[i]],
            );
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
