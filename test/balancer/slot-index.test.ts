import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, CallLoad, type DestinationRow } from "../../src/balancer/index.ts";
import { type History, numbersFrom, runHistory } from "./index-oracle.ts";
import { balancerOf, newCall } from "./support.ts";

function runAll(histories: readonly History[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const history of histories) {
    for (const [name, count] of Object.entries(runHistory(history))) sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

/** Another one each time: a failure names it. */
const seed = Number(process.env.HEADROOM_SEED ?? Date.now() & 0xffffff);

describe(`an index over slots, against looking at each candidate (HEADROOM_SEED=${seed})`, () => {
  it("chooses the same, by the same chance, in thousands of histories of small farms", () => {
    const next = numbersFrom(seed);
    const sums = runAll(
      Array.from({ length: 2_000 }, (_, i) => ({ seed: seed + i, rows: 1 + next(i % 4 === 0 ? 60 : 12), steps: 120, indexFrom: 1 })),
    );
    for (const [name, count] of Object.entries(sums)) assert.ok(count > 1_000, `${name}: ${count}`);
  });

  it("chooses the same among thousands of destinations", () => {
    const sizes = [100, 257, 700, 1_500, 4_097];
    const sums = runAll(sizes.map((rows, i) => ({ seed: seed + 7_000 + i, rows, steps: 6_000, indexFrom: 100 })));
    assert.ok(sums["picks"]! > 5_000, `${sums["picks"]} picks`);
  });
});

function farmOf(destinations: number, attrs: (row: number) => string | undefined = () => undefined): Balancer {
  const balancer = new Balancer({ below: (n) => n >> 1, nowMs: () => 0 });
  const rows = Array.from({ length: destinations }, (_, i): DestinationRow => {
    const resources = [{ name: "t", capacity: 20 + (i % 7) }];
    return { id: i + 1, group: 1, uri: `sip:${i}.farm`, resources, probeMode: 0, attrs: attrs(i), description: undefined, addresses: [] };
  });
  balancer.replaceTable(rows);
  return balancer;
}

describe("an index over the slots of many destinations", () => {
  it("is up to date after more changes than are remembered", () => {
    const balancer = farmOf(300);
    const calls = Array.from({ length: 3_000 }, newCall);
    balancer.start(newCall(), 1, "t", "r");
    for (const call of calls) balancer.start(call, 1, "t");
    for (const call of calls) balancer.release(call);
    const call = newCall();
    balancer.start(call, 1, "t", "r");
    const { chosen } = balancer.describe(1, "t", "r");
    assert.equal(call.destination?.id, 2);
    assert.equal(chosen, 3);
  });

  it("passes over all that a session has tried, down to the last", () => {
    const balancer = balancerOf(Array.from({ length: 250 }, (_, i) => ({ id: i + 1, resources: "t=5" })));
    const call = newCall();
    const picks = [balancer.start(call, 1, "t")].map(() => call.destination?.id);
    while (balancer.next(call) === 1) picks.push(call.destination?.id);
    assert.deepEqual(
      picks,
      Array.from({ length: 250 }, (_, i) => i + 1),
    );
    assert.equal(balancer.start(newCall(), 1, "t"), 1);
  });

  for (const flags of ["", "rs"]) {
    it(`allocates nothing for a pick, with flags "${flags}"`, () => {
      const balancer = farmOf(2_000, (row) => (row % 3 === 0 ? `priority=1;weight=${1 + (row % 2)}` : undefined));
      const call = newCall();
      const growth = smallestGrowth(() => {
        balancer.start(call, 1, "t", flags);
        balancer.release(call);
      }, 100_000);
      assert.ok(growth < 1, `${growth} bytes a pick`);
    });
  }

  it("takes calls whose session has tried others, and gives them back", () => {
    const balancer = farmOf(2_000);
    const call = new CallLoad();
    call.opened = true;
    balancer.start(call, 1, "t");
    balancer.next(call);
    const second = call.destination!.id;
    balancer.release(call);
    const other = newCall();
    balancer.start(other, 1, "t");
    assert.deepEqual([second, other.destination!.id], [14, 7]);
  });
});

/** Of several rounds, as other work of the process makes it look larger; a round with a collection in it does not count. */
function smallestGrowth(step: () => void, times: number): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < times; i++) step();
    const growth = process.memoryUsage().heapUsed - before;
    if (growth >= 0) smallest = Math.min(smallest, growth / times);
  }
  return smallest;
}
