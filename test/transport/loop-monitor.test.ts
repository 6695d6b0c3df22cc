import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startLoopMonitor } from "../../src/transport/loop-monitor.ts";
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
      await waitFor("two more samples", 2_000, () => samples.length >= 2);
      const worst = Math.max(...samples.slice(0, 2).map(({ lagMs }) => lagMs));
      assert.ok(worst >= 250 && worst < 3_000, `${worst} ms`);
      assert.ok(samples.slice(0, 2).some(({ utilization }) => utilization > 0.5));
      for (const { utilization } of samples) assert.ok(utilization >= 0 && utilization <= 1);
    } finally {
      stop();
    }
    const { length } = samples;
    await new Promise((resolve) => setTimeout(resolve, 120));
    assert.equal(samples.length, length, "it tells nothing once it is stopped");
  });
});
