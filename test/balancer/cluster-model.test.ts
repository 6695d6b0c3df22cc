import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Balancer, type CallLoad, type Destination, type HeldLease } from "../../src/balancer/index.ts";
import { ClusterModel, keyOf, type ModelRow, sketchOf } from "./cluster-model.ts";
import { newCall, row } from "./support.ts";

const CALLS = 6;
const NAMES = ["a", "b"];
const WATCHED = "a";
/** A row that is in no table. */
const NOWHERE = "77 1 sip:nowhere";

/** A balancer and the model, driven side by side. */
class Pair {
  readonly model = new ClusterModel(CALLS, WATCHED);
  readonly calls: CallLoad[] = Array.from({ length: CALLS }, newCall);
  readonly faults: string[] = [];
  ended = 0;
  forced = 0;
  readonly codes = new Set<string>();
  readonly balancer = new Balancer({
    below: () => 0,
    onFault: (text) => this.faults.push(text),
    onWatchedEnd: () => this.ended++,
    onWatchedForced: () => this.forced++,
  });

  reload(rows: readonly ModelRow[]): void {
    this.balancer.replaceTable(rows.map((each) => row(sketchOf(each))));
    this.model.reload(rows);
    this.balancer.watchCells(new Set(this.balancer.destinations().flatMap((destination) => cell(destination, WATCHED) ?? [])));
  }

  same(what: string, got: number, want: number): void {
    assert.equal(got, want, what);
    this.codes.add(`${what} ${got}`);
  }

  compare(): void {
    const { balancer, model } = this;
    assert.deepEqual(this.faults, []);
    assert.deepEqual(balancer.recount(this.calls), []);
    assert.deepEqual([this.ended, this.forced], [model.ended, model.forced], "what the watcher was told");
    for (const [i, modelRow] of model.rows.entries()) {
      const destination = balancer.destinations()[i]!;
      for (const { name, cell } of destination.resources) {
        const slot = model.slot(modelRow, name);
        const full = model.free(modelRow, name) <= 0;
        assert.equal(balancer.load(cell), model.load(modelRow, name), `load of ${slot}`);
        assert.equal(balancer.remoteLoad(cell), model.remote.get(slot) ?? 0, `remote load of ${slot}`);
        assert.equal(balancer.foreignLoad(cell), model.foreign.get(slot) ?? 0, `foreign load of ${slot}`);
        assert.equal(
          balancer.maxLoad(cell) - balancer.load(cell) - balancer.remoteLoad(cell) - balancer.foreignLoad(cell),
          model.free(modelRow, name),
        );
        assert.equal(balancer.isFull(destination, [name]), full, `${slot} is full`);
        if (full) assert.ok(balancer.freeSlots(cell) <= 0);
      }
    }
    for (const [i, call] of this.calls.entries()) {
      assert.deepEqual(sorted(balancer.held(call)), sorted(model.calls[i]!.units));
      assert.equal(call.destination?.key, model.calls[i]!.destination);
    }
  }
}

function cell({ resources }: Destination, resource: string): number | undefined {
  return resources.find(({ name }) => name === resource)?.cell;
}

function sorted(held: readonly HeldLease[]): string[] {
  return held.map(({ key, resource, picked }) => `${key} ${resource} ${picked}`).sort();
}

type Operation = (pair: Pair) => void;

const index = fc.nat(CALLS - 1);
const names = fc.constantFrom(["a"], ["a"], ["b"], ["a", "b"], ["b", "a"]);
const calls = fc.constantFrom(0, 1, 1, 2, 3, 2_000_000_000);

const rows: fc.Arbitrary<ModelRow[]> = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom(1, 2, 3, 4),
    group: fc.constantFrom(1, 1, 1, 2),
    uri: fc.constantFrom("sip:x", "sip:X", "sip:y", "sip:z"),
    pool: fc.constantFrom(undefined, undefined, "p", "q"),
    capacities: fc.constantFrom({ a: 2 }, { a: 3, b: 2 }, { a: 3 }, { b: 4 }, { a: 5, b: 5 }),
  }),
  { selector: ({ id }) => id, maxLength: 4 },
);

/** Does something to a row of the table and one of its resources. */
function withSlot(act: (pair: Pair, row: ModelRow, cell: number, resource: string) => void): fc.Arbitrary<Operation> {
  return fc.tuple(fc.nat(3), fc.constantFrom(...NAMES)).map(([which, resource]) => (pair) => {
    const modelRow = pair.model.rows[which % Math.max(1, pair.model.rows.length)];
    if (modelRow === undefined || !(resource in modelRow.capacities)) return;
    act(pair, modelRow, cell(pair.balancer.destination(modelRow.id)!, resource)!, resource);
  });
}

function counted(amount: number): number {
  return Math.min(amount, 1_000_000_000);
}

const operations: { weight: number; arbitrary: fc.Arbitrary<Operation> }[] = [
  {
    weight: 10,
    arbitrary: fc
      .tuple(index, fc.constantFrom(1, 1, 1, 2), names, fc.constantFrom("", "", "n"))
      .map(([i, group, names, flags]) => (pair) => {
        pair.same("start", pair.balancer.start(pair.calls[i]!, group, names.join(";"), flags), pair.model.start(i, group, names, flags));
      }),
  },
  { weight: 4, arbitrary: index.map((i) => (pair) => pair.same("next", pair.balancer.next(pair.calls[i]!), pair.model.next(i))) },
  {
    weight: 6,
    arbitrary: index.map((i) => (pair) => pair.same("reselect", pair.balancer.reselect(pair.calls[i]!), pair.model.reselect(i))),
  },
  {
    weight: 5,
    arbitrary: index.map((i) => (pair) => {
      pair.balancer.release(pair.calls[i]!);
      pair.model.release(i);
    }),
  },
  {
    weight: 8,
    arbitrary: calls.chain((amount) =>
      withSlot((pair, modelRow, cell, resource) => {
        pair.balancer.setRemoteLoad(cell, amount);
        pair.model.remote.set(pair.model.slot(modelRow, resource), counted(amount));
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: calls.chain((amount) =>
      withSlot((pair, modelRow, cell, resource) => {
        pair.balancer.feed(cell, pair.balancer.capacity(cell), amount);
        pair.model.foreign.set(pair.model.slot(modelRow, resource), counted(amount));
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: index.chain((i) =>
      withSlot((pair, modelRow, _, resource) => {
        const { ip, port } = pair.balancer.destination(modelRow.id)!.addresses[0]!;
        assert.equal(pair.balancer.countCall(pair.calls[i]!, ip, port, modelRow.group, resource), 1);
        pair.model.count(i, modelRow, resource);
      }),
    ),
  },
  {
    // A call goes on as another: it has died with its node, or was handed over.
    weight: 5,
    arbitrary: fc.tuple(index, index, fc.boolean()).map(([from, to, isEnded]) => (pair) => {
      const held = pair.balancer.held(pair.calls[from]!);
      if (isEnded) {
        pair.balancer.release(pair.calls[from]!);
        pair.model.release(from);
      }
      if (pair.calls[to]!.leases.length > 20) return;
      pair.same("adopt", Math.sign(pair.balancer.adopt(pair.calls[to]!, held)), Math.sign(held.length));
      pair.model.adopt(to, held);
    }),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(index, fc.constantFrom(NOWHERE, "9 1 sip:x", "1 1 sip:y", "2 2 sip:z"), fc.constantFrom(...NAMES, "c/s"), fc.boolean())
      .map(([i, key, resource, picked]) => (pair) => {
        const held = [{ key, resource, picked }];
        assert.equal(pair.balancer.adopt(pair.calls[i]!, held), 1);
        pair.model.adopt(i, held);
      }),
  },
  { weight: 4, arbitrary: rows.map((rows) => (pair) => pair.reload(rows)) },
];

const run = fc.array(fc.oneof(...operations), { minLength: 20, maxLength: 120, size: "max" });

describe("a balancer in a cluster against a model that counts from nothing", () => {
  it("has the same loads, picks and holdings after every one of many random steps, and ends at zero", () => {
    const codes = new Set<string>();
    fc.assert(
      fc.property(rows, run, (initial, operations) => {
        const pair = new Pair();
        pair.reload(initial);
        pair.compare();
        for (const operation of operations) {
          operation(pair);
          pair.compare();
        }
        for (const [i, call] of pair.calls.entries()) {
          pair.balancer.release(call);
          pair.model.release(i);
        }
        pair.compare();
        for (const name of [...NAMES, "c/s"]) assert.equal(pair.balancer.profileSize(name) ?? 0, 0);
        for (const code of pair.codes) codes.add(code);
      }),
      { numRuns: 250 },
    );
    const wanted = [
      "start 1",
      "start -2",
      "start -3",
      "start -4",
      "next 1",
      "next -1",
      "reselect 1",
      "reselect -2",
      "reselect -1",
      "adopt 1",
    ];
    assert.deepEqual(
      wanted.filter((code) => !codes.has(code)),
      [],
    );
  });

  it("names rows as the balancer does", () => {
    const pair = new Pair();
    pair.reload([{ id: 3, group: 2, uri: "sip:X", pool: undefined, capacities: { a: 1 } }]);
    assert.equal(pair.balancer.destination(3)?.key, keyOf({ id: 3, group: 2, uri: "sip:X" }));
  });
});
