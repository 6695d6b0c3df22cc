import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Balancer, BalancerError, CallLoad, type DestinationRow, SharedLoads, TABLE_KEEPER } from "../../src/balancer/index.ts";
import type { HammerReport, HammerWork } from "../support/load-hammer-worker.ts";

const below = (): number => 0;

function row(id: number, capacity: number, attrs?: string): DestinationRow {
  return {
    ...{ id, group: 1, uri: `sip:192.0.2.${id % 250}:${5060 + id}`, probeMode: 0, attrs, description: undefined },
    resources: [
      { name: "pstn", capacity },
      { name: "codec", capacity: capacity + 1 },
    ],
    addresses: [],
  } as unknown as DestinationRow;
}

interface Shared {
  readonly threads: number;
  readonly keeper: Balancer;
  readonly loads: SharedLoads;
  readonly buffer: SharedArrayBuffer;
  thread(self: number, indexFrom?: number): Balancer;
}

function share(threads: number, rows: readonly DestinationRow[]): Shared {
  const buffer = SharedLoads.allocate(threads);
  const loads = new SharedLoads(buffer, threads, TABLE_KEEPER);
  const keeper = new Balancer({ below, shared: loads });
  keeper.replaceTable(rows);
  const thread = (self: number, indexFrom = 100): Balancer => {
    const shared = new SharedLoads(buffer, threads, self);
    shared.learn(loads.names());
    const balancer = new Balancer({ below, shared, indexFrom });
    balancer.replaceTable(rows);
    return balancer;
  };
  return { threads, keeper, loads, buffer, thread };
}

/** Has the first threads do the work. */
async function hammer(
  { buffer, loads, threads }: Shared,
  count: number,
  work: Omit<HammerWork, "buffer" | "threads" | "self" | "names">,
): Promise<HammerReport[]> {
  const workers = Array.from({ length: count }, (_, self) => {
    const workerData: HammerWork = { ...work, buffer, threads, self, names: loads.names() };
    return new Worker(new URL("../support/load-hammer-worker.ts", import.meta.url), { workerData });
  });
  try {
    return await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0] as HammerReport));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function loadsOf(balancer: Balancer): number[] {
  return balancer.destinations().flatMap(({ resources }) => resources.map(({ cell }) => balancer.load(cell)));
}

describe("loads of several threads", () => {
  for (const capacity of [1, 2, 7]) {
    it(`never exceed a capacity of ${capacity}, and end at none, while three real threads pick and release`, async () => {
      const rows = [row(1, capacity), row(2, capacity), row(3, capacity, "shared=a"), row(4, capacity, "shared=a")];
      const shared = share(3, rows);
      const reports = await hammer(shared, 3, {
        ...{ rows, resources: "pstn;codec", flags: "", rounds: 30_000, held: 3 * capacity, indexFrom: 100, dies: false },
      });
      for (const { picks, over, faults } of reports) {
        assert.deepEqual(faults, []);
        assert.equal(over, 0);
        assert.ok(picks > 0);
      }
      assert.deepEqual(loadsOf(shared.keeper), [0, 0, 0, 0, 0, 0, 0, 0]);
    });
  }

  it("never exceed the capacities of many destinations that are kept in order by an index in each thread", async () => {
    const rows = Array.from({ length: 40 }, (_, i) => row(i + 1, 1 + (i % 3)));
    const shared = share(3, rows);
    const reports = await hammer(shared, 3, {
      ...{ rows, resources: "pstn", flags: "rs", rounds: 15_000, held: 60, indexFrom: 2, dies: false },
    });
    for (const { picks, refusals, over, faults } of reports) {
      assert.deepEqual([over, faults], [0, []]);
      assert.ok(picks > 0 && refusals > 0);
    }
    assert.ok(loadsOf(shared.keeper).every((load) => load === 0));
  });

  it("of a thread that has died are taken back, and those of the others stay", async () => {
    const rows = [row(1, 5), row(2, 5, "shared=a")];
    const shared = share(3, rows);
    await hammer(shared, 2, { ...{ rows, resources: "pstn", flags: "n", rounds: 1_001, held: 9, indexFrom: 100, dies: true } });
    const other = shared.thread(2);
    const call = new CallLoad();
    assert.equal(other.start(call, 1, "pstn", "n"), 1);
    shared.loads.takeBack(0);
    shared.loads.takeBack(1);
    const sum = (): number => loadsOf(shared.keeper).reduce((a, b) => a + b, 0);
    assert.equal(sum(), 1);
    other.release(call);
    assert.equal(sum(), 0);
  });

  it("count for every thread at once: what one has taken the others do not choose", () => {
    const { keeper, thread } = share(2, [row(1, 1), row(2, 2)]);
    const [one, two] = [thread(0), thread(1)];
    const calls = [new CallLoad(), new CallLoad(), new CallLoad(), new CallLoad()];
    assert.equal(one.start(calls[0]!, 1, "pstn"), 1);
    assert.equal(two.start(calls[1]!, 1, "pstn"), 1);
    assert.equal(one.start(calls[2]!, 1, "pstn"), 1);
    assert.equal(two.start(calls[3]!, 1, "pstn"), -2);
    assert.deepEqual(
      calls.map(({ destination }) => destination?.id),
      [2, 1, 2, undefined],
    );
    assert.equal(keeper.load(keeper.destination(2)!.resources[0]!.cell), 2);
    two.release(calls[1]!);
    assert.equal(two.startOrNext(calls[3]!, 1, "pstn"), 1);
  });

  it("are seen by the index of another thread, too, however many there were since", () => {
    const rows = Array.from({ length: 5 }, (_, i) => row(i + 1, 10));
    const { thread } = share(2, rows);
    const [one, two] = [thread(0, 2), thread(1, 2)];
    const calls: CallLoad[] = [];
    for (let i = 0; i < 3_000; i++) {
      for (const balancer of i % 2 === 0 ? [one] : [two, one]) {
        const call = new CallLoad();
        const [slots] = [balancer.describe(1, "pstn").code];
        assert.equal(balancer.start(call, 1, "pstn"), slots);
        if (call.destination !== undefined) calls.push(call);
        const free = Math.max(...balancer.destinations().map(({ resources }) => 10 - balancer.load(resources[0]!.cell)));
        if (call.destination !== undefined)
          assert.ok(10 - balancer.load(call.destination.resources[0]!.cell) >= free - 1, "the largest slot was chosen");
      }
      while (calls.length > 40) one.release(calls.shift()!);
    }
  });

  it("follow a capacity that the keeper changes", () => {
    const { keeper, thread } = share(2, [row(1, 1)]);
    const one = thread(0);
    const [a, b] = [new CallLoad(), new CallLoad()];
    assert.equal(one.start(a, 1, "pstn"), 1);
    assert.equal(one.start(b, 1, "pstn"), -2);
    keeper.resize(1, "pstn", 2);
    assert.equal(one.start(b, 1, "pstn"), 1);
    keeper.setCapacityFactor(1, 0);
    assert.equal(one.start(new CallLoad(), 1, "pstn"), -2);
  });

  it("with flag n go above the capacity, and nobody else's slot is taken for free", () => {
    const { keeper, thread } = share(2, [row(1, 1), row(2, 1)]);
    const [one, two] = [thread(0), thread(1)];
    const calls = Array.from({ length: 6 }, () => new CallLoad());
    for (const [i, call] of calls.entries()) assert.equal((i % 2 === 0 ? one : two).start(call, 1, "pstn", "n"), 1);
    assert.deepEqual(
      keeper.destinations().map(({ resources }) => keeper.load(resources[0]!.cell)),
      [3, 3],
    );
  });

  it("survive a reload with the numbers of their cells", () => {
    const { keeper, loads, thread } = share(2, [row(1, 3)]);
    const one = thread(0);
    const call = new CallLoad();
    one.start(call, 1, "pstn");
    keeper.replaceTable([row(2, 3)]);
    keeper.replaceTable([row(2, 3), row(1, 3)]);
    assert.equal(keeper.load(keeper.destination(1)!.resources[0]!.cell), 1);
    assert.equal(new Set(loads.names().map(([, , cell]) => cell)).size, 4);
    one.release(call);
    assert.equal(keeper.load(keeper.destination(1)!.resources[0]!.cell), 0);
  });

  it("of calls that the keeper knows of are counted by it for the audit alone", () => {
    const { keeper, thread } = share(2, [row(1, 3)]);
    const one = thread(0);
    const call = new CallLoad();
    one.start(call, 1, "pstn");
    const mirrored = new CallLoad();
    keeper.adopt(mirrored, one.held(call));
    assert.equal(keeper.load(keeper.destination(1)!.resources[0]!.cell), 1);
    assert.deepEqual(keeper.recount([mirrored]), []);
    assert.deepEqual(one.recount([call]), []);
    keeper.release(mirrored);
    assert.equal(keeper.load(keeper.destination(1)!.resources[0]!.cell), 1);
  });

  it("refuse a destination that changes its pool, and a limit of calls a second, with a sentence", () => {
    const { keeper } = share(2, [row(1, 3)]);
    const isShared = (error: unknown): boolean => error instanceof BalancerError && error.code === "SHARED_TABLE";
    assert.throws(() => keeper.replaceTable([row(1, 3, "shared=a")]), isShared);
    assert.throws(() => keeper.replaceTable([row(2, 3, "cps=3")]), /limits the calls of a second/);
    assert.equal(keeper.destinations().length, 1);
  });
});
