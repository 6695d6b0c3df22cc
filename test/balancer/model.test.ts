import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  Balancer,
  type CallLoad,
  type Destination,
  type DestinationRow,
  Looks,
  parseResources,
  type TableView,
} from "../../src/balancer/index.ts";
import { Model, type ModelDestination, type ModelOptions } from "./model.ts";
import { newCall } from "./support.ts";

const CALLS = 8;
const IDS = [1, 2, 3, 4, 5];
const NAMES = ["a", "b", "c"];
const PORTS = [5060, 5080];
const CAUSES = ["mi", "script", "probe", "drain"] as const;

interface Branch {
  destination: Destination;
  cells: readonly number[];
  model: ModelDestination;
  names: string[];
}

/** A balancer and the model, driven side by side. */
class Pair {
  readonly faults: string[] = [];
  readonly model: Model;
  readonly balancer: Balancer;
  readonly calls: CallLoad[] = Array.from({ length: CALLS }, newCall);
  readonly branches: Branch[][] = Array.from({ length: CALLS }, () => []);
  readonly #looks = new Looks(1, () => 0);
  #taken = 0;

  constructor(failOpen: boolean, maxCallsPerSecond: number, indexFrom: number) {
    this.model = new Model(CALLS, failOpen, maxCallsPerSecond);
    this.balancer = new Balancer({
      below: (n) => this.model.draw % n,
      onFault: (text) => this.faults.push(text),
      nowMs: () => this.model.now,
      maxCallsPerSecond,
      failOpen,
      indexFrom,
      looks: this.#looks,
    });
  }

  reload(rows: readonly Sketch[]): void {
    this.balancer.replaceTable(rows.map(({ row }) => row));
    this.model.reload(
      rows.map(({ row }) => row),
      new Map(rows.map(({ row, options }) => [row, options])),
    );
  }

  /** What the last start or next looked at, if it did. */
  #lookTaken(): TableView | undefined {
    if (this.#looks.taken === this.#taken) return undefined;
    this.#taken = this.#looks.taken;
    return this.#looks.of("")[0]?.view;
  }

  /** Compares an answer, and after a choice the destination, what was told of it, and that nothing was oversubscribed. */
  chose(index: number, got: number, want: number): void {
    assert.equal(got, want);
    const call = this.calls[index]!;
    const modelCall = this.model.calls[index]!;
    const view = this.#lookTaken();
    if (got === 1 || got === -2) {
      assert.deepEqual([view?.code, view?.chosen], [got, call.destination?.id]);
      assert.deepEqual(
        view?.destinations.filter(({ skipped }) => skipped === undefined).map(({ id }) => id) ?? [],
        got === 1 ? [view?.chosen] : [],
      );
      if (view!.equals.length > 0) assert.ok(view!.equals.includes(view!.chosen!));
    }
    assert.equal(call.destination?.id, modelCall.destination?.id);
    assert.equal(this.balancer.attrs(call), call.destination?.attrs ?? "");
    if (got !== 1) return;
    const cells = this.balancer.pickedCells(call);
    for (const cell of cells) {
      if (modelCall.session!.flags.includes("n")) continue;
      assert.ok(this.balancer.load(cell) <= this.balancer.maxLoad(cell), "oversubscribed");
      assert.ok(this.balancer.ownLoad(cell) <= this.balancer.ownMaxLoad(cell), "more than its share");
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
    for (const [i, row] of model.rows.entries()) {
      const { key, disabled, noAutoReenable } = row;
      const destination = balancer.destinations()[i]!;
      const held = this.calls.flatMap(({ leases }) => leases);
      const cells = balancer.cellsOf(destination);
      assert.equal(new Set(cells).size, cells.length);
      assert.equal(held.filter((cell) => cells.includes(cell)).length, model.ownLoads(key));
      assert.equal(
        cells.reduce((sum, cell) => sum + balancer.ownLoad(cell), 0),
        model.ownLoads(key),
        `all that counts on ${key}, out of sight too`,
      );
      const holders = this.calls.filter(({ leases }) => leases.some((cell) => cells.includes(cell)));
      assert.equal(balancer.calls(destination), holders.length, "calls, each once");
      assert.equal(balancer.isAvailable(destination), model.isUp(row));
      assert.equal(balancer.isDraining(destination), row.draining);
      assert.equal(balancer.breaker(destination) === "closed", row.trials === undefined);
      assert.equal(balancer.restsUntilMs(destination), row.restUntil > model.now ? row.restUntil : 0);
      assert.equal(balancer.capacityFactor(destination), row.factor);
      assert.equal(balancer.isEnabled(destination), !disabled);
      assert.equal(balancer.isAutoReenable(destination), !noAutoReenable);
      for (const { name, cell } of destination.resources) {
        assert.equal(balancer.maxLoad(cell), model.maxLoad(row, name));
        assert.equal(balancer.ownMaxLoad(cell), model.ownMaxLoad(row, name));
        assert.equal(balancer.capacity(cell), model.capacity(row, name).max);
        assert.equal(balancer.load(cell), model.load(row, name), `load of ${name} on ${key}`);
        assert.equal(balancer.ownLoad(cell), model.ownLoad(key, name));
        assert.ok(balancer.load(cell) >= 0);
      }
    }
    for (const id of IDS) for (const name of NAMES) assert.equal(balancer.profileSize(name, id) ?? 0, model.profileSize(id, name));
  }
}

type Operation = (pair: Pair) => void;

interface Sketch {
  row: DestinationRow;
  options: ModelOptions;
}

const callIndex = fc.nat(CALLS - 1);
const group = fc.constantFrom(1, 1, 1, 2, 300);
const requested = fc.oneof(
  { weight: 9, arbitrary: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom(...NAMES, "nosuch"), { maxLength: 3 }) },
);
const flags = fc.constantFrom("", "", "s", "s", "r", "rs", "n", "ns", "nrs", "x");
const draw = fc.nat(1000);

/** A third of the rows say nothing to the balancer. */
const options: fc.Arbitrary<ModelOptions> = fc.oneof(fc.constant({ pool: undefined, tier: 0, weight: 100n, cps: undefined }), {
  weight: 2,
  arbitrary: fc.record({
    pool: fc.constantFrom(undefined, undefined, "p", "q"),
    tier: fc.constantFrom(0, 0, 1, 7),
    weight: fc.constantFrom(100n, 100n, 200n, 50n, 33n, 1n),
    cps: fc.constantFrom(undefined, undefined, undefined, 0, 1, 3),
  }),
});

function attrsOf({ pool, tier, weight, cps }: ModelOptions): string {
  const items = [`attrs`];
  if (pool !== undefined) items.push(`shared=${pool}`);
  if (tier !== 0) items.push(`priority=${tier}`);
  if (weight !== 100n) items.push(`weight=${Number(weight) / 100}`);
  if (cps !== undefined) items.push(`cps=${cps}`);
  return items.join(";");
}

/** Rows whose ids, groups, URIs and addresses collide and come back often. */
const rows: fc.Arbitrary<Sketch[]> = fc.uniqueArray(
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
      options,
    })
    .map(({ id, group, host, resources, port, options }) => ({
      id,
      options,
      row: {
        id,
        group,
        uri: `sip:${id}.${host}`,
        resources: parseResources(resources.map(([name, capacity]) => `${name}=${capacity}`).join(";")),
        probeMode: 0 as const,
        attrs: attrsOf(options),
        description: undefined,
        addresses: [{ ip: `192.0.2.${Math.ceil(id / 2)}`, port, transport: "udp" as const }],
      },
    })),
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
    weight: 2,
    arbitrary: callIndex.map(
      (index) => (pair) => assert.equal(pair.balancer.disableDestination(pair.calls[index]!), pair.model.disable(index)),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(callIndex, callIndex, fc.constantFrom(...CAUSES)).map(([index, other, cause]) => (pair) => {
      const { id } = pair.calls[index]!.destination ?? { id: 9 };
      for (const each of [index, other]) {
        assert.equal(pair.balancer.disableDestination(pair.calls[each]!), pair.model.disable(each));
        assert.equal(pair.balancer.setStatus(id, true, cause), pair.model.setStatus(id, true, cause));
      }
    }),
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
    arbitrary: rows.map((rows) => (pair) => pair.reload(rows)),
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
    arbitrary: fc.tuple(fc.constantFrom(...IDS, 9), fc.boolean(), fc.constantFrom(...CAUSES)).map(
      ([id, enabled, cause]) =>
        (pair) =>
          assert.equal(pair.balancer.setStatus(id, enabled, cause), pair.model.setStatus(id, enabled, cause)),
    ),
  },
  { weight: 4, arbitrary: fc.constantFrom(1, 100, 400, 999, 1000).map((ms) => (pair) => pair.model.pass(ms)) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...IDS, 9), fc.boolean()).map(
      ([id, draining]) =>
        (pair) =>
          assert.equal(pair.balancer.setDraining(id, draining), pair.model.set(id, { draining })),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...IDS, 9), fc.constantFrom(undefined, undefined, 0, 1, 2)).map(([id, trials]) => (pair) => {
      const state = trials === undefined ? "closed" : trials === 0 ? "open" : { trials };
      assert.equal(pair.balancer.setBreaker(id, state), pair.model.set(id, { trials }));
    }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...IDS, 9), fc.constantFrom(-1, 0, 300, 2500)).map(([id, ms]) => (pair) => {
      const restUntil = pair.model.now + ms;
      assert.equal(pair.balancer.restUntil(id, restUntil), pair.model.set(id, { restUntil }));
    }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...IDS, 9), fc.constantFrom(0, 0.1, 0.5, 0.9, 1)).map(
      ([id, factor]) =>
        (pair) =>
          assert.equal(pair.balancer.setCapacityFactor(id, factor), pair.model.set(id, { factor })),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(group, requested, flags).map(([group, names, flags]) => (pair) => {
      const found = pair.model.peek(group, names, flags);
      const view = pair.balancer.describe(group, names.join(";"), flags);
      const best = found.best.map(({ row }) => row.id);
      assert.deepEqual(
        [view.code, view.chosen, view.equals, view.failedOpen],
        [found.code, best[0], best.length > 1 ? best : [], found.failedOpen],
      );
    }),
  },
];

/** Candidates are kept in order, or looked at one by one, or now one, now the other. */
const indexFrom = fc.constantFrom(1, 1, 3, Number.POSITIVE_INFINITY);

const run = fc.array(fc.oneof(...operations), { minLength: 40, maxLength: 160, size: "max" });

describe("the balancer against a model that counts from nothing", () => {
  it("answers the same codes, picks, loads and statuses after every one of many random steps, and ends at zero", () => {
    const codes = new Map<string, number>();
    let steps = 0;
    fc.assert(
      fc.property(
        rows,
        run,
        fc.boolean(),
        fc.constantFrom(0, 0, 0, 2),
        indexFrom,
        (initial, operations, failOpen, maxCallsPerSecond, from) => {
          const pair = new Pair(failOpen, maxCallsPerSecond, from);
          pair.reload(initial);
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
        },
      ),
      { numRuns: 200 },
    );
    assert.ok(steps > 10_000, `${steps} steps`);
    for (const code of [
      ...["selected", "no_capacity", "no_destination", "bad_resource", "internal_error", "uncounted", "failed_open"],
      ...["disables", "disables_stale"],
    ]) {
      assert.ok((codes.get(code) ?? 0) > 5, `${code} came ${codes.get(code)} times`);
    }
  });
});
