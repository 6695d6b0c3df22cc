import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CallStorm } from "../support/call-storm.ts";
import { type Cluster, startCluster, untilLoads } from "../support/cluster.ts";
import { CountingCallee } from "../support/counting-callee.ts";

const CAPACITY = 100;
const CALLS_PER_SECOND = 200;
const HOLD_MS = 1_000;
/** Calls that began together end up to this share of the time they are held apart. */
const SPREAD = 0.9;
/** Of a caller that was refused it is looked whether places were free all the time since it asked, ms at least: what the loads say travels as well. */
const WINDOW_MS = 100;
const SAMPLE_MS = 5;
/** A look that comes so late, ms, says that the machine did something else; so may a node have, and callers that were refused near it are not judged. */
const PAUSE_MS = 30;
const PAUSE_NEAR_MS = 250;
/** At the beginning places are taken that Redis does not know yet: their reservations are on the way, all at once. */
const RAMP_MS = 1_000;
/** Share of the places that is taken on average, as Redis has it: a place that became free is taken again at once. */
const WANTED_SHARE = 0.95;

/** Places that were taken at some time. */
interface Sample {
  readonly atMs: number;
  readonly taken: number;
}

/** Looks again and again how many places are taken in Redis, until it is stopped. */
function watchLeases({ redis }: Cluster): { readonly samples: readonly Sample[]; stop(): Promise<void> } {
  const samples: Sample[] = [];
  let isStopped = false;
  const ended = (async () => {
    let key: string | undefined;
    while (!isStopped) {
      key ??= ((await redis.cli("KEYS", "*:leases:*")) as string[])[0];
      if (key !== undefined) samples.push({ taken: Number(await redis.cli("ZCARD", key)), atMs: performance.now() });
      await sleep(SAMPLE_MS);
    }
  })();
  return {
    samples,
    stop() {
      isStopped = true;
      return ended;
    },
  };
}

/** Most places that were taken at a time between the two, or at the last look before. */
function mostTaken(samples: readonly Sample[], fromMs: number, toMs: number): number {
  let most = 0;
  let before = 0;
  for (const { atMs, taken } of samples) {
    if (atMs > toMs) break;
    if (atMs >= fromMs) most = Math.max(most, taken);
    else before = taken;
  }
  return Math.max(most, before);
}

/** When looks were late. */
function pauses(samples: readonly Sample[]): number[] {
  return samples.filter(({ atMs }, i) => atMs - (samples[i - 1]?.atMs ?? atMs) > PAUSE_MS).map(({ atMs }) => atMs);
}

for (const [resource, stormMs] of [
  ["pstn", 10_000],
  ["pstn/s", 4_000],
] as const) {
  describe(`3 nodes, each with 200 calls a second, and a destination for 100 calls counted exactly (resource ${resource})`, () => {
    it("never has more than 100 calls, and refuses nobody while more than one place is free", async () => {
      const callee = await CountingCallee.open("127.0.21.50");
      const storms = await Promise.all([1, 2, 3].map((k) => CallStorm.open(`127.0.21.${50 + k}`)));
      const cluster = await startCluster({
        rows: [{ uri: callee.uri, resources: `${resource}=${CAPACITY}` }],
        cluster: resource.endsWith("/s") ? {} : { load_sharing: "exact" },
        // A test process that stands still for a second must not look like a dead destination.
        config: `tm: { fr_timeout: 5 }\nrouting: { rules: [{ group: 1, resources: "${resource}", disable_on: [] }] }`,
      });
      try {
        const refusals: { askedMs: number; atMs: number }[] = [];
        for (const storm of storms) storm.onRefused = (_status, askedMs, atMs) => refusals.push({ askedMs, atMs });
        const leases = watchLeases(cluster);
        const judgedFromMs = performance.now() + RAMP_MS;
        await Promise.all(storms.map((storm, i) => storm.storm(cluster.nodes[i]!, CALLS_PER_SECOND, stormMs, HOLD_MS, SPREAD)));
        await leases.stop();
        assert.equal(callee.most, CAPACITY, `the destination had ${callee.most} calls at once`);
        assert.ok(leases.samples.every(({ taken }) => taken <= CAPACITY));
        const paused = pauses(leases.samples);
        const isNearPause = (atMs: number): boolean => paused.some((pausedMs) => Math.abs(atMs - pausedMs) < PAUSE_NEAR_MS);
        const judged = refusals.filter(({ atMs }) => atMs >= judgedFromMs && !isNearPause(atMs));
        assert.ok(refusals.length > stormMs / 10); // on a busy machine there may be few to be judged: then the average below has to do
        const idle = judged
          .map(({ askedMs, atMs }) => mostTaken(leases.samples, Math.min(askedMs, atMs - WINDOW_MS), atMs))
          .filter((taken) => taken < CAPACITY - 1);
        const [begun, answered, silent] = [sum(storms, "begun"), sum(storms, "answered"), sum(storms, "silent")];
        console.log(
          `${begun} calls, ${answered} answered, ${refusals.length} refused, of ${judged.length} judged ${idle.length} while two places were free`,
        );
        assert.equal(silent, 0);
        const full = leases.samples.filter(({ atMs }) => atMs >= judgedFromMs && atMs < judgedFromMs - RAMP_MS + stormMs);
        const mean = full.reduce((total, { taken }) => total + taken, 0) / full.length;
        assert.ok(mean >= CAPACITY * WANTED_SHARE, `${mean.toFixed(1)} places were taken on average, by ${full.length} looks`);
        assert.deepEqual([...new Set(storms.flatMap(({ counts }) => [...counts.refused.keys()]))], [503]);
        assert.deepEqual(idle, [], "callers were refused while fewer than 99 places were taken");
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
