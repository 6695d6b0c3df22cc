import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Keys } from "../../../src/cluster/keys.ts";
import { RESERVE_TTL_MS, SETTLING_MS } from "../../../src/cluster/leases/lease-scripts.ts";
import type { MemoryLink } from "../../support/memory-redis.ts";
import { LeaseBed as Bed } from "./lease-bed.ts";
import type { LeaseNode, LeaseNodeOptions, Placed } from "./lease-node.ts";

const KEYS = new Keys(1);
const LEASE_MS = 120_000;

describe("exact loads", () => {
  it("ask nobody where no load is exact", async () => {
    const bed = await Bed.begin(1, { rows: ["pstn/b=1"] });
    const [node] = bed.nodes as [LeaseNode];
    const call = node.newCall();
    assert.equal(node.balancer.start(call, 1, "pstn/b"), 1);
    assert.equal(node.book.isNeeded(call), false);
    assert.deepEqual(bed.redis.store.keys(), []);
  });

  it("a call has a lease from its reservation to its end, and the others know of it when they ask", async () => {
    const bed = await Bed.begin(2);
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    const call = a.newCall();
    assert.equal(await a.place(call), "reserved");
    assert.deepEqual(bed.leases(), { [call.name]: RESERVE_TTL_MS });
    assert.equal(a.remoteLoad(), 0, "its own calls are none of others");
    const other = b.newCall();
    assert.equal(await b.place(other), "full");
    assert.equal(b.remoteLoad(), 1);
    assert.equal(await b.place(b.newCall()), "refused");
    a.end(call);
    await bed.redis.settle();
    assert.deepEqual(bed.leases(), {});
    assert.equal(await b.place(b.newCall()), "reserved", "it has asked again");
    assert.deepEqual([a.book.calls, a.faults, b.faults], [0, [], []]);
  });

  it("a call that is told that one destination is full goes to another", async () => {
    const bed = await Bed.begin(2, { rows: ["pstn=2", "pstn=1"] });
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    for (let i = 0; i < 2; i++) assert.equal(await a.place(a.newCall()), "reserved");
    const taken = bed.members("pstn", "1 sip:192.0.2.2").length;
    const call = b.newCall();
    assert.equal(await b.place(call), "reserved");
    assert.equal(call.destination?.id, taken === 0 ? 2 : 1);
    assert.equal(await b.place(b.newCall()), "refused");
  });

  it("a lease is renewed for the whole lease time while its call goes on", async () => {
    const bed = await Bed.begin(1);
    const [node] = bed.nodes as [LeaseNode];
    const call = node.newCall();
    await node.place(call);
    await bed.pass(RESERVE_TTL_MS / 2);
    assert.ok(bed.leases()[call.name]! > RESERVE_TTL_MS);
    for (let i = 0; i < 20; i++) {
      await bed.pass(LEASE_MS / 6, 1_000);
      assert.ok(bed.leases()[call.name]! > LEASE_MS / 2, `${bed.leases()[call.name]} ms are left`);
    }
  });

  it("a failing attempt that is given up gives its lease back, and the next one has its own", async () => {
    const bed = await Bed.begin(1, { rows: ["pstn=2", "pstn=1"] });
    const [node] = bed.nodes as [LeaseNode];
    const call = node.newCall();
    await node.place(call);
    assert.deepEqual(bed.members(), [call.name]);
    assert.equal(node.balancer.next(call), 1);
    assert.equal(await node.admit(call), "reserved");
    assert.deepEqual(bed.members(), []);
    assert.deepEqual(bed.members("pstn", "1 sip:192.0.2.2"), [call.name]);
  });

  it("of two resources a call gets both or none", async () => {
    const bed = await Bed.begin(2, { rows: ["pstn=5;vm=1"] });
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    const call = a.newCall();
    assert.equal(await a.place(call, { resources: "pstn;vm" }), "reserved");
    assert.equal(await b.place(b.newCall(), { resources: "pstn;vm" }), "full");
    assert.deepEqual([bed.members("pstn"), bed.members("vm")], [[call.name], [call.name]]);
    assert.deepEqual([b.remoteLoad(1, "pstn"), b.remoteLoad(1, "vm")], [1, 1]);
  });

  it("rows of a pool share its capacity whatever their group", async () => {
    const row = { attrs: "shared=box", resources: [{ name: "pstn", capacity: 2 }] };
    const bed = await Bed.begin(2, { rows: [row, { ...row, group: 2 }] });
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    assert.equal(await a.place(a.newCall(), { group: 1 }), "reserved");
    assert.equal(await b.place(b.newCall(), { group: 2 }), "reserved");
    assert.equal(await a.place(a.newCall(), { group: 2 }), "full");
    assert.equal(bed.members("pstn", "pool box").length, 2);
  });

  it("flag n counts beyond the capacity", async () => {
    const bed = await Bed.begin(2);
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    await a.place(a.newCall());
    assert.equal(await b.place(b.newCall(), { flags: "n" }), "reserved");
    await bed.redis.settle();
    assert.equal(bed.members().length, 2);
    assert.equal(b.book.counters.forced, 1);
  });

  it("calls that are counted without choosing have leases for each unit, and give them back one by one", async () => {
    const bed = await Bed.begin(1);
    const [node] = bed.nodes as [LeaseNode];
    const call = node.newCall();
    for (let i = 0; i < 3; i++) node.balancer.countCall(call, "192.0.2.1", 5060, 1, "pstn");
    await bed.redis.settle();
    assert.deepEqual(bed.members(), [call.name, `${call.name}+1`, `${call.name}+2`]);
    node.balancer.countCall(call, "192.0.2.1", 5060, 1, "pstn", true);
    await bed.redis.settle();
    assert.deepEqual(bed.members(), [call.name, `${call.name}+1`]);
    node.end(call);
    await bed.redis.settle();
    assert.deepEqual(bed.members(), []);
  });

  it("a pick that is refused leaves what the call holds there besides", async () => {
    const bed = await Bed.begin(2, { rows: ["pstn=2"] });
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    const call = a.newCall();
    a.balancer.countCall(call, "192.0.2.1", 5060, 1, "pstn");
    await bed.redis.settle();
    await b.place(b.newCall());
    a.balancer.setRemoteLoad(a.balancer.destination(1)!.resources[0]!.cell, 0);
    assert.equal(a.balancer.start(call, 1, "pstn"), 1);
    assert.equal(await a.book.reserve(call), "full");
    assert.equal(a.balancer.reselect(call), -2);
    await bed.redis.settle();
    assert.ok(bed.members().includes(call.name));
    a.end(call);
    await bed.redis.settle();
    assert.equal(bed.members().length, 1);
  });

  it("a call that ends while it is asked for leaves nothing", async () => {
    const bed = await Bed.begin(1);
    const [node] = bed.nodes as [LeaseNode];
    bed.links[0]!.stall();
    const call = node.newCall();
    const placed = node.place(call);
    await bed.redis.settle();
    node.end(call);
    bed.links[0]!.heal();
    assert.equal(await placed, "over");
    await bed.redis.settle();
    assert.deepEqual([bed.members(), node.book.calls], [[], 0]);
  });

  it("a call that another node has taken over keeps its lease", async () => {
    const bed = await Bed.begin(2);
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    const call = a.newCall();
    await a.place(call);
    const adopted = b.newCall();
    adopted.name = call.name;
    assert.equal(b.balancer.adopt(adopted, a.balancer.held(call)), 1);
    a.book.surrender(call);
    a.end(call);
    await bed.pass(2_000);
    assert.deepEqual(bed.members(), [call.name]);
    b.end(adopted);
    await bed.redis.settle();
    assert.deepEqual(bed.members(), []);
  });

  it("a lease that was renewed before its node heard that the call went elsewhere and ended there is given back by that node", async () => {
    const bed = await Bed.begin(2);
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    const call = a.newCall();
    await a.place(call);
    const adopted = b.newCall();
    adopted.name = call.name;
    b.balancer.adopt(adopted, a.balancer.held(call));
    b.end(adopted);
    a.book.restore();
    await bed.redis.settle();
    assert.deepEqual(bed.members(), [call.name]);
    a.book.surrender(call);
    a.end(call);
    a.book.departures.over(call.name);
    await bed.redis.settle();
    assert.deepEqual([bed.members(), a.book.departures.size], [[], 0]);
  });

  it("an adopted call is told again soon: its former owner may give the lease back as it hears of it", async () => {
    const bed = await Bed.begin(2);
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    const call = a.newCall();
    await a.place(call);
    const adopted = b.newCall();
    adopted.name = call.name;
    b.balancer.adopt(adopted, a.balancer.held(call));
    await bed.redis.settle();
    a.end(call);
    await bed.redis.settle();
    assert.deepEqual(bed.members(), []);
    await bed.pass(2_500);
    assert.deepEqual(bed.members(), [call.name]);
  });

  it("calls of a row that is gone give their leases back, and those of one that joins a pool move there", async () => {
    const bed = await Bed.begin(1, { rows: ["pstn=2", "pstn=1"] });
    const [node] = bed.nodes as [LeaseNode];
    const [first, second] = [node.newCall(), node.newCall()];
    await node.place(first);
    await node.place(second);
    const pooled = { attrs: "shared=box", resources: [{ name: "pstn", capacity: 3 }] };
    assert.equal(bed.members().length, 2);
    node.replaceTable([pooled]);
    await bed.redis.settle();
    assert.deepEqual([bed.members(), bed.members("pstn", "pool box").length], [[], 2]);
    node.replaceTable([{ id: 9, uri: "sip:192.0.2.9", resources: [{ name: "vm", capacity: 1 }] }]);
    for (const call of [first, second]) node.end(call);
    await bed.redis.settle();
    assert.deepEqual(bed.members("pstn", "pool box"), []);
    node.replaceTable(["pstn=1"]);
    assert.deepEqual([node.book.calls, node.faults], [0, []]);
  });
});

describe("exact loads when Redis is in trouble", () => {
  const MODES: [LeaseNodeOptions["redisLost"] & string, Placed][] = [
    ["fail_open", "reserved"],
    ["fail_closed", "closed"],
  ];
  for (const [redisLost, placed] of MODES) {
    it(`${redisLost}: without a connection a call is ${placed} at once`, async () => {
      const bed = await Bed.begin(1, { redisLost, rows: ["pstn=5"] });
      const [node] = bed.nodes as [LeaseNode];
      bed.links[0]!.cut();
      const call = node.newCall();
      assert.equal(await node.place(call), placed);
      bed.links[0]!.heal();
      await bed.redis.settle();
      assert.deepEqual(bed.members(), redisLost === "fail_open" ? [call.name] : []);
    });

    it(`${redisLost}: a call waits 55 ms for Redis, and after three in a row none does until it answers in time again`, async () => {
      const bed = await Bed.begin(1, { redisLost, rows: ["pstn=9"] });
      const [node] = bed.nodes as [LeaseNode];
      const [link] = bed.links as [MemoryLink];
      link.stall();
      for (let i = 0; i < 3; i++) {
        const placing = node.place(node.newCall());
        let isDone = false;
        placing.then(() => {
          isDone = true;
        });
        await bed.pass(54, 1);
        assert.equal(isDone, false);
        await bed.pass(2, 1);
        assert.equal(await placing, placed);
      }
      assert.equal(node.book.isExact, false);
      assert.equal(await node.place(node.newCall()), placed);
      await bed.pass(1_000);
      link.heal();
      await bed.pass(600);
      assert.equal(node.book.isExact, true);
      assert.equal(bed.members().length, redisLost === "fail_open" ? 4 : 0, "late answers are used, or given back");
      assert.equal(await node.place(node.newCall()), "reserved");
    });

    it(`${redisLost}: after a flush nobody gets a lease before all nodes have told theirs`, async () => {
      const bed = await Bed.begin(3, { redisLost, rows: ["pstn=4"] });
      const [a, b, c] = bed.nodes as [LeaseNode, LeaseNode, LeaseNode];
      for (const node of [a, b]) for (let i = 0; i < 2; i++) assert.equal(await node.place(node.newCall()), "reserved");
      assert.equal(await c.book.refresh(1, "pstn"), true, "it knows of no calls of others, so it asks nobody");
      await c.place(c.newCall());
      bed.redis.flush();
      c.balancer.setRemoteLoad(c.balancer.destination(1)!.resources[0]!.cell, 0);
      const early = c.newCall();
      assert.equal(await c.place(early), placed, "what it knows decides, or nothing does");
      await bed.redis.settle();
      assert.equal(bed.members().length, redisLost === "fail_open" ? 5 : 4);
      await bed.pass(SETTLING_MS);
      assert.notEqual(await c.place(c.newCall()), "reserved");
      assert.ok(c.book.counters.unready > 0);
    });
  }

  it("fail_open: a call that waited in vain goes by what became known meanwhile", async () => {
    const bed = await Bed.begin(1);
    const [node] = bed.nodes as [LeaseNode];
    bed.links[0]!.stall();
    const placing = node.place(node.newCall());
    await bed.pass(40, 10);
    node.balancer.setRemoteLoad(node.balancer.destination(1)!.resources[0]!.cell, 1);
    await bed.pass(20, 10);
    assert.equal(await placing, "full");
    bed.links[0]!.heal();
    await bed.redis.settle();
    assert.deepEqual([bed.members(), node.book.calls], [[], 0]);
  });

  it("what ended without a connection is given back when there is one, what goes on is told before anything is asked for", async () => {
    const bed = await Bed.begin(2, { rows: ["pstn=2"] });
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    const [stays, ends] = [a.newCall(), a.newCall()];
    await a.place(stays);
    await a.place(ends);
    bed.links[0]!.cut();
    a.end(ends);
    assert.equal(a.book.owed, 1);
    await bed.pass(LEASE_MS * 2, 10_000);
    assert.equal(await b.place(b.newCall()), "reserved");
    assert.deepEqual(bed.members(), ["n2.1"], "the leases of the other have expired");
    bed.links[0]!.heal();
    await bed.redis.settle();
    assert.deepEqual(bed.members(), [stays.name, "n2.1"]);
    assert.equal(a.book.owed, 0);
    assert.notEqual(await a.place(a.newCall()), "reserved");
  });

  it("a release that is lost on the way heals when the lease expires", async () => {
    const bed = await Bed.begin(2);
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    const call = a.newCall();
    await a.place(call);
    bed.links[0]!.stall();
    a.end(call);
    bed.links[0]!.cut();
    a.book.close();
    assert.notEqual(await b.place(b.newCall()), "reserved");
    await bed.pass(RESERVE_TTL_MS, 1_000);
    assert.equal(await b.place(b.newCall()), "reserved");
  });

  it("messages that are none are counted and change nothing", async () => {
    const bed = await Bed.begin(1);
    const [node] = bed.nodes as [LeaseNode];
    for (const text of ["", "{}", '[1,2,"x",{"owner":5,"from":1}]', '[1,2,"x",{"owner":"1 sip:192.0.2.1","from":-1}]'])
      await bed.links[0]!.command("publish", KEYS.channel("lease"), text);
    await bed.redis.settle();
    assert.equal(node.book.counters.malformed, 4);
    await bed.links[0]!.command("publish", KEYS.channel("lease"), '[1,2,"x",{"owner":"unknown","from":1}]');
    await bed.redis.settle();
    assert.equal(node.book.counters.malformed, 4);
  });

  it("answers that are none are as good as no answer", async () => {
    const bed = await Bed.begin(1, { redisLost: "fail_closed" });
    const [node] = bed.nodes as [LeaseNode];
    bed.redis.script("lease_reserve", () => ["1", 2]);
    assert.equal(await node.place(node.newCall()), "closed");
    assert.equal(node.book.counters.malformed, 1);
  });
});
