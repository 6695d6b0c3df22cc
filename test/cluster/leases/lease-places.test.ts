import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LeaseBed } from "./lease-bed.ts";
import type { LeaseNode } from "./lease-node.ts";

describe("a place whose lease is kept until the destination agrees", () => {
  async function hungUp() {
    const bed = await LeaseBed.begin(1);
    const [node] = bed.nodes as [LeaseNode];
    const call = node.newCall();
    assert.equal(await node.place(call), "reserved");
    node.book.hold(call);
    node.end(call);
    assert.equal(node.load(), 0);
    return { bed, node, call };
  }

  it("is not free: Redis is asked once, and the node knows then", async () => {
    const { node } = await hungUp();
    assert.equal(await node.place(node.newCall()), "full");
    assert.deepEqual([node.book.counters.refused_full, node.remoteLoad()], [1, 1]);
  });

  it("is free when the destination has agreed, and a call that comes then asks for it", async () => {
    const { bed, node, call } = await hungUp();
    await node.place(node.newCall());
    node.book.settle(call);
    assert.equal(await node.place(node.newCall()), "reserved");
    await bed.redis.settle();
    assert.deepEqual([bed.members().length, node.remoteLoad(), node.faults], [1, 0, []]);
  });
});

describe("a reload while the destination has not agreed", () => {
  const POOLED = { attrs: "shared=box", resources: [{ name: "pstn", capacity: 1 }] };
  const GONE = { id: 9, uri: "sip:192.0.2.9" };
  for (const [name, row] of [
    ["takes the row", GONE],
    ["moves the row into a pool", POOLED],
  ] as const) {
    it(`${name}: the lease is given back all the same`, async () => {
      const bed = await LeaseBed.begin(1);
      const [node] = bed.nodes as [LeaseNode];
      const call = node.newCall();
      await node.place(call);
      node.book.hold(call);
      node.end(call);
      node.replaceTable([row]);
      await bed.redis.settle();
      assert.deepEqual(bed.members(), [call.name]);
      node.book.settle(call);
      await bed.redis.settle();
      assert.deepEqual([bed.members(), node.book.calls], [[], 0]);
      node.replaceTable(["pstn=1"]);
      await bed.pass(2_000);
      assert.equal(await node.place(node.newCall()), "reserved");
    });
  }

  it("a call that another node has taken over meanwhile gives nothing back", async () => {
    const bed = await LeaseBed.begin(1);
    const [node] = bed.nodes as [LeaseNode];
    const call = node.newCall();
    await node.place(call);
    node.book.hold(call);
    node.book.surrender(call);
    node.end(call);
    node.book.settle(call);
    await bed.redis.settle();
    assert.deepEqual([bed.members(), node.book.calls], [[call.name], 0]);
  });
});

describe("places that were counted before their row had them", () => {
  it("have leases once a reload brings the row of an adopted call back", async () => {
    const bed = await LeaseBed.begin(2, { rows: ["pstn=1", "pstn=1"] });
    const [a, b] = bed.nodes as [LeaseNode, LeaseNode];
    const call = a.newCall();
    await a.place(call);
    const held = a.balancer.held(call);
    const id = call.destination!.id;
    const others = ["pstn=1", "pstn=1"].map((_, i) => ({ id: i + 1, uri: `sip:192.0.2.${i + 1}` })).filter((row) => row.id !== id);
    b.replaceTable(others);
    const adopted = b.newCall();
    adopted.name = call.name;
    b.balancer.adopt(adopted, held);
    a.book.surrender(call);
    a.end(call);
    a.book.close();
    await bed.pass(240_000, 10_000);
    const owner = `1 sip:192.0.2.${id}`;
    assert.deepEqual(bed.members("pstn", owner), [], "the lease of its former node has expired");
    b.replaceTable(["pstn=1", "pstn=1"]);
    await bed.redis.settle();
    assert.deepEqual(bed.members("pstn", owner), [call.name]);
    b.end(adopted);
    await bed.redis.settle();
    assert.deepEqual([bed.members("pstn", owner), b.book.calls], [[], 0]);
  });

  it("have leases once a row has the resource that countCall counted for it", async () => {
    const vm = { id: 9, uri: "sip:192.0.2.9", resources: [{ name: "vm", capacity: 5 }] };
    const bed = await LeaseBed.begin(1, { rows: ["pstn=2", vm] });
    const [node] = bed.nodes as [LeaseNode];
    const call = node.newCall();
    assert.equal(node.balancer.countCall(call, "192.0.2.1", 5060, 1, "vm"), 1);
    assert.deepEqual(bed.members("vm"), []);
    node.replaceTable([
      {
        resources: [
          { name: "pstn", capacity: 2 },
          { name: "vm", capacity: 1 },
        ],
      },
    ]);
    await bed.redis.settle();
    assert.deepEqual(bed.members("vm"), [call.name]);
    node.end(call);
    await bed.redis.settle();
    assert.deepEqual(bed.members("vm"), []);
  });
});
