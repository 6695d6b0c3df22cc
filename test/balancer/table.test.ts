import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, BalancerError, type StatusChange } from "../../src/balancer/index.ts";
import { balancerOf, cellOf, newCall, occupy, row, usage } from "./support.ts";

describe("a reload", () => {
  it("keeps load, status and a resized capacity of a destination whose id, group and URI stay", () => {
    const balancer = balancerOf([
      { id: 1, resources: "t=10;c=3", uri: "sip:Farm.example.com" },
      { id: 2, resources: "t=10" },
    ]);
    occupy(balancer, 1, "t", 4);
    balancer.setStatus(1, false, "mi");
    balancer.resize(1, "t", 7);
    const change = balancer.replaceTable([
      row({ id: 1, resources: "c=8; t=10", uri: "sip:farm.EXAMPLE.com" }),
      row({ id: 2, resources: "t=10" }),
    ]);
    assert.deepEqual(change, { added: [], removed: [], changed: [1], kept: [2], problems: [] });
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 1, "c")], ["4/7", "0/8"]);
    const destination = balancer.destination(1)!;
    assert.deepEqual([balancer.isEnabled(destination), balancer.isAutoReenable(destination)], [false, false]);
    assert.deepEqual(
      destination.resources.map(({ name }) => name),
      ["c", "t"],
    );
  });

  it("gives up a resized capacity when the row's own capacity changed, and not when a resize set the same number", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=10;c=10" }]);
    balancer.resize(1, "t", 7);
    balancer.resize(1, "c", 12);
    balancer.replaceTable([row({ id: 1, resources: "t=11;c=12" })]);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 1, "c")], ["0/11", "0/12"]);
    balancer.resize(1, "c", 0);
    balancer.replaceTable([row({ id: 1, resources: "t=11;c=12" })]);
    assert.equal(usage(balancer, 1, "c"), "0/0");
  });

  it("makes a new destination of a row whose group or URI changed", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=10" }]);
    const [call] = occupy(balancer, 1, "t", 1);
    balancer.setStatus(1, false, "mi");
    const change = balancer.replaceTable([row({ id: 1, group: 2, resources: "t=10" })]);
    assert.deepEqual(change, { added: [1], removed: [1], changed: [], kept: [], problems: [] });
    assert.equal(usage(balancer, 1, "t"), "0/10");
    assert.equal(balancer.isEnabled(balancer.destination(1)!), true);
    assert.equal(balancer.profileSize("t", 1), 1);
    balancer.release(call!);
    assert.equal(balancer.profileSize("t", 1), 0);
  });

  it("lets the load of a row that is gone drain to zero, or finds it again when the row comes back", () => {
    const rows = [row({ id: 1, resources: "t=10" }), row({ id: 2, resources: "t=5" })];
    const balancer = balancerOf([]);
    balancer.replaceTable(rows);
    const calls = occupy(balancer, 1, "t", 3);
    balancer.replaceTable(rows.slice(1));
    assert.equal(balancer.profileSize("t"), 3);
    balancer.release(calls[0]!);
    balancer.replaceTable(rows);
    assert.equal(usage(balancer, 1, "t"), "2/10");
    balancer.replaceTable(rows.slice(1));
    for (const call of calls) balancer.release(call);
    balancer.replaceTable(rows);
    assert.equal(usage(balancer, 1, "t"), "0/10");
    assert.deepEqual(balancer.recount([]), []);
  });

  it("does not let the load table grow when rows come and go", () => {
    const balancer = balancerOf([]);
    for (let i = 1; i <= 2000; i++) {
      balancer.replaceTable([row({ id: i, ip: "192.0.2.1", resources: "t=1;c=1" })]);
      const call = newCall();
      assert.equal(balancer.start(call, 1, "t;c"), 1);
      balancer.replaceTable([]);
      balancer.release(call);
    }
    balancer.replaceTable([row({ id: 1, resources: "t=1;c=1" })]);
    assert.ok(cellOf(balancer.destination(1), "t") < 8);
  });

  it("keeps what a call has tried, whatever rows come before it now", () => {
    const old = [3, 5].map((id) => row({ id, resources: `t=${id}` }));
    const balancer = balancerOf([]);
    balancer.replaceTable(old);
    const call = newCall();
    balancer.start(call, 1, "t");
    assert.equal(call.destination?.id, 5);
    balancer.replaceTable([row({ id: 1, resources: "t=1" }), ...old]);
    assert.deepEqual([balancer.next(call), call.destination?.id], [1, 3]);
    balancer.replaceTable(old.slice(1));
    assert.equal(balancer.next(call), -3);
    balancer.replaceTable([row({ id: 1, resources: "t=1" }), ...old]);
    assert.deepEqual([balancer.next(call), call.destination?.id], [1, 1]);
  });

  it("that takes the last destination with a resource leaves nobody for the call: -3, and its slot is free", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=1" }]);
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.replaceTable([row({ id: 1, resources: "c=1" })]);
    assert.equal(balancer.next(call), -3);
    assert.equal(balancer.profileSize("t") ?? 0, 0);
    assert.equal(call.destination, undefined);
  });

  it("gives the same object for a row that did not change at all", () => {
    const rows = [row({ id: 1, resources: "t=1" }), row({ id: 2, resources: "t=1" })];
    const balancer = balancerOf([]);
    balancer.replaceTable(rows);
    const before = balancer.destinations();
    const change = balancer.replaceTable([rows[1]!, row({ id: 1, resources: "t=1", attrs: "new" })]);
    assert.deepEqual(change, { added: [], removed: [], changed: [1], kept: [2], problems: [] });
    assert.equal(balancer.destination(2), before[1]);
    assert.equal(balancer.destination(1)?.attrs, "new");
  });

  it("tells of a row whose only difference is a capacity, an attribute, a description, a probe mode or an address", () => {
    const base = row({ id: 1, resources: "t=1" });
    const balancer = balancerOf([]);
    for (const other of [
      { resources: [{ name: "t", capacity: 2 }] },
      { attrs: undefined },
      { description: "in the cellar" },
      { probeMode: 1 as const },
      { addresses: [{ ...base.addresses[0]!, port: 5070 }] },
      { uri: base.uri.toUpperCase() },
    ]) {
      balancer.replaceTable([base]);
      assert.deepEqual(balancer.replaceTable([{ ...base, ...other }]).changed, [1], JSON.stringify(other));
    }
  });

  it("with rows that cannot be used is refused whole, and the table stays", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=10" }]);
    const good = row({ id: 2, resources: "t=1" });
    const cases: [code: string, rows: Parameters<Balancer["replaceTable"]>[0], message: RegExp][] = [
      ["DUPLICATE_DESTINATION", [good, good], /destination 2: the id stands twice/],
      ["BAD_DESTINATION", [good, { ...good, id: -3 }], /id -3 must be a whole number from 0/],
      ["BAD_DESTINATION", [good, { ...good, id: 3, group: 1.5 }], /group 1\.5 must be/],
      ["BAD_RESOURCES", [good, { ...good, id: 3, resources: [] }], /the list is empty/],
      ["BAD_RESOURCES", [good, { ...good, id: 3, resources: [{ name: "t", capacity: 2 ** 31 }] }], /capacity 2147483648 of "t"/],
      ["BAD_RESOURCES", [good, { ...good, id: 3, resources: [{ name: "a b", capacity: 1 }] }], /name "a b" must be/],
    ];
    for (const [code, rows, message] of cases) {
      assert.throws(
        () => balancer.replaceTable(rows),
        (error) => error instanceof BalancerError && error.code === code && message.test(error.message),
      );
    }
    assert.deepEqual(
      balancer.destinations().map(({ id }) => id),
      [1],
    );
  });
});

describe("lb_resize", () => {
  const cases: [id: number, resource: string, capacity: number, want: string, usage: string][] = [
    [1, "t", 33, "ok", "2/33"],
    [1, "t", 0, "ok", "2/0"],
    [1, "t", 3_000_000_000, "ok", "2/2147483647"],
    [1, "t", -1, "bad-capacity", "2/10"],
    [1, "t", 1.5, "bad-capacity", "2/10"],
    [1, "t", Number.NaN, "bad-capacity", "2/10"],
    [1, "t", Number.POSITIVE_INFINITY, "bad-capacity", "2/10"],
    [1, "T", 5, "no-resource", "2/10"],
    [9, "t", 5, "no-destination", "2/10"],
    [9, "T", -5, "no-destination", "2/10"],
  ];
  for (const [id, resource, capacity, want, left] of cases) {
    it(`of destination ${id}, ${resource}, to ${capacity} answers ${want}`, () => {
      const balancer = balancerOf([{ id: 1, resources: "t=10" }]);
      occupy(balancer, 1, "t", 2);
      assert.equal(balancer.resize(id, resource, capacity), want);
      assert.equal(usage(balancer, 1, "t"), left);
    });
  }

  it("below the load refuses new calls until enough have ended", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=10" }]);
    const calls = occupy(balancer, 1, "t", 4);
    balancer.resize(1, "t", 3);
    assert.equal(balancer.start(newCall(), 1, "t"), -2);
    for (const call of calls.slice(0, 2)) balancer.release(call);
    assert.equal(balancer.start(newCall(), 1, "t"), 1);
  });
});

describe("lb_status", () => {
  const steps: [enabled: boolean, cause: "mi" | "script" | "probe", state: string, told: boolean][] = [
    [true, "mi", "yes on", false],
    [false, "probe", "no on", true],
    [true, "probe", "yes on", true],
    [false, "script", "no on", true],
    [false, "mi", "no off", true],
    [true, "probe", "no off", false],
    [false, "probe", "no off", false],
    [true, "mi", "yes on", true],
    [false, "mi", "no off", true],
    [true, "script", "yes on", true],
  ];

  it("goes from state to state as the module does, and tells of every change and of nothing else", () => {
    const told: StatusChange[] = [];
    const balancer = balancerOf([{ id: 1, resources: "t=10" }], { onStatus: (change) => told.push(change) });
    const destination = balancer.destination(1)!;
    for (const [enabled, cause, state, tells] of steps) {
      told.length = 0;
      assert.equal(balancer.setStatus(1, enabled, cause), true);
      const now = `${balancer.isEnabled(destination) ? "yes" : "no"} ${balancer.isAutoReenable(destination) ? "on" : "off"}`;
      assert.equal(now, state, `${enabled} by ${cause}`);
      assert.deepEqual(
        told.map((change) => [change.destination, change.enabled, change.autoReenable, change.cause]),
        tells ? [[destination, state.startsWith("yes"), state.endsWith("on"), cause]] : [],
      );
    }
  });

  it("answers false for an id that is not there", () => assert.equal(balancerOf([]).setStatus(1, true, "mi"), false));

  it("does not let a listener that throws into the call", () => {
    const faults: string[] = [];
    const balancer = balancerOf([{ id: 1, resources: "t=10" }], {
      onStatus() {
        throw new Error("no disk");
      },
      onFault: (text) => faults.push(text),
    });
    assert.equal(balancer.setStatus(1, false, "mi"), true);
    assert.deepEqual(faults, ["Cannot report the status of destination 1: Error: no disk"]);
  });
});

describe("lb_is_destination", () => {
  const balancer = balancerOf([
    { id: 4, group: 1, resources: "t=1", ip: "192.0.2.1", port: 5060 },
    { id: 2, group: 300, resources: "t=1", ip: "192.0.2.1", port: 5080 },
    { id: 6, group: 1, resources: "t=1", ip: "2001:db8::A", port: 5060 },
    { id: 7, group: 1, resources: "t=1", ip: "192.0.2.7", port: 0 },
  ]);
  balancer.setStatus(2, false, "script");
  const cases: [ip: string, port: number, group: number | undefined, active: boolean | undefined, want: number | undefined][] = [
    ["192.0.2.1", 5060, undefined, undefined, 4],
    ["192.0.2.1", 5080, undefined, undefined, 2],
    ["192.0.2.1", 0, undefined, undefined, 2],
    ["192.0.2.1", 0, -1, true, 4],
    ["192.0.2.1", 0, 300, true, undefined],
    ["192.0.2.1", 0, 44, undefined, undefined],
    ["192.0.2.1", 5081, undefined, undefined, undefined],
    ["192.0.2.7", 4711, undefined, undefined, 7],
    ["::ffff:192.0.2.7", 4711, undefined, undefined, 7],
    ["2001:0DB8:0:0::a", 5060, undefined, undefined, 6],
    ["[2001:db8::a]", 5060, undefined, undefined, 6],
    ["2001:db8::b", 5060, undefined, undefined, undefined],
    ["not an ip", 5060, undefined, undefined, undefined],
    ["", 0, undefined, undefined, undefined],
  ];
  for (const [ip, port, group, active, want] of cases) {
    it(`"${ip}" port ${port} in group ${group ?? "any"}${active ? ", active" : ""}: ${want ?? "none"}`, () => {
      assert.equal(balancer.isDestination(ip, port, group, active)?.id, want);
    });
  }
});

describe("the audit", () => {
  it("finds load that no call holds, and calls that the table does not count", () => {
    const balancer = balancerOf([{ id: 1, resources: "t=10;c=10" }]);
    const [call] = occupy(balancer, 1, "t", 1);
    const cell = cellOf(balancer.destination(1), "t");
    assert.deepEqual(balancer.recount([call!]), []);
    assert.deepEqual(balancer.recount([]), [{ cell, counted: 1, actual: 0 }]);
    const stranger = newCall();
    stranger.leases.push(cell, 99);
    assert.deepEqual(balancer.recount([call!, stranger]), [
      { cell, counted: 1, actual: 2 },
      { cell: 99, counted: 0, actual: 1 },
    ]);
  });

  it("a lease that was never counted is reported and makes no load negative", () => {
    const faults: string[] = [];
    const balancer = new Balancer({ below: () => 0, onFault: (text) => faults.push(text) });
    balancer.replaceTable([row({ id: 1, resources: "t=10" })]);
    const stranger = newCall();
    stranger.leases.push(0, 99);
    stranger.picked.push(7);
    balancer.reset(stranger);
    balancer.release(stranger);
    assert.equal(balancer.load(0), 0);
    assert.equal(faults.length, 3);
    assert.equal(balancer.counters.faults, 3);
  });
});

describe("counters, names and sizes", () => {
  it("tell what happened", () => {
    const balancer = balancerOf([
      { id: 2, resources: "c=1;t=1" },
      { id: 1, group: 9, resources: "v=1;t=1" },
    ]);
    assert.deepEqual(balancer.resourceNames(), ["v", "t", "c"]);
    assert.equal(balancer.profileSize("nosuch"), undefined);
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.next(call);
    balancer.start(call, 1, "t");
    balancer.start(newCall(), 1, "t");
    balancer.start(call, 1, "nosuch");
    assert.deepEqual([balancer.profileSize("t"), balancer.profileSize("t", 2), balancer.profileSize("t", 1)], [1, 1, 0]);
    const { starts, nexts, selected, no_capacity, no_destination, bad_resource, reloads } = balancer.counters;
    assert.deepEqual(
      { starts, nexts, selected, no_capacity, no_destination, bad_resource, reloads },
      { starts: 4, nexts: 1, selected: 2, no_capacity: 1, no_destination: 1, bad_resource: 1, reloads: 1 },
    );
  });
});
