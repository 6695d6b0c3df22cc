import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer, CallLoad, Destination } from "../../src/balancer/index.ts";
import { balancerOf, cellOf, newCall, occupy, row } from "./support.ts";

function loadOf(balancer: Balancer, destination: Destination): number {
  return balancer.cellsOf(destination).reduce((sum, cell) => sum + balancer.ownLoad(cell), 0);
}

function countsOn(call: CallLoad, balancer: Balancer, destination: Destination): boolean {
  return balancer.cellsOf(destination).some((cell) => call.leases.includes(cell));
}

describe("the cells of a destination", () => {
  it("are those of its resources, and of resources that its row lacks but calls count there", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=10;c=5" },
      { id: 2, resources: "v=10" },
    ]);
    const destination = balancer.destination(1)!;
    const own = ["t", "c"].map((name) => cellOf(destination, name));
    assert.deepEqual([...balancer.cellsOf(destination)].sort(), own.sort());
    const [call] = occupy(balancer, 1, "v", 1);
    assert.deepEqual([balancer.cellsOf(destination).length, loadOf(balancer, destination)], [3, 1]);
    assert.deepEqual([countsOn(call!, balancer, destination), countsOn(call!, balancer, balancer.destination(2)!)], [true, false]);
    balancer.release(call!);
    assert.equal(loadOf(balancer, destination), 0);
  });

  it("stay while its row is gone and calls go on, and are found by the row that comes back", () => {
    const sketches = [
      { id: 1, resources: "t=10" },
      { id: 2, resources: "t=10;v=10" },
    ];
    const balancer = balancerOf(sketches);
    const gone = balancer.destination(1)!;
    const calls = [...occupy(balancer, 1, "t", 2), ...occupy(balancer, 1, "v", 3)];
    balancer.replaceTable([row(sketches[1]!)]);
    assert.equal(loadOf(balancer, gone), 5);
    balancer.replaceTable(sketches.map(row));
    assert.deepEqual([loadOf(balancer, gone), loadOf(balancer, balancer.destination(1)!)], [5, 5]);
    for (const call of calls) balancer.release(call);
    balancer.replaceTable([row(sketches[1]!)]);
    assert.deepEqual(balancer.cellsOf(gone), []);
  });

  it("are its own in a pool, and a list that was given out does not change", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=10", attrs: "shared=p" },
      { id: 2, resources: "t=10;v=5", attrs: "shared=p" },
    ]);
    occupy(balancer, 2, "t", 4);
    const destination = balancer.destination(1)!;
    const before = balancer.cellsOf(destination);
    occupy(balancer, 1, "v", 1);
    assert.deepEqual([before.length, balancer.cellsOf(destination).length, loadOf(balancer, destination)], [1, 2, 1]);
    balancer.replaceTable([]);
    assert.equal(before.length, 1);
  });
});

describe("a capacity that is used up", () => {
  it("is that of the row, or of its pool also for a resource that only others of it have", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=1" },
      { id: 2, resources: "t=2", attrs: "shared=p" },
      { id: 3, resources: "t=2;v=1;z=0", attrs: "shared=p" },
    ]);
    const isFull = (id: number, ...names: string[]) => balancer.isFull(balancer.destination(id)!, names);
    assert.deepEqual([isFull(1, "t"), isFull(1, "v"), isFull(1, "z"), isFull(2, "v"), isFull(2, "z")], [false, false, false, false, true]);
    occupy(balancer, 1, "t", 1);
    occupy(balancer, 1, "v", 7);
    assert.deepEqual([isFull(1, "t"), isFull(1, "v"), isFull(1, "v", "t")], [true, false, true], "what the row lacks has no capacity");
    occupy(balancer, 2, "v", 1);
    assert.deepEqual([isFull(2, "v"), isFull(3, "v"), isFull(2, "t")], [true, true, false]);
    occupy(balancer, 2, "t", 1);
    balancer.setCapacityFactor(2, 0.1);
    assert.equal(isFull(2, "t"), false, "a slow start does not matter");
    occupy(balancer, 3, "t", 1);
    assert.equal(isFull(2, "t"), true);
  });

  it("ends to count when a reload takes it from the row", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=1" }]);
    occupy(balancer, 1, "t", 1);
    balancer.replaceTable([row({ id: 1, resources: "v=1" }), row({ id: 2, resources: "t=5" })]);
    assert.equal(balancer.isFull(balancer.destination(1)!, ["t"]), false);
  });
});

describe("destinations that a call must not go to", () => {
  const sketches = [
    { id: 1, resources: "t=9", ip: "192.0.2.1" },
    { id: 2, resources: "t=5", ip: "192.0.2.2" },
    { id: 3, group: 2, resources: "t=5", ip: "192.0.2.1" },
    { id: 4, group: 2, resources: "t=5", ip: "192.0.2.1", port: 5090 },
  ];

  it("are passed over by start and next, in every session, and after a reload", () => {
    const balancer = balancerOf(sketches);
    const call = newCall();
    call.passedOver = [balancer.destination(1)!.key];
    for (let session = 0; session < 2; session++) {
      assert.deepEqual([balancer.start(call, 1, "t"), call.destination?.id], [1, 2]);
      assert.equal(balancer.next(call), -3);
      balancer.replaceTable(sketches.map((sketch) => row({ ...sketch, attrs: `x=${session}` })));
    }
    assert.equal(call.session?.tried.length, 1, "they count as no attempt");
    const other = newCall();
    balancer.start(other, 1, "t");
    assert.equal(other.destination?.id, 1);
  });

  it("are found by an address of their own or anybody's, port 0 for all; each once, in id order", () => {
    const rows = [4, 2, 7, 5].map((id) => row({ id, port: id === 5 ? 5090 : 5080, resources: "t=1" }));
    const address = { ip: "192.0.2.1", transport: "udp" } as const;
    const balancer = balancerOf([]);
    balancer.replaceTable([
      ...rows.slice(0, 3).map((sketch) => ({ ...sketch, addresses: [5080, 5081].map((port) => ({ ...address, port })) })),
      { ...rows[3]!, addresses: [{ ...address, port: 5090 }] },
    ]);
    const at = (ip: string, port: number) => balancer.destinationsAt([{ ip, port }]).map(({ id }) => id);
    assert.deepEqual(at("192.0.2.1", 5080), [2, 4, 7]);
    assert.deepEqual(at("::ffff:192.0.2.1", 0), [2, 4, 5, 7]);
    assert.deepEqual([at("192.0.2.1", 5060), at("192.0.2.9", 0)], [[], []]);
  });

  it("are found by address: every row that may be the same server", () => {
    const balancer = balancerOf(sketches);
    const at = (id: number) => balancer.destinationsAt(balancer.destination(id)!.addresses).map((found) => found.id);
    assert.deepEqual([at(1), at(2), at(4)], [[1, 3], [2], [4]]);
    balancer.replaceTable([...sketches.slice(0, 3), { ...sketches[3]!, port: 0 }].map(row));
    assert.deepEqual(
      [at(1), at(4)],
      [
        [1, 3, 4],
        [1, 3, 4],
      ],
    );
  });
});
