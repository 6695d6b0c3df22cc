import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LOOKUP_MS } from "../../../src/cluster/dialogs/dialog-replica.ts";
import { FLUSH_MS } from "../../../src/cluster/dialogs/dialog-writer.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryRedis } from "../../support/memory-redis.ts";
import { DIALOG_TWINS } from "../../support/memory-scripts/dialogs.ts";
import { Gathering, ReplicaNode } from "../../support/replica-node.ts";

const START_MS = 1_700_000_000_000;

async function twoNodes(): Promise<{ nodes: [ReplicaNode, ReplicaNode]; redis: MemoryRedis; pass: (ms: number) => Promise<void> }> {
  const clock = new FakeClock(0);
  const redis = new MemoryRedis({ nowMs: () => START_MS + clock.nowMs }).scripts(DIALOG_TWINS);
  const gathering = new Gathering();
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed <= ms; passed += 10) {
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
      if (passed < ms) clock.advance(10);
    }
  };
  const nodes = [1, 2].map((nodeId) => {
    const node = new ReplicaNode({
      nodeId,
      link: redis.link(`n${nodeId}`),
      clock: { nowMs: clock.now, wallMs: () => START_MS + clock.nowMs, after: (ms, run) => clock.after(ms, run) },
      gathering,
    });
    gathering.appear(node);
    void node.replica.start();
    return node;
  });
  await pass(0);
  return { nodes: nodes as [ReplicaNode, ReplicaNode], redis, pass };
}

describe("a BYE at another node, right after the answer to its INVITE", () => {
  it("waits for a record that is on its way", async () => {
    const { nodes, pass } = await twoNodes();
    const [first, second] = nodes;
    first.establish(1);
    const bye = second.bye("c1-0");
    await pass(200);
    assert.equal(await bye, true);
    await pass(100);
    assert.deepEqual([first.calls.size, second.calls.size], [0, 0]);
  });

  it("names of no call are told so soon, and only some of them wait", async () => {
    const { nodes, pass } = await twoNodes();
    let answered = 0;
    const many = Array.from({ length: 900 }, (_, i) => nodes[1].replica.find(`unknown${i}`, () => true)?.then(() => answered++));
    await pass(0);
    assert.equal(answered, 700);
    await pass(300);
    assert.equal(answered, 900);
    await Promise.all(many);
    assert.ok(300 < LOOKUP_MS);
  });

  it("through a node that knew the call as ringing only: its node gives it up when the other side has agreed", async () => {
    const { nodes, redis, pass } = await twoNodes();
    const [first, second] = nodes;
    first.begin("ringing");
    await pass(FLUSH_MS + 10);
    first.confirm("ringing");
    const where = second.replica.find("ringing", () => true);
    await pass(0);
    assert.equal((await where)?.kind, "guest");
    second.replica.hungUp("ringing");
    await pass(100);
    assert.equal(first.calls.size, 0);
    assert.ok(redis.store.keys().every((key) => !String(redis.store.call("get", key) ?? "").includes("sip:")));
  });

  it("but a call that still rings goes on at its node: the answer to its INVITE ends it", async () => {
    const { nodes, pass } = await twoNodes();
    const [first, second] = nodes;
    first.begin("ringing");
    await pass(FLUSH_MS + 10);
    second.replica.hungUp("ringing");
    await pass(2_000);
    assert.deepEqual([...first.calls.keys()], ["ringing"]);
    first.confirm("ringing");
    await pass(100);
    const bye = second.bye("ringing");
    await pass(200);
    assert.equal(await bye, true);
    await pass(100);
    assert.equal(first.calls.size, 0);
  });
});
