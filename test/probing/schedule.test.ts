import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TICK_MS } from "../../src/transaction/index.ts";
import { INTERVAL_MS, ProbeBench, row, TIMEOUT_MS } from "./probe-bench.ts";

const MANY = 60;

function many(count = MANY): ReturnType<typeof row>[] {
  return Array.from({ length: count }, (_, i) => row(i + 1, 2));
}

function answering(bench: ProbeBench, count = MANY): ProbeBench {
  for (let id = 1; id <= count; id++) bench.behaviours.set(`192.0.2.${id}`, 200);
  return bench;
}

function gaps(times: readonly number[]): number[] {
  return times.slice(1).map((time, i) => time - times[i]!);
}

/** An interval, give or take the ticks of the wheel. */
function assertInterval(ms: number): void {
  assert.ok(Math.abs(ms - INTERVAL_MS) <= 2 * TICK_MS, `${ms} ms between two probes`);
}

describe("probes", () => {
  it("are spread over the interval: never two of them at a time, none without its turn", async () => {
    const bench = answering(await ProbeBench.started(many()));
    bench.run(3 * INTERVAL_MS - 10);
    const times = bench.sent.map(({ atMs }) => atMs);
    assert.equal(times.length, 3 * MANY);
    for (const gap of gaps(times)) assert.ok(Math.abs(gap - INTERVAL_MS / MANY) <= 20, `gap ${gap}`);
    for (let id = 1; id <= MANY; id++) for (const gap of gaps(bench.timesOf(id))) assertInterval(gap);
  });

  it("are moved at random by the jitter, each about a slot that stays", async () => {
    const bench = answering(await ProbeBench.started(many(), { jitter: 0.2 }));
    bench.run(20 * INTERVAL_MS);
    const moved = new Set<number>();
    for (let id = 1; id <= MANY; id++) {
      const slot = ((id - 1) * INTERVAL_MS) / MANY;
      for (const [k, time] of bench.timesOf(id).entries()) {
        const offset = time - (slot + k * INTERVAL_MS);
        assert.ok(Math.abs(offset) <= 0.2 * INTERVAL_MS + 20, `destination ${id}, probe ${k}: ${offset} ms`);
        moved.add(Math.round(offset / 1_000));
      }
    }
    assert.equal(moved.size, 13, "every second from -6 to 6 was seen");
  });

  it("of a destination do not overtake each other with the largest jitter", async () => {
    const bench = answering(await ProbeBench.started([row(1, 2)], { jitter: 0.5 }), 1);
    bench.run(200 * INTERVAL_MS);
    const times = bench.timesOf(1);
    assert.ok(times.length >= 199 && times.length <= 201, `${times.length} probes`);
    for (const [k, time] of times.entries()) assert.ok(Math.abs(time - k * INTERVAL_MS) <= INTERVAL_MS / 2 + 20);
  });

  it("come at the fast interval while a destination fails or comes back, and then in their old slot again", async () => {
    const bench = await ProbeBench.started([row(1, 2), row(2, 2), row(3, 2)], { fastIntervalMs: 2_000, fall: 3, rise: 2 });
    answering(bench, 3);
    bench.run(INTERVAL_MS);
    bench.behaviours.set("192.0.2.2", 500);
    bench.run(INTERVAL_MS / 3 + 100); // its slot
    bench.run(4_100);
    assert.equal(bench.isEnabled(2), false, "three bad probes within two fast intervals");
    bench.run(20_000);
    bench.behaviours.set("192.0.2.2", 200);
    bench.run(4_200);
    assert.equal(bench.isEnabled(2), true, "two good probes within two fast intervals");
    bench.run(3 * INTERVAL_MS);
    const times = bench.timesOf(2);
    for (const gap of gaps(times)) assert.ok(gap <= INTERVAL_MS, `gap ${gap}`);
    for (const time of times.slice(-3)) assert.ok((time - INTERVAL_MS / 3) % INTERVAL_MS <= 20, `${time} is a slot`);
    for (const gap of gaps(bench.timesOf(1))) assertInterval(gap);
  });

  it("come soon after a script disabled the destination, with a fast interval", async () => {
    const bench = await ProbeBench.started([row(1, 1)], { fastIntervalMs: 1_000 });
    bench.behaviours.set("192.0.2.1", 200);
    bench.run(INTERVAL_MS + 5_000);
    bench.balancer.setStatus(1, false, "script");
    bench.run(1_100);
    assert.equal(bench.isEnabled(1), true);
  });

  it("take no notice of a fast interval that is longer than the interval", async () => {
    const bench = await ProbeBench.started([row(1, 2)], { fastIntervalMs: 2 * INTERVAL_MS });
    bench.run(4 * INTERVAL_MS - 10);
    for (const gap of gaps(bench.timesOf(1))) assertInterval(gap);
  });
});

describe("an interval shorter than the time-out", () => {
  it("does not wait for the probe before: the destination is back within one interval", async () => {
    const bench = await ProbeBench.started([row(1, 2)], { intervalMs: 1_000 });
    bench.run(TIMEOUT_MS + 5_000);
    assert.equal(bench.isEnabled(1), false);
    assert.ok(bench.prober.underWay > 1);
    bench.behaviours.set("192.0.2.1", 200);
    bench.run(1_020);
    assert.equal(bench.isEnabled(1), true);
  });

  it("forgets the older probes when a later one is answered: their time-out does not disable it again", async () => {
    const bench = await ProbeBench.started([row(1, 2)], { intervalMs: 1_000 });
    bench.run(4_100);
    assert.equal(bench.probes.length, 5);
    bench.reply(bench.probes[4]!, 200);
    assert.equal(bench.prober.underWay, 0);
    assert.equal(bench.prober.counters.overtaken, 4);
    bench.behaviours.set("192.0.2.1", 200);
    bench.run(2 * TIMEOUT_MS);
    assert.equal(bench.changes.length, 0);
  });

  it("has a bounded number of probes of one destination under way", async () => {
    const bench = await ProbeBench.started([row(1, 2)], { intervalMs: 1_000, timeoutMs: 600_000 });
    bench.run(60_000);
    assert.equal(bench.prober.underWay, 8);
    assert.ok(bench.prober.counters.skipped_busy > 40);
  });
});

describe("a stop", () => {
  it("ends every timer and probe, and closes the sockets", async () => {
    const bench = await ProbeBench.started(many());
    bench.run(INTERVAL_MS / 2);
    assert.ok(bench.prober.underWay > 0);
    await bench.prober.stop();
    assert.equal(bench.wheel.pending, 0);
    assert.equal(bench.prober.underWay, 0);
    assert.ok(bench.sockets.every(({ closed }) => closed));
    const { length } = bench.sent;
    bench.prober.tableChanged();
    bench.run(2 * INTERVAL_MS);
    assert.equal(bench.sent.length, length);
  });
});
