import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Keys } from "../../src/cluster/keys.ts";
import { type InnerNode, type InnerNodeOptions, innerNode } from "../support/inner-node.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const PASSWORD = "not-for-the-log";
/** A round trip to Redis, ms: long enough for calls to come in between. */
const FAR_MS = 150;
const KEYS = new Keys(1);

describe("a server in a cluster", () => {
  let redis: RedisServer;
  let peers: UdpPeer[];
  let nodes: InnerNode[];

  beforeEach(async () => {
    nodes = [];
    redis = await startRedis({ args: ["--requirepass", PASSWORD], password: PASSWORD });
    peers = await Promise.all([2, 3, 4].map((host) => UdpPeer.open(`127.0.34.${host}`)));
  });

  afterEach(async () => {
    redis.resume();
    await Promise.all(nodes.map((node) => node.close()));
    await Promise.all(peers.map((peer) => peer.close()));
    await redis.close();
  });

  async function make(nodeId: number, cluster: InnerNodeOptions["cluster"] = {}, tag: string | null = null): Promise<InnerNode> {
    const address = `127.0.34.${10 + nodeId}`;
    const uris = [callee(0), callee(1)].map(({ sentBy }) => `sip:${sentBy}`);
    const node = await innerNode({ address, uris, tag, cluster: { node_id: nodeId, redis_url: redis.url, ...cluster } });
    nodes.push(node);
    return node;
  }

  async function started(nodeId: number, cluster: InnerNodeOptions["cluster"] = {}, tag: string | null = null): Promise<InnerNode> {
    const node = await make(nodeId, cluster, tag);
    await node.start();
    return node;
  }

  function callee(i: 0 | 1): UdpPeer {
    return peers[i + 1] as UdpPeer;
  }

  it("joins, takes over what the cluster knows, and takes calls only then; its password is in no log", async () => {
    const first = await started(1);
    await first.mi("lb_status", 1, 0);
    await first.stop();
    await using proxy = await startTcpProxy(redis.port);
    proxy.delay(FAR_MS / 2);
    const node = await make(2, { redis_url: redis.url.replace(`:${redis.port}`, `:${proxy.port}`) });
    const caller = peers[0] as UdpPeer;
    const starting = node.start();
    let isStarted = false;
    void starting.then(() => {
      isStarted = true;
    });
    // A caller that does not wait: each of these is another call, some of them while the node joins.
    let early = 0;
    while (!isStarted) {
      caller.send(request({ uri: `sip:service@${node.address}:${node.port}`, sentBy: caller.sentBy }), node);
      early++;
      await sleep(10);
    }
    assert.ok(early > 20, `${early} calls came before it had started`);
    await waitFor("it takes calls", 3_000, () => {
      caller.send(request({ uri: `sip:service@${node.address}:${node.port}`, sentBy: caller.sentBy }), node);
      return callee(1).count("INVITE") > 0;
    });
    assert.equal(callee(0).count("INVITE"), 0, "a call went where the cluster wants none");
    for (const invite of callee(1).received) callee(1).send(responseTo(invite, 486, { toTag: "busy" }), node);
    assert.doesNotMatch(`${first.log}${node.log}`, new RegExp(PASSWORD));
  });

  it("refuses to start with the id of a living node, and closes what it has opened", async () => {
    const first = await started(1);
    const twin = await make(1);
    await assert.rejects(twin.start(), /node id "1" is in use by a living node at udp:127\.0\.34\.11:\d+/);
    assert.deepEqual((await first.cluster())["nodes"], [1]);
  });

  it("leaves when it is stopped: what was decided is in Redis, others know at once, its command for a backup has run", async () => {
    const [one, two] = [await started(1, { sharing_tags: ["vip/1=active"], on_tag_backup: "echo gone > FOLDER/out" }), await started(2)];
    await waitFor("it has the tag", 5_000, async () => (await one.cluster())["tags"]?.toString() !== "" && /is active/.test(one.log));
    await waitFor("they see each other", 3_000, async () => String((await one.cluster())["nodes"]) === "1,2");
    await one.mi("lb_status", 2, 0);
    const startedAt = performance.now();
    await one.stop();
    assert.ok(performance.now() - startedAt < 1_500, `the stop took ${performance.now() - startedAt} ms`);
    assert.equal(one.written("out"), "gone\n");
    await waitFor("the other knows", 500, async () => String((await two.cluster())["nodes"]) === "2");
    assert.match(String(await redis.cli("HGETALL", KEYS.status)), /"enabled":false/);
    await sleep(1_000);
    assert.doesNotMatch(one.log, /Redis is lost|cannot stop/);
  });

  it("leaves what comes while its last command runs to whoever has its calls and its address then", async () => {
    const one = await started(1, {
      sharing_tags: ["vip/1=active"],
      on_tag_backup: "[ $HEADROOM_EPOCH = 0 ] || { echo begun > FOLDER/out; sleep 1; }",
    });
    await started(2);
    await waitFor("it has the tag", 5_000, () => /is active/.test(one.log));
    const caller = peers[0] as UdpPeer;
    await one.mi("lb_status", 1, 0);
    const call = await establish(one, caller, callee(1));
    const stopping = one.stop();
    await waitFor("the command runs", 3_000, () => one.written("out") !== "");
    caller.send(call.fromCaller("BYE", 2), one);
    await stopping;
    assert.deepEqual([callee(1).count("BYE"), caller.received.filter((text) => headerOf(text, "CSeq") === "2 BYE").map(statusOf)], [0, []]);
  });

  for (const [name, trouble, limitMs] of [
    ["dead", () => redis.stop(), 1_500],
    ["paused", async () => redis.pause(), 5_000],
  ] as const) {
    it(`stops in time while Redis is ${name}, and runs the command`, async () => {
      const one = await started(1, { sharing_tags: ["vip/1=active"], on_tag_backup: "echo gone > FOLDER/out" });
      await waitFor("it has the tag", 5_000, () => /is active/.test(one.log));
      await trouble();
      await one.mi("lb_status", 2, 0);
      const startedAt = performance.now();
      await one.stop();
      assert.ok(performance.now() - startedAt < limitMs, `the stop took ${performance.now() - startedAt} ms`);
      assert.equal(one.written("out"), "gone\n");
    });
  }

  it("says that Redis is lost, and why, while Redis takes nothing, and that it is there once it does again", async () => {
    const one = await started(1);
    await redis.cli("CONFIG", "SET", "maxmemory", 1);
    await waitFor("it says so", 3_000, async () => (await one.cluster())["redis"] === "lost");
    assert.match(one.log, /Redis refuses the beats of this node/);
    assert.match(one.log, /OOM/);
    await redis.cli("CONFIG", "SET", "maxmemory", 0);
    await waitFor("it has it again", 3_000, async () => (await one.cluster())["redis"] === "connected");
    assert.equal(one.log.match(/Redis refuses the beats/g)?.length, 1);
  });
});
