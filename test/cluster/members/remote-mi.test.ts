import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Keys } from "../../../src/cluster/keys.ts";
import {
  ANSWER_WAIT_MS,
  MAX_AGE_MS,
  MAX_ASKING,
  MAX_REMEMBERED,
  MAX_REQUEST_CHARS,
  MAX_RUNNING,
  RemoteMi,
  type RemoteOutcome,
} from "../../../src/cluster/members/remote-mi.ts";
import { MAX_WIRE_CHARS, Wire } from "../../../src/cluster/wire.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryRedis } from "../../support/memory-redis.ts";

const REDIS_MS = 1_700_000_000_000;
const keys = new Keys(1);

type Run = (method: string, params: unknown, fromNode: number, by?: string) => Promise<RemoteOutcome>;

/** Nodes with ids from 1 on a Redis in memory; each answers its id and what it was asked. */
function nodes(count: number, run?: Run) {
  const redis = new MemoryRedis();
  const clock = new FakeClock();
  const members = Array.from({ length: count }, (_, i) => ({ nodeId: i + 1, incarnation: `run${i + 1}`, isAlive: true }));
  const made = members.map((self) => {
    const link = redis.link(`node ${self.nodeId}`);
    const wire = new Wire(self);
    const calls: [method: string, params: unknown, fromNode: number, by?: string][] = [];
    const remote = new RemoteMi({
      link,
      keys,
      wire,
      self,
      clock: { nowMs: clock.now, wallMs: clock.now, after: (ms, then) => clock.after(ms, then) },
      members: { nodes: () => members, redisNowMs: () => REDIS_MS + clock.nowMs },
      run: (method, params, fromNode, by) => {
        calls.push(by === undefined ? [method, params, fromNode] : [method, params, fromNode, by]);
        return run?.(method, params, fromNode) ?? Promise.resolve({ result: `${self.nodeId} ${method}` });
      },
    });
    return { remote, link, wire, calls, member: self };
  });
  const [first, second, third] = made;
  return { redis, clock, first: first!, second: second!, third: third!, all: made };
}

type Nodes = ReturnType<typeof nodes>;

/** A request as a node of this id would write it. */
function request(nodeId: number, body: object, incarnation = `run${nodeId}`): string {
  return new Wire({ nodeId, incarnation }).encode({ id: "r1", to: 0, atMs: REDIS_MS, method: "ps", ...body });
}

/** Says something on the channel of requests, whoever one is, and lets everybody hear it. */
async function say({ redis }: Nodes, ...messages: string[]): Promise<void> {
  const link = redis.link("somebody");
  for (const message of messages) link.publish(keys.channel("mi"), message);
  await redis.settle();
}

const data = (outcome: object | undefined): unknown => (outcome as { error?: { data?: unknown } } | undefined)?.error?.data;

describe("a method for all nodes", () => {
  it("runs on each living node, this one too, and answers in the order of their ids", async () => {
    const cluster = nodes(4);
    cluster.all[3]!.member.isAlive = false;
    cluster.all[3]!.link.cut();
    assert.deepEqual(await cluster.second.remote.broadcast("lb_reload", undefined), [
      { nodeId: 1, result: "1 lb_reload" },
      { nodeId: 2, result: "2 lb_reload" },
      { nodeId: 3, result: "3 lb_reload" },
    ]);
    assert.deepEqual(
      cluster.all.map(({ calls }) => calls),
      [[["lb_reload", undefined, 2]], [["lb_reload", undefined, 2]], [["lb_reload", undefined, 2]], []],
    );
    assert.equal(cluster.clock.pending, 0);
  });

  it("carries parameters by position and by name, and errors as they are", async () => {
    const error = { code: 404, message: "Destination ID not found" };
    const cluster = nodes(2, async (method) => (method === "lb_status" ? { error } : { result: null }));
    const byName = { destination_id: 7, new_status: "0" };
    assert.deepEqual(await cluster.first.remote.broadcast("lb_status", byName), [
      { nodeId: 1, error },
      { nodeId: 2, error },
    ]);
    await cluster.first.remote.broadcast("dlg_end_dlg", ["a", 1]);
    assert.deepEqual(cluster.second.calls, [
      ["lb_status", byName, 1],
      ["dlg_end_dlg", ["a", 1], 1],
    ]);
  });

  it("says who asks, for the audit lists of the nodes, however long the name is", async () => {
    const cluster = nodes(2);
    await cluster.first.remote.broadcast("lb_reload", undefined, "anna");
    await cluster.first.remote.send(2, "lb_reload", undefined, "x".repeat(1_000));
    assert.deepEqual(cluster.first.calls, [["lb_reload", undefined, 1, "anna"]]);
    assert.deepEqual(cluster.second.calls, [
      ["lb_reload", undefined, 1, "anna"],
      ["lb_reload", undefined, 1, "x".repeat(128)],
    ]);
  });

  it("has an error entry for a node that does not answer in 3 s, be it another or this one", async () => {
    const cluster = nodes(3);
    cluster.third.link.cut();
    const answers = cluster.first.remote.broadcast("ps", undefined);
    await cluster.redis.settle();
    cluster.clock.advance(ANSWER_WAIT_MS);
    const [one, two, three] = await answers;
    assert.deepEqual(
      [one, two],
      [
        { nodeId: 1, result: "1 ps" },
        { nodeId: 2, result: "2 ps" },
      ],
    );
    assert.deepEqual(three, { nodeId: 3, error: { code: -32000, message: "Server error", data: "No answer within 3000 ms" } });
    assert.equal(cluster.first.remote.counters.mi_timeouts, 1);

    const hanging = nodes(1, () => new Promise(() => undefined));
    const own = hanging.first.remote.broadcast("ps", undefined);
    hanging.clock.advance(ANSWER_WAIT_MS);
    assert.equal(data((await own)[0]), "No answer within 3000 ms: it may still finish");
  });

  it("runs here alone, with an error entry for each other node, while Redis is lost", async () => {
    const cluster = nodes(2);
    cluster.first.link.cut();
    const [one, two] = await cluster.first.remote.broadcast("ps", undefined);
    assert.deepEqual([one, data(two)], [{ nodeId: 1, result: "1 ps" }, "Not sent: Redis is lost"]);
  });

  it("says so where an answer is too long to be sent", async () => {
    const cluster = nodes(2, async () => ({ result: "x".repeat(MAX_WIRE_CHARS) }));
    const [, two] = await cluster.first.remote.broadcast("lb_list", undefined);
    assert.equal(data(two), "The answer is too long to be sent: ask the node itself");
    assert.equal(cluster.second.remote.counters.mi_answers_too_long, 1);
  });

  it("is not sent when it is too long, nested without end, or one of too many", async () => {
    const cluster = nodes(2);
    const { remote } = cluster.first;
    let deep: unknown[] = [];
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const long = `Not sent: the request is longer than ${MAX_REQUEST_CHARS} characters`;
    assert.equal(data((await remote.broadcast("ps", ["x".repeat(MAX_REQUEST_CHARS)]))[1]), long);
    assert.equal(data((await remote.broadcast("ps", deep))[1]), "Not sent: the parameters are nested too deeply");
    assert.equal(data((await remote.broadcast("x".repeat(129), undefined))[1]), "Not sent: a method has 1 to 128 characters");
    cluster.second.link.cut();
    const waiting = Array.from({ length: MAX_ASKING }, () => remote.send(2, "ps", undefined));
    assert.equal(data(await remote.send(2, "ps", undefined)), `Not sent: ${MAX_ASKING} requests are under way`);
    cluster.clock.advance(ANSWER_WAIT_MS);
    await Promise.all(waiting);
    cluster.second.link.heal();
    assert.deepEqual(await remote.send(2, "ps", undefined), { result: "2 ps" });
  });
});

describe("a method for one node", () => {
  it("runs there and nowhere else", async () => {
    const cluster = nodes(3);
    assert.deepEqual(await cluster.first.remote.send(3, "ps", undefined), { result: "3 ps" });
    assert.deepEqual([cluster.first.calls.length, cluster.second.calls.length, cluster.third.calls.length], [0, 0, 1]);
    assert.equal(cluster.second.remote.counters.mi_not_for_this_node, 1);
    assert.deepEqual(await cluster.first.remote.send(1, "ps", undefined), { result: "1 ps" });
  });

  it("has no answer when there is no such node, or it is gone", async () => {
    const cluster = nodes(2);
    cluster.second.member.isAlive = false;
    assert.equal(await cluster.first.remote.send(2, "ps", undefined), undefined);
    assert.equal(await cluster.first.remote.send(9, "ps", undefined), undefined);
  });
});

describe("an answer that nobody waits for", () => {
  const cases: [name: string, answer: (id: string) => [from: number, incarnation: string, body: object]][] = [
    ["of an unknown request", () => [2, "run2", { id: "other", result: 1 }]],
    ["of a node that is not in the cluster", (id) => [9, "run9", { id, result: 1 }]],
    ["of a node that was not asked", (id) => [3, "run3", { id, result: 1 }]],
    ["of an earlier process of the node", (id) => [2, "run1", { id, result: 1 }]],
  ];
  for (const [name, answer] of cases) {
    it(`${name} is ignored and counted`, async () => {
      const cluster = nodes(3);
      cluster.second.link.stall();
      const ids: string[] = [];
      cluster.redis.link("listener").subscribe(keys.channel("mi"), (text) => ids.push(JSON.parse(text)[3].id));
      const outcome = cluster.first.remote.send(2, "ps", undefined);
      await cluster.redis.settle();
      const [nodeId, incarnation, body] = answer(ids[0]!);
      cluster.redis.link("liar").publish(keys.channelOf(1), new Wire({ nodeId, incarnation }).encode(body));
      await cluster.redis.settle();
      assert.equal(cluster.first.remote.counters.mi_answers_ignored, 1);
      cluster.second.link.heal();
      assert.deepEqual(await outcome, { result: "2 ps" });
    });
  }

  it("is a second one as well", async () => {
    const cluster = nodes(2);
    const texts: string[] = [];
    const listener = cluster.redis.link("listener");
    listener.subscribe(keys.channelOf(1), (text) => texts.push(text));
    await cluster.first.remote.send(2, "ps", undefined);
    await cluster.redis.settle();
    listener.publish(keys.channelOf(1), texts[0]!);
    await cluster.redis.settle();
    assert.equal(cluster.first.remote.counters.mi_answers_ignored, 1);
  });
});

describe("a request that is refused", () => {
  const { wire: foreign } = nodes(2).second;
  const cases: [name: string, message: string, counted: (cluster: Nodes) => number][] = [
    ["of an unknown version", request(2, {}).replace("[1,", "[2,"), ({ first }) => first.wire.counters.refused_version],
    ["that is no JSON", "{", ({ first }) => first.wire.counters.refused_malformed],
    ["with a key of its own", request(2, { token: "x" }), ({ first }) => first.wire.counters.refused_malformed],
    ["without a method", foreign.encode({ id: "r1", to: 0, atMs: REDIS_MS }), ({ first }) => first.wire.counters.refused_malformed],
    ["with a text as parameters", request(2, { params: "x" }), ({ first }) => first.wire.counters.refused_malformed],
    ["that is a giant", request(2, { params: ["x".repeat(MAX_REQUEST_CHARS)] }), ({ first }) => first.remote.counters.mi_refused_too_long],
    ["for another node", request(2, { to: 7 }), ({ first }) => first.remote.counters.mi_not_for_this_node],
    ["of a node that is not in the cluster", request(9, {}), ({ first }) => first.remote.counters.mi_refused_stranger],
    ["of a node that is gone", request(3, {}), ({ first }) => first.remote.counters.mi_refused_stranger],
    ["of an earlier process of a node", request(2, {}, "run1"), ({ first }) => first.remote.counters.mi_refused_stranger],
    ["in the name of this node", request(1, {}, "other"), ({ first }) => first.remote.counters.mi_refused_stranger],
    ["that was held up", request(2, { atMs: REDIS_MS - MAX_AGE_MS - 1 }), ({ first }) => first.remote.counters.mi_refused_late],
    ["from the future", request(2, { atMs: REDIS_MS + MAX_AGE_MS + 1 }), ({ first }) => first.remote.counters.mi_refused_late],
    ["to ask all nodes", request(2, { method: "cluster_broadcast_mi" }), ({ first }) => first.remote.counters.mi_refused_method],
    ["to ask another node", request(2, { method: "clusterer:send_mi" }), ({ first }) => first.remote.counters.mi_refused_method],
  ];
  for (const [name, message, counted] of cases) {
    it(`${name} is not run and counted`, async () => {
      const cluster = nodes(3);
      cluster.third.member.isAlive = false;
      await say(cluster, message);
      assert.deepEqual([cluster.first.calls.length, counted(cluster)], [0, 1]);
    });
  }

  it("is one that came before: none runs twice", async () => {
    const cluster = nodes(2);
    await say(cluster, request(2, {}), request(2, {}), request(2, { id: "r2" }));
    assert.deepEqual([cluster.first.calls.length, cluster.first.remote.counters.mi_refused_twice], [2, 1]);
  });

  it("is what comes while enough run: 1000 at once do no harm, and the asker is told", async () => {
    const ends: (() => void)[] = [];
    const cluster = nodes(2, () => new Promise((resolve) => ends.push(() => resolve({ result: "OK" }))));
    await say(cluster, ...Array.from({ length: 1_000 }, (_, i) => request(2, { id: `r${i}`, to: 1 })));
    assert.equal(cluster.first.calls.length, MAX_RUNNING);
    assert.equal(cluster.first.remote.counters.mi_refused_busy, 1_000 - MAX_RUNNING);
    assert.equal(cluster.second.remote.counters.mi_answers_ignored, 1_000 - MAX_RUNNING);
    for (const end of ends) end();
    await cluster.redis.settle();
    await say(cluster, request(2, { id: "later" }));
    assert.equal(cluster.first.calls.length, MAX_RUNNING + 1);
  });

  it("leaves no more behind than the last of them", async () => {
    const cluster = nodes(2);
    for (let i = 0; i < MAX_REMEMBERED; i += 512) {
      await say(cluster, ...Array.from({ length: 512 }, (_, j) => request(2, { id: `r${i + j}`, to: 1 })));
    }
    const before = cluster.first.remote.counters.mi_refused_twice;
    await say(cluster, request(2, { id: "one more", to: 1 }), request(2, { id: "r0", to: 1 }), request(2, { id: "one more", to: 1 }));
    assert.equal(cluster.first.remote.counters.mi_refused_twice - before, 1);
  });

  it("by broadcast itself never leaves the node that wants it", async () => {
    const cluster = nodes(2);
    const refused = { error: { code: 400, message: "Command cannot be run for another node" } };
    assert.deepEqual(await cluster.first.remote.broadcast("clusterer:broadcast_mi", [1, "ps"]), [
      { nodeId: 1, ...refused },
      { nodeId: 2, ...refused },
    ]);
    assert.deepEqual(await cluster.first.remote.send(1, "cluster_send_mi", []), refused);
    assert.deepEqual([cluster.first.calls, cluster.second.calls], [[], []]);
  });
});
