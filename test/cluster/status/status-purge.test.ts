import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Keys } from "../../../src/cluster/keys.ts";
import type { StatusBeat } from "../../../src/cluster/status/status-ports.ts";
import { FORGOTTEN_AFTER_MS } from "../../../src/cluster/status/status-purge.ts";
import { StatusReplica } from "../../../src/cluster/status/status-replica.ts";
import { Wire } from "../../../src/cluster/wire.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryRedis } from "../../support/memory-redis.ts";
import { statusScripts } from "../../support/memory-scripts/status.ts";
import { QUIET_LOG, START_MS } from "../../support/status-cluster.ts";

const DOWN = { enabled: false, autoReenable: false, cause: "mi" } as const;
const [STAYS, GOES] = ["sip:192.0.2.1", "sip:192.0.2.2"];

/** Nodes whose tables may differ. */
class World {
  readonly clock = new FakeClock(START_MS);
  readonly keys = new Keys(1);
  readonly redis = new MemoryRedis({ nowMs: this.clock.now }).scripts(statusScripts);
  readonly #beats: (() => void)[] = [];

  node(nodeId: number, table: ReadonlySet<string>): StatusReplica {
    const { clock, keys, redis } = this;
    const seq = (): number => Number(redis.store.call("GET", keys.statusSeq) ?? 0);
    return new StatusReplica({
      link: redis.link(`node ${nodeId}`),
      keys,
      wire: new Wire({ nodeId, incarnation: "a" }),
      nodeId,
      clock: { nowMs: () => clock.nowMs - START_MS, wallMs: clock.now, after: (ms, run) => clock.after(ms, run) },
      beats: {
        redisNowMs: clock.now,
        onBeat: (listen: (beat: StatusBeat) => void) => void this.#beats.push(() => listen({ generation: "g1", statusSeq: seq() })),
      },
      apply: () => undefined,
      isListed: (_, uri) => table.has(uri),
      log: QUIET_LOG,
    });
  }

  /** Seconds, each with a beat of every node. */
  async seconds(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      for (const beat of this.#beats) beat();
      await this.redis.settle();
      this.clock.advance(1_000);
      await this.redis.settle();
    }
  }

  held(): number {
    return this.redis.store.call("HLEN", this.keys.status) as number;
  }
}

describe("registers of destinations that are gone", () => {
  it("are forgotten by all nodes and by Redis when all is compared a month later, and no sooner", async () => {
    const world = new World();
    const table = new Set([STAYS, GOES]);
    const [a, b] = [world.node(1, table), world.node(2, table)];
    await world.seconds(1);
    for (const uri of [STAYS, GOES]) a.set("status", 1, uri, DOWN);
    await world.seconds(1);
    table.delete(GOES);
    world.clock.advance(FORGOTTEN_AFTER_MS - 10_000);
    await a.sync();
    assert.deepEqual([a.size, b.size, world.held()], [2, 2, 2]);
    world.clock.advance(10_000);
    await a.sync();
    await world.seconds(3);
    assert.deepEqual([a.size, b.size, world.held()], [1, 1, 1]);
    assert.deepEqual([a.get("status", 1, STAYS), b.get("status", 1, STAYS)], [DOWN, DOWN]);
    assert.deepEqual([a.isSynced, b.isSynced, a.pendingCount, b.pendingCount], [true, true, 0, 0]);
  });

  it("stay while one node has such a destination, and are there again for one that gets it later", async () => {
    const world = new World();
    const [mine, theirs] = [new Set([STAYS]), new Set([STAYS, GOES])];
    const [a, b] = [world.node(1, mine), world.node(2, theirs)];
    await world.seconds(1);
    b.set("status", 1, GOES, DOWN);
    await world.seconds(1);
    world.clock.advance(FORGOTTEN_AFTER_MS);
    await a.sync();
    await world.seconds(3);
    assert.deepEqual([world.held(), b.get("status", 1, GOES)], [1, DOWN]);
    assert.deepEqual([a.get("status", 1, GOES)], [DOWN]);
  });

  it("are not brought back by a node that had decided them before its start", async () => {
    const world = new World();
    world.clock.advance(FORGOTTEN_AFTER_MS);
    const a = world.node(1, new Set([STAYS]));
    a.seed("status", 1, GOES, DOWN, START_MS - 1);
    a.seed("status", 1, STAYS, DOWN, START_MS - 1);
    await world.seconds(2);
    assert.deepEqual([a.size, a.pendingCount, world.held()], [1, 0, 1]);
  });
});
