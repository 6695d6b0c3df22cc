import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Balancer, type CallLoad, type Destination, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import { Model } from "./model.ts";
import { newCall } from "./support.ts";

const CALLS = 8;
const IDS = [1, 2, 3, 4, 5];
const NAMES = ["a", "b", "c"];
const PORTS = [5060, 5080];

interface Branch {
  destination: Destination;
  cells: readonly number[];
  model: { key: string; id: number };
  names: string[];
}

/** A balancer and the model, driven side by side. */
class Pair {
  readonly faults: string[] = [];
  readonly model = new Model(CALLS);
  readonly balancer = new Balancer({ below: (n) => this.model.draw % n, onFault: (text) => this.faults.push(text) });
  readonly calls: CallLoad[] = Array.from({ length: CALLS }, newCall);
  readonly branches: Branch[][] = Array.from({ length: CALLS }, () => []);

  /** Compares an answer, and after a choice the destination and that nothing was oversubscribed. */
  chose(index: number, got: number, want: number): void {
    assert.equal(got, want);
    const call = this.calls[index]!;
    const modelCall = this.model.calls[index]!;
    assert.equal(call.destination?.id, modelCall.destination?.id);
    assert.equal(this.balancer.attrs(call), call.destination?.attrs ?? "");
    if (got !== 1) return;
    const cells = this.balancer.pickedCells(call);
    for (const cell of cells) {
      if (!modelCall.session!.flags.includes("n")) assert.ok(this.balancer.load(cell) <= this.balancer.maxLoad(cell), "oversubscribed");
    }
    this.branches[index]!.push({
      destination: call.destination!,
      cells,
      model: modelCall.destination!,
      names: this.model.pickedNames(index),
    });
  }

  compare(): void {
    const { balancer, model } = this;
    assert.deepEqual(this.faults, []);
    assert.deepEqual(balancer.recount(this.calls), []);
    assert.deepEqual(
      balancer.destinations().map(({ id }) => id),
      model.rows.map(({ row }) => row.id),
    );
    for (const [i, { key, disabled, noAutoReenable, maxLoad }] of model.rows.entries()) {
      const destination = balancer.destinations()[i]!;
      assert.equal(balancer.isEnabled(destination), !disabled);
      assert.equal(balancer.isAutoReenable(destination), !noAutoReenable);
      for (const { name, cell } of destination.resources) {
        assert.equal(balancer.maxLoad(cell), maxLoad.get(name)!.max);
        assert.equal(balancer.load(cell), model.load(key, name), `load of ${name} on ${key}`);
        assert.ok(balancer.load(cell) >= 0);
      }
    }
    for (const id of IDS) for (const name of NAMES) assert.equal(balancer.profileSize(name, id) ?? 0, model.profileSize(id, name));
  }
}

type Operation = (pair: Pair) => void;

const callIndex = fc.nat(CALLS - 1);
const group = fc.constantFrom(1, 1, 1, 2, 300);
const requested = fc.oneof(
  { weight: 9, arbitrary: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom(...NAMES, "nosuch"), { maxLength: 3 }) },
);
const flags = fc.constantFrom("", "", "s", "s", "r", "rs", "n", "ns", "nrs", "x");
const draw = fc.nat(1000);

/** Rows whose ids, groups, URIs and addresses collide and come back often. */
const rows: fc.Arbitrary<DestinationRow[]> = fc.uniqueArray(
  fc
    .record({
      id: fc.constantFrom(...IDS),
      group: fc.constantFrom(1, 1, 1, 2, 300),
      host: fc.constantFrom("farm", "farm", "FARM", "other"),
      resources: fc.uniqueArray(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(0, 1, 2, 2, 3, 7)), {
        minLength: 1,
        maxLength: 3,
        selector: ([name]) => name,
      }),
      port: fc.constantFrom(...PORTS),
    })
    .map(
      ({ id, group, host, resources, port }): DestinationRow => ({
        id,
        group,
        uri: `sip:${id}.${host}`,
        resources: parseResources(resources.map(([name, capacity]) => `${name}=${capacity}`).join(";")),
        probeMode: 0,
        attrs: id === 5 ? undefined : `attrs ${id}`,
        description: undefined,
        addresses: [{ ip: `192.0.2.${Math.ceil(id / 2)}`, port, transport: "udp" }],
      }),
    ),
  { selector: ({ id }) => id, minLength: 0, maxLength: IDS.length },
);

const operations: { weight: number; arbitrary: fc.Arbitrary<Operation> }[] = [
  {
    weight: 10,
    arbitrary: fc.tuple(callIndex, group, requested, flags, draw).map(([index, group, names, flags, draw]) => (pair) => {
      pair.model.draw = draw;
      pair.chose(
        index,
        pair.balancer.start(pair.calls[index]!, group, names.join(";"), flags),
        pair.model.start(index, group, names, flags),
      );
    }),
  },
  {
    weight: 8,
    arbitrary: fc.tuple(callIndex, draw).map(([index, draw]) => (pair) => {
      pair.model.draw = draw;
      pair.chose(index, pair.balancer.next(pair.calls[index]!), pair.model.next(index));
    }),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(callIndex, group, requested, flags).map(([index, group, names, flags]) => (pair) => {
      const got = pair.balancer.startOrNext(pair.calls[index]!, group, names.join("; "), flags);
      pair.chose(index, got, pair.model.startOrNext(index, group, names, flags));
    }),
  },
  {
    weight: 2,
    arbitrary: callIndex.map((index) => (pair) => {
      assert.equal(pair.balancer.reset(pair.calls[index]!), pair.model.reset(index));
      assert.equal(pair.balancer.isStarted(pair.calls[index]!), false);
    }),
  },
  {
    weight: 1,
    arbitrary: callIndex.map(
      (index) => (pair) => assert.equal(pair.balancer.disableDestination(pair.calls[index]!), pair.model.disable(index)),
    ),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(callIndex, fc.constantFrom(1, 2, 3, 9), fc.constantFrom(0, ...PORTS), fc.constantFrom(-1, 1, 2, 300), requested, fc.boolean())
      .map(([index, host, port, group, names, undo]) => (pair) => {
        const ip = `192.0.2.${host}`;
        const got = pair.balancer.countCall(pair.calls[index]!, ip, port, group, names.join(";"), undo);
        assert.equal(got, pair.model.count(index, ip, port, group, names, undo));
        for (const activeOnly of [false, true]) {
          const found = pair.balancer.isDestination(ip, port, group, activeOnly);
          assert.equal(found?.id, pair.model.find(ip, port, group, activeOnly)?.row.id);
        }
      }),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(callIndex, fc.nat(20)).map(([index, which]) => (pair) => {
      const branches = pair.branches[index]!;
      const branch = branches[which % Math.max(branches.length, 1)];
      if (branch === undefined) return;
      pair.balancer.moveTo(pair.calls[index]!, branch.destination, branch.cells);
      pair.model.moveTo(index, branch.model, branch.names);
    }),
  },
  {
    weight: 5,
    arbitrary: callIndex.map((index) => (pair) => {
      pair.balancer.release(pair.calls[index]!);
      pair.model.release(index);
    }),
  },
  {
    weight: 3,
    arbitrary: rows.map((rows) => (pair) => {
      pair.balancer.replaceTable(rows);
      pair.model.reload(rows);
    }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...IDS, 9), fc.constantFrom(...NAMES), fc.constantFrom(-1, 0, 1, 4, 3_000_000_000)).map(
      ([id, name, capacity]) =>
        (pair) =>
          assert.equal(pair.balancer.resize(id, name, capacity), pair.model.resize(id, name, capacity)),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom(...IDS, 9), fc.boolean(), fc.constantFrom("mi" as const, "script" as const, "probe" as const)).map(
      ([id, enabled, cause]) =>
        (pair) =>
          assert.equal(pair.balancer.setStatus(id, enabled, cause), pair.model.setStatus(id, enabled, cause)),
    ),
  },
];

describe("the balancer against a model that counts from nothing", () => {
  it("answers the same codes, picks, loads and statuses after every one of many random steps, and ends at zero", () => {
    const codes = new Map<string, number>();
    let steps = 0;
    fc.assert(
      fc.property(rows, fc.array(fc.oneof(...operations), { minLength: 40, maxLength: 160, size: "max" }), (initial, operations) => {
        const pair = new Pair();
        pair.balancer.replaceTable(initial);
        pair.model.reload(initial);
        for (const operation of operations) {
          operation(pair);
          pair.compare();
          steps++;
        }
        for (const [index, call] of pair.calls.entries()) {
          pair.balancer.release(call);
          pair.model.release(index);
        }
        pair.compare();
        for (const name of NAMES) assert.equal(pair.balancer.profileSize(name) ?? 0, 0);
        for (const [code, times] of Object.entries(pair.balancer.counters)) codes.set(code, (codes.get(code) ?? 0) + times);
      }),
      { numRuns: 150 },
    );
    assert.ok(steps > 10_000, `${steps} steps`);
    for (const code of ["selected", "no_capacity", "no_destination", "bad_resource", "internal_error", "uncounted"]) {
      assert.ok((codes.get(code) ?? 0) > 30, `${code} came ${codes.get(code)} times`);
    }
  });
});
