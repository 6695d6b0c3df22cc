import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallStorm, type StormCall } from "../support/call-storm.ts";
import { type Cluster, startCluster, untilLoads } from "../support/cluster.ts";
import { CountingCallee } from "../support/counting-callee.ts";
import type { Headroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";

const CALLS = 500;

interface Bench {
  readonly cluster: Cluster;
  readonly callees: readonly CountingCallee[];
  readonly storm: CallStorm;
}

async function withBench(loadSharing: string, run: (bench: Bench) => Promise<void>): Promise<void> {
  const callees = await Promise.all([1, 2].map((k) => CountingCallee.open(`127.0.21.${60 + k}`)));
  const storm = await CallStorm.open("127.0.21.60");
  const cluster = await startCluster({
    rows: callees.map(({ uri }) => ({ uri, resources: `pstn=${CALLS}` })),
    cluster: { load_sharing: loadSharing },
  });
  try {
    await run({ cluster, callees, storm });
  } finally {
    await cluster.close();
    await storm.close();
    await Promise.all(callees.map((callee) => callee.close()));
  }
}

/** What a node did in its last moment, some 20 ms, dies with it: what is asked here is what becomes of calls that are up. */
async function untilWritten(node: Headroom): Promise<void> {
  await waitFor("its calls are in Redis", 3_000, async () => {
    const { Cluster: state } = (await node.mi("lb_list")) as { Cluster: { unsynced_dialogs: number } };
    return state.unsynced_dialogs === 0;
  });
}

async function makeCalls({ storm, cluster }: Bench, node: number, count: number): Promise<StormCall[]> {
  const calls: StormCall[] = [];
  for (let made = 0; made < count; made += 50) {
    const some = await Promise.all(Array.from({ length: 50 }, () => storm.call(cluster.nodes[node]!)));
    for (const call of some) if (call !== undefined) calls.push(call);
  }
  assert.equal(calls.length, count);
  return calls;
}

describe("dialogs survive their node", () => {
  for (const sharing of ["shared", "exact"]) {
    it(`kill -9 of a node with 500 calls: BYEs sent to a survivor end them, and every load is 0 (${sharing})`, async () => {
      await withBench(sharing, async (bench) => {
        const { cluster, callees, storm } = bench;
        const calls = await makeCalls(bench, 0, CALLS);
        await untilLoads(cluster, [CALLS / 2, CALLS / 2]);
        await untilWritten(cluster.nodes[0]!);
        await cluster.nodes[0]!.kill();
        const survivors = { nodes: cluster.nodes.slice(1) };
        // Half of them at once, while nobody knows yet that it is dead; the others when its calls were adopted.
        await Promise.all(calls.slice(0, CALLS / 2).map((call) => storm.hangUp(call, survivors.nodes[0]!)));
        const left = callees.map((callee) => callee.calls);
        assert.equal(left[0]! + left[1]!, CALLS / 2);
        await untilLoads(survivors, left, 8_000);
        await Promise.all(calls.slice(CALLS / 2).map((call) => storm.hangUp(call, survivors.nodes[1]!)));
        assert.deepEqual(
          callees.map((callee) => callee.calls),
          [0, 0],
        );
        await untilLoads(survivors, [0, 0]);
        assert.deepEqual([storm.counts.byesAnswered, storm.counts.silent, [...storm.counts.byesRefused]], [CALLS, 0, []]);
        for (const node of survivors.nodes) await node.untilIdle();
      });
    });
  }

  it("takes a BYE on another node than that of the INVITE, while both live, from either side of the cluster", async () => {
    await withBench("shared", async (bench) => {
      const { cluster, callees, storm } = bench;
      const calls = await makeCalls(bench, 1, 50);
      await untilLoads(cluster, [25, 25]);
      await Promise.all(calls.map((call, i) => storm.hangUp(call, cluster.nodes[i % 3]!)));
      assert.deepEqual([storm.counts.byesAnswered, [...storm.counts.byesRefused]], [50, []]);
      assert.equal(callees[0]!.calls + callees[1]!.calls, 0);
      await untilLoads(cluster, [0, 0]);
      for (const node of cluster.nodes) await node.untilIdle();
    });
  });

  it("takes a BYE without a Route on another node, by its Call-ID, while the call's node lives and after it was killed", async () => {
    await withBench("shared", async (bench) => {
      const { cluster, callees, storm } = bench;
      const calls = await makeCalls(bench, 1, 50);
      await untilLoads(cluster, [25, 25]);
      await Promise.all(calls.slice(0, 25).map((call) => storm.hangUp(call, cluster.nodes[0]!, true)));
      await untilWritten(cluster.nodes[1]!);
      await cluster.nodes[1]!.kill();
      await Promise.all(calls.slice(25).map((call) => storm.hangUp(call, cluster.nodes[2]!, true)));
      assert.deepEqual([storm.counts.byesAnswered, [...storm.counts.byesRefused]], [50, []]);
      assert.equal(callees[0]!.calls + callees[1]!.calls, 0);
      await untilLoads({ nodes: [cluster.nodes[0]!, cluster.nodes[2]!] }, [0, 0], 6_000);
      const left = (await cluster.redis.cli("KEYS", "*:call:*")) as string[];
      assert.deepEqual(left, [], "names of calls are left in Redis");
    });
  });

  it("counts the calls of a killed node on until they end, and again when it comes back itself", async () => {
    await withBench("shared", async (bench) => {
      const { cluster, storm } = bench;
      const calls = await makeCalls(bench, 2, 100);
      await untilLoads(cluster, [50, 50]);
      await untilWritten(cluster.nodes[2]!);
      await cluster.nodes[2]!.restart("SIGKILL");
      await untilLoads(cluster, [50, 50], 6_000);
      await Promise.all(calls.map((call) => storm.hangUp(call)));
      await untilLoads(cluster, [0, 0]);
      assert.deepEqual([storm.counts.byesAnswered, [...storm.counts.byesRefused]], [100, []]);
    });
  });

  it("ends calls by time-out at the node that has the tag, when their own has died", async () => {
    const callee = await CountingCallee.open("127.0.21.65");
    const storm = await CallStorm.open("127.0.21.66");
    const cluster = await startCluster({
      rows: [{ uri: callee.uri, resources: "pstn=50" }],
      cluster: { load_sharing: "shared" },
      config: "dialog: { default_timeout: 9 }",
    });
    try {
      for (let i = 0; i < 20; i++) await storm.call(cluster.nodes[2]!);
      await untilLoads(cluster, [20]);
      await untilWritten(cluster.nodes[2]!);
      await cluster.nodes[2]!.kill();
      await waitFor("the destination was hung up on", 15_000, () => callee.calls === 0);
      await untilLoads({ nodes: cluster.nodes.slice(0, 2) }, [0]);
      assert.equal(callee.strangeByes, 0, "BYEs came twice");
    } finally {
      await cluster.close();
      await storm.close();
      await callee.close();
    }
  });
});
