import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Keys } from "../../src/cluster/keys.ts";
import { Wire } from "../../src/cluster/wire.ts";
import { ClusterDialogs } from "../../src/server/cluster-dialogs.ts";
import { DialogKeeper } from "../../src/server/dialog-keeper.ts";
import { GatheredFarm } from "../support/gathered-farm.ts";
import { MemoryDialogs } from "../support/memory-dialogs.ts";
import { type MemoryLink, MemoryRedis } from "../support/memory-redis.ts";
import { DIALOG_TWINS } from "../support/memory-scripts/dialogs.ts";
import type { GatheredNode } from "../support/replica-node.ts";
import { settled } from "../support/settled.ts";
import { established, SimCall } from "../support/sim-call.ts";
import { FR_INVITE_MS, SimNetwork } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

const START_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;

interface Life {
  readonly incarnation: string;
  readonly file: MemoryDialogs;
  /** It reaches Redis when it starts. */
  readonly isUp: boolean;
  /** Time by which the farm has run. */
  readonly atMs: number;
  /** Its wall clock is ahead by this. */
  readonly aheadMs?: number;
}

/** A whole proxy of a cluster that keeps its calls in a file, too. */
class Node implements GatheredNode {
  readonly nodeId: number;
  readonly incarnation: string;
  readonly link: MemoryLink;
  readonly net: SimNetwork;
  readonly glue: ClusterDialogs;
  readonly keeper: DialogKeeper;
  readonly file: MemoryDialogs;
  readonly regained: string[] = [];
  readonly nodeListeners: GatheredNode["nodeListeners"] = [];
  readonly beatListeners: GatheredNode["beatListeners"] = [];
  hungMs = 0;
  isKilled = false;

  constructor(nodeId: number, farm: Farm, { incarnation, file, isUp, atMs, aheadMs = 0 }: Life) {
    this.nodeId = nodeId;
    this.incarnation = incarnation;
    this.file = file;
    this.link = farm.redis.link(`n${nodeId}${incarnation}`, { isUp });
    this.net = new SimNetwork({
      tokens: `n${nodeId}${incarnation}`,
      destinations: ["203.0.113.1"],
      resources: "pstn=100",
      elsewhere: { find: (did, message) => this.glue.find(did, message), hungUp: (dialog) => this.glue.hungUp(dialog) },
    });
    const { net } = this;
    net.run(atMs);
    const after = (ms: number, run: () => void): (() => void) => {
      const timer = net.wheel.schedule(ms, { timerFired: () => this.isKilled || run() }, 0, net.wheel.nowMs);
      return () => void net.wheel.cancel(timer);
    };
    const nowMs = (): number => net.wheel.nowMs;
    const listeners = (): SimNetwork["listener4"][] => [net.listener4, net.listener6];
    farm.gathering.nodes.push(this);
    this.glue = new ClusterDialogs({
      link: this.link,
      keys: new Keys(1),
      wire: new Wire({ nodeId, incarnation }),
      self: { nodeId, incarnation },
      clock: { nowMs, wallMs: () => START_MS + nowMs(), after },
      log: net.core.log,
      nodes: farm.gathering.seenBy(this, () => START_MS + nowMs()),
      keepsFile: true,
      dialogs: net.dialogs,
      balancer: net.balancer,
      listeners,
      tags: { isActive: () => false, list: () => [] },
      tag: undefined,
      releaseLoads: () => undefined,
    });
    this.keeper = new DialogKeeper({
      store: file,
      dialogs: net.dialogs,
      balancer: net.balancer,
      listeners,
      earlyLifetimeMs: FR_INVITE_MS,
      nowMs,
      wallMs: () => START_MS + aheadMs + nowMs(),
      after,
      log: net.core.log,
      shared: {
        stillOwn: (dids) => this.glue.stillOwn(dids),
        regained: (dialog) => {
          this.regained.push(dialog.did);
          this.glue.regained(dialog);
        },
        over: (did) => this.glue.over(did),
      },
    });
    net.dialogs.onState = (dialog) => {
      this.glue.stateChanged(dialog);
      this.keeper.stateChanged(dialog);
    };
    this.keeper.tableChanged();
    if (isUp) farm.gathering.appear(this);
  }

  /** As a start does: what Redis knows first. */
  async begin(): Promise<void> {
    const known = this.glue.replica.start();
    if (this.link.isUp) await known;
    await this.keeper.restoreShared();
  }

  get isUsable(): boolean {
    return !this.isKilled && this.link.isUp;
  }

  get load(): number {
    return this.net.loads[0] ?? Number.NaN;
  }

  /** Whether its only call is sure to be this node's alone. */
  get isSure(): boolean | undefined {
    return this.net.dialogs.isOwn?.(this.net.onlyDialog);
  }
}

class Farm extends GatheredFarm<Node> {
  readonly redis: MemoryRedis = new MemoryRedis({ nowMs: () => START_MS + this.nowMs }).scripts(DIALOG_TWINS);
  readonly nodes: Node[] = [];

  get nowMs(): number {
    return Math.max(0, ...this.nodes.map(({ net }) => net.wheel.nowMs));
  }

  /** Calls that Redis has, but for marks of their end. */
  get records(): number {
    const { store } = this.redis;
    return store.keys().filter((key) => key.includes(":dialog:") && !String(store.call("get", key)).endsWith(",0]")).length;
  }

  async start(nodeId: number, life: Partial<Life> = {}): Promise<Node> {
    const node = new Node(nodeId, this, { incarnation: "a", file: new MemoryDialogs(), isUp: true, atMs: this.nowMs, ...life });
    this.nodes.push(node);
    await node.begin();
    await settled();
    return node;
  }

  /** The node starts again with its file, as it was when it died. */
  again(node: Node, life: Partial<Life> = {}): Promise<Node> {
    const file = new MemoryDialogs(new Map(node.file.rows));
    file.aliveAtMs = node.file.aliveAtMs;
    return this.start(node.nodeId, { incarnation: `${node.incarnation}b`, file, ...life });
  }
}

/** The parties of a call, as they speak through another node. */
function through(net: SimNetwork, call: SimCall): SimCall {
  const { delivered, answer, toTag, caller, callee, invite } = call;
  return Object.assign(new SimCall(net.peer(caller.address), net.peer(callee.address), invite), { delivered, answer, toTag });
}

function hangUp({ net }: Node, call: SimCall): void {
  const { caller, callee } = through(net, call);
  caller.send(call.fromCaller("BYE", 2));
  // What a node has to ask Redis for passes later, and is not answered.
  const bye = callee.inbox.findLast((text) => text.startsWith("BYE") && headerOf(text, "Call-ID") === call.callId);
  if (bye === undefined) return;
  callee.send(responseTo(bye, 200));
  caller.take(200);
}

describe("calls of a node of a cluster that starts again", () => {
  it("come from Redis, which knows all of them; the file adds none", async () => {
    const farm = new Farm();
    const first = await farm.start(1);
    for (let i = 0; i < 5; i++) established(first.net);
    await farm.pass(100);
    farm.kill(first);
    const again = await farm.again(first);
    assert.deepEqual([again.load, again.keeper.counters["persist_restored"], again.regained.length], [5, 0, 0]);
    assert.equal(again.glue.replica.counters.dialogs_reclaimed, 5);
    await farm.pass(200);
    assert.deepEqual([again.file.rows.size, again.load], [5, 5]);
    again.net.checkLoads();
  });

  it("come from the file when Redis has lost what it had, and are known to the others again", async () => {
    const farm = new Farm();
    const first = await farm.start(1);
    const second = await farm.start(2);
    const calls = Array.from({ length: 5 }, () => established(first.net));
    await farm.pass(100);
    first.isKilled = true;
    first.link.cut();
    farm.redis.flush();
    const again = await farm.again(first);
    assert.deepEqual([again.load, again.keeper.counters["persist_restored"], again.regained.length], [5, 5, 5]);
    await farm.pass(200);
    hangUp(second, calls[0]!); // a BYE at another node finds its call
    await farm.pass(500);
    assert.deepEqual([again.load, second.load], [4, 0]);
    for (const call of calls.slice(1)) hangUp(again, call);
    await farm.pass(500);
    assert.deepEqual([again.load, again.file.rows.size, farm.records], [0, 0, 0]);
  });

  it("that ended in the last moment, which Redis was told and the file was not, do not come back", async () => {
    const farm = new Farm();
    const first = await farm.start(1);
    const calls = Array.from({ length: 5 }, () => established(first.net));
    await farm.pass(100);
    const behind = new Map(first.file.rows);
    for (const call of calls.slice(0, 2)) hangUp(first, call);
    await farm.pass(30);
    assert.equal(farm.records, 3);
    farm.kill(first);
    first.file.rows.clear();
    for (const [did, row] of behind) first.file.rows.set(did, row);
    const again = await farm.again(first);
    assert.deepEqual([again.load, again.keeper.counters["persist_restored"]], [3, 0]);
    await farm.pass(200);
    assert.deepEqual([again.load, again.file.rows.size], [3, 3]);
    for (const call of calls.slice(2)) hangUp(again, call);
    const last = established(again.net);
    await farm.pass(12_000, 100);
    hangUp(again, last);
    await farm.pass(100);
    const [key = ""] = farm.redis.store.keys().filter((name) => name.includes(":ended:"));
    assert.equal(farm.redis.store.call("zcard", key), 1, "ends of long ago are forgotten");
  });

  it("that another node has taken, or has ended, stay there: each is counted once", async () => {
    const farm = new Farm();
    const first = await farm.start(1);
    const second = await farm.start(2);
    const calls = Array.from({ length: 5 }, () => established(first.net));
    await farm.pass(100);
    farm.kill(first);
    await farm.pass(2_000);
    assert.equal(second.load, 5);
    hangUp(second, calls[0]!);
    await farm.pass(200);
    const again = await farm.again(first);
    assert.deepEqual([again.load, second.load, again.keeper.counters["persist_restored"]], [0, 4, 0]);
    await farm.pass(500);
    assert.deepEqual([again.load, second.load, again.file.rows.size], [0, 4, 0]);
  });

  it("that had ended when the node died, and of which Redis has not heard, end wherever they are; their BYEs still pass", async () => {
    const farm = new Farm();
    const first = await farm.start(1);
    const second = await farm.start(2);
    const calls = [established(first.net), established(first.net)];
    await farm.pass(100);
    first.link.cut();
    const byes = calls.map((call) => call.fromCaller("BYE", 2));
    for (const [i, call] of calls.entries()) call.caller.send(byes[i]!);
    await farm.pass(100); // lost behind the node
    farm.kill(first);
    await farm.pass(2_000);
    assert.equal(second.load, 2, "taken as calls that go on");
    const again = await farm.again(first);
    await farm.pass(500);
    assert.deepEqual([again.load, second.load, again.keeper.counters["persist_restored_ended"]], [0, 0, 2]);
    for (const [i, call] of calls.entries()) {
      const { caller, callee } = through(again.net, call);
      caller.send(byes[i]!);
      callee.send(responseTo(callee.take("BYE"), 200));
      caller.take(200);
    }
    await farm.pass(500);
    assert.deepEqual([again.file.rows.size, second.file.rows.size, farm.records], [0, 0, 0]);
  });

  it("go on at once without Redis; with it each is found to be here or elsewhere, never both", async () => {
    const farm = new Farm();
    const first = await farm.start(1);
    const second = await farm.start(2);
    const calls = Array.from({ length: 6 }, () => established(first.net));
    await farm.pass(100);
    farm.kill(first);
    await farm.pass(2_000); // the second one has them all, as a precaution
    hangUp(second, calls[0]!);
    const [, talking] = calls;
    const there = through(second.net, talking!);
    there.caller.send(talking!.fromCaller("INFO", 2)); // of this one something was heard
    await farm.pass(200);
    const again = await farm.again(first, { isUp: false });
    assert.equal(again.load, 6);
    hangUp(again, calls[2]!); // ends here, while the second one has it, too
    await farm.pass(500);
    assert.equal(again.load, 5);
    again.link.heal();
    farm.gathering.beat();
    await farm.pass(3_000);
    assert.equal(again.load + second.load, 4);
    assert.equal(second.load, 1, "the one of which it has heard");
    const rest = calls.slice(3);
    for (const call of rest) hangUp(again, call);
    hangUp(second, talking!);
    await farm.pass(1_000);
    assert.deepEqual([again.load, second.load, again.file.rows.size, second.file.rows.size], [0, 0, 0, 0]);
    for (const { net } of [again, second]) net.checkLoads();
  });

  it("are its own again when it begins without Redis and nobody has taken them", async () => {
    const farm = new Farm();
    const first = await farm.start(1);
    const call = established(first.net);
    await farm.pass(100);
    first.isKilled = true;
    first.link.cut();
    const again = await farm.again(first, { isUp: false });
    await farm.pass(500);
    assert.equal(again.isSure, false, "nobody can say that no other node has it");
    again.link.heal();
    assert.equal(again.isSure, false);
    farm.gathering.appear(again);
    await farm.pass(3_000);
    assert.deepEqual([again.load, again.isSure], [1, true]);
    assert.equal(again.glue.replica.counters.dialogs_surrendered, 0);
    hangUp(again, call);
    await farm.pass(500);
    assert.deepEqual([again.load, farm.records], [0, 0]);
  });

  it("are left to the others after half an hour away, and the log says so", async () => {
    for (const isUp of [true, false]) {
      const farm = new Farm();
      const first = await farm.start(1);
      established(first.net);
      await farm.pass(100);
      farm.kill(first);
      farm.redis.flush();
      const again = await farm.again(first, { isUp, aheadMs: HOUR_MS });
      assert.equal(again.load, 0);
      assert.equal(again.net.logged.filter(({ message }) => /away for 60 minutes/.test(message)).length, 1);
      await farm.pass(100);
      assert.equal(again.file.rows.size, 0);
    }
  });

  it("are not lost after a long quiet time: each minute it is written that the node lives", async () => {
    const farm = new Farm();
    const first = await farm.start(1);
    established(first.net);
    await farm.pass(200_000, 500);
    const { aliveAtMs = 0 } = first.file;
    assert.ok(START_MS + first.net.wheel.nowMs - aliveAtMs <= 61_000);
  });
});
