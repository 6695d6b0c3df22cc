import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { TICK_MS } from "../../src/transaction/index.ts";
import { INTERVAL_MS, ProbeBench, row } from "./probe-bench.ts";

const MAX_ID = 120;

/** What one reload does, after so much time. */
interface Reload {
  readonly afterMs: number;
  /** "add" one or more rows; "keep" only the rows whose ids are next to each other; "replace" all rows by others. */
  readonly what: "add" | "keep" | "replace";
  readonly count: number;
}

/** How many rows there were from when on. */
type History = { readonly atMs: number; readonly rows: number }[];

async function answeringBench(rows: readonly ReturnType<typeof row>[], fastIntervalMs = 0): Promise<ProbeBench> {
  const bench = await ProbeBench.started(rows, { fastIntervalMs });
  for (let id = 1; id <= MAX_ID; id++) bench.behaviours.set(`192.0.2.${id}`, 200);
  return bench;
}

/** Asserts of every window that begins with a probe that it has at most twice its share, and one more. */
function assertSpread(times: readonly number[], windowMs: number, most: (fromMs: number) => number): void {
  for (const [i, fromMs] of times.entries()) {
    let count = 0;
    while (i + count < times.length && times[i + count]! < fromMs + windowMs - 2 * TICK_MS) count++;
    assert.ok(count <= most(fromMs), `${count} probes within ${windowMs} ms from ${fromMs}, at most ${most(fromMs)} are wanted`);
  }
}

/** Most rows that there were in the window, or in the interval before: probes of these are due. */
function mostRows(history: History, fromMs: number): number {
  let most = 0;
  for (const [i, { rows }] of history.entries()) {
    const untilMs = history[i + 1]?.atMs ?? Number.POSITIVE_INFINITY;
    if (untilMs >= fromMs && history[i]!.atMs <= fromMs + INTERVAL_MS / 10) most = Math.max(most, rows);
  }
  return most;
}

describe("probes of rows that come and go with reloads", () => {
  it("come no more than twice their share in any tenth of the interval, one row a reload", async () => {
    for (const everyMs of [10, 333, 3_000, INTERVAL_MS]) {
      const ids = [1];
      const bench = await answeringBench([row(1, 2)]);
      for (let id = 2; id <= 60; id++) {
        bench.run(everyMs);
        ids.push(id);
        bench.reload(ids.map((one) => row(one, 2)));
      }
      const from = bench.nowMs;
      bench.run(2 * INTERVAL_MS);
      const times = bench.probes.map(({ atMs }) => atMs).filter((atMs) => atMs >= from);
      assert.ok(Math.abs(times.length - 120) <= 1, `${times.length} probes`);
      assertSpread(times, INTERVAL_MS / 10, () => 2 * 6 + 1);
    }
  });

  it("come no more than twice their share in any tenth of the interval, whatever the reloads do", async () => {
    const reload = fc.record({
      afterMs: fc.oneof(fc.integer({ min: 10, max: 2_000 }), fc.integer({ min: 2_000, max: 2 * INTERVAL_MS })),
      what: fc.constantFrom<Reload["what"]>("add", "add", "keep", "replace"),
      count: fc.integer({ min: 1, max: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.array(reload, { maxLength: 12 }), async (first, reloads) => {
        let ids = Array.from({ length: first }, (_, i) => i + 1);
        let last = first;
        const bench = await answeringBench(ids.map((id) => row(id, 2)));
        const history: History = [{ atMs: 0, rows: first }];
        for (const { afterMs, what, count } of reloads) {
          bench.run(afterMs);
          if (what === "keep") ids = ids.slice(0, count);
          else if (what === "replace") ids = [];
          for (let k = 0; what !== "keep" && k < count && ids.length < MAX_ID; k++) ids.push((last++ % MAX_ID) + 1);
          ids = [...new Set(ids)];
          bench.reload(ids.map((id) => row(id, 2)));
          history.push({ atMs: bench.nowMs, rows: ids.length });
        }
        bench.run(2 * INTERVAL_MS);
        const times = bench.probes.map(({ atMs }) => atMs);
        // A window with a reload in it has parts of two spreads: each may have one probe more.
        const reloadsIn = (fromMs: number): number =>
          history.filter(({ atMs }) => atMs > fromMs && atMs <= fromMs + INTERVAL_MS / 10).length;
        assertSpread(times, INTERVAL_MS / 10, (fromMs) => (2 * mostRows(history, fromMs)) / 10 + 1 + reloadsIn(fromMs));
        assert.deepEqual(bench.faults, []);
        const afterLast = times.filter((atMs) => atMs > history.at(-1)!.atMs);
        assert.ok(Math.abs(afterLast.length - 2 * ids.length) <= 1, "each row has its turn in each interval");
      }),
      { numRuns: 150 },
    );
  });

  it("keep their turns when the rows that go leave no crowd behind", async () => {
    const bench = await answeringBench(Array.from({ length: 30 }, (_, i) => row(i + 1, 2)));
    bench.reload(Array.from({ length: 15 }, (_, i) => row(2 * i + 2, 2)));
    bench.run(2 * INTERVAL_MS - TICK_MS);
    for (let id = 2; id <= 30; id += 2) {
      for (const [k, atMs] of bench.timesOf(id).entries()) {
        assert.ok(Math.abs(atMs - (k + (id - 1) / 30) * INTERVAL_MS) <= 2 * TICK_MS);
      }
    }
  });
});

describe("probes at the fast interval", () => {
  for (const fastIntervalMs of [1_000, 2_000, 7_000]) {
    it(`of ${fastIntervalMs} ms come no more than twice their share in any tenth of it, when all destinations go down at a time`, async () => {
      for (const count of [1, 15, 60]) {
        const bench = await answeringBench(
          Array.from({ length: count }, (_, i) => row(i + 1, 1)),
          fastIntervalMs,
        );
        bench.run(1.5 * INTERVAL_MS);
        for (let id = 1; id <= count; id++) {
          bench.behaviours.set(`192.0.2.${id}`, 503);
          bench.balancer.setStatus(id, false, "script");
        }
        const from = bench.nowMs;
        bench.run(10 * fastIntervalMs);
        const times = bench.probes.map(({ atMs }) => atMs).filter((atMs) => atMs >= from);
        assert.ok(times.length >= 9 * count, `${times.length} probes of ${count}`);
        // Slots come in between, as ever.
        const most = (2 * count) / 10 + 1 + Math.ceil((2 * count * fastIntervalMs) / (10 * INTERVAL_MS)) + 1;
        assertSpread(times, fastIntervalMs / 10, () => most);
        for (let id = 1; id <= count; id++) {
          const own = bench.timesOf(id);
          assert.ok(own[0]! <= from + fastIntervalMs + 2 * TICK_MS, "the first within the fast interval");
          for (const [i, atMs] of own.slice(1).entries()) {
            const gap = atMs - own[i]!;
            assert.ok(gap >= fastIntervalMs / 2 - 2 * TICK_MS && gap <= 1.5 * fastIntervalMs + 2 * TICK_MS, `gap ${gap}`);
          }
        }
      }
    });
  }
});
