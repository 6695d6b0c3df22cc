import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { LuaScript } from "../../../src/cluster/ports.ts";
import { withLink } from "../../support/link.ts";
import { waitFor } from "../../support/net.ts";
import { freeTcpPort, type RedisServer, startRedis } from "../../support/redis-server.ts";

const SET: LuaScript = { name: "test_set", lua: "return redis.call('SET', KEYS[1], ARGV[1])" };
const PASSWORD = "p@ss/wörd %41";
const ESCAPED = encodeURIComponent(PASSWORD);

/** A Redis Cluster of one node: what matters is how one talks to it. */
function oneNodeCluster(port: number): string[] {
  return [
    "--cluster-enabled",
    "yes",
    "--cluster-port",
    String(port),
    "--cluster-node-timeout",
    "500",
    "--cluster-announce-ip",
    "127.0.0.1",
  ];
}

describe("a link to a Redis that wants a password", () => {
  it("is let in, and the password is in no log line and no error", async () => {
    await withLink({ args: ["--requirepass", PASSWORD], password: PASSWORD }, async ({ link, redis, up, logged }) => {
      await up(1);
      assert.equal(await link.command("SET", "a", "b"), "OK");
      const refused = await link.command("AUTH", `${PASSWORD}x`).then(
        () => undefined,
        (error: Error) => error,
      );
      assert.match(refused?.message ?? "", /WRONGPASS/);
      assert.deepEqual(Object.keys(refused ?? {}), []); // ioredis puts the arguments into its errors
      await redis.stop();
      await waitFor("the loss", 500, () => !link.isUp);
      assert.equal(link.shownUrl, `redis://127.0.0.1:${redis.port}`);
      for (const line of logged) assert.ok(!line.includes(PASSWORD) && !line.includes(ESCAPED) && !line.includes("wörd"), line);
      assert.ok(logged.length >= 2);
    });
  });

  it("is not let in with a wrong one, says so once, and tries again", async () => {
    const url = (redis: RedisServer): string => `redis://:wrong-secret@127.0.0.1:${redis.port}`;
    await withLink({ args: ["--requirepass", PASSWORD], password: PASSWORD, url }, async ({ link, redis, up, logged }) => {
      await waitFor("some attempts", 3000, () => link.counters.failed_attempts >= 3);
      assert.equal(logged.length, 1);
      assert.match(logged[0] ?? "", /^Redis cannot be reached .*WRONGPASS/);
      await redis.cli("CONFIG", "SET", "requirepass", "wrong-secret");
      await up(1);
      for (const line of logged) assert.ok(!line.includes("wrong-secret"), line);
    });
  });
});

describe("a link to a Redis that is of no use", () => {
  it("stays down as long as it is a replica", async () => {
    await withLink({ args: ["--replicaof", "127.0.0.1", "1"] }, async ({ link, redis, up, logged }) => {
      await waitFor("some attempts", 3000, () => link.counters.failed_attempts >= 2);
      assert.match(logged[0] ?? "", /not a master/);
      await redis.cli("REPLICAOF", "NO", "ONE");
      await up(1);
      await redis.cli("REPLICAOF", "127.0.0.1", "1"); // it became one meanwhile
      await assert.rejects(link.command("SET", "a", "b"), { name: "LinkError" });
      assert.equal(link.isUp, false);
    });
  });
});

describe("a link to Redis behind Sentinels", () => {
  it("follows the master when it dies", async () => {
    const replica = await startRedis();
    const sentinelPort = await freeTcpPort();
    let sentinel: RedisServer | undefined;
    try {
      const dead = await freeTcpPort(); // the first Sentinel of the list is down
      const url = (): string => `redis+sentinel://127.0.0.1:${dead},127.0.0.1:${sentinelPort}/farm`;
      await withLink({ url }, async ({ link, redis, up, downs }) => {
        await replica.cli("REPLICAOF", "127.0.0.1", redis.port);
        const config = join(replica.folder, "sentinel.conf");
        const words = ["down-after-milliseconds farm 300", "failover-timeout farm 2000", `monitor farm 127.0.0.1 ${redis.port} 1`];
        await writeFile(config, [words[2], words[0], words[1]].map((line) => `sentinel ${line}\n`).join(""));
        await chmod(config, 0o600);
        sentinel = await startRedis({ port: sentinelPort, sentinelConfig: config });
        await up(1, 3000);
        await link.command("SET", "a", "b");
        await waitFor("the replica to be known and to have all", 15_000, async () => {
          const [replicas, info] = [await sentinel?.cli("SENTINEL", "REPLICAS", "farm"), await replica.cli("INFO", "replication")];
          return (
            (replicas as unknown[]).length === 1 && /master_link_status:up/.test(String(info)) && (await replica.cli("GET", "a")) === "b"
          );
        });
        await redis.stop();
        await waitFor("the loss", 500, () => downs.count === 1);
        await up(2, 15_000);
        assert.equal(await link.command("GET", "a"), "b");
        assert.equal(await link.command("SET", "a", "c"), "OK");
        assert.equal(await replica.cli("GET", "a"), "c");
      });
    } finally {
      await sentinel?.close();
      await replica.close();
    }
  });
});

describe("a link to a Redis Cluster", () => {
  it("sends commands and scripts to the shard of their keys, and receives messages", async () => {
    const port = await freeTcpPort();
    const bus = await freeTcpPort();
    const redis = await startRedis({ port, args: oneNodeCluster(bus) });
    try {
      await redis.cli("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
      await waitFor("the cluster", 5000, async () => /cluster_state:ok/.test(String(await redis.cli("CLUSTER", "INFO"))));
      const url = (): string => `redis+cluster://127.0.0.1:${port}`;
      await withLink({ url }, async ({ link, up, downs }) => {
        const heard: string[] = [];
        link.subscribe("channel", (message) => heard.push(message));
        await up(1, 3000);
        assert.equal(await link.command("hset", "{a}:hash", "b", "c"), 1);
        assert.deepEqual(await link.command("hgetall", "{a}:hash"), ["b", "c"]);
        assert.equal(await link.run(SET, ["{b}:text"], ["x"]), "OK");
        await redis.cli("SCRIPT", "FLUSH");
        assert.equal(await link.run(SET, ["{b}:text"], ["y"]), "OK");
        assert.equal(await link.command("get", "{b}:text"), "y");
        await assert.rejects(link.command("mget", "{a}", "{b}"), /CROSSSLOT/);
        link.publish("channel", "hello");
        await waitFor("the message", 1000, () => heard.length === 1);
        assert.ok((link.rttMs ?? 0) >= 0);
        await redis.restart();
        await waitFor("the loss", 1000, () => downs.count === 1);
        await waitFor("the cluster", 5000, async () => /cluster_state:ok/.test(String(await redis.cli("CLUSTER", "INFO"))));
        await up(2, 3000);
        assert.equal(await link.run(SET, ["{b}:text"], ["z"]), "OK");
        redis.pause();
        await waitFor("the loss", 2500, () => downs.count === 2);
        redis.resume();
        await up(3, 3000);
      });
    } finally {
      await redis.close();
    }
  });
});
