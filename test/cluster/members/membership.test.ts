import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DuplicateNodeError } from "../../../src/cluster/members/membership.ts";
import { openRedisLink } from "../../../src/cluster/redis/redis-link.ts";
import { crash, listLog, type MemberNode, memberNode, memberWorld, REAL_CLOCK, START_MS } from "../../support/member-node.ts";
import { startRedis } from "../../support/redis-server.ts";

function aliveIds({ membership }: Pick<MemberNode, "membership">): number[] {
  return membership
    .nodes()
    .filter(({ isAlive }) => isAlive)
    .map(({ nodeId }) => nodeId);
}

describe("membership", () => {
  it("nodes that join know each other, with all that they say of themselves", async () => {
    const { node, pass } = memberWorld();
    const [a, b] = [node(1), node(2)];
    assert.equal(a.membership.state, "alone");
    assert.deepEqual(await Promise.all([a.membership.join(1000), b.membership.join(1000)]), ["joined", "joined"]);
    await pass(1100);
    assert.deepEqual(
      [aliveIds(a), aliveIds(b)],
      [
        [1, 2],
        [1, 2],
      ],
    );
    const { lastSeenMs, ...view } = a.membership.view(2) ?? { lastSeenMs: 0 };
    assert.deepEqual(view, { ...b.self, isAlive: true, isSelf: false, epoch: 1 });
    assert.ok(lastSeenMs >= START_MS);
    assert.equal(a.membership.view(1)?.isSelf, true);
    assert.deepEqual([a.membership.state, a.membership.rttMs], ["joined", 0]);
    assert.deepEqual(a.seen, ["2 up"]);
  });

  it("a node that crashed is gone after its lease, one that leaves at once", async () => {
    const { node, pass } = memberWorld();
    const [a, b, c] = [node(1), node(2), node(3)];
    for (const { membership } of [a, b, c]) await membership.join(1000);
    await pass(5000);
    crash(b);
    await pass(1900);
    assert.equal(a.membership.isAlive(2), true);
    await pass(1200);
    assert.equal(a.membership.isAlive(2), false);
    const leaving = c.membership.leave();
    await pass(20);
    await leaving;
    assert.equal(a.membership.isAlive(3), false);
    assert.deepEqual(a.seen.slice(-2), ["2 down", "3 down"]);
    assert.equal(a.membership.view(2)?.sip[0], "udp:192.0.2.2:5060", "its addresses are known still");
    const beats = c.membership.counters["beats"];
    await pass(3000);
    assert.equal(c.membership.counters["beats"], beats);
  });

  it("a second node with an id is refused with a sentence that says what to do", async () => {
    const { node, pass } = memberWorld();
    const a = node(7, { incarnation: "first" });
    await a.membership.join(1000);
    const b = node(7, { incarnation: "second" });
    const refused = b.membership.join(1000).then(
      () => undefined,
      (error) => error,
    );
    await pass(1200);
    const error = await refused;
    assert.ok(error instanceof DuplicateNodeError);
    assert.equal(
      error.message,
      'Cannot join cluster 1: node id "7" is in use by a living node at udp:192.0.2.7:5060 (http://192.0.2.7:8080), which was started at 2023-11-14T22:13:20.000Z. Give cluster.node_id another value on one of the two, or stop the other node',
    );
    const sent = b.membership.counters["beats"];
    await pass(4000);
    assert.deepEqual([b.membership.counters["beats"], a.membership.state], [sent, "joined"]);
  });

  it("a restart waits for the lease that a crash left, then joins with a new epoch", async () => {
    const { node, pass } = memberWorld();
    const a = node(7);
    await a.membership.join(1000);
    await pass(500);
    crash(a);
    const b = node(7);
    let joined: string | undefined;
    b.membership.join(1000).then((outcome) => {
      joined = outcome;
    });
    await pass(2400);
    assert.equal(joined, undefined);
    await pass(700);
    assert.equal(joined, "joined");
    assert.equal(b.membership.view(7)?.epoch, 2);
  });

  it("a restart after leaving waits for nothing", async () => {
    const { node, pass } = memberWorld();
    const a = node(7);
    await a.membership.join(1000);
    const leaving = a.membership.leave();
    await pass(10);
    await leaving;
    assert.equal(await node(7).membership.join(1000), "joined");
  });

  it("without Redis a node is alone, and joins when Redis is there", async () => {
    const { node, pass } = memberWorld();
    const a = node(1, { isUp: false });
    const joining = a.membership.join(1000);
    await pass(1000);
    assert.equal(await joining, "alone");
    a.link.heal();
    await pass(10);
    assert.equal(a.membership.state, "joined");
  });

  it("a running node whose id another took says so, and comes back when that one is gone", async () => {
    const { node, pass } = memberWorld();
    const a = node(7);
    await a.membership.join(1000);
    a.link.cut();
    await pass(3500);
    const b = node(7);
    await b.membership.join(1000);
    a.link.heal();
    await pass(1500);
    assert.equal(a.membership.state, "duplicate");
    assert.deepEqual(a.lines.filter(({ level }) => level === "error").length, 1);
    crash(b);
    await pass(3500);
    assert.equal(a.membership.state, "joined");
  });

  it("who is cut off gives nobody up, and neither does who sees old leases when Redis returns", async () => {
    const { node, pass } = memberWorld();
    const nodes = [node(1), node(2), node(3)];
    for (const { membership } of nodes) await membership.join(1000);
    await pass(4000);
    for (const { link } of nodes) link.cut();
    await pass(20_000);
    assert.equal(nodes[0]?.membership.state, "alone");
    for (const { link } of nodes) {
      link.heal();
      await pass(900);
    }
    await pass(5000);
    for (const one of nodes)
      assert.deepEqual(
        one.seen.filter((line) => line.endsWith("down")),
        [],
      );
  });

  it("a Redis that hung while leases ended gives nobody up", async () => {
    const { node, pass } = memberWorld();
    const nodes = [node(1), node(2), node(3)];
    for (const { membership } of nodes) await membership.join(1000);
    await pass(4000);
    for (const { link } of nodes) link.stall();
    await pass(10_000);
    for (const { link } of nodes) link.heal();
    await pass(5000);
    for (const one of nodes)
      assert.deepEqual(
        one.seen.filter((line) => line.endsWith("down")),
        [],
      );
  });

  it("after a flush all are there again, the generation is another one, nobody was given up", async () => {
    const { node, pass, redis } = memberWorld();
    const [a, b] = [node(1), node(2)];
    const generations = new Set<string>();
    a.membership.onBeat(({ generation }) => generations.add(generation));
    for (const { membership } of [a, b]) await membership.join(1000);
    await pass(4000);
    redis.flush();
    await pass(4000);
    assert.equal(generations.size, 2);
    assert.deepEqual([aliveIds(a), a.seen], [[1, 2], ["2 up"]]);
  });

  it("Redis's clock is the clock, whatever a node's own says; steps of it are counted", async () => {
    const { node, pass, jump } = memberWorld();
    const [a, b] = [node(1, { wallOffsetMs: 3_600_000 }), node(2, { wallOffsetMs: -3_600_000 })];
    assert.equal(a.membership.redisNowMs(), a.clock.wallMs());
    for (const { membership } of [a, b]) await membership.join(1000);
    await pass(5000);
    for (const { membership } of [a, b]) assert.equal(membership.redisNowMs(), START_MS + 5000);
    jump(3_600_000);
    await pass(5000);
    assert.equal(a.membership.redisNowMs(), START_MS + 3_610_000);
    assert.equal(a.membership.counters["clock_jumps"], 1);
    assert.deepEqual(a.seen, ["2 up"]);
    jump(-7_200_000);
    await pass(5000);
    crash(b);
    await pass(3500);
    assert.equal(a.membership.isAlive(2), false);
  });

  it("records of others' making are counted and ignored", async () => {
    const { node, pass, redis } = memberWorld();
    const a = node(1);
    await a.membership.join(1000);
    const lease = `${START_MS + 9000} ${START_MS} 9000 1 1`;
    const foreign = { clusterId: 2, version: "1", startedAtMs: 1, sip: [], managementUrl: "" };
    redis.store.call("hset", "{headroom:1:1}:nodes", "junk", "junk", "8", "junk");
    redis.store.call(
      "hset",
      "{headroom:1:1}:nodes",
      "9",
      `${lease} i9 not JSON`,
      "10",
      `${lease} i10 ${JSON.stringify([1, 10, "i10", foreign])}`,
    );
    redis.store.call("hset", "{headroom:1:1}:nodes", "11", `${lease} i11 ${JSON.stringify([9, 11, "i11", { ...foreign, clusterId: 1 }])}`);
    redis.store.call("hset", "{headroom:1:1}:nodes", "#", "5");
    await pass(1500);
    assert.deepEqual(aliveIds(a), [1]);
    const { foreign_records, foreign_nodes = 0 } = a.membership.counters;
    assert.deepEqual([foreign_records, foreign_nodes], [2, 3]);
    assert.equal(a.wire.counters.refused_version > 0, true);
  });

  it("a flood of messages brings a bounded number of beats", async () => {
    const { node, pass, redis } = memberWorld();
    const [a, b] = [node(1), node(2)];
    for (const { membership } of [a, b]) await membership.join(1000);
    await pass(3000);
    const before = a.membership.counters["beats"] ?? 0;
    for (let count = 0; count < 500; count++) b.membership.tell("free");
    await redis.settle();
    await pass(900);
    assert.ok((a.membership.counters["beats"] ?? 0) - before <= 25);
    assert.ok((a.membership.counters["extra_beats_refused"] ?? 0) > 100);
  });

  it("an answer that is none is counted", async () => {
    const { redis, node, pass } = memberWorld();
    redis.script("beat", () => ["ok", "soon"]);
    const a = node(1);
    const joining = a.membership.join(1000);
    await pass(1000);
    assert.equal(await joining, "alone");
    assert.equal(a.membership.counters["beats_failed"], 2);
  });

  it("it does all this with a redis-server, too: join, duplicate, leave", async () => {
    const server = await startRedis();
    const links = [1, 2, 3].map(() => openRedisLink({ url: server.url, log: listLog([]), onFault: () => {} }));
    const nodes = links.map((link, at) => memberNode(link, REAL_CLOCK, { nodeId: at === 0 ? 1 : 2 }));
    const [a, b, twin] = nodes as [MemberNode, MemberNode, MemberNode];
    try {
      assert.deepEqual(await Promise.all([a.membership.join(3000), b.membership.join(3000)]), ["joined", "joined"]);
      await assert.rejects(twin.membership.join(3000), DuplicateNodeError);
      assert.deepEqual(aliveIds(a), [1, 2]);
      await b.membership.leave();
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.deepEqual(aliveIds(a), [1]);
    } finally {
      for (const { membership } of nodes) await membership.leave();
      for (const link of links) await link.close();
      await server.close();
    }
  });
});
