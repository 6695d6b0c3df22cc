import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Wire } from "../../../src/cluster/wire.ts";
import type { RowSketch } from "../../balancer/support.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryRedis } from "../../support/memory-redis.ts";
import { CHANNEL, Cluster, KEYS, LoadNode, ROWS } from "./load-nodes.ts";

describe("loads of other nodes", () => {
  it("are known 25 ms after they change, and again when they end", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    const end = one.occupy(1, "t", 3);
    await cluster.pass(25);
    assert.deepEqual([two.remote(1, "t"), two.remote(2, "t"), one.remote(1, "t")], [3, 0, 0]);
    end();
    await cluster.pass(25);
    assert.equal(two.remote(1, "t"), 0);
  });

  it("fill a capacity together with ours", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    for (const id of [1, 2]) one.occupy(id, "t", 6);
    await cluster.pass(25);
    for (const id of [1, 2]) two.occupy(id, "t", 3);
    assert.equal(two.start("t"), 1);
    for (const id of [1, 2]) two.occupy(id, "t", 1);
    assert.equal(two.start("t"), -2);
    assert.equal(one.start("t"), 1, "it has not heard yet");
    await cluster.pass(25);
    assert.equal(one.start("t"), -2);
  });

  it("of several nodes are added up, also for a node that comes later", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    one.occupy(1, "t", 2);
    two.occupy(1, "t", 3);
    await cluster.pass(25);
    const three = await cluster.join(3);
    assert.equal(three.remote(1, "t"), 5);
    three.occupy(1, "t", 1);
    await cluster.pass(25);
    assert.deepEqual([one.remote(1, "t"), two.remote(1, "t")], [4, 3]);
  });

  it("cost nothing while nothing changes: a message a second says how far they are", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    one.occupy(1, "t", 2);
    await cluster.second();
    const { published = 0, changes } = one.counters;
    await cluster.second();
    assert.deepEqual([one.counters.published, one.counters.changes], [published + 1, changes]);
    assert.equal(two.counters.gaps, 0);
  });

  it("are not told again because of a new table", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    one.occupy(1, "t", 2);
    await cluster.pass(25);
    const { changes } = one.counters;
    one.load([...ROWS, { id: 3, uri: "sip:c", resources: "t=1" }]);
    await cluster.pass(25);
    assert.deepEqual([one.counters.changes, one.counters.whole_writes, two.remote(1, "t")], [changes, 1, 2]);
  });

  for (const [mode, shown] of [
    ["off", { t: 0, "all/b": 2, "all/s": 2 }],
    ["shared", { t: 2, "all/b": 2, "all/s": 2 }],
    ["exact", { t: 2, "all/b": 2, "all/s": 2 }],
  ] as const) {
    it(`are told as the name of the resource says, and the mode ${mode}`, async () => {
      const rows = [{ id: 1, uri: "sip:a", resources: "t=10;all/b=10;all/s=10" }];
      const cluster = new Cluster();
      const one = await cluster.join(1, rows, mode);
      const two = await cluster.join(2, rows, mode);
      for (const resource of Object.keys(shown)) one.occupy(1, resource, 2);
      await cluster.pass(25);
      for (const [resource, calls] of Object.entries(shown)) assert.equal(two.remote(1, resource), calls, resource);
    });
  }

  it("without anything to share are not written, read or told", async () => {
    const cluster = new Cluster();
    const [one] = await cluster.pair("off");
    one.occupy(1, "t", 2);
    await cluster.second();
    assert.equal(one.counters.published, 0);
    assert.equal(await cluster.links[0]!.command("exists", KEYS.load(1)), 0);
  });

  it("agree by name on nodes with other ids, and count a pool once", async () => {
    const rows = (...ids: number[]): RowSketch[] => [
      { id: ids[0]!, uri: "sip:a", resources: "t=10" },
      { id: ids[1]!, uri: "sip:b", resources: "t=10", attrs: "shared=p" },
      { id: ids[2]!, uri: "sip:c", resources: "t=10", attrs: "shared=p" },
    ];
    const cluster = new Cluster();
    const one = await cluster.join(1, rows(1, 2, 3));
    const two = await cluster.join(2, rows(30, 20, 10));
    one.occupy(1, "t", 1);
    one.occupy(2, "t", 2);
    one.occupy(3, "t", 4);
    await cluster.pass(25);
    assert.deepEqual([two.remote(30, "t"), two.remote(20, "t"), two.remote(10, "t")], [1, 6, 6]);
  });

  it("of slots that the table lacks are kept by name, and count when it gets them", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    const more = [...ROWS, { id: 9, uri: "sip:new", resources: "t=10" }];
    one.load(more);
    one.occupy(9, "t", 4);
    await cluster.pass(25);
    assert.equal(two.counters.unknown_slots, 1);
    two.load(more);
    assert.equal(two.remote(9, "t"), 4);
    assert.equal(two.counters.unknown_slots, 0);
  });

  it("of slots that are shared no more are taken back, and told again when they are", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    one.occupy(2, "t", 3);
    await cluster.pass(25);
    one.load(ROWS.slice(0, 1));
    await cluster.pass(25);
    assert.equal(two.remote(2, "t"), 0);
    one.load(ROWS);
    await cluster.pass(25);
    assert.equal(two.remote(2, "t"), 3, "the calls go on");
    two.load([{ id: 2, uri: "sip:b", resources: "t=10", attrs: "shared=p" }]);
    assert.equal(two.remote(2, "t"), 0);
    two.load(ROWS);
    assert.equal(two.remote(2, "t"), 3);
    assert.equal(one.counters.whole_writes, 1);
  });
});

describe("messages about loads", () => {
  it("that are lost are missed at the next beat, and the whole is read", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    cluster.links[1]!.stall();
    one.occupy(1, "t", 3);
    await cluster.pass(25);
    assert.ok(cluster.links[1]!.loseMessage());
    cluster.links[1]!.heal();
    await cluster.pass(0);
    assert.equal(two.remote(1, "t"), 0);
    await cluster.second();
    assert.equal(two.remote(1, "t"), 3);
    assert.equal(two.counters.gaps, 1);
  });

  it("that follow a lost one show that it is missing", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    cluster.links[1]!.stall();
    one.occupy(1, "t", 3);
    await cluster.pass(25);
    assert.ok(cluster.links[1]!.loseMessage());
    cluster.links[1]!.heal();
    one.occupy(2, "t", 1);
    await cluster.pass(25);
    assert.deepEqual([two.remote(1, "t"), two.remote(2, "t")], [3, 1]);
  });

  it("that come twice change nothing", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    cluster.links[1]!.stall();
    const end = one.occupy(1, "t", 3);
    await cluster.pass(25);
    assert.ok(cluster.links[1]!.doubleMessage());
    end();
    await cluster.pass(25);
    cluster.links[1]!.heal();
    await cluster.pass(0);
    assert.equal(two.remote(1, "t"), 0);
    assert.equal(two.counters.late, 1);
    assert.equal(two.counters.gaps, 0);
  });

  it("none of which comes are noticed by asking one node after the other how far it is", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    cluster.links[1]!.stall();
    one.occupy(1, "t", 3);
    await cluster.second();
    while (cluster.links[1]!.loseMessage());
    cluster.links[1]!.heal();
    assert.equal(two.remote(1, "t"), 0);
    two.members.beat();
    await cluster.pass(0);
    assert.equal(two.remote(1, "t"), 3);
  });

  it("that come while the whole is read count after it", async () => {
    const clock = new FakeClock(1_000);
    const redis = new MemoryRedis({ nowMs: clock.now, delivery: "by-hand" });
    const [here, there] = [redis.link("here"), redis.link("there")];
    const one = new LoadNode({ nodeId: 1, link: here, clock, rows: ROWS });
    const two = new LoadNode({ nodeId: 2, link: there, clock, rows: ROWS });
    for (const { members } of [one, two]) for (const id of [1, 2]) members.came(id);
    one.members.beat();
    two.members.beat();
    await redis.settle();
    two.members.came(1);
    there.deliver("command"); // Redis has answered, and the answer is on its way
    one.occupy(1, "t", 2);
    clock.advance(25);
    while (here.pending.some(({ kind }) => kind === "command")) here.deliver("command");
    there.deliver("message");
    assert.equal(two.remote(1, "t"), 0);
    await redis.settle();
    assert.deepEqual([two.remote(1, "t"), two.counters.gaps], [2, 0]);
  });

  const body = (seq: unknown, changes: unknown) => ({ seq, changes });
  for (const [name, text] of [
    ["no JSON", "{"],
    ["of another version", JSON.stringify([99, 2, "i2", body(1, [])])],
    ["with another body", JSON.stringify([1, 2, "i2", { seq: 1 }])],
    ["with more than it may have", JSON.stringify([1, 2, "i2", { ...body(1, []), more: 1 }])],
    ["with a load below 0", JSON.stringify([1, 2, "i2", body(1, [["1 sip:a t", -1]])])],
    ["with a load that is no number", JSON.stringify([1, 2, "i2", body(1, [["1 sip:a t", "7"]])])],
    ["with a load above all", JSON.stringify([1, 2, "i2", body(1, [["1 sip:a t", 1e12]])])],
    ["with a name without end", JSON.stringify([1, 2, "i2", body(1, [["x".repeat(2000), 1]])])],
    [
      "with too many changes",
      JSON.stringify([
        1,
        2,
        "i2",
        body(
          1,
          Array.from({ length: 5000 }, (_, i) => [`s${i}`, 1]),
        ),
      ]),
    ],
  ] as const) {
    it(`that are ${name} are refused and counted`, async () => {
      const cluster = new Cluster();
      const [one] = await cluster.pair();
      const before = Object.values(one.wire.counters).reduce((a, b) => a + b);
      cluster.links[1]!.publish(CHANNEL, text);
      await cluster.pass(0);
      assert.equal(
        Object.values(one.wire.counters).reduce((a, b) => a + b),
        before + 1,
      );
      assert.deepEqual([one.remote(1, "t"), one.exchange.loads.size], [0, 0]);
    });
  }

  it("of nodes that are not alive are left out and counted", async () => {
    const cluster = new Cluster();
    const [one] = await cluster.pair();
    const stranger = new Wire({ nodeId: 77, incarnation: "x" });
    cluster.links[1]!.publish(CHANNEL, stranger.encode(body(1, [["1 sip:a t", 9]])));
    await cluster.pass(0);
    assert.deepEqual([one.remote(1, "t"), one.counters.strangers], [0, 1]);
  });

  it("with more changes than one may have are several", async () => {
    const rows: RowSketch[] = Array.from({ length: 450 }, (_, i) => ({ id: i + 1, uri: `sip:${i}`, port: i + 1, resources: "t=10" }));
    const cluster = new Cluster();
    const one = await cluster.join(1, rows);
    const two = await cluster.join(2, rows);
    for (let id = 1; id <= 450; id++) one.occupy(id, "t", 1);
    const { published = 0 } = one.counters;
    await cluster.pass(25);
    assert.equal(one.counters.published, published + 3);
    for (let id = 1; id <= 450; id++) assert.equal(two.remote(id, "t"), 1);
    assert.equal(two.counters.gaps, 0);
  });
});
