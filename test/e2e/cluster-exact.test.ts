import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CallStorm } from "../support/call-storm.ts";
import { startCluster, untilLoads } from "../support/cluster.ts";
import { CountingCallee } from "../support/counting-callee.ts";

const CAPACITY = 100;
const CALLS_PER_SECOND = 200;
const STORM_MS = 10_000;
const HOLD_MS = 1_000;
/** A slot that was free when a caller was refused may have been taken, or not yet be free, within what the messages are under way. */
const UNDER_WAY_MS = 25;

/** Most calls that there were at some time between the two. */
function mostBetween(history: CountingCallee["history"], fromMs: number, toMs: number): number {
  let most = 0;
  let before = 0;
  for (const { atMs, calls } of history) {
    if (atMs > toMs) break;
    if (atMs >= fromMs) most = Math.max(most, calls);
    else before = calls;
  }
  return Math.max(most, before);
}

for (const resource of ["pstn", "pstn/s"]) {
  describe(`3 nodes, each with 200 calls a second, and a destination for 100 calls counted exactly (resource ${resource})`, () => {
    it("never has more than 100 calls, and refuses nobody while more than one slot is free", async () => {
      const callee = await CountingCallee.open("127.0.21.50");
      const storms = await Promise.all([1, 2, 3].map((k) => CallStorm.open(`127.0.21.${50 + k}`)));
      const cluster = await startCluster({
        rows: [{ uri: callee.uri, resources: `${resource}=${CAPACITY}` }],
        cluster: resource.endsWith("/s") ? {} : { load_sharing: "exact" },
        config: `routing: { rules: [{ group: 1, resources: "${resource}" }] }`,
      });
      try {
        const refusals: number[] = [];
        for (const storm of storms) storm.onRefused = (_status, atMs) => refusals.push(atMs);
        await Promise.all(storms.map((storm, i) => storm.storm(cluster.nodes[i]!, CALLS_PER_SECOND, STORM_MS, HOLD_MS)));
        assert.ok(callee.most <= CAPACITY, `the destination had ${callee.most} calls at once`);
        assert.equal(callee.most, CAPACITY);
        const idle = refusals.map((atMs) => mostBetween(callee.history, atMs - UNDER_WAY_MS, atMs)).filter((calls) => calls < CAPACITY - 1);
        const [begun, answered, silent] = [sum(storms, "begun"), sum(storms, "answered"), sum(storms, "silent")];
        console.log(`${begun} calls, ${answered} answered, ${refusals.length} refused, ${idle.length} of these while a slot was free`);
        assert.equal(silent, 0);
        assert.deepEqual([...new Set(storms.flatMap(({ counts }) => [...counts.refused.keys()]))], [503]);
        assert.ok(refusals.length > 1_000);
        assert.deepEqual(idle, [], "callers were refused while fewer than 99 calls were there");
        assert.equal(callee.calls, 0);
        await untilLoads(cluster, [0]);
        await sleep(100);
        const script = "local n=0 for _,k in ipairs(redis.call('KEYS','*:leases:*')) do n=n+redis.call('ZCARD',k) end return n";
        assert.equal(await cluster.redis.cli("EVAL", script, 0), 0, "leases are left in Redis");
      } finally {
        await cluster.close();
        await Promise.all(storms.map((storm) => storm.close()));
        await callee.close();
      }
    });
  });
}

function sum(storms: readonly CallStorm[], name: "begun" | "answered" | "silent"): number {
  return storms.reduce((total, { counts }) => total + counts[name], 0);
}
