import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallStorm, type StormCall } from "../support/call-storm.ts";
import { startCluster, untilLoads } from "../support/cluster.ts";
import { CountingCallee } from "../support/counting-callee.ts";
import { waitFor } from "../support/net.ts";

const CALLS = 60;

describe("a node of a cluster that is killed and starts while Redis is not there", () => {
  it("has its calls from its file; with Redis, which has lost all, every node counts each of them once, and their ends", async () => {
    const callee = await CountingCallee.open("127.0.79.2");
    const storm = await CallStorm.open("127.0.79.3");
    const cluster = await startCluster({
      rows: [{ uri: callee.uri, resources: "pstn=1000" }],
      nodes: 2,
      cluster: { load_sharing: "exact", redis_lost: "fail_open", start_wait: 1 },
      config: "tm: { fr_timeout: 5 }",
    });
    const [first, second] = [cluster.nodes[0]!, cluster.nodes[1]!];
    const pending = async (): Promise<number> =>
      ((await first.mi("get_statistics", [["dialog:persist_pending"]])) as Record<string, number>)["dialog:persist_pending"] ?? Number.NaN;
    try {
      const calls: StormCall[] = [];
      for (let i = 0; i < CALLS; i++) calls.push((await storm.call(first))!);
      await untilLoads(cluster, [CALLS]);
      await waitFor("all is written", 5_000, async () => (await pending()) === 0);

      await cluster.redis.stop();
      await first.restart("SIGKILL");
      assert.deepEqual(await first.loads(), [CALLS]);
      await first.untilLogged(/goes on with all of them/);
      await storm.hangUp(calls.pop()!);
      assert.deepEqual(await first.loads(), [CALLS - 1]);

      await cluster.redis.start();
      await waitFor("the first node is in the cluster", 15_000, async () =>
        (await cluster.loads()).every((loads) => loads?.[0] === CALLS - 1),
      );
      await storm.hangUp(calls.pop()!, second); // a BYE at the other node finds its call
      await Promise.all(calls.map((call) => storm.hangUp(call)));
      await untilLoads(cluster, [0], 10_000);
      assert.deepEqual([callee.calls, callee.strangeByes, storm.counts.byesAnswered, storm.counts.silent], [0, 0, CALLS, 0]);
    } finally {
      await cluster.close();
      await storm.close();
      await callee.close();
    }
  });
});
