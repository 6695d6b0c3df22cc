import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CallStorm } from "../support/call-storm.ts";
import { type Cluster, startCluster, untilLoads } from "../support/cluster.ts";
import { CountingCallee } from "../support/counting-callee.ts";
import { waitFor } from "../support/net.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

/** After Redis is back, all nodes agree within this. */
const AGREE_MS = 2_000;
const CALLS_PER_SECOND = 20;
const HOLD_MS = 500;

/** A test process that stands still for a second must not look like a dead destination. */
const PATIENT = 'tm: { fr_timeout: 5 }\nrouting: { rules: [{ group: 1, resources: "pstn", disable_on: [] }] }';

interface ClusterState {
  readonly redis: string;
}

async function redisStates({ nodes }: Pick<Cluster, "nodes">): Promise<string[]> {
  return Promise.all(nodes.map(async (node) => ((await node.mi("lb_list")) as { Cluster: ClusterState }).Cluster.redis));
}

async function statuses({ nodes }: Pick<Cluster, "nodes">): Promise<string[]> {
  return Promise.all(
    nodes.map(async (node) => (await node.list()).map((row) => `${row.id} ${row.enabled} ${row["auto-reenable"]}`).join(", ")),
  );
}

async function untilAgreed(cluster: Pick<Cluster, "nodes">, timeoutMs: number): Promise<string> {
  let seen: string[] = [];
  await waitFor("all nodes agree", timeoutMs, async () => {
    seen = await statuses(cluster);
    return new Set(seen).size === 1;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${seen.join(" | ")}`);
  });
  return seen[0]!;
}

function rowsOf(callee: CountingCallee): { uri: string; resources: string }[] {
  return [callee.uri, "sip:127.0.21.79:7001", "sip:127.0.21.79:7002", "sip:127.0.21.79:7003"].map((uri, i) => ({
    uri,
    resources: i === 0 ? "pstn=100" : "conf=100",
  }));
}

for (const [sharing, outageMs] of [
  ["shared", 20_000],
  ["exact", 8_000],
] as const) {
  describe(`Redis stopped for ${outageMs / 1000} s under load, loads ${sharing}`, () => {
    it("no call fails because of it, and afterwards all nodes agree on statuses and loads", async () => {
      const callee = await CountingCallee.open("127.0.21.70");
      const storms = await Promise.all([1, 2, 3].map((k) => CallStorm.open(`127.0.21.${70 + k}`)));
      const cluster = await startCluster({ rows: rowsOf(callee), cluster: { load_sharing: sharing }, config: PATIENT });
      try {
        const load = Promise.all(storms.map((storm, i) => storm.storm(cluster.nodes[i]!, CALLS_PER_SECOND, outageMs + 6_000, HOLD_MS)));
        await sleep(1_500);
        await cluster.redis.stop();
        await waitFor("every node tells that Redis is lost", 4_000, async () =>
          (await redisStates(cluster)).every((state) => state === "lost"),
        );
        // Each decides something alone.
        await cluster.nodes[0]!.mi("lb_status", [2, 0]);
        await cluster.nodes[1]!.mi("lb_status", [3, 0]);
        await cluster.nodes[2]!.mi("lb_status", [4, 0]);
        await cluster.nodes[1]!.mi("lb_status", [2, 1]); // on a node that does not know of the other
        await sleep(outageMs - 4_000);
        await cluster.nodes[0]!.mi("lb_status", [4, 1]);
        await cluster.redis.restart();
        await waitFor("every node has Redis again", 3_000, async () =>
          (await redisStates(cluster)).every((state) => state === "connected"),
        );
        const agreed = await untilAgreed(cluster, AGREE_MS);
        assert.match(agreed, /3 no off/);
        await load;
        for (const { counts } of storms) assert.deepEqual([counts.silent, [...counts.refused], [...counts.byesRefused]], [0, [], []]);
        assert.ok(storms.reduce((total, { counts }) => total + counts.answered, 0) > (outageMs * CALLS_PER_SECOND * 3) / 1000);
        await untilLoads(cluster, [0, 0, 0, 0], AGREE_MS);
        assert.equal(callee.calls, 0);
        for (const node of cluster.nodes) await node.untilIdle();
      } finally {
        await cluster.close();
        await Promise.all(storms.map((storm) => storm.close()));
        await callee.close();
      }
    });
  });
}

describe("a node that is cut off from Redis", () => {
  it("goes on with its calls, probes nothing, and agrees with the others within 2 s of its return", async () => {
    const callee = await CountingCallee.open("127.0.21.75");
    const storm = await CallStorm.open("127.0.21.76");
    let proxy: Awaited<ReturnType<typeof startTcpProxy>> | undefined;
    const cluster = await startCluster({
      rows: rowsOf(callee),
      cluster: { load_sharing: "shared" },
      beforeNodes: async (redisPort) => {
        proxy = await startTcpProxy(redisPort);
      },
      redisPort: (nodeId, redisPort) => (nodeId === 3 ? proxy!.port : redisPort),
    });
    try {
      const calls = [];
      for (let i = 0; i < 10; i++) calls.push(await storm.call(cluster.nodes[2]!));
      await untilLoads(cluster, [10, 0, 0, 0]);
      proxy!.drop();
      await waitFor("it knows", 4_000, async () => (await redisStates(cluster))[2] === "lost");
      await cluster.nodes[2]!.mi("lb_status", [2, 0]);
      await cluster.nodes[0]!.mi("lb_status", [3, 0]);
      await sleep(5_000); // its lease is over: the others have adopted its calls by now
      for (const call of calls.slice(0, 5)) await storm.hangUp(call!); // it still serves them itself
      const another = await storm.call(cluster.nodes[2]!);
      assert.ok(another !== undefined);
      proxy!.heal();
      await waitFor("it has Redis again", 3_000, async () => (await redisStates(cluster))[2] === "connected");
      const agreed = await untilAgreed(cluster, AGREE_MS);
      assert.match(agreed, /2 no off, 3 no off/);
      await untilLoads(cluster, [6, 0, 0, 0], AGREE_MS);
      for (const call of [...calls.slice(5), another]) await storm.hangUp(call!, cluster.nodes[0]!);
      await untilLoads(cluster, [0, 0, 0, 0], AGREE_MS);
      assert.deepEqual([storm.counts.byesAnswered, storm.counts.silent, [...storm.counts.byesRefused]], [11, 0, []]);
      assert.equal(callee.calls, 0);
    } finally {
      await cluster.close();
      proxy?.close();
      await storm.close();
      await callee.close();
    }
  });
});

describe("Redis in other trouble", () => {
  it("unreachable at start: the node takes calls, and joins when Redis comes", async () => {
    const callee = await CountingCallee.open("127.0.21.77");
    const storm = await CallStorm.open("127.0.21.78");
    const cluster = await startCluster({ rows: rowsOf(callee), nodes: 2, cluster: { load_sharing: "exact" } });
    try {
      await cluster.redis.stop();
      const beganMs = performance.now();
      await cluster.nodes[1]!.restart("SIGTERM");
      assert.ok(performance.now() - beganMs < 8_000);
      const call = await storm.call(cluster.nodes[1]!);
      assert.ok(call !== undefined);
      await cluster.redis.restart();
      await waitFor("it has joined", 5_000, async () => (await redisStates(cluster)).every((state) => state === "connected"));
      await untilLoads(cluster, [1, 0, 0, 0]);
      await storm.hangUp(call);
      await untilLoads(cluster, [0, 0, 0, 0]);
    } finally {
      await cluster.close();
      await storm.close();
      await callee.close();
    }
  });

  it("flushed: every node writes again what it knows, and no call notices", async () => {
    const callee = await CountingCallee.open("127.0.21.77");
    const storm = await CallStorm.open("127.0.21.78");
    const cluster = await startCluster({ rows: rowsOf(callee), cluster: { load_sharing: "exact" } });
    try {
      await cluster.nodes[0]!.mi("lb_status", [2, 0]);
      await untilAgreed(cluster, AGREE_MS);
      const calls = await Promise.all([0, 0, 1, 1, 2].map((node) => storm.call(cluster.nodes[node]!)));
      await untilLoads(cluster, [5, 0, 0, 0]);
      await cluster.redis.flush();
      await sleep(AGREE_MS);
      assert.match(await untilAgreed(cluster, 100), /2 no off/);
      await untilLoads(cluster, [5, 0, 0, 0]);
      await cluster.nodes[2]!.kill(); // what was written again is enough to survive
      await Promise.all(calls.map((call) => storm.hangUp(call!, cluster.nodes[1]!)));
      await untilLoads({ nodes: cluster.nodes.slice(0, 2) }, [0, 0, 0, 0], 6_000);
      assert.equal(callee.calls, 0);
    } finally {
      await cluster.close();
      await storm.close();
      await callee.close();
    }
  });

  it("slow: a call waits 50 ms for it at most, and soon not at all", async () => {
    const callee = await CountingCallee.open("127.0.21.77");
    const storm = await CallStorm.open("127.0.21.78");
    let proxy: Awaited<ReturnType<typeof startTcpProxy>> | undefined;
    const cluster = await startCluster({
      rows: rowsOf(callee),
      nodes: 2,
      cluster: { load_sharing: "exact" },
      beforeNodes: async (redisPort) => {
        proxy = await startTcpProxy(redisPort);
      },
      redisPort: (nodeId, redisPort) => (nodeId === 2 ? proxy!.port : redisPort),
    });
    try {
      proxy!.delay(300);
      await sleep(2_000); // that it is slow is noticed within this time; until then a call may wait half a second
      for (let i = 0; i < 20; i++) {
        const beganMs = performance.now();
        const call = await storm.call(cluster.nodes[1]!);
        const tookMs = performance.now() - beganMs;
        assert.ok(call !== undefined);
        assert.ok(tookMs < 150, `the call took ${tookMs.toFixed(0)} ms`);
        await storm.hangUp(call);
      }
      await waitFor("it tells so", 3_000, async () => (await redisStates(cluster))[1] === "slow");
      proxy!.heal();
      await waitFor("and that it is over", 3_000, async () => (await redisStates(cluster))[1] === "connected");
      await untilLoads(cluster, [0, 0, 0, 0]);
    } finally {
      await cluster.close();
      proxy?.close();
      await storm.close();
      await callee.close();
    }
  });

  it("lost with fail_closed: calls of exact resources are refused 503, others go on", async () => {
    const callee = await CountingCallee.open("127.0.21.77");
    const storm = await CallStorm.open("127.0.21.78");
    const cluster = await startCluster({
      rows: [{ uri: callee.uri, resources: "pstn/s=10;free=10" }],
      nodes: 2,
      cluster: { redis_lost: "fail_closed" },
      config: 'routing: { rules: [{ match: { ruri_user: "^free" }, group: 1, resources: "free" }, { group: 1, resources: "pstn/s" }] }',
    });
    try {
      const call = await storm.call(cluster.nodes[0]!);
      assert.ok(call !== undefined);
      await cluster.redis.stop();
      await waitFor("it is lost", 4_000, async () => (await redisStates(cluster)).every((state) => state === "lost"));
      assert.equal(await storm.call(cluster.nodes[0]!), undefined);
      assert.deepEqual([...storm.counts.refused], [[503, 1]]);
      const free = await storm.call(cluster.nodes[0]!, "free");
      assert.ok(free !== undefined);
      await storm.hangUp(free);
      await storm.hangUp(call); // what is up goes on
      assert.equal(callee.calls, 0);
    } finally {
      await cluster.close();
      await storm.close();
      await callee.close();
    }
  });
});
