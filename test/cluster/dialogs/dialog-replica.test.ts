import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bodyOf } from "../../../src/cluster/dialogs/dialog-record.ts";
import { LOOKUP_MS } from "../../../src/cluster/dialogs/dialog-replica.ts";
import { FLUSH_MS } from "../../../src/cluster/dialogs/dialog-writer.ts";
import { Wire } from "../../../src/cluster/wire.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { type MemoryLink, MemoryRedis } from "../../support/memory-redis.ts";
import { DIALOG_TWINS } from "../../support/memory-scripts/dialogs.ts";
import { callRecord, Gathering, ReplicaNode } from "../../support/replica-node.ts";

const START_MS = 1_700_000_000_000;

/** Nodes that run, and a Redis. */
class Cluster {
  readonly clock = new FakeClock(0);
  readonly redis = new MemoryRedis({ nowMs: () => START_MS + this.clock.nowMs }).scripts(DIALOG_TWINS);
  readonly gathering = new Gathering();

  async node(nodeId: number, incarnation = "a"): Promise<ReplicaNode> {
    const { clock, gathering } = this;
    const node = new ReplicaNode({
      nodeId,
      incarnation,
      link: this.redis.link(`n${nodeId}`),
      clock: { nowMs: clock.now, wallMs: () => START_MS + clock.nowMs, after: (ms, run) => clock.after(ms, run) },
      gathering,
    });
    gathering.appear(node);
    void node.replica.start();
    await this.pass(0);
    return node;
  }

  async nodes(): Promise<[ReplicaNode, ReplicaNode, ReplicaNode]> {
    return [await this.node(1), await this.node(2), await this.node(3)];
  }

  /** Lets time pass, with a beat each second. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.clock.nowMs + ms;
    while (this.clock.nowMs < untilMs) {
      const before = Math.floor(this.clock.nowMs / 1_000);
      this.clock.advance(Math.min(10, untilMs - this.clock.nowMs));
      if (Math.floor(this.clock.nowMs / 1_000) !== before) this.gathering.beat();
      await settled();
    }
    await settled();
  }

  kill(node: ReplicaNode): void {
    node.isKilled = true;
    link(node).cut();
    this.gathering.disappear(node.nodeId);
  }

  cut(node: ReplicaNode): void {
    link(node).cut();
    this.gathering.disappear(node.nodeId);
  }

  record(node: ReplicaNode, did: string): string | null {
    return this.redis.store.call("get", node.keys.dialog(did)) as string | null;
  }

  records(): number {
    return this.redis.store.keys().filter((key) => key.includes(":dialog:")).length;
  }
}

const link = (node: ReplicaNode): MemoryLink => node.link as MemoryLink;
const counts = (...nodes: ReplicaNode[]): number[] => nodes.map(({ calls }) => calls.size);

async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
}

describe("dialog replica", () => {
  it("writes a call some milliseconds after it changed, and never one that is over by then", async () => {
    const cluster = new Cluster();
    const node = await cluster.node(1);
    node.begin("long");
    node.begin("short");
    await cluster.pass(FLUSH_MS - 10);
    node.end("short");
    assert.equal(cluster.records(), 0);
    await cluster.pass(10);
    assert.deepEqual([cluster.records(), node.replica.counters.records_written, node.replica.counters.records_spared], [1, 1, 1]);
    node.confirm("long");
    await cluster.pass(FLUSH_MS);
    node.end("long");
    await cluster.pass(FLUSH_MS);
    assert.deepEqual(cluster.redis.store.keys(), [], "the record and its place in the set are gone, without a tombstone");
  });

  it("a thousand changes of one call in a moment are one write", async () => {
    const cluster = new Cluster();
    const node = await cluster.node(1);
    node.establish(1);
    for (let i = 0; i < 1_000; i++) node.replica.changed("c1-0");
    await cluster.pass(100);
    assert.equal(node.replica.counters.records_written, 1);
  });

  it("calls of a node that is gone are adopted by one node, within a second, and that is told when all are there", async () => {
    const cluster = new Cluster();
    const [first, second, third] = await cluster.nodes();
    third.establish(500);
    await cluster.pass(100);
    cluster.kill(third);
    await cluster.pass(1_000);
    assert.deepEqual(counts(first, second), [500, 0]);
    assert.deepEqual([first.adopted, second.adopted], [[3], [3]]);
    assert.equal(first.replica.counters.dialogs_adopted, 500);
    for (const did of [...first.calls.keys()]) assert.ok(await first.bye(did));
    await cluster.pass(1_000);
    assert.ok(
      cluster.redis.store.keys().every((key) => cluster.redis.store.call("get", key) === first.wire.encode(0)),
      "tombstones are left",
    );
  });

  it("is not told of an adoption before its loads are known", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    second.establish(10);
    await cluster.pass(100);
    cluster.kill(second);
    await cluster.pass(30);
    assert.deepEqual([first.calls.size, first.adopted], [10, []]);
    await cluster.pass(60);
    assert.deepEqual(first.adopted, [2]);
  });

  for (const isAlive of [true, false]) {
    it(`BYE of a call of a node that is ${isAlive ? "alive" : "gone"}, at another one: it is taken over and ends, once`, async () => {
      const cluster = new Cluster();
      const [first, second, third] = await cluster.nodes();
      const [did = ""] = first.establish(1);
      await cluster.pass(100);
      if (!isAlive) cluster.kill(first);
      assert.equal(await third.bye(did), true);
      await cluster.pass(100);
      assert.deepEqual(counts(second, third), [0, 0]);
      if (isAlive) assert.deepEqual([first.calls.size, first.replica.counters.dialogs_surrendered], [0, 1]);
      assert.equal(await second.bye(did), false, "it has ended");
    });
  }

  it("a former owner that misses the news finds out, by the number of the next message or by its own write", async () => {
    for (const how of ["number", "write"]) {
      const cluster = new Cluster();
      const [first, second] = await cluster.nodes();
      const [did = ""] = first.establish(1);
      await cluster.pass(100);
      link(first).stall();
      const found = second.replica.find(did, () => true);
      await settled();
      assert.deepEqual(await found, { kind: "taken" });
      assert.ok(link(first).loseMessage());
      link(first).heal();
      assert.deepEqual(counts(first, second), [1, 1]);
      if (how === "write") first.replica.changed(did);
      await cluster.pass(how === "write" ? 100 : 2_100);
      assert.deepEqual(counts(first, second), [0, 1], how);
    }
  });

  it("a call whose INVITE is still handled elsewhere is a guest, and comes here when that node is gone", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    first.begin("d");
    await cluster.pass(100);
    const found = await second.replica.find("d", () => true);
    assert.equal(found?.kind, "guest");
    assert.deepEqual(counts(first, second), [1, 0]);
    cluster.kill(first);
    assert.deepEqual(await second.replica.find("d", () => true), { kind: "taken" });
  });

  it("a message that is not of the call takes nothing", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    const [did = ""] = first.establish(1);
    await cluster.pass(100);
    assert.equal(await second.replica.find(did, () => false), undefined);
    const unknown = second.replica.find("unknown", () => true);
    await cluster.pass(300);
    assert.equal(await unknown, undefined);
    assert.equal(
      second.replica.find("no {did}", () => true),
      undefined,
    );
    assert.equal(
      second.replica.find(undefined, () => true),
      undefined,
    );
    await cluster.pass(100);
    assert.deepEqual(counts(first, second), [1, 0]);
  });

  it("asks no longer than its time, and what came late is no second owner", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    const [did = ""] = first.establish(1);
    await cluster.pass(100);
    link(second).stall();
    const found = second.replica.find(did, () => true);
    cluster.clock.advance(LOOKUP_MS);
    assert.equal(await found, undefined);
    link(second).heal();
    await cluster.pass(2_000);
    assert.deepEqual(counts(first, second), [0, 1]);
    link(second).cut();
    assert.equal(
      second.replica.find("other", () => true),
      undefined,
    );
  });

  it("a node that was cut off has its calls again; those that ended on either side have ended everywhere", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    const dids = second.establish(100);
    await cluster.pass(100);
    cluster.cut(second);
    await cluster.pass(10_000);
    assert.deepEqual(counts(first, second), [100, 100]);
    for (const did of dids.slice(0, 10)) second.end(did);
    for (const did of dids.slice(10, 20)) first.end(did);
    for (const did of dids.slice(20, 30)) first.replica.changed(did); // its messages come there now
    second.establish(5, "new");
    await cluster.pass(100);
    link(second).heal();
    await cluster.pass(2_000);
    assert.deepEqual(counts(first, second), [10, 75]);
    assert.deepEqual([...first.calls.keys()].sort(), dids.slice(20, 30).sort());
    cluster.kill(second);
    await cluster.pass(1_000);
    assert.equal(first.calls.size, 85);
  });

  it("a node that hung and was held for gone has its calls again, though its connection never broke", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    second.establish(50);
    await cluster.pass(100);
    link(second).stall();
    cluster.gathering.disappear(2);
    await cluster.pass(900);
    assert.equal(first.calls.size, 50);
    link(second).heal();
    await cluster.pass(3_000);
    assert.deepEqual(counts(first, second), [0, 50]);
  });

  it("writes all again within two seconds after Redis has lost everything", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    first.establish(700);
    second.establish(700);
    await cluster.pass(1_000);
    cluster.redis.flush();
    cluster.gathering.generation = "g2";
    await cluster.pass(2_000);
    assert.equal(cluster.records(), 1_400);
    cluster.kill(second);
    await cluster.pass(1_000);
    assert.equal(first.calls.size, 1_400);
  });

  it("a node that starts again takes back its own, before it says that it has started", async () => {
    const cluster = new Cluster();
    const node = await cluster.node(1);
    const dids = node.establish(250);
    node.begin("rings");
    await cluster.pass(100);
    node.isKilled = true;
    link(node).cut();
    const again = await cluster.node(1, "b");
    await again.replica.start();
    assert.deepEqual([...again.calls.keys()].sort(), [...dids, "rings"].sort());
    assert.equal(again.replica.counters.dialogs_reclaimed, 251);
  });

  it("keeps what happens without Redis for its return, and forgets how it ended only beyond a bound", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    const [kept = "", ended = ""] = first.establish(2);
    await cluster.pass(100);
    link(first).cut();
    first.end(ended);
    first.establish(3, "new");
    await cluster.pass(5_000);
    assert.equal(first.replica.pendingCount, 4);
    link(first).heal();
    await cluster.pass(1_000);
    assert.deepEqual([cluster.record(first, ended), first.replica.pendingCount], [null, 0]);
    assert.ok(cluster.record(first, kept) !== null);
    assert.equal(cluster.records(), 4);
    assert.equal(second.calls.size, 0);
  });

  it("what this node only knows no more of stays with the node that has it", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    second.begin("rings");
    await cluster.pass(100);
    cluster.cut(second);
    await cluster.pass(500);
    second.confirm("rings");
    first.end("rings", false);
    await cluster.pass(500);
    link(second).heal();
    await cluster.pass(2_000);
    assert.deepEqual(counts(first, second), [0, 1]);
    assert.ok(cluster.record(second, "rings")?.startsWith("[1,2,"));
  });

  it("a call that is offered goes to the node that it is offered to", async () => {
    const cluster = new Cluster();
    const [first, second, third] = await cluster.nodes();
    const [did = ""] = first.establish(1);
    await cluster.pass(100);
    first.replica.offer(did, 2);
    await cluster.pass(100);
    assert.deepEqual(counts(first, second, third), [0, 1, 0]);
    third.replica.offer(did, 1);
    await cluster.pass(100);
    assert.deepEqual(counts(first, second, third), [0, 1, 0]);
  });

  it("hostile records and messages are refused and counted, and never thrown", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    const [good = ""] = second.establish(1);
    await cluster.pass(100);
    const body = bodyOf(callRecord("other"), 0);
    const wire = new Wire({ nodeId: 2, incarnation: "a" });
    const hostile: [did: string, text: string][] = [
      ["version", '[2,2,"a",[0,0,"version"]]'],
      ["truncated", wire.encode([0, 0, ...body]).slice(0, -9)],
      ["giant", wire.encode([0, 0, ...body, "x".repeat(300_000)])],
      ["foreign", wire.encode([0, 0, ...body])],
      ["short", wire.encode([0, 0])],
      ["binary", "\u0000\u00ff"],
    ];
    for (const [did, text] of hostile) {
      cluster.redis.store.call("set", second.keys.dialog(did), text);
      cluster.redis.store.call("sadd", second.keys.dialogsOf(2), did);
    }
    cluster.redis.store.call("hset", second.keys.dialog("hash"), "a", "b");
    cluster.redis.store.call("sadd", second.keys.dialogsOf(2), "hash", "no {did}", "", "x".repeat(10_000));
    for (const [did] of [...hostile, ["hash"]]) assert.equal(await first.replica.find(did!, () => true), undefined);
    const channel = first.keys.channel("dialog");
    const ended = wire.encode([99, "ended", [good, "no {did}"]]);
    for (const text of [
      "",
      "[]",
      ended,
      wire.encode([1, "moved", [[good, -1]]]),
      wire.encode([1, "ended", Array(501).fill(good)]),
      wire.encode(["x"]),
    ])
      cluster.redis.store.call("publish", channel, text);
    await settled();
    cluster.kill(second);
    await cluster.pass(1_000);
    assert.deepEqual([...first.calls.keys()], [good]);
    assert.ok(first.replica.counters.records_refused >= 3, JSON.stringify(first.replica.counters));
    const { refused_malformed, refused_too_long } = first.wire.counters;
    assert.ok(refused_malformed >= 6 && refused_too_long >= 1, JSON.stringify(first.wire.counters));
  });

  it("something foreign under the key of an own call gives way", async () => {
    const cluster = new Cluster();
    const node = await cluster.node(1);
    node.begin("d");
    cluster.redis.store.call("set", node.keys.dialog("d"), "foreign");
    await cluster.pass(100);
    assert.ok(cluster.record(node, "d")?.startsWith("[1,1,"));
  });

  it("writes what is left when it closes, for others to take", async () => {
    const cluster = new Cluster();
    const [first, second] = await cluster.nodes();
    second.establish(1_200);
    const closed = second.replica.close();
    await cluster.pass(500);
    await closed;
    assert.equal(cluster.records(), 1_200);
    cluster.kill(second);
    await cluster.pass(1_000);
    assert.equal(first.calls.size, 1_200);
  });
});
