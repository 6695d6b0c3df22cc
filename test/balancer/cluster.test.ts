import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Balancer,
  CallLoad as Call,
  type CallLoad,
  type HeldLease,
  MAX_HELD_LEASES,
  type StatusChange,
} from "../../src/balancer/index.ts";
import { balancerOf, cellOf, newCall, occupy, row, usage } from "./support.ts";

const ROWS = [
  { id: 1, uri: "sip:one", resources: "t=3;c=2" },
  { id: 2, uri: "sip:two", resources: "t=2" },
];

describe("the load of other nodes", () => {
  it("takes slots, counts in isFull and freeSlots, and is no load of ours", () => {
    const balancer = balancerOf(ROWS);
    const cell = cellOf(balancer.destination(1), "t");
    balancer.setRemoteLoad(cell, 2);
    occupy(balancer, 1, "t", 1);
    assert.deepEqual([balancer.load(cell), balancer.ownLoad(cell), balancer.remoteLoad(cell), balancer.foreignLoad(cell)], [1, 1, 2, 0]);
    assert.equal(balancer.freeSlots(cell), 0);
    assert.equal(balancer.isFull(balancer.destination(1)!, ["t"]), true);
    const call = newCall();
    assert.equal(balancer.start(call, 1, "t"), 1);
    assert.equal(call.destination?.id, 2);
  });

  it("counts besides what a feed says, and each is set without the other", () => {
    const balancer = balancerOf(ROWS);
    const cell = cellOf(balancer.destination(1), "t");
    balancer.setRemoteLoad(cell, 2);
    balancer.feed(cell, 10, 3);
    assert.equal(balancer.freeSlots(cell), 5);
    balancer.setRemoteLoad(cell, 1);
    assert.deepEqual([balancer.freeSlots(cell), balancer.foreignLoad(cell)], [6, 3]);
  });

  for (const [given, counted] of [
    [-1, 0],
    [Number.NaN, 0],
    [1.9, 1],
    [1e12, 1_000_000_000],
  ] as const) {
    it(`of ${given} is counted as ${counted}`, () => {
      const balancer = balancerOf(ROWS);
      const cell = cellOf(balancer.destination(1), "t");
      balancer.setRemoteLoad(cell, given);
      assert.equal(balancer.remoteLoad(cell), counted);
    });
  }

  it("stays through reloads while a row names the resource, whatever its capacity, and goes with the row", () => {
    const balancer = balancerOf(ROWS);
    const cell = cellOf(balancer.destination(1), "t");
    occupy(balancer, 1, "t", 1);
    balancer.setRemoteLoad(cell, 2);
    balancer.replaceTable([row({ id: 1, uri: "sip:one", resources: "t=9" })]);
    assert.deepEqual([balancer.remoteLoad(cell), balancer.freeSlots(cell)], [2, 6]);
    balancer.replaceTable([row(ROWS[1]!)]);
    balancer.setRemoteLoad(cell, 7);
    assert.equal(balancer.remoteLoad(cell), 0);
    balancer.replaceTable(ROWS.map(row));
    assert.equal(usage(balancer, 1, "t"), "1/3");
    assert.equal(balancer.remoteLoad(cell), 0);
  });

  it("of a row that joins a pool is not found again when the row leaves it", () => {
    const balancer = balancerOf(ROWS);
    const cell = cellOf(balancer.destination(1), "t");
    balancer.setRemoteLoad(cell, 2);
    balancer.replaceTable([row({ ...ROWS[0]!, attrs: "shared=p" }), row(ROWS[1]!)]);
    assert.deepEqual([balancer.remoteLoad(cell), balancer.freeSlots(cell)], [0, 3]);
    balancer.setRemoteLoad(cell, 1);
    assert.equal(balancer.freeSlots(cell), 2);
    balancer.replaceTable(ROWS.map(row));
    assert.deepEqual([balancer.remoteLoad(cell), balancer.freeSlots(cell)], [0, 3]);
  });

  it("is told to who feeds the capacity, once when it changes", () => {
    const told: number[] = [];
    const feed = { key: "fs", equals: () => true };
    const balancer = balancerOf([], { onFedChange: ({ id }) => told.push(id) });
    balancer.replaceTable([
      { ...row({ id: 1, resources: "t=3" }), resources: [{ name: "t", capacity: 3, feed }] },
      { ...row({ id: 2, resources: "t=3", attrs: "shared=p" }), resources: [{ name: "t", capacity: 3, feed }] },
      row({ id: 3, resources: "t=3", attrs: "shared=p" }),
      row({ id: 4, resources: "t=3" }),
    ]);
    for (const id of [1, 3, 4]) for (const calls of [0, 2, 2]) balancer.setRemoteLoad(cellOf(balancer.destination(id), "t"), calls);
    assert.deepEqual(told, [1, 2]);
  });
});

describe("adoptStatus", () => {
  const states = [
    { enabled: true, autoReenable: true },
    { enabled: false, autoReenable: true },
    { enabled: false, autoReenable: false },
  ];
  for (const before of states) {
    for (const after of states) {
      it(`makes ${JSON.stringify(after)} of ${JSON.stringify(before)}, and tells it with cause cluster if that is another`, () => {
        const changes: StatusChange[] = [];
        const balancer = balancerOf(ROWS, { onStatus: (change) => changes.push(change) });
        balancer.adoptStatus(1, before);
        changes.length = 0;
        assert.equal(balancer.adoptStatus(1, after), true);
        const destination = balancer.destination(1)!;
        assert.deepEqual([balancer.isEnabled(destination), balancer.isAutoReenable(destination)], [after.enabled, after.autoReenable]);
        const told = changes.map(({ enabled, wasEnabled, autoReenable, cause }) => ({ enabled, wasEnabled, autoReenable, cause }));
        assert.deepEqual(told, before === after ? [] : [{ ...after, wasEnabled: before.enabled, cause: "cluster" }]);
      });
    }
  }

  it("of one that is told to be enabled lets probes enable it again later, whatever else is told", () => {
    const balancer = balancerOf(ROWS);
    balancer.adoptStatus(1, { enabled: true, autoReenable: false });
    assert.equal(balancer.isAutoReenable(balancer.destination(1)!), true);
  });

  it("answers false for an id that nobody has", () => {
    assert.equal(balancerOf(ROWS).adoptStatus(9, { enabled: false, autoReenable: false }), false);
  });

  it("vouches for a destination as whoever enabled it: an older call cannot disable it", () => {
    const balancer = balancerOf(ROWS);
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.adoptStatus(1, { enabled: false, autoReenable: true });
    balancer.adoptStatus(1, { enabled: true, autoReenable: true });
    assert.equal(balancer.disableDestination(call), 1);
    assert.equal(balancer.isEnabled(balancer.destination(1)!), true);
  });
});

describe("reselect", () => {
  it("gives the pick back, and goes to another once the loads say that there is no room", () => {
    const balancer = balancerOf(ROWS);
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.setRemoteLoad(cellOf(balancer.destination(1), "t"), 3);
    assert.equal(balancer.reselect(call), 1);
    assert.equal(call.destination?.id, 2);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t")], ["0/3", "1/2"]);
    balancer.setRemoteLoad(cellOf(balancer.destination(1), "t"), 0);
    assert.equal(balancer.next(call), 1);
    assert.equal(call.destination?.id, 1, "it was not tried");
  });

  it("goes on passing over those that were tried before", () => {
    const balancer = balancerOf(ROWS);
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.next(call);
    balancer.setRemoteLoad(cellOf(balancer.destination(2), "t"), 2);
    assert.equal(balancer.reselect(call), -2);
    assert.deepEqual([call.leases, call.destination], [[], undefined]);
  });

  it("answers -1 and changes nothing without a session, without a pick, or when the call is up", () => {
    const balancer = balancerOf(ROWS);
    const call = newCall();
    assert.equal(balancer.reselect(call), -1);
    balancer.start(call, 1, "t");
    call.closed = true;
    assert.equal(balancer.reselect(call), -1);
    assert.equal(call.leases.length, 1);
    call.closed = false;
    balancer.reset(call);
    assert.equal(balancer.reselect(call), -1);
  });

  it("gives the trial of a breaker back", () => {
    const balancer = balancerOf(ROWS);
    balancer.setBreaker(1, { trials: 1 });
    const call = newCall();
    balancer.start(call, 1, "t");
    assert.equal(balancer.isAvailable(balancer.destination(1)!), false);
    balancer.setRemoteLoad(cellOf(balancer.destination(1), "t"), 3);
    balancer.reselect(call);
    assert.equal(balancer.isAvailable(balancer.destination(1)!), true);
  });
});

describe("what a call holds", () => {
  /** As it travels between nodes. */
  function moved(from: Balancer, call: CallLoad, to: Balancer): CallLoad {
    const there = new Call();
    const held: HeldLease[] = JSON.parse(JSON.stringify(from.held(call)));
    assert.equal(to.adopt(there, held), held.length);
    return there;
  }

  function busyCall(balancer: Balancer): CallLoad {
    const call = newCall();
    const { ip, port } = balancer.destination(2)!.addresses[0]!;
    balancer.start(call, 1, "t;c");
    balancer.countCall(call, ip, port, 1, "t");
    return call;
  }

  it("is counted by another balancer, pick and all, and given back when the call ends", () => {
    const balancer = balancerOf(ROWS);
    const other = balancerOf(ROWS);
    const call = moved(balancer, busyCall(balancer), other);
    assert.deepEqual([usage(other, 1, "t"), usage(other, 1, "c"), usage(other, 2, "t")], ["1/3", "1/2", "1/2"]);
    assert.deepEqual([call.destination?.id, call.picked.length, call.leases.length], [1, 2, 3]);
    assert.deepEqual(other.recount([call]), []);
    other.release(call);
    assert.deepEqual([usage(other, 1, "t"), usage(other, 1, "c"), usage(other, 2, "t")], ["0/3", "0/2", "0/2"]);
  });

  it("is counted above the capacity, and at a destination that is disabled", () => {
    const balancer = balancerOf(ROWS);
    const other = balancerOf(ROWS);
    other.setStatus(1, false, "mi");
    occupy(other, 1, "c", 2);
    moved(balancer, busyCall(balancer), other);
    assert.equal(usage(other, 1, "c"), "3/2");
  });

  it("is counted at the row of the same group and URI when ids differ, at one that has the resource before others", () => {
    const balancer = balancerOf(ROWS);
    const other = balancerOf([
      { id: 40, uri: "sip:ONE", resources: "x=1" },
      { id: 41, uri: "sip:one", resources: "t=3;c=2" },
      { id: 42, uri: "sip:two", resources: "t=2" },
      { id: 43, uri: "sip:one", group: 2, resources: "t=3;c=2" },
    ]);
    const call = moved(balancer, busyCall(balancer), other);
    assert.deepEqual([usage(other, 41, "t"), usage(other, 42, "t"), usage(other, 43, "t")], ["1/3", "1/2", "0/3"]);
    assert.equal(call.destination?.id, 41);
  });

  it("is counted out of sight when the row is gone, found when the row comes back, and then gone with the call", () => {
    const balancer = balancerOf(ROWS);
    const other = balancerOf([{ id: 9, resources: "t=1" }]);
    const call = moved(balancer, busyCall(balancer), other);
    assert.equal(call.destination, undefined);
    assert.deepEqual([other.profileSize("t"), other.profileSize("t", 1), other.profileSize("c", 1)], [2, 1, 1]);
    other.replaceTable(ROWS.map(row));
    assert.equal(usage(other, 1, "t"), "1/3");
    other.release(call);
    assert.deepEqual([usage(other, 1, "t"), other.profileSize("t")], ["0/3", 0]);
  });

  for (const [name, held] of [
    ["no identity", { key: "", resource: "t", picked: true }],
    ["the identity of a pool", { key: "pool p", resource: "t", picked: true }],
    ["an id that is none", { key: "-1 1 sip:one", resource: "t", picked: true }],
    ["an identity without end", { key: `1 1 sip:${"o".repeat(5000)}`, resource: "t", picked: false }],
    ["no resource", { key: "1 1 sip:one", resource: "", picked: false }],
    ["what is no resource", { key: "1 1 sip:one", resource: "t\n", picked: false }],
  ] as const) {
    it(`is left out when it has ${name}`, () => {
      const balancer = balancerOf([{ id: 1, uri: "sip:one", resources: "t=3", attrs: "shared=p" }]);
      const call = newCall();
      assert.equal(balancer.adopt(call, [held]), 0);
      assert.deepEqual([call.leases, call.destination], [[], undefined]);
    });
  }

  it("is bounded", () => {
    const balancer = balancerOf(ROWS);
    const lease = { key: balancer.destination(1)!.key, resource: "t", picked: false };
    assert.equal(balancer.adopt(newCall(), Array(MAX_HELD_LEASES + 1).fill(lease)), MAX_HELD_LEASES);
  });
});

describe("watched cells", () => {
  function watched(resource = "t") {
    const events: string[] = [];
    const balancer = balancerOf(ROWS, {
      onWatchedEnd: (call, cell) => events.push(`end ${call.name} ${cell}`),
      onWatchedForced: (call, cell) => events.push(`forced ${call.name} ${cell}`),
    });
    const cell = cellOf(balancer.destination(1), resource);
    balancer.watchCells(new Set([cell]));
    const call = newCall();
    call.name = "did";
    return { balancer, call, cell, events };
  }

  it("tell the end of each lease, however it ends, and no start, next or reselect", () => {
    for (const end of ["release", "reset", "next", "start", "reselect"] as const) {
      const { balancer, call, cell, events } = watched();
      balancer.start(call, 1, "t");
      assert.deepEqual(events, []);
      balancer.setRemoteLoad(cell, 9);
      if (end === "start") balancer.start(call, 1, "t");
      else balancer[end](call);
      assert.deepEqual(events, [`end did ${cell}`], end);
    }
  });

  it("tell each lease that nobody chose, and its end", () => {
    const { balancer, call, cell, events } = watched();
    const { ip, port } = balancer.destination(1)!.addresses[0]!;
    const destination = balancer.destination(1)!;
    balancer.countCall(call, ip, port, 1, "t;c");
    balancer.countCall(call, ip, port, 1, "t", true);
    balancer.place(call, destination, ["t"]);
    balancer.moveTo(call, destination, [cell]);
    balancer.adopt(call, [{ key: destination.key, resource: "t", picked: false }]);
    const [forced, end] = [`forced did ${cell}`, `end did ${cell}`];
    assert.deepEqual(events, [forced, end, forced, end, forced, forced]);
    balancer.release(call);
    assert.deepEqual(events.slice(6), [end, end]);
  });

  it("are others after the next saying, and none of those that a reload has given away", () => {
    const { balancer, call, cell, events } = watched();
    balancer.watchCells(new Set([cellOf(balancer.destination(1), "c"), 5000]));
    assert.deepEqual([balancer.isWatched(cell), balancer.isWatched(cellOf(balancer.destination(1), "c"))], [false, true]);
    balancer.watchCells(new Set([cell]));
    balancer.replaceTable([row({ id: 7, resources: "z=1" })]);
    balancer.replaceTable([row({ id: 7, resources: "z=1" }), row({ id: 8, resources: "y=1" })]);
    balancer.start(call, 1, "y");
    balancer.release(call);
    assert.deepEqual(events, []);
  });

  it("survive a listener that throws: that is a fault, and the load is right", () => {
    const faults: string[] = [];
    const balancer = balancerOf(ROWS, {
      onFault: (text) => faults.push(text),
      onWatchedEnd() {
        throw new Error("broken");
      },
    });
    const cell = cellOf(balancer.destination(1), "t");
    balancer.watchCells(new Set([cell]));
    const call = newCall();
    balancer.start(call, 1, "t;c");
    balancer.release(call);
    assert.deepEqual(balancer.recount([call]), []);
    assert.deepEqual(faults, [`Cannot report a lease in cell ${cell}: Error: broken`]);
  });
});
