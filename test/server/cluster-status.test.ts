import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DestinationState } from "../../src/health/index.ts";
import { row } from "../health/drain-farm.ts";
import { OPEN_MS, START_MS, StatusCluster, type StatusNode } from "../support/status-cluster.ts";

const ROWS = [row(1), row(2), { ...row(7), uri: row(1).uri }, row(8, "pstn=10", 2)];

async function joined(count = 3): Promise<{ cluster: StatusCluster; nodes: StatusNode[]; all: (id: number) => string[] }> {
  const cluster = new StatusCluster(ROWS);
  const nodes = await cluster.joined(count);
  return { cluster, nodes, all: (id) => cluster.nodes.map((node) => node.stateOf(id)) };
}

describe("a status in a cluster", () => {
  const decisions: readonly (readonly [name: string, decide: (node: StatusNode) => void, want: string])[] = [
    ["by an operator", (node) => node.setStatus(1, false), "disabled"],
    ["by a probe", (node) => void node.balancer.setStatus(1, false, "probe"), "down"],
    ["by a script", (node) => void node.balancer.setStatus(1, false, "script"), "down"],
    ["that says to probe it again", (node) => [node.setStatus(1, false), node.balancer.allowReenable(1, "mi")], "down"],
    ["of a drain", (node) => void node.drains.begin(1, 0, false), "disabled drained"],
    ["of a breaker", (node) => node.failCalls(1), "enabled broken"],
  ];
  for (const [name, decide, want] of decisions) {
    it(`${name} holds on all nodes, for every row with that group and URI and no other`, async () => {
      const { cluster, nodes, all } = await joined();
      decide(nodes[1]!);
      await cluster.redis.settle();
      assert.deepEqual(all(1), [want, want, want]);
      assert.deepEqual(all(7), [want, want, want]);
      assert.deepEqual([...all(2), ...all(8)], Array(6).fill("enabled"));
    });

    it(`${name} is the same on a node that starts later, and no news there`, async () => {
      const { cluster, nodes, all } = await joined(1);
      decide(nodes[0]!);
      await cluster.settle(1);
      cluster.add(2);
      await cluster.settle(1);
      assert.deepEqual(all(1), [want, want]);
      assert.deepEqual([cluster.nodes[1]!.told, cluster.nodes[1]!.drainsTold.filter(({ kind }) => kind !== "ended")], [[], []]);
    });

    it(`${name} holds for a row that comes into the table later`, async () => {
      const { cluster, nodes } = await joined(2);
      nodes[1]!.replaceTable([row(2)]);
      decide(nodes[0]!);
      await cluster.settle(1);
      nodes[1]!.replaceTable(ROWS);
      nodes[1]!.status.useOutcomes(nodes[1]!.outcomes);
      assert.equal(nodes[1]!.stateOf(1), want);
    });
  }

  it("that an operator sets is told on every node once, as the cluster's on the others", async () => {
    const { cluster, nodes } = await joined();
    nodes[0]!.setStatus(2, false);
    await cluster.settle(2);
    assert.deepEqual(
      nodes.map(({ told }) => told.map(({ cause, enabled }) => `${cause} ${enabled}`)),
      [["mi false"], ["cluster false"], ["cluster false"]],
    );
    assert.deepEqual(
      nodes.map(({ status }) => status.replica.counters.status_set),
      [1, 0, 0],
    );
  });

  it("by registration is each node's own", async () => {
    const { cluster, nodes, all } = await joined(2);
    nodes[0]!.balancer.setStatus(1, false, "registration");
    await cluster.redis.settle();
    assert.deepEqual(all(1), ["down", "enabled"]);
  });

  it("by a probe is shared by the node with the tag only, one by an operator by every node", async () => {
    const cluster = new StatusCluster(ROWS);
    let owner = 1;
    for (const id of [1, 2]) cluster.add(id, { tag: { name: "vip", isActive: () => owner === id, epoch: () => 1 } });
    await cluster.settle(1);
    const [a, b] = cluster.nodes as [StatusNode, StatusNode];
    b.balancer.setStatus(1, false, "probe");
    b.setStatus(2, false);
    await cluster.redis.settle();
    assert.deepEqual([a.stateOf(1), a.stateOf(2)], ["enabled", "disabled"]);
    owner = 2;
    b.balancer.setStatus(1, true, "probe");
    b.balancer.setStatus(1, false, "probe");
    await cluster.redis.settle();
    assert.equal(a.stateOf(1), "down");
  });

  it("that a node found while it probed without the tag is taken back once it knows what the cluster says", async () => {
    const cluster = new StatusCluster(ROWS);
    for (const id of [1, 2]) cluster.add(id, { tag: { name: "vip", isActive: () => id === 1, epoch: () => 1 } });
    await cluster.settle(1);
    const [a, b] = cluster.nodes as [StatusNode, StatusNode];
    a.balancer.setStatus(1, false, "probe");
    await cluster.settle(1);
    b.link.cut();
    b.balancer.setStatus(1, true, "probe");
    b.balancer.setStatus(2, false, "probe");
    await cluster.settle(2);
    assert.deepEqual([b.stateOf(1), b.stateOf(2)], ["enabled", "down"]);
    b.link.heal();
    await cluster.settle(2);
    for (const node of [a, b]) assert.deepEqual([node.stateOf(1), node.stateOf(2)], ["down", "enabled"]);
  });

  it("that a node found just before it lost the tag is taken back, also when the cluster knows nothing of the destination", async () => {
    const cluster = new StatusCluster(ROWS);
    let owner = 1;
    for (const id of [1, 2]) cluster.add(id, { tag: { name: "vip", isActive: () => owner === id, epoch: () => id } });
    await cluster.settle(1);
    const [a] = cluster.nodes as [StatusNode, StatusNode];
    a.link.cut();
    a.balancer.setStatus(1, false, "probe");
    cluster.redis.store.call("HSET", cluster.keys.tags, "vip", '{"epoch":2}');
    owner = 2;
    await cluster.settle(2);
    a.link.heal();
    await cluster.settle(2);
    for (const node of cluster.nodes) assert.deepEqual([node.stateOf(1), node.stateOf(7)], ["enabled", "enabled"]);
    assert.equal(a.status.replica.counters.status_fenced, 1);
  });

  it("survives the node that set it, and a restart of all", async () => {
    const { cluster, nodes, all } = await joined(2);
    nodes[0]!.setStatus(1, false);
    await cluster.redis.settle();
    assert.equal(nodes[1]!.saved.get("1")?.changedAtMs, nodes[0]!.saved.get("1")?.changedAtMs);
    nodes[0]!.restarted();
    await cluster.settle(1);
    assert.deepEqual(all(1), ["disabled", "disabled"]);
    cluster.redis.flush();
    nodes[1]!.restarted();
    cluster.nodes[0]!.restarted();
    await cluster.settle(1);
    assert.deepEqual(all(1), ["disabled", "disabled"]);
  });

  it("is what the cluster says, when a node comes back with a decision from before", async () => {
    const { cluster, nodes, all } = await joined(2);
    nodes[1]!.setStatus(1, false);
    await cluster.settle(1);
    nodes[1]!.link.cut();
    nodes[0]!.setStatus(1, true);
    await cluster.settle(1);
    nodes[1]!.restarted();
    assert.equal(cluster.nodes[1]!.stateOf(1), "disabled"); // it is alone yet
    await cluster.settle(1);
    assert.deepEqual(all(1), ["enabled", "enabled"]);
    assert.equal(cluster.nodes[1]!.saved.size, 2);
  });
});

describe("a drain in a cluster", () => {
  it("goes on on each node until its own calls end, and has one deadline", async () => {
    const { cluster, nodes, all } = await joined(2);
    nodes[1]!.place(2);
    nodes[0]!.drains.begin(2, 60, true);
    await cluster.redis.settle();
    assert.deepEqual(all(2), ["disabled drained", "enabled draining"]);
    const deadlineMs = nodes[1]!.drains.of(nodes[1]!.destination(2))?.deadlineMs;
    assert.equal(deadlineMs, cluster.clock.nowMs + 60_000);
    nodes[1]!.hangUp();
    await cluster.settle(1);
    assert.deepEqual(all(2), ["disabled drained", "disabled drained"]);
  });

  it("gets other terms everywhere", async () => {
    const { cluster, nodes } = await joined(2);
    for (const node of nodes) node.place(2);
    nodes[0]!.drains.begin(2, 60, true);
    await cluster.redis.settle();
    nodes[1]!.drains.begin(2, 0, false);
    await cluster.redis.settle();
    assert.deepEqual(nodes[0]!.drains.of(nodes[0]!.destination(2)), { load: 1, deadlineMs: 0, bye: false });
    assert.deepEqual(
      nodes[0]!.drainsTold.map(({ kind, cause }) => `${kind} ${cause ?? "here"}`),
      ["started here", "changed cluster"],
    );
  });

  const ends: readonly (readonly [name: string, end: (node: StatusNode) => void])[] = [
    ["is undone", (node) => void node.drains.undo(2)],
    ["is over because somebody enables it", (node) => node.setStatus(2, true)],
  ];
  for (const [name, end] of ends) {
    for (const busy of [0, 1]) {
      it(`${name} everywhere, wherever it has ended before (calls on node ${busy + 1})`, async () => {
        const { cluster, nodes, all } = await joined(2);
        nodes[busy]!.place(2);
        nodes[0]!.drains.begin(2, 0, false);
        await cluster.redis.settle();
        end(nodes[0]!);
        await cluster.redis.settle();
        assert.deepEqual(all(2), ["enabled", "enabled"]);
        cluster.add(3);
        await cluster.settle(1);
        assert.deepEqual(all(2), ["enabled", "enabled", "enabled"]);
      });
    }
  }

  it("that is undone gives back what a probe found meanwhile on a node whose calls went on", async () => {
    const { cluster, nodes, all } = await joined(2);
    nodes[0]!.place(2);
    nodes[0]!.drains.begin(2, 0, false);
    await cluster.redis.settle();
    nodes[0]!.balancer.setStatus(2, false, "probe");
    await cluster.redis.settle();
    assert.deepEqual(all(2), ["down draining", "disabled drained"]);
    nodes[1]!.drains.undo(2);
    await cluster.redis.settle();
    assert.deepEqual(all(2), ["down", "down"]);
  });

  it("that an operator overrules stays disabled when somebody undoes it", async () => {
    const { cluster, nodes, all } = await joined(2);
    nodes[0]!.drains.begin(2, 0, false);
    await cluster.redis.settle();
    nodes[1]!.setStatus(2, false);
    await cluster.redis.settle();
    assert.deepEqual(
      nodes.map((node) => node.drains.undo(2)),
      ["not-draining", "not-draining"],
    );
    assert.deepEqual(all(2), ["disabled", "disabled"]);
  });

  it("from before a start goes on, and gives way to the terms that the cluster knows", async () => {
    const { cluster, nodes } = await joined(1);
    nodes[0]!.place(2);
    nodes[0]!.drains.begin(2, 60, true);
    await cluster.settle(1);
    const state: DestinationState = {
      id: 2,
      group: 1,
      uri: row(2).uri,
      enabled: false,
      autoReenable: false,
      draining: false,
      drainDeadlineMs: 0,
      drainBye: false,
      changedAtMs: START_MS + 1_400,
      cause: "drain",
    };
    cluster.add(2, { states: [state] });
    await cluster.settle(1);
    assert.equal(cluster.nodes[1]!.stateOf(2), "disabled drained");
    assert.ok(nodes[0]!.drains.of(nodes[0]!.destination(2))!.deadlineMs > 0);
  });
});

describe("a breaker in a cluster", () => {
  it("opens for the rest of the time on a node that starts later, then lets trial calls of each node through", async () => {
    const { cluster, nodes, all } = await joined(1);
    nodes[0]!.failCalls(1);
    await cluster.settle(2);
    cluster.add(2);
    await cluster.settle(1);
    assert.deepEqual(all(1), ["enabled broken", "enabled broken"]);
    cluster.clock.advance(OPEN_MS);
    assert.deepEqual(
      cluster.nodes.map((node) => node.balancer.breaker(node.destination(1))),
      ["trials", "trials"],
    );
  });

  it("closes everywhere when the trial calls of one node pass, or an operator enables the destination", async () => {
    for (const close of [passTrial, (node: StatusNode): void => node.setStatus(1, true)]) {
      const { cluster, nodes, all } = await joined(2);
      nodes[0]!.failCalls(1);
      await cluster.redis.settle();
      cluster.clock.advance(OPEN_MS);
      close(nodes[1]!);
      await cluster.redis.settle();
      assert.deepEqual(all(1), ["enabled", "enabled"]);
    }
  });

  it("is not open on a node without breakers", async () => {
    const { cluster, nodes } = await joined(2);
    nodes[1]!.status.useOutcomes(undefined);
    nodes[0]!.failCalls(1);
    await cluster.redis.settle();
    assert.equal(nodes[1]!.stateOf(1), "enabled");
  });
});

function passTrial(node: StatusNode): void {
  const to = node.destination(1);
  node.outcomes.passed(to, node.outcomes.begun(to), false);
}
