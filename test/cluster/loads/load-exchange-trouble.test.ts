import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Cluster, KEYS, type LoadNode, ROWS } from "./load-nodes.ts";

describe("the loads of a node that is gone", () => {
  async function gone(): Promise<[Cluster, LoadNode]> {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    two.occupy(1, "t", 4);
    await cluster.pass(25);
    cluster.lost(2);
    return [cluster, one];
  }

  it("stay 10 s for whoever takes its dialogs over", async () => {
    const [cluster, one] = await gone();
    for (let s = 0; s < 9; s++) await cluster.second();
    assert.equal(one.remote(1, "t"), 4);
    await cluster.second();
    assert.equal(one.remote(1, "t"), 0);
    assert.equal(one.counters.dropped_nodes, 1);
  });

  it("leave at once when its dialogs were taken over", async () => {
    const [, one] = await gone();
    one.exchange.release(2);
    assert.equal(one.remote(1, "t"), 0);
  });

  it("stay when it is alive again, and are not released then", async () => {
    const [cluster, one] = await gone();
    await cluster.second();
    one.members.came(2);
    one.exchange.release(2);
    for (let s = 0; s < 12; s++) await cluster.second();
    assert.equal(one.remote(1, "t"), 4);
  });

  it("are replaced by those of its next incarnation, also when nobody noticed that it was gone", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    two.occupy(1, "t", 4);
    await cluster.pass(25);
    cluster.lost(2);
    one.members.came(2);
    const again = await cluster.join(2, ROWS, "shared", "another");
    assert.equal(one.remote(1, "t"), 0);
    again.occupy(1, "t", 1);
    await cluster.pass(25);
    assert.equal(one.remote(1, "t"), 1);
  });

  it("stay while Redis is not there: nobody knows then who is gone", async () => {
    const [cluster, one] = await gone();
    cluster.links[0]!.cut();
    await cluster.pass(60_000);
    assert.equal(one.remote(1, "t"), 4);
    cluster.links[0]!.heal();
    for (let s = 0; s < 9; s++) await cluster.second();
    assert.equal(one.remote(1, "t"), 4, "its time begins anew");
    await cluster.second();
    assert.equal(one.remote(1, "t"), 0);
  });
});

describe("loads and a Redis in trouble", () => {
  it("stay as they were last known, and are told anew when it is back", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    const end = one.occupy(1, "t", 3);
    await cluster.pass(25);
    for (const link of cluster.links) link.cut();
    end();
    one.occupy(2, "t", 2);
    two.occupy(1, "t", 1);
    await cluster.pass(20_000);
    assert.deepEqual([two.remote(1, "t"), two.remote(2, "t")], [3, 0]);
    for (const link of cluster.links) link.heal();
    await cluster.pass(25);
    assert.deepEqual([two.remote(1, "t"), two.remote(2, "t"), one.remote(1, "t")], [0, 2, 1]);
  });

  it("are read again by a node that alone was cut off", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    cluster.links[1]!.cut();
    one.occupy(1, "t", 3);
    await cluster.pass(1000);
    cluster.links[1]!.heal();
    await cluster.pass(0);
    assert.equal(two.remote(1, "t"), 3);
  });

  for (const [name, generation] of [
    ["which the generation shows", "second"],
    ["also when nothing shows it but the hash itself", "first"],
  ]) {
    it(`are written again after a flush, ${name}`, async () => {
      const cluster = new Cluster();
      const [one] = await cluster.pair();
      one.occupy(1, "t", 3);
      await cluster.pass(25);
      cluster.redis.flush();
      for (const { members } of cluster.nodes) members.generation = generation!;
      await cluster.second();
      await cluster.pass(25);
      const three = await cluster.join(3);
      assert.equal(three.remote(1, "t"), 3);
    });
  }

  it("are written whole when the hash had expired before a change was", async () => {
    const cluster = new Cluster();
    const [one] = await cluster.pair();
    one.occupy(1, "t", 3);
    await cluster.pass(25);
    await cluster.pass(5000); // no beats: the program was stopped, or Redis was
    one.occupy(2, "t", 1);
    await cluster.pass(25);
    await cluster.pass(25);
    const three = await cluster.join(3);
    assert.deepEqual([three.remote(1, "t"), three.remote(2, "t")], [3, 1]);
  });

  it("expire with their node", async () => {
    const cluster = new Cluster();
    const [one] = await cluster.pair();
    one.occupy(1, "t", 3);
    await cluster.second();
    assert.equal(await cluster.links[1]!.command("exists", KEYS.load(1)), 1);
    await cluster.pass(3001);
    assert.equal(await cluster.links[1]!.command("exists", KEYS.load(1)), 0);
  });

  it("that somebody has written there by hand are no loads", async () => {
    const cluster = new Cluster();
    await cluster.pair();
    await cluster.links[0]!.command("hset", KEYS.load(2), "1 sip:a t", "-5", "1 sip:b t", "1e3", "x", "9999999999", "pool p t", "7");
    const three = await cluster.join(3);
    assert.deepEqual([three.remote(1, "t"), three.remote(2, "t"), three.counters.malformed], [0, 0, 3]);
    assert.deepEqual([...three.exchange.loads.of(2)], [["pool p t", 7]]);
  });

  it("that exact reservations have told otherwise are told again at the next beat", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair("exact");
    one.occupy(1, "t", 3);
    await cluster.pass(25);
    two.balancer.setRemoteLoad(two.slots.byName("1 sip:a t")!.slotCell, 8);
    await cluster.second();
    assert.equal(two.remote(1, "t"), 3);
  });

  it("are written by one command at a time and no more of them than a few while Redis does not answer", async () => {
    const cluster = new Cluster();
    const [one, two] = await cluster.pair();
    cluster.links[0]!.stall();
    for (let i = 0; i < 8; i++) {
      one.occupy(1, "t", 1);
      await cluster.pass(25);
    }
    const waiting = one.counters.changes!;
    assert.ok(waiting <= 4, `${waiting} changes`);
    cluster.links[0]!.heal();
    await cluster.pass(0);
    await cluster.pass(25);
    assert.equal(two.remote(1, "t"), 8);
  });
});
