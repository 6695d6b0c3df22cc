import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openRedisLink } from "../../../src/cluster/redis/redis-link.ts";
import { crash, listLog, type MemberNode, memberNode, memberWorld, REAL_CLOCK } from "../../support/member-node.ts";
import { waitFor } from "../../support/net.ts";
import { startRedis } from "../../support/redis-server.ts";

const ACTIVE = { tags: [{ name: "vip", active: true }] };

function owners(...nodes: readonly Pick<MemberNode, "sharing" | "self">[]): number[] {
  return nodes.filter(({ sharing }) => sharing.isActive("vip")).map(({ self }) => self.nodeId);
}

/** Three nodes, the tag on the first, all of them there for a while. */
async function settled(failover: "auto" | "manual" = "auto") {
  const world = memberWorld();
  const [a, b, c] = [world.node(1, { ...ACTIVE, failover }), world.node(2, { failover }), world.node(3, { failover })];
  for (const { membership } of [a, b, c]) await membership.join(1000);
  await world.pass(5000);
  assert.deepEqual(owners(a, b, c), [1]);
  return { ...world, a, b, c };
}

describe("sharing tags", () => {
  it("a tag that Redis does not know goes to the node that is to have it, after a lease", async () => {
    const { node, pass } = memberWorld();
    const [b, a] = [node(2), node(1, ACTIVE)];
    for (const { membership } of [b, a]) await membership.join(1000);
    await pass(2900);
    assert.deepEqual(owners(a, b), []);
    await pass(200);
    assert.deepEqual(owners(a, b), [1]);
    assert.deepEqual(a.sharing.list(), [{ tag: "vip", cluster: 1, state: "active", owner: 1, epoch: 1 }]);
    await pass(1000);
    assert.deepEqual(b.sharing.list(), [{ tag: "vip", cluster: 1, state: "backup", owner: 1, epoch: 1 }]);
    assert.deepEqual(a.changes, [{ tag: "vip", state: "active", epoch: 1, reason: "nobody had it" }]);
  });

  it("backups only: one of them has it a little later", async () => {
    const { node, pass } = memberWorld();
    const nodes = [node(1), node(2)];
    for (const { membership } of nodes) await membership.join(1000);
    await pass(4900);
    assert.equal(owners(...nodes).length, 0);
    await pass(600);
    assert.equal(owners(...nodes).length, 1);
  });

  it("a node that is to have a new tag has it, though it starts a second after a backup", async () => {
    const { node, pass } = memberWorld();
    const backup = node(1);
    const wanted = node(2, ACTIVE);
    await backup.membership.join(1000);
    await pass(1000);
    await wanted.membership.join(1000);
    await pass(5000);
    assert.deepEqual(owners(backup, wanted), [2]);
  });

  it("a node that is not ready for calls takes none, however free a tag is, and has it as soon as it is", async () => {
    const { node, pass } = memberWorld();
    const a = node(1, { ...ACTIVE, waits: true });
    await a.membership.join(1000);
    await pass(10_000);
    assert.deepEqual([owners(a), a.changes], [[], []]);
    assert.ok((a.membership.counters["beats"] ?? 0) <= 13, "it does not ask more often meanwhile");
    a.sharing.begin();
    await pass(20);
    assert.deepEqual(owners(a), [1]);
    await a.membership.leave();
    const b = node(2, { ...ACTIVE, waits: true });
    await b.membership.join(1000);
    await pass(200);
    b.sharing.begin();
    await pass(20);
    assert.deepEqual(owners(b), [2], "one that was given up it has at once");
  });

  it("a tag that was given up is claimed at once at the start", async () => {
    const { node, pass } = memberWorld();
    const a = node(1, ACTIVE);
    await a.membership.join(1000);
    await pass(4000);
    void a.membership.leave();
    await pass(20);
    assert.deepEqual([owners(a), a.changes.at(-1)?.state], [[], "backup"]);
    const b = node(2, ACTIVE);
    await b.membership.join(1000);
    await pass(30);
    assert.deepEqual([owners(b), b.sharing.epoch("vip")], [[2], 2]);
  });

  it("a node that is to have it takes it from nobody who lives", async () => {
    const { node, pass, a, b } = await settled();
    const d = node(4, ACTIVE);
    await d.membership.join(1000);
    await pass(10_000);
    assert.deepEqual(owners(a, b, d), [1]);
  });

  it("a dead owner's tag moves in less than 4 s, with the next epoch", async () => {
    const { pass, a, b, c } = await settled();
    crash(a);
    await pass(3300);
    assert.equal(owners(b, c).length, 1);
    assert.deepEqual([b.sharing.epoch("vip"), c.sharing.epoch("vip")], [2, 2]);
  });

  it("failover by hand: a dead owner's tag stays where it was until the operator moves it", async () => {
    const { pass, node, a, b, c } = await settled("manual");
    crash(a);
    await pass(20_000);
    assert.deepEqual(owners(b, c), []);
    const set = b.sharing.setActive("vip");
    await pass(100);
    await set;
    assert.deepEqual(owners(b, c), [2]);
    const again = node(1, { ...ACTIVE, failover: "manual" });
    await again.membership.join(1000);
    await pass(5000);
    assert.deepEqual(owners(b, c, again), [2]);
    crash(b);
    await pass(10_000);
    assert.deepEqual(owners(c, again), []);
  });

  it("set active on a living node's peer: it moves at once, the owner stops before", async () => {
    const { pass, a, b, c } = await settled();
    const order: string[] = [];
    for (const { sharing, self } of [a, b, c]) sharing.onChange(({ state }) => order.push(`${self.nodeId} ${state}`));
    const set = c.sharing.setActive("vip");
    await pass(10);
    await set;
    assert.deepEqual([owners(a, b, c), order, c.sharing.epoch("vip")], [[3], ["1 backup", "3 active"], 2]);
    assert.match(a.changes.at(-1)?.reason ?? "", /node 3 takes it over/);
    assert.equal(c.changes.at(-1)?.reason, "set by the operator");
    await pass(10_000);
    assert.deepEqual(owners(a, b, c), [3]);
  });

  it("set active where it is active already is done at once; twice at a time is once", async () => {
    const { pass, a, b } = await settled();
    await a.sharing.setActive("vip");
    const [first, second] = [b.sharing.setActive("vip"), b.sharing.setActive("vip")];
    assert.equal(first, second);
    await pass(10);
    await first;
  });

  it("set active moves it with all messages lost, a beat later", async () => {
    const { pass, redis, a, b } = await settled();
    for (const { link } of [a, b]) link.hear = () => false;
    const set = b.sharing.setActive("vip");
    await pass(2100);
    await set;
    assert.deepEqual(owners(a, b), [2]);
    await redis.settle();
  });

  it("set active without Redis fails with a sentence, and so it does for an owner that cannot hear", async () => {
    const { pass, a, b, c } = await settled();
    c.link.cut();
    const cut = assert.rejects(c.sharing.setActive("vip"), {
      message: 'Cannot make sharing tag "vip" active: Redis does not answer; wait until it does',
    });
    await pass(4100);
    await cut;
    const set = b.sharing.setActive("vip");
    a.link.stall();
    b.link.stall();
    const failed = assert.rejects(set, /^Error: Cannot make sharing tag "vip" active: /);
    await pass(4100);
    await failed;
    await assert.rejects(b.sharing.setActive(""), /a name has 1 to 64 characters, a node 100 tags/);
  });

  it("leaving fails what is under way", async () => {
    const { pass, b } = await settled();
    b.link.stall();
    const failed = assert.rejects(b.sharing.setActive("vip"), /this node has left the cluster/);
    void b.membership.leave();
    await failed;
    await pass(10);
    await assert.rejects(b.sharing.setActive("vip"), /this node has left the cluster/);
  });

  it("the fence: cut off from Redis a node is active no longer than 2.5 s, and says so", async () => {
    const { pass, a } = await settled();
    a.link.stall();
    await pass(1500);
    assert.equal(a.sharing.isActive("vip"), true);
    await pass(1000);
    assert.equal(a.sharing.isActive("vip"), false);
    await pass(10);
    assert.equal(a.changes.at(-1)?.reason, "Redis did not confirm it in time");
  });

  it("a node that was stopped for 10 s is not active when it wakes, though no timer of it has run", async () => {
    const { pass, a, b, c } = await settled();
    a.clock.stop();
    await pass(10_000);
    assert.deepEqual(owners(a), []);
    assert.equal(owners(b, c).length, 1);
    a.clock.goOn();
    await pass(3000);
    assert.equal(owners(a, b, c).length, 1);
    assert.deepEqual(owners(a), []);
  });

  it("a node that wakes soon after its start has not got back what it held, though nobody took it", async () => {
    const { node, pass } = memberWorld();
    const a = node(1, { ...ACTIVE, failover: "manual" });
    await a.membership.join(1000);
    await pass(3100);
    assert.deepEqual(owners(a), [1]);
    a.clock.stop();
    await pass(10_000);
    a.clock.goOn();
    await pass(100);
    assert.deepEqual(owners(a), []);
    await pass(3500);
    assert.deepEqual([owners(a), a.sharing.epoch("vip")], [[1], 2]);
  });

  it("a monotonic clock that stood still with its machine deceives nobody", async () => {
    const { pass, a, b, c } = await settled();
    const frozenMs = a.clock.nowMs();
    a.clock.nowMs = () => frozenMs;
    a.clock.stop();
    await pass(10_000);
    assert.equal(owners(a, b, c).length, 1);
    assert.deepEqual(owners(a), []);
  });

  it("after a flush the owner has it again with its next beat, in the same epoch", async () => {
    const { pass, redis, a, b, c } = await settled();
    redis.flush();
    for (let ms = 0; ms < 5000; ms += 100) {
      await pass(100);
      assert.deepEqual(owners(a, b, c), [1]);
    }
    assert.equal(a.sharing.epoch("vip"), 1);
    assert.equal(a.changes.length, 1);
  });

  it("after a flush, without its owner, nobody has it before the owner's fence is over; epochs go on", async () => {
    const { pass, redis, a, b, c } = await settled();
    a.link.stall();
    redis.flush();
    await pass(2900);
    assert.deepEqual(owners(b, c), []);
    await pass(1400); // a beat, until Redis knows of the tag again, and a lease
    assert.equal(owners(b, c).length, 1);
    assert.equal(b.sharing.epoch("vip"), 2);
  });

  it("a Redis that comes back empty after 20 s has one owner again", async () => {
    const { pass, redis, a, b, c } = await settled();
    for (const { link } of [a, b, c]) link.cut();
    redis.flush();
    await pass(20_000);
    assert.deepEqual(owners(a, b, c), []);
    for (const { link } of [a, b, c]) link.heal();
    await pass(4000);
    assert.equal(owners(a, b, c).length, 1);
  });

  it("a tag that is not known becomes one of the node's, as a backup; their number and length are bounded", async () => {
    const { node, pass } = memberWorld();
    const a = node(1, { tags: [], failover: "manual" });
    await a.membership.join(1000);
    assert.equal(a.sharing.isActive("new"), false);
    assert.deepEqual(a.sharing.names(), ["new"]);
    for (let count = 0; count < 200; count++) a.sharing.isActive(`t${count}`);
    a.sharing.isActive("x".repeat(65));
    assert.deepEqual([a.sharing.names().length, a.sharing.counters.tags_refused], [100, 102]);
    await pass(1500);
    const b = node(2, { tags: [], failover: "manual" });
    await b.membership.join(1000);
    await pass(1500);
    assert.deepEqual([b.sharing.names(), b.sharing.list().length, b.sharing.list()[0]?.state], [[], 100, "backup"]);
  });

  it("it moves with a redis-server, too: by hand within milliseconds, from a dead owner in less than 4 s", async () => {
    const server = await startRedis();
    const links = [1, 2].map(() => openRedisLink({ url: server.url, log: listLog([]), onFault: () => {} }));
    const [a, b] = links.map((link, at) => memberNode(link, REAL_CLOCK, { nodeId: at + 1, ...(at === 0 ? ACTIVE : {}) })) as [
      MemberNode,
      MemberNode,
    ];
    try {
      await Promise.all([a.membership.join(3000), b.membership.join(3000)]);
      await waitFor("the first to be active", 6000, () => a.sharing.isActive("vip"));
      const startMs = performance.now();
      await b.sharing.setActive("vip");
      assert.ok(performance.now() - startMs < 500, `moved in ${performance.now() - startMs} ms`);
      assert.deepEqual(owners(a, b), [2]);
      const killedMs = performance.now();
      await links[1]?.close();
      await waitFor("the first to be active again", 6000, () => a.sharing.isActive("vip"));
      assert.ok(performance.now() - killedMs < 4000, `moved in ${performance.now() - killedMs} ms`);
      assert.deepEqual(owners(a, b), [1]);
    } finally {
      for (const { membership } of [a, b]) await membership.leave();
      for (const link of links) await link.close();
      await server.close();
    }
  });
});
