import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type LoopDelays, startDelayMonitor, startLoopMonitor } from "../../src/transport/loop-monitor.ts";
import { waitFor } from "../support/net.ts";

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe("the monitor of the event loop", () => {
  it("sees a standstill and its length, and how busy the loop was", async () => {
    const samples: { lagMs: number; utilization: number }[] = [];
    const stop = startLoopMonitor(50, (sample) => samples.push(sample));
    try {
      await waitFor("two samples", 2_000, () => samples.length >= 2);
      samples.length = 0;
      block(300);
      // Timers that were due before may have their turn before the one that sees it.
      await waitFor("a sample that shows it", 2_000, () => samples.some(({ lagMs }) => lagMs >= 250));
      assert.ok(samples.every(({ lagMs }) => lagMs < 3_000));
      await waitFor("one that shows how busy the loop was", 2_000, () => samples.some((sample) => sample.utilization > 0.5));
      for (const { utilization } of samples) assert.ok(utilization >= 0 && utilization <= 1);
    } finally {
      stop();
    }
    const { length } = samples;
    await new Promise((resolve) => setTimeout(resolve, 120));
    assert.equal(samples.length, length, "it tells nothing once it is stopped");
  });

  it("sees each of standstills that follow each other without a break, and a single one once", async () => {
    const samples: number[] = [];
    const stop = startLoopMonitor(50, ({ lagMs }) => samples.push(lagMs));
    try {
      for (let n = 0; n < 5; n++) {
        block(100);
        await new Promise((resolve) => setImmediate(resolve));
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok(samples.filter((lagMs) => lagMs >= 80).length >= 4, String(samples));
      await waitFor("the end of them", 2_000, () => samples.at(-1)! < 80);
      samples.length = 0;
      block(400);
      await waitFor("three samples", 2_000, () => samples.length >= 3);
      assert.equal(samples.filter((lagMs) => lagMs >= 350).length, 1, String(samples));
    } finally {
      stop();
    }
  });

  it("tells the delays of each interval apart, without what lies between two looks anyhow", async () => {
    const told: LoopDelays[] = [];
    const stop = startDelayMonitor((delays) => told.push(delays), 200);
    try {
      await waitFor("an interval", 2_000, () => told.length >= 1);
      await new Promise((resolve) => setTimeout(resolve, 50));
      told.length = 0;
      block(300);
      await waitFor("the one that shows it", 2_000, () => told.some(({ maxMs }) => maxMs >= 250));
      await waitFor("one without it", 5_000, () => told.at(-1)!.maxMs < 250);
      for (const { p50Ms, p99Ms, maxMs } of told) assert.ok(p50Ms >= 0 && p50Ms <= p99Ms && p99Ms <= maxMs);
    } finally {
      stop();
    }
    const { length } = told;
    await new Promise((resolve) => setTimeout(resolve, 450));
    assert.equal(told.length, length, "it tells nothing once it is stopped");
  });
});
