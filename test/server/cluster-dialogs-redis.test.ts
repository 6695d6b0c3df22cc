import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { Keys } from "../../src/cluster/keys.ts";
import { LoadExchange } from "../../src/cluster/loads/load-exchange.ts";
import { Slots } from "../../src/cluster/loads/slots.ts";
import type { ClusterClock } from "../../src/cluster/ports.ts";
import { openRedisLink, type RedisLink } from "../../src/cluster/redis/redis-link.ts";
import { Wire } from "../../src/cluster/wire.ts";
import { ClusterDialogs } from "../../src/server/cluster-dialogs.ts";
import { waitFor } from "../support/net.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { type GatheredNode, Gathering } from "../support/replica-node.ts";
import { established } from "../support/sim-call.ts";
import { SimNetwork } from "../support/sim-network.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const CLOCK: ClusterClock = {
  nowMs: () => performance.now(),
  wallMs: Date.now,
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Calls that are taken between two looks at them, at most. */
const BATCH = 200;
const MARK = "mark";

/** The calls and loads of a node on a real Redis; its SIP is simulated. */
class Node implements GatheredNode {
  readonly nodeId: number;
  readonly incarnation = "a";
  readonly link: RedisLink;
  readonly net = new SimNetwork({ destinations: ["203.0.113.1"], resources: "pstn=1000000" });
  readonly glue: ClusterDialogs;
  readonly nodeListeners: GatheredNode["nodeListeners"] = [];
  readonly beatListeners: GatheredNode["beatListeners"] = [];
  hungMs = 0;
  /** Messages under {@link MARK} that it got. */
  marks = 0;
  readonly released: number[] = [];
  readonly loads: LoadExchange;

  constructor(nodeId: number, url: string, gathering: Gathering) {
    this.nodeId = nodeId;
    this.link = openRedisLink({ url, log: SILENT, onFault: (error) => assert.fail(String(error)) });
    this.link.subscribe(MARK, () => this.marks++);
    gathering.nodes.push(this);
    const { balancer, dialogs } = this.net;
    const self = { nodeId, incarnation: "a" };
    const common = { link: this.link, keys: new Keys(1), wire: new Wire(self), self, clock: CLOCK, log: SILENT };
    const nodes = gathering.seenBy(this, Date.now);
    this.loads = new LoadExchange({ ...common, members: nodes, slots: new Slots(balancer, "shared"), balancer });
    this.glue = new ClusterDialogs({
      ...common,
      nodes,
      dialogs,
      balancer,
      listeners: () => [this.net.listener4],
      tags: { isActive: () => false, list: () => [] },
      tag: undefined,
      took: (from, load) => this.loads.took(from, load.leases),
      releaseLoads: (id) => {
        this.loads.release(id);
        this.released.push(id);
      },
    });
    dialogs.onState = (dialog) => this.glue.stateChanged(dialog);
  }

  get isUsable(): boolean {
    return this.link.isUp;
  }

  get #cell(): number {
    return this.net.balancer.destinations()[0]!.resources[0]!.cell;
  }

  get own(): number {
    return this.net.balancer.load(this.#cell);
  }

  get all(): number {
    return this.own + this.net.balancer.remoteLoad(this.#cell);
  }
}

async function withNodes(count: number, run: (nodes: Node[], gathering: Gathering, redis: RedisServer) => Promise<void>): Promise<void> {
  const redis = await startRedis();
  const gathering = new Gathering();
  const nodes = Array.from({ length: count }, (_, i) => new Node(i + 1, redis.url, gathering));
  const beats = setInterval(() => gathering.beat(), 200);
  try {
    await waitFor("all nodes", 5_000, () => nodes.every(({ link }) => link.isUp));
    gathering.beat();
    for (const { glue } of nodes) await glue.replica.start();
    await run(nodes, gathering, redis);
  } finally {
    clearInterval(beats);
    for (const { glue, link, loads } of nodes) {
      loads.stop();
      await glue.replica.close();
      await link.close();
    }
    await redis.close();
  }
}

/** Ends a node. The others miss it after a lease, when nothing that it said is under way: a mark that was published after its end has reached them. */
async function kill(node: Node, gathering: Gathering, redis: RedisServer): Promise<void> {
  const connections = async (): Promise<number> =>
    String(await redis.cli("CLIENT", "LIST", "TYPE", "pubsub"))
      .trim()
      .split("\n").length;
  const before = await connections();
  await node.link.close();
  await waitFor("the end of its connections", 5_000, async () => (await connections()) < before);
  const living = (gathering.nodes as Node[]).filter(({ link }) => link.isUp);
  for (const each of living) each.marks = 0;
  await redis.cli("PUBLISH", MARK, "");
  await waitFor("the mark", 5_000, () => living.every(({ marks }) => marks > 0));
  gathering.disappear(node.nodeId);
}

describe("calls of a node that was killed, on a real Redis", () => {
  it("500 are adopted within a second, and no node ever counts fewer than there are", { timeout: 60_000 }, async () => {
    await withNodes(3, async (nodes, gathering, redis) => {
      const [first, second, third] = nodes as [Node, Node, Node];
      for (let i = 0; i < 500; i++) established(third.net);
      await waitFor("records and loads", 5_000, () => third.glue.replica.isSettled && first.all === 500 && second.all === 500);
      let fewest = 500;
      const look = setInterval(() => {
        fewest = Math.min(fewest, first.all, second.all);
      }, 1);
      const beganMs = performance.now();
      look.unref(); // a test that fails must not keep its file running
      await kill(third, gathering, redis);
      await waitFor("the adoption", 5_000, () => first.released.length > 0 && second.released.length > 0);
      const tookMs = performance.now() - beganMs;
      await wait(200);
      clearInterval(look);
      assert.deepEqual([first.own, first.all, second.own, second.all, fewest], [500, 500, 0, 500, 500]);
      assert.ok(tookMs < 1_000, `took ${tookMs} ms`);
      for (const dialog of [...first.net.dialogs.list()]) first.net.dialogs.end(dialog, "Downstream BYE");
      await waitFor("the ends", 5_000, () => second.all === 0 && first.glue.replica.isSettled);
    });
  });

  it("5,000 are counted once by every node, from the death to the end", { timeout: 120_000 }, async () => {
    await withNodes(3, async (nodes, gathering, redis) => {
      const [first, second, third] = nodes as [Node, Node, Node];
      for (let i = 0; i < 5_000; i++) {
        established(third.net);
        if (i % 50 === 0) await new Promise(setImmediate);
      }
      await waitFor("records and loads", 20_000, () => third.glue.replica.isSettled && first.all === 5_000 && second.all === 5_000);
      const seen = new Set<number>();
      const steps = new Set<number>();
      const look = setInterval(() => {
        for (const node of [first, second]) seen.add(node.all);
        steps.add(first.own);
      }, 1);
      look.unref(); // a test that fails must not keep its file running
      await kill(third, gathering, redis);
      await waitFor("the adoption", 20_000, () => first.released.length > 0 && second.released.length > 0);
      await wait(200);
      clearInterval(look);
      assert.deepEqual([first.own, second.own], [5_000, 0]);
      assert.ok(steps.size > 20, `${steps.size} looks while calls were taken`);
      const [fewest, most] = [Math.min(...seen), Math.max(...seen)];
      assert.ok(fewest >= 5_000 - BATCH && most <= 5_000 + BATCH, `from ${fewest} to ${most}`);
    });
  });

  it("those that end while others are taken, here or where their BYE comes, leave every count at once", { timeout: 120_000 }, async () => {
    await withNodes(3, async (nodes, gathering, redis) => {
      const [first, second, third] = nodes as [Node, Node, Node];
      const dids: string[] = [];
      for (let i = 0; i < 3_000; i++) {
        established(third.net);
        if (i % 50 === 0) await new Promise(setImmediate);
      }
      for (const { did } of third.net.dialogs.list()) dids.push(did);
      await waitFor("records and loads", 20_000, () => third.glue.replica.isSettled && first.all === 3_000 && second.all === 3_000);
      const byes = dids.slice(-200);
      // By name: until a node has heard that another one took a call, it has that call too, and may hang it up as well.
      const over = new Set<string>();
      const truth = (): number => dids.length - over.size;
      const off: number[] = [];
      const look = setInterval(() => off.push(first.all - truth(), second.all - truth()), 1);
      const hangUp = (node: Node, did: string): void => {
        const dialog = node.net.dialogs.byDid(did);
        if (dialog === undefined) return;
        node.net.dialogs.end(dialog, "Downstream BYE");
        over.add(did);
      };
      look.unref(); // a test that fails must not keep its file running
      await kill(third, gathering, redis);
      for (const did of byes) {
        const found = await second.glue.replica.find(did, () => true);
        if (found?.kind === "taken") hangUp(second, did);
      }
      await waitFor("some of the calls", 10_000, () => first.own > 500);
      for (const { did } of [...first.net.dialogs.list()].slice(0, 300)) hangUp(first, did);
      await waitFor("the adoption", 20_000, () => first.released.length > 0 && second.released.length > 0);
      await waitFor("the ends", 5_000, () => first.all === truth() && second.all === truth());
      clearInterval(look);
      assert.ok(over.size >= 400, `${over.size} calls ended`);
      const [fewest, most] = [Math.min(...off), Math.max(...off)];
      assert.ok(fewest >= -BATCH && most <= 300 + BATCH, `off by ${fewest} to ${most}, with 300 that end in one step`);
    });
  });

  it("10,000 are adopted without holding up anything for more than 20 ms", { timeout: 120_000 }, async () => {
    await withNodes(2, async (nodes, gathering, redis) => {
      const [first, second] = nodes as [Node, Node];
      for (let i = 0; i < 10_000; i++) {
        established(second.net);
        if (i % 50 === 0) await new Promise(setImmediate);
      }
      await waitFor("records", 20_000, () => second.glue.replica.isSettled);
      const endWatch = watchTurns();
      await kill(second, gathering, redis);
      await waitFor("the adoption", 20_000, () => first.released.length > 0);
      const turnsMs = endWatch();
      assert.equal(first.own, 10_000);
      assert.ok(turnsMs.length > 300, `${turnsMs.length} turns`);
      // A few turns have to collect garbage besides: that of both nodes, as they share this process.
      const long = turnsMs.filter((ms) => ms > 20);
      assert.ok(long.length <= turnsMs.length / 100, `turns of the event loop that took too long, in ms of the processor: ${long}`);
    });
  });

  it("all is written again within two seconds after Redis has lost everything", { timeout: 60_000 }, async () => {
    await withNodes(2, async (nodes, gathering, redis) => {
      const [first, second] = nodes as [Node, Node];
      for (let i = 0; i < 1_000; i++) established(second.net);
      await waitFor("records", 5_000, () => second.glue.replica.isSettled);
      const keys = Number(await redis.cli("DBSIZE"));
      await redis.flush();
      gathering.generation = "another";
      await waitFor("records again", 2_000, async () => Number(await redis.cli("SCARD", new Keys(1).dialogsOf(2))) === 1_000);
      await waitFor("all of them", 2_000, async () => Number(await redis.cli("DBSIZE")) >= keys - 1);
      await kill(second, gathering, redis);
      await waitFor("the adoption", 5_000, () => first.own === 1_000);
    });
  });
});

/** Watches the turns of the event loop. @returns ends it, and answers their processor times, ms: what others do on the machine does not count */
function watchTurns(): () => number[] {
  let isOn = true;
  const turnsMs: number[] = [];
  let before = process.threadCpuUsage();
  const turn = (): void => {
    const { user, system } = process.threadCpuUsage(before);
    turnsMs.push((user + system) / 1_000);
    before = process.threadCpuUsage();
    if (isOn) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    isOn = false;
    return turnsMs;
  };
}
