import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Keys } from "../../../src/cluster/keys.ts";
import type { LuaScript } from "../../../src/cluster/ports.ts";
import { msOf, versionOf } from "../../../src/cluster/status/hlc.ts";
import type { StatusBeat } from "../../../src/cluster/status/status-ports.ts";
import { encodeRecord, fieldOf, type StatusRecord } from "../../../src/cluster/status/status-record.ts";
import { StatusReplica } from "../../../src/cluster/status/status-replica.ts";
import { MAX_STATUS_RECORDS } from "../../../src/cluster/status/status-script.ts";
import { Wire } from "../../../src/cluster/wire.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { type MemoryLink, MemoryRedis } from "../../support/memory-redis.ts";
import { statusScripts } from "../../support/memory-scripts/status.ts";
import { QUIET_LOG, START_MS } from "../../support/status-cluster.ts";

const URI = "sip:192.0.2.1";
const UP = { enabled: true, autoReenable: true, cause: "mi" } as const;
const DOWN = { enabled: false, autoReenable: false, cause: "mi" } as const;
const HOUR_MS = 3_600_000;

class World {
  readonly clock = new FakeClock(START_MS);
  readonly keys = new Keys(1);
  readonly redis = new MemoryRedis({ nowMs: this.clock.now }).scripts(statusScripts);
  generation = "g1";

  node(nodeId: number, clockErrorMs = 0): Node {
    return new Node(this, nodeId, clockErrorMs);
  }

  /** Nodes that have heard of Redis. */
  async joined(count: number): Promise<Node[]> {
    const nodes = Array.from({ length: count }, (_, i) => this.node(i + 1));
    for (const node of nodes) node.beat();
    await this.redis.settle();
    return nodes;
  }

  /** What Redis has of the status of {@link URI}. */
  held(): string | null {
    return this.redis.store.call("HGET", this.keys.status, fieldOf("status", 1, URI)) as string | null;
  }

  seq(): number {
    return Number(this.redis.store.call("GET", this.keys.statusSeq) ?? 0);
  }

  async after(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.redis.settle();
  }
}

class Node {
  readonly link: MemoryLink;
  readonly replica: StatusReplica;
  readonly applied: (readonly [record: StatusRecord, isSync: boolean])[] = [];
  readonly wire: Wire;
  readonly #world: World;
  #onBeat: (beat: StatusBeat) => void = () => {};
  #clockErrorMs: number;

  constructor(world: World, nodeId: number, clockErrorMs: number) {
    const { clock, keys, redis } = world;
    this.#world = world;
    this.#clockErrorMs = clockErrorMs;
    this.link = redis.link(`node ${nodeId}`);
    this.wire = new Wire({ nodeId, incarnation: "a" });
    this.replica = new StatusReplica({
      link: this.link,
      keys,
      wire: this.wire,
      nodeId,
      clock: { nowMs: () => clock.nowMs - START_MS, wallMs: clock.now, after: (ms, run) => clock.after(ms, run) },
      beats: {
        redisNowMs: () => clock.nowMs + this.#clockErrorMs,
        onBeat: (listener) => {
          this.#onBeat = listener;
        },
      },
      apply: (record, isSync) => void this.applied.push([record, isSync]),
      log: QUIET_LOG,
    });
  }

  beat(statusSeq = this.#world.seq()): void {
    this.#clockErrorMs = 0;
    this.#onBeat({ generation: this.#world.generation, statusSeq });
  }

  get enabled(): boolean | undefined {
    return this.replica.get("status", 1, URI)?.enabled;
  }
}

describe("the statuses of a node", () => {
  it("reach the others at once, and are applied once", async () => {
    const world = new World();
    const [a, b, c] = (await world.joined(3)) as [Node, Node, Node];
    a.replica.set("status", 1, URI, DOWN);
    await world.redis.settle();
    assert.deepEqual(
      [a, b, c].map((node) => node.enabled),
      [false, false, false],
    );
    assert.deepEqual(
      [a, b, c].map((node) => node.applied.length),
      [0, 1, 1],
    );
    assert.deepEqual(b.applied[0]![1], false);
    assert.deepEqual([a.replica.pendingCount, a.replica.isSynced], [0, true]);
  });

  it("are known by group and URI, exactly as written, and each aspect by itself", async () => {
    const [a, b] = (await new World().joined(2)) as [Node, Node];
    a.replica.set("status", 1, URI, DOWN);
    a.replica.set("drain", 1, URI, { draining: true, deadlineMs: 0, bye: false });
    await new Promise(setImmediate);
    assert.equal(b.replica.get("status", 2, URI), undefined);
    assert.equal(b.replica.get("status", 1, `${URI}0`), undefined);
    assert.equal(b.replica.get("status", 1, URI.toUpperCase()), undefined);
    assert.equal(b.replica.get("drain", 1, URI)?.draining, true);
    assert.equal(b.replica.get("breaker", 1, URI), undefined);
  });

  it("wait for Redis, the latest of each, and reach the others when it is back", async () => {
    const world = new World();
    const [a, b] = (await world.joined(2)) as [Node, Node];
    a.link.cut();
    for (const state of [DOWN, UP, DOWN]) a.replica.set("status", 1, URI, state);
    assert.deepEqual([a.replica.pendingCount, a.replica.isSynced, b.enabled], [1, false, undefined]);
    a.link.heal();
    await world.redis.settle();
    assert.deepEqual([a.replica.pendingCount, a.replica.isSynced, b.enabled], [0, true, false]);
    assert.equal(world.seq(), 1);
  });

  it("are merged by version after both sides decided", async () => {
    for (const isCutLast of [true, false]) {
      const world = new World();
      const [a, b] = (await world.joined(2)) as [Node, Node];
      a.link.cut();
      const decisions = [(): void => b.replica.set("status", 1, URI, UP), (): void => a.replica.set("status", 1, URI, DOWN)];
      for (const decide of isCutLast ? decisions : decisions.reverse()) {
        decide();
        await world.after(10);
      }
      a.link.heal();
      await world.redis.settle();
      assert.deepEqual([a.enabled, b.enabled], isCutLast ? [false, false] : [true, true]);
      assert.equal(a.replica.counters.status_lost, isCutLast ? 0 : 1);
    }
  });

  it("are compared when a message was lost, once it has not come for a moment", async () => {
    const world = new World();
    const [a, b] = (await world.joined(2)) as [Node, Node];
    b.link.stall();
    a.replica.set("status", 1, URI, DOWN);
    await world.redis.settle();
    b.link.loseMessage();
    b.link.heal();
    await world.redis.settle();
    assert.equal(b.enabled, undefined);
    b.beat();
    await world.redis.settle();
    assert.equal(b.enabled, undefined);
    await world.after(250);
    assert.deepEqual([b.enabled, b.applied[0]![1], b.replica.counters.status_gaps], [false, true, 1]);
  });

  it("are not compared for a message that only comes after the beat that tells of it", async () => {
    const world = new World();
    const [a, b] = (await world.joined(2)) as [Node, Node];
    const syncs = b.replica.counters.status_syncs;
    b.beat(1);
    a.replica.set("status", 1, URI, DOWN);
    await world.redis.settle();
    await world.after(1_000);
    assert.deepEqual([b.enabled, b.replica.counters.status_syncs - syncs], [false, 0]);
  });

  it("are written again by those who know them after Redis has lost them", async () => {
    const world = new World();
    const [a, b] = (await world.joined(2)) as [Node, Node];
    a.replica.set("status", 1, URI, DOWN);
    await world.redis.settle();
    const before = world.held();
    a.link.cut();
    world.redis.flush();
    world.generation = "g2";
    b.beat();
    await world.redis.settle();
    assert.equal(world.held()?.slice(0, 31), before?.slice(0, 31));
    a.link.heal();
    a.beat();
    await world.redis.settle();
    await world.after(1);
    assert.deepEqual([world.seq(), a.replica.isSynced, a.applied.length, b.applied.length], [1, true, 0, 1]);
  });

  it("are written again after Redis went back to an earlier number under the same name", async () => {
    const world = new World();
    const [a] = (await world.joined(1)) as [Node];
    for (const state of [DOWN, UP, DOWN]) a.replica.set("status", 1, URI, state);
    await world.redis.settle();
    a.beat();
    world.redis.flush();
    a.beat();
    await world.redis.settle();
    assert.notEqual(world.held(), null);
    assert.equal(a.replica.isSynced, true);
  });
});

describe("a node whose clock is an hour off", () => {
  for (const errorMs of [HOUR_MS, -HOUR_MS]) {
    it(`decides at the right time all the same (${errorMs} ms)`, async () => {
      const world = new World();
      const node = world.node(1, errorMs);
      node.replica.set("status", 1, URI, DOWN);
      await world.after(20_000);
      assert.equal(world.held(), null); // it waits for the first beat
      node.beat();
      await world.redis.settle();
      assert.equal(msOf(world.held()!.slice(0, 31)), START_MS);
      assert.equal(node.replica.counters.status_restamped, 1);
    });

    it(`loses what it decided before another, and wins what it decided after (${errorMs} ms)`, async () => {
      const world = new World();
      const [right] = (await world.joined(1)) as [Node];
      const wrong = world.node(2, errorMs);
      wrong.replica.set("status", 1, URI, DOWN);
      await world.after(10);
      right.replica.set("status", 1, URI, UP);
      await world.after(10);
      wrong.beat();
      await world.redis.settle();
      assert.deepEqual([wrong.enabled, right.enabled], [true, true]);
    });
  }

  it("cannot win with what another program writes from the future", async () => {
    const world = new World();
    const [a] = (await world.joined(1)) as [Node];
    const record: StatusRecord = { aspect: "status", group: 1, uri: URI, version: versionOf(START_MS + HOUR_MS, 0, 9), state: DOWN };
    const text = encodeRecord(a.wire, record);
    a.link.publish(world.keys.channel("status"), `1 ${text}`);
    world.redis.store.call("HSET", world.keys.status, fieldOf("status", 1, URI), `${record.version} ${text}`);
    await world.redis.settle();
    await a.replica.sync();
    assert.equal(a.enabled, undefined);
    assert.ok(a.replica.counters.status_refused_ahead >= 2);
    a.replica.set("status", 1, URI, UP);
    await world.redis.settle();
    assert.equal(msOf(world.held()!.slice(0, 31)), START_MS);
  });
});

describe("what a node decided before it started", () => {
  it("wins over what the cluster decided before, and loses to what it decided after", async () => {
    for (const [decidedAtMs, isDown] of [
      [START_MS - 1, false],
      [START_MS + 1, true],
      [START_MS + HOUR_MS, false], // it lies in the future: some clock was wrong
    ] as const) {
      const world = new World();
      const [a] = (await world.joined(1)) as [Node];
      a.replica.set("status", 1, URI, UP);
      await world.after(10);
      const b = world.node(2);
      b.replica.seed("status", 1, URI, DOWN, decidedAtMs);
      b.beat();
      await world.redis.settle();
      assert.deepEqual([a.enabled, b.enabled], [!isDown, !isDown], `${decidedAtMs - START_MS}`);
    }
  });

  it("is the cluster's when that has nothing, and is not told as news here", async () => {
    const world = new World();
    const node = world.node(1);
    node.replica.seed("status", 1, URI, DOWN, START_MS - 5_000);
    node.beat();
    await world.redis.settle();
    assert.deepEqual([world.held()?.slice(0, 31), node.applied.length], [versionOf(START_MS - 5_000, 0, 1), 0]);
  });
});

describe("decisions that only the node with the tag may make", () => {
  it("come to nothing when another had got the tag: what the cluster has holds again", async () => {
    const world = new World();
    const [a, b] = (await world.joined(2)) as [Node, Node];
    b.replica.set("status", 1, URI, UP);
    await world.after(10);
    world.redis.store.call("HSET", world.keys.tags, "vip", JSON.stringify({ node: 2, epoch: 5 }));
    a.replica.set("status", 1, URI, { ...DOWN, cause: "probe" }, { tag: "vip", epoch: 4 });
    a.replica.set("status", 1, "sip:other", { ...DOWN, cause: "probe" }, { tag: "vip", epoch: 4 });
    await world.redis.settle();
    assert.deepEqual([a.enabled, b.enabled, a.replica.get("status", 1, "sip:other")], [true, true, undefined]);
    assert.deepEqual([a.replica.counters.status_fenced, a.replica.pendingCount], [2, 0]);
  });
});

describe("trouble", () => {
  it("is tried again while the connection stays", async () => {
    const world = new World();
    const [a] = (await world.joined(1)) as [Node];
    const { link } = a;
    const run = link.run.bind(link);
    link.run = (_script: LuaScript) => Promise.reject(new Error("OOM"));
    a.replica.set("status", 1, URI, DOWN);
    await world.redis.settle();
    assert.equal(a.replica.pendingCount, 1);
    link.run = run;
    await world.after(500);
    assert.deepEqual([a.replica.pendingCount, world.seq()], [0, 1]);
  });

  it("of what others write is refused and counted", async () => {
    const world = new World();
    const [a] = (await world.joined(1)) as [Node];
    for (const message of ["", "x", "1 {}", '1 [1,1,"a",{}]', '1 [9,1,"a",{}]', `1 ${"x".repeat(300_000)}`]) {
      a.link.publish(world.keys.channel("status"), message);
    }
    world.redis.store.call("HSET", world.keys.status, "garbage", "garbage");
    await world.redis.settle();
    assert.equal(await a.replica.sync(), true);
    assert.deepEqual([a.replica.size, a.applied.length], [0, 0]);
    const { refused_malformed, refused_version, refused_too_long } = a.wire.counters;
    assert.deepEqual([refused_malformed, refused_version, refused_too_long], [5, 1, 1]);
  });

  it("of too many registers keeps memory bounded and is counted", async () => {
    const world = new World();
    const node = world.node(1);
    for (let i = 0; i < MAX_STATUS_RECORDS; i++) node.replica.seed("status", 1, `sip:${i}`, DOWN, 1);
    node.replica.set("status", 1, URI, DOWN);
    node.replica.set("status", 1, "sip:5", UP);
    node.replica.set("status", 1, "x".repeat(5_000), UP);
    assert.deepEqual([node.replica.size, node.replica.counters.status_overflows], [MAX_STATUS_RECORDS, 2]);
    assert.equal(node.replica.get("status", 1, "sip:5")?.enabled, true);
  });

  it("leaves no timer behind", async () => {
    const world = new World();
    const [a] = (await world.joined(1)) as [Node];
    a.beat(7);
    assert.equal(world.clock.pending, 1);
    a.replica.stop();
    assert.equal(world.clock.pending, 0);
  });
});
