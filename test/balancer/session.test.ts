import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Balancer, CallLoad, type StatusChange } from "../../src/balancer/index.ts";
import { balancerOf, cellOf, newCall, occupy, row, usage } from "./support.ts";

const three = [
  { id: 1, resources: "t=10" },
  { id: 2, resources: "t=20" },
  { id: 3, resources: "t=5" },
];

describe("lb_next", () => {
  it("frees the slot of the pick before, also when it finds nothing more", () => {
    const balancer = balancerOf(three);
    const call = newCall();
    balancer.start(call, 1, "t");
    assert.equal(usage(balancer, 2, "t"), "1/20");
    balancer.next(call);
    assert.deepEqual([usage(balancer, 2, "t"), usage(balancer, 1, "t")], ["0/20", "1/10"]);
    balancer.next(call);
    assert.equal(balancer.next(call), -3);
    assert.deepEqual(
      [1, 2, 3].map((id) => usage(balancer, id, "t")),
      ["0/10", "0/20", "0/5"],
    );
    assert.equal(call.destination, undefined);
    assert.equal(balancer.isStarted(call), true);
  });

  it("keeps the flags of the start", () => {
    const balancer = balancerOf(three);
    for (const id of [1, 2, 3]) occupy(balancer, id, "t", 20);
    const call = newCall();
    assert.deepEqual([balancer.start(call, 1, "t", "n"), balancer.next(call), balancer.next(call)], [1, 1, 1]);
    assert.equal(balancer.next(call), -3);
  });

  it("ignores the arguments of lb_start_or_next, and load_balance is the same function", () => {
    const balancer = balancerOf(three);
    const call = newCall();
    assert.equal(balancer.startOrNext(call, 1, "t"), 1);
    assert.equal(balancer.loadBalance(call, 99, "nosuch", "n"), 1);
    assert.equal(call.destination?.id, 1);
  });
});

describe("a start that is refused", () => {
  for (const [resources, code] of [
    ["nosuch", -4],
    ["t;;", -1],
  ] as const) {
    it(`with ${code} leaves the session before it as it was`, () => {
      const balancer = balancerOf(three);
      const call = newCall();
      balancer.start(call, 1, "t");
      assert.equal(balancer.start(call, 1, resources), code);
      assert.equal(call.destination?.id, 2);
      assert.equal(usage(balancer, 2, "t"), "1/20");
      assert.equal(balancer.next(call), 1);
      assert.equal(call.destination?.id, 1);
    });
  }
});

describe("lb_reset", () => {
  it("un-counts the pick and forgets the session, but not what lb_count_call counted", () => {
    const balancer = balancerOf(three);
    const call = newCall();
    balancer.countCall(call, "127.0.0.22", 5080, 1, "t");
    balancer.start(call, 1, "t", "r");
    balancer.next(call);
    assert.equal(balancer.reset(call), 1);
    assert.equal(usage(balancer, 2, "t"), "1/20");
    assert.equal(call.session, undefined);
    assert.equal(call.destination, undefined);
    assert.deepEqual([balancer.next(call), balancer.disableDestination(call), balancer.reset(call)], [-1, -1, 1]);
  });

  it("answers -1 for a call without a dialog", () => {
    assert.equal(balancerOf(three).reset(new CallLoad()), -1);
  });
});

describe("lb_count_call", () => {
  it("counts out of sight a resource that the destination lacks, and a reload brings it to light", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=10" },
      { id: 2, resources: "c=10" },
    ]);
    const call = newCall();
    assert.equal(balancer.countCall(call, "127.0.0.21", 0, -1, "c"), 1);
    assert.equal(usage(balancer, 1, "t"), "0/10");
    assert.equal(balancer.profileSize("c", 1), 1);
    balancer.replaceTable(
      balancer.destinations().map((destination) => ({
        ...destination,
        resources: [
          { name: "t", capacity: 10 },
          { name: "c", capacity: 4 },
        ],
      })),
    );
    assert.equal(usage(balancer, 1, "c"), "1/4");
    balancer.release(call);
    assert.equal(usage(balancer, 1, "c"), "0/4");
  });

  it("is refused with -1 without the address, for an unknown or repeated resource and for an empty list", () => {
    const balancer = balancerOf(three);
    const call = newCall();
    for (const [ip, port, group, resources] of [
      ["127.0.0.99", 5080, -1, "t"],
      ["not an ip", 5080, -1, "t"],
      ["127.0.0.21", 5081, -1, "t"],
      ["127.0.0.21", 5080, 2, "t"],
      ["127.0.0.21", 5080, 1, "nosuch"],
      ["127.0.0.21", 5080, 1, "t;t"],
      ["127.0.0.21", 5080, 1, ""],
    ] as const) {
      assert.equal(balancer.countCall(call, ip, port, group, resources), -1, ip);
    }
    assert.deepEqual(call.leases, []);
  });

  it("undo takes what was counted first, then what was picked, and then nothing, without touching other calls", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=10" }]);
    occupy(balancer, 1, "t", 2);
    const call = newCall();
    const undo = () => balancer.countCall(call, "127.0.0.21", 5080, 1, "t", true);
    balancer.start(call, 1, "t");
    balancer.countCall(call, "127.0.0.21", 5080, 1, "t");
    assert.equal(usage(balancer, 1, "t"), "4/10");
    assert.equal(undo(), 1);
    assert.deepEqual([usage(balancer, 1, "t"), call.picked.length], ["3/10", 1]);
    assert.equal(undo(), 1);
    assert.deepEqual([usage(balancer, 1, "t"), call.picked.length], ["2/10", 0]);
    assert.equal(undo(), 1);
    assert.equal(usage(balancer, 1, "t"), "2/10");
  });

  it("a pick that was undone is not ended again by next, and what was counted since stays", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=10" },
      { id: 2, resources: "t=5" },
    ]);
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.countCall(call, "127.0.0.21", 5080, 1, "t", true);
    balancer.countCall(call, "127.0.0.21", 5080, 1, "t");
    assert.equal(balancer.next(call), 1);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t")], ["1/10", "1/5"]);
  });
});

describe("the end of a call", () => {
  it("ends each lease exactly once, however often it is told", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=10;c=10" }]);
    occupy(balancer, 1, "t", 3);
    const call = newCall();
    balancer.start(call, 1, "t;c");
    balancer.countCall(call, "127.0.0.21", 5080, 1, "t");
    for (let i = 0; i < 3; i++) {
      balancer.release(call);
      assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 1, "c")], ["3/10", "0/10"]);
    }
    assert.equal(balancer.next(call), -3);
    assert.equal(balancer.counters.faults, 0);
  });
});

describe("a 2xx of a branch that was given up", () => {
  it("moves the call back to the branch's destination, also above capacity", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=1" },
      { id: 2, resources: "t=1" },
    ]);
    const call = newCall();
    balancer.start(call, 1, "t");
    const [destination, cells] = [call.destination!, balancer.pickedCells(call)];
    balancer.next(call);
    assert.equal(balancer.start(newCall(), 1, "t"), 1);
    balancer.moveTo(call, destination, cells);
    assert.equal(call.destination, destination);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t")], ["2/1", "0/1"]);
    balancer.moveTo(call, destination, [...cells, ...cells]);
    assert.equal(usage(balancer, 1, "t"), "2/1");
  });

  it("counts a call again that was released already", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=1" }]);
    const call = newCall();
    balancer.start(call, 1, "t");
    const [destination, cells] = [call.destination!, balancer.pickedCells(call)];
    balancer.release(call);
    balancer.moveTo(call, destination, cells);
    assert.equal(usage(balancer, 1, "t"), "1/1");
    balancer.release(call);
    assert.equal(usage(balancer, 1, "t"), "0/1");
  });

  it("does not count on somebody else whose resource got the number of the cell meanwhile", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=1" }]);
    const call = newCall();
    balancer.start(call, 1, "t");
    const [destination, cells] = [call.destination!, balancer.pickedCells(call)];
    balancer.release(call);
    balancer.replaceTable([]);
    const other = { ...destination, id: 2, uri: "sip:other", resources: [{ name: "t", capacity: 9 }] };
    balancer.replaceTable([other]);
    assert.equal(cellOf(balancer.destination(2), "t"), cells[0]);
    balancer.moveTo(call, destination, cells);
    assert.equal(usage(balancer, 2, "t"), "0/9");
    assert.equal(balancer.profileSize("t", 1), 1);
    balancer.release(call);
    assert.equal(balancer.profileSize("t", 1), 0);
  });
});

describe("lb_disable_dst", () => {
  it("takes the pick out until it is enabled, leaves probes free to do that, and tells once", () => {
    const told: StatusChange[] = [];
    const balancer = balancerOf(three, { onStatus: (change) => told.push(change) });
    const call = newCall();
    balancer.start(call, 1, "t");
    const destination = call.destination!;
    assert.deepEqual([balancer.disableDestination(call), balancer.disableDestination(call)], [1, 1]);
    assert.deepEqual([balancer.isEnabled(destination), balancer.isAutoReenable(destination)], [false, true]);
    assert.deepEqual(told, [{ destination, enabled: false, wasEnabled: true, autoReenable: true, cause: "script" }]);
    assert.equal(usage(balancer, 2, "t"), "1/20");
    const other = newCall();
    balancer.start(other, 1, "t");
    assert.equal(other.destination?.id, 1);
  });

  const enablings: Record<string, { enable(balancer: Balancer): void; disables: boolean }> = {
    "a probe that enables it": {
      enable(balancer) {
        balancer.setStatus(2, false, "probe");
        balancer.setStatus(2, true, "probe");
      },
      disables: false,
    },
    "a good probe of an enabled one": { enable: (balancer) => balancer.setStatus(2, true, "probe"), disables: true },
    "an operator who says that it is well": { enable: (balancer) => balancer.setStatus(2, true, "mi"), disables: false },
    "the end of a drain that is undone": {
      enable(balancer) {
        balancer.setStatus(2, false, "drain");
        balancer.setStatus(2, true, "drain");
      },
      disables: false,
    },
    "a probe that enables another one": {
      enable(balancer) {
        balancer.setStatus(1, false, "probe");
        balancer.setStatus(1, true, "probe");
      },
      disables: true,
    },
    "a reload": { enable: (balancer) => balancer.replaceTable(three.map(row)), disables: true },
    "a probe that enables it, and a reload": {
      enable(balancer) {
        balancer.setStatus(2, false, "probe");
        balancer.setStatus(2, true, "probe");
        balancer.replaceTable(three.slice(1).map(row));
      },
      disables: false,
    },
    "reloads that take its row and bring it back": {
      enable(balancer) {
        balancer.replaceTable([]);
        balancer.replaceTable(three.map(row));
      },
      disables: false,
    },
  };
  for (const [name, { enable, disables }] of Object.entries(enablings)) {
    it(`${disables ? "disables" : "leaves enabled"} for a call that chose the destination before ${name}`, () => {
      const balancer = balancerOf(three);
      const [older, newer] = [newCall(), newCall()];
      balancer.start(older, 1, "t");
      assert.equal(older.destination?.id, 2);
      enable(balancer);
      assert.equal(balancer.disableDestination(older), 1);
      assert.equal(balancer.isEnabled(balancer.destination(2)!), !disables);
      assert.deepEqual([balancer.counters.disables, balancer.counters.disables_stale], disables ? [1, 0] : [0, 1]);
      balancer.setStatus(2, true, "script");
      balancer.start(newer, 1, "t");
      assert.deepEqual([newer.destination?.id, balancer.disableDestination(newer)], [2, 1]);
      assert.ok(!balancer.isEnabled(balancer.destination(2)!), "a call from after it does");
    });
  }

  it("answers -1 when the row is gone", () => {
    const balancer = balancerOf(three);
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.replaceTable([]);
    assert.equal(balancer.disableDestination(call), -1);
  });
});
