import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Keys } from "../../src/cluster/keys.ts";
import { LoadExchange } from "../../src/cluster/loads/load-exchange.ts";
import { Slots } from "../../src/cluster/loads/slots.ts";
import type { ClusterClock, LoadSharing } from "../../src/cluster/ports.ts";
import { Wire } from "../../src/cluster/wire.ts";
import { type DrainChange, Drains } from "../../src/health/index.ts";
import { drainCalls } from "../../src/management/index.ts";
import { ClusterDialogs } from "../../src/server/cluster-dialogs.ts";
import { ClusterStatus } from "../../src/server/cluster-status.ts";
import { GatheredFarm } from "../support/gathered-farm.ts";
import { type MemoryLink, MemoryRedis } from "../support/memory-redis.ts";
import { DIALOG_TWINS } from "../support/memory-scripts/dialogs.ts";
import { statusScripts } from "../support/memory-scripts/status.ts";
import type { GatheredNode } from "../support/replica-node.ts";
import { established } from "../support/sim-call.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headerOf } from "../support/sip-messages.ts";

const START_MS = 1_700_000_000_000;
const KEYS = new Keys(1);
const CALLS = 20;

/** A whole proxy in a cluster, with the calls, loads, statuses and drains of it, all of it simulated. */
class Node implements GatheredNode {
  readonly nodeId: number;
  readonly incarnation = "a";
  readonly link: MemoryLink;
  readonly net: SimNetwork;
  readonly drains: Drains;
  readonly dialogs: ClusterDialogs;
  readonly status: ClusterStatus;
  readonly loads: LoadExchange;
  readonly told: DrainChange[] = [];
  readonly nodeListeners: GatheredNode["nodeListeners"] = [];
  readonly beatListeners: GatheredNode["beatListeners"] = [];
  hungMs = 0;
  isKilled = false;

  constructor(nodeId: number, farm: Farm, sharing: LoadSharing) {
    this.nodeId = nodeId;
    this.link = farm.redis.link(`n${nodeId}`);
    this.net = new SimNetwork({ tokens: `n${nodeId}`, destinations: ["203.0.113.1"], resources: "pstn=100" });
    const { link, net } = this;
    const { balancer, dialogs, wheel } = net;
    const wallMs = (): number => START_MS + wheel.nowMs;
    const clock: ClusterClock = {
      nowMs: () => wheel.nowMs,
      wallMs,
      after: (ms, run) => {
        const timer = wheel.schedule(ms, { timerFired: () => this.isKilled || run() }, 0, wheel.nowMs);
        return () => void wheel.cancel(timer);
      },
    };
    const log = net.core.log;
    this.drains = new Drains({
      balancer,
      wallMs,
      after: clock.after,
      ...drainCalls({ balancer, dialogs, endDialog: ({ did }) => net.proxy.endDialog(dialogs.byDid(did)!), log }),
      onChange: (change) => {
        this.told.push(change);
        this.status.drainChanged(change);
      },
    });
    farm.gathering.nodes.push(this);
    const self = { nodeId, incarnation: "a" };
    const common = { link, keys: KEYS, wire: new Wire(self), self, nodeId, clock, log };
    const nodes = farm.gathering.seenBy(this, wallMs);
    const { drains } = this;
    this.status = new ClusterStatus({
      ...common,
      beats: {
        redisNowMs: wallMs,
        onBeat: (listen) =>
          nodes.onBeat(({ generation }) => listen({ generation, statusSeq: Number(farm.redis.store.call("GET", KEYS.statusSeq) ?? 0) })),
      },
      balancer,
      drains,
      breakerOpenMs: 10_000,
    });
    this.status.tableChanged({ added: [1] });
    this.loads = new LoadExchange({ ...common, members: nodes, slots: new Slots(balancer, sharing), balancer });
    this.dialogs = new ClusterDialogs({
      ...common,
      nodes,
      dialogs,
      balancer,
      listeners: () => [net.listener4],
      tags: { isActive: () => false, list: () => [] },
      tag: undefined,
      adopted: ({ did, load, startedAtMs }) => drains.adopted(did, load, startedAtMs),
      releaseLoads: (id) => this.loads.release(id),
    });
    dialogs.onState = (dialog) => this.dialogs.stateChanged(dialog);
    farm.gathering.appear(this);
    void this.dialogs.replica.start();
  }

  get isUsable(): boolean {
    return !this.isKilled && this.link.isUp;
  }

  get calls(): number {
    return this.net.dialogs.size;
  }

  /** What the drain of the one destination says: what is left, "over" when it has ended, "none". */
  get drain(): string | number {
    const [destination] = this.net.balancer.destinations();
    return this.drains.of(destination!)?.load ?? (this.drains.drained(destination!) === undefined ? "none" : "over");
  }
}

class Farm extends GatheredFarm<Node> {
  readonly redis: MemoryRedis = new MemoryRedis({ nowMs: () => START_MS + (this.nodes?.at(-1)?.net.wheel.nowMs ?? 0) })
    .scripts(DIALOG_TWINS)
    .scripts(statusScripts);
  readonly nodes: readonly Node[];

  constructor(count: number, sharing: LoadSharing) {
    super();
    const nodes: Node[] = [];
    this.nodes = nodes;
    for (let id = 1; id <= count; id++) nodes.push(new Node(id, this, sharing));
  }
}

/** Two nodes that know each other; the first has all calls. */
async function farmOf(sharing: LoadSharing): Promise<{ farm: Farm; a: Node; b: Node; byes: () => number }> {
  const farm = new Farm(2, sharing);
  const [a, b] = farm.nodes as [Node, Node];
  await farm.pass(2_000);
  const calls = Array.from({ length: CALLS }, () => established(a.net));
  await farm.pass(100);
  const callees = new Set(calls.map(({ callee }) => callee.address));
  const byes = (): number => {
    const texts = [...callees].flatMap((address) => b.net.peer(address).inbox.filter((text) => text.startsWith("BYE ")));
    return new Set(texts.map((text) => headerOf(text, "Call-ID"))).size;
  };
  return { farm, a, b, byes };
}

describe("a drain with a deadline and bye, of calls whose node dies", () => {
  for (const decider of [0, 1]) {
    it(`${decider === 0 ? "begun by it" : "begun by the survivor"} goes on while loads are shared, and ends the calls at its deadline`, async () => {
      const { farm, a, b, byes } = await farmOf("shared");
      farm.nodes[decider]!.drains.begin(1, 10, true);
      await farm.pass(1_000);
      assert.deepEqual([a.drain, b.drain], [CALLS, CALLS]);
      farm.kill(a);
      await farm.pass(5_000);
      assert.deepEqual([b.calls, b.drain, byes()], [CALLS, CALLS, 0]);
      await farm.pass(4_500);
      assert.deepEqual([b.calls, b.drain, byes()], [0, "over", CALLS]);
    });
  }

  for (const sharing of ["off", "shared"] as const) {
    it(`ends them at once where the deadline has passed when they come, with load sharing ${sharing}`, async () => {
      const { farm, a, b, byes } = await farmOf(sharing);
      b.drains.begin(1, 3, true);
      await farm.pass(1_000);
      assert.deepEqual([a.drain, b.drain], [CALLS, sharing === "off" ? "over" : CALLS]);
      a.isKilled = true; // the others do not know yet
      a.link.cut();
      await farm.pass(3_000);
      assert.deepEqual([b.calls, b.drain], [0, "over"]);
      farm.kill(a);
      await farm.pass(1_000);
      assert.deepEqual([b.calls, byes()], [0, CALLS]);
    });
  }

  it("ends them at its deadline where it was over before they came, as loads are not shared", async () => {
    const { farm, a, b, byes } = await farmOf("off");
    a.drains.begin(1, 10, true);
    await farm.pass(1_000);
    assert.deepEqual([a.drain, b.drain], [CALLS, "over"]);
    farm.kill(a);
    await farm.pass(5_000);
    assert.deepEqual([b.calls, b.drain, byes()], [CALLS, "over", 0]);
    await farm.pass(4_500);
    assert.deepEqual([b.calls, byes()], [0, CALLS]);
  });

  it("leaves them alone once it is undone", async () => {
    const { farm, a, b } = await farmOf("off");
    a.drains.begin(1, 5, true);
    await farm.pass(1_000);
    farm.kill(a);
    await farm.pass(1_000);
    assert.equal(b.drains.undo(1), "undone");
    await farm.pass(10_000);
    assert.deepEqual([b.calls, b.drain], [CALLS, "none"]);
  });
});

describe("a drain of a destination whose calls are on one node", () => {
  it("ends on both when the last has ended, where loads are shared", async () => {
    const { farm, a, b } = await farmOf("shared");
    b.drains.begin(1, 0, false);
    await farm.pass(2_000);
    assert.deepEqual([a.drain, b.drain], [CALLS, CALLS]);
    for (const { did } of [...a.net.dialogs.list()]) a.net.proxy.endDialog(a.net.dialogs.byDid(did)!);
    await farm.pass(1_000);
    assert.deepEqual([a.drain, b.drain], ["over", "over"]);
    assert.deepEqual(
      b.told.map(({ kind, reason }) => reason ?? kind),
      ["started", "idle"],
    );
  });
});
