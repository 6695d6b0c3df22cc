import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallLoad } from "../../src/balancer/index.ts";
import { DRAIN_CHECK_MS, END_STEP_MS } from "../../src/health/drain.ts";
import { ENDED_A_STEP } from "../../src/health/ended-drains.ts";
import { DrainFarm, row, START_MS } from "./drain-farm.ts";

const DEADLINE_MS = START_MS + 5_000;

/** A node of a cluster, to which calls of other nodes come. */
class Node extends DrainFarm {
  #serial = 0;

  setRemote(id: number, calls: number): void {
    this.balancer.setRemoteLoad(this.destination(id).resources[0]!.cell, calls);
  }

  /** @returns their names */
  adopt(count: number, id = 1, startedAtMs = START_MS - 1_000): string[] {
    return Array.from({ length: count }, () => {
      const load = new CallLoad();
      load.opened = true;
      assert.equal(this.balancer.adopt(load, [{ key: this.destination(id).key, resource: "pstn", picked: true }]), 1);
      const name = `adopted-${++this.#serial}`;
      this.calls.set(name, load);
      this.drains.adopted(name, load, startedAtMs);
      return name;
    });
  }
}

function drained(terms = { deadlineMs: DEADLINE_MS, bye: true }): Node {
  const node = new Node([row(1), row(2)]);
  node.drains.adopt(1, terms);
  assert.equal(node.state(1), "drained");
  node.told();
  return node;
}

describe("a drain while other nodes have calls of its destination", () => {
  it("is over when they have ended, too, and says how many there are in all", () => {
    const node = new Node([row(1), row(2)]);
    const [own = ""] = node.place(1);
    node.setRemote(1, 20);
    node.drains.begin(1, 0, false);
    assert.deepEqual([node.state(1), node.told()], ["draining 21", ["1 started 21"]]);
    node.hangUp(own);
    node.clock.advance(10 * DRAIN_CHECK_MS);
    assert.equal(node.state(1), "draining 20");
    node.setRemote(1, 0);
    node.clock.advance(DRAIN_CHECK_MS);
    assert.deepEqual([node.state(1), node.told(), node.clock.pending], ["drained", ["1 ended 0 idle"], 0]);
  });

  it("of a destination in a pool does not wait for them: it is not known which of the pool's are its", () => {
    const pooled = (id: number) => ({ ...row(id), attrs: "shared=box" });
    const node = new Node([pooled(1), pooled(2)]);
    node.setRemote(1, 20);
    node.drains.begin(1, 60, true);
    assert.deepEqual([node.state(1), node.told()], ["drained", ["1 started 0", "1 ended 0 idle"]]);
  });

  it("hangs up at the deadline what came from them meanwhile, also while it is hanging up", () => {
    const node = new Node([row(1, "pstn=1000")]);
    node.place(ENDED_A_STEP + 1);
    node.setRemote(1, 2);
    node.drains.adopt(1, { deadlineMs: DEADLINE_MS, bye: true });
    node.adopt(1);
    node.clock.advance(5_000);
    assert.equal(node.ended.length, ENDED_A_STEP);
    node.adopt(1);
    node.clock.advance(END_STEP_MS);
    assert.deepEqual([node.ended.length, node.calls.size, node.state(1)], [ENDED_A_STEP + 3, 0, "drained"]);
    assert.equal(node.drains.counters.drain_calls_ended, ENDED_A_STEP + 3);
  });
});

describe("a call that comes from another node to a destination whose drain is over here", () => {
  it("is hung up at the deadline, and calls that did not come so are not", () => {
    const node = drained();
    const inbound = new CallLoad();
    assert.equal(node.balancer.countCall(inbound, "192.0.2.1", 5060, -1, "pstn"), 1);
    node.calls.set("inbound", inbound);
    const names = node.adopt(3);
    node.adopt(1, 2);
    assert.equal(node.clock.pending, 1);
    node.clock.advance(4_999);
    assert.deepEqual(node.ended, []);
    node.hangUp(names.shift()!);
    node.clock.advance(END_STEP_MS + 1);
    assert.deepEqual([node.ended, node.clock.pending, node.told()], [names, 0, []]);
    assert.equal(node.drains.counters.drain_calls_ended, 2);
    assert.deepEqual([...node.calls.keys()], ["inbound", "adopted-4"]);
  });

  it("is hung up at once when the deadline has passed, a part at a time", () => {
    const node = drained();
    node.clock.advance(60_000);
    node.adopt(ENDED_A_STEP + 1);
    assert.equal(node.ended.length, 0, "whoever brings it here is not done with it");
    node.clock.advance(END_STEP_MS);
    assert.equal(node.ended.length, ENDED_A_STEP);
    node.clock.advance(END_STEP_MS);
    assert.deepEqual([node.ended.length, node.clock.pending], [ENDED_A_STEP + 1, 0]);
  });

  it("stays when it began after the deadline: somebody let it through", () => {
    const node = drained();
    node.clock.advance(60_000);
    node.adopt(1, 1, DEADLINE_MS + 1);
    assert.equal(node.clock.pending, 0);
    const [rings] = node.adopt(1, 1, 0);
    node.clock.advance(END_STEP_MS);
    assert.deepEqual(node.ended, [rings]);
  });

  for (const [name, terms] of [
    ["has no deadline", { deadlineMs: 0, bye: false }],
    ["leaves calls to themselves", { deadlineMs: DEADLINE_MS, bye: false }],
  ] as const) {
    it(`stays when the drain ${name}, until another node says otherwise`, () => {
      const node = drained(terms);
      const names = node.adopt(2);
      node.clock.advance(60_000);
      assert.deepEqual([node.ended, node.clock.pending], [[], 0]);
      node.drains.keepTerms(1, { deadlineMs: DEADLINE_MS, bye: true });
      node.clock.advance(END_STEP_MS);
      assert.deepEqual(node.ended, names);
    });
  }

  it("is hung up at a later deadline when another node gives the drain one", () => {
    const node = drained();
    node.adopt(1);
    node.drains.keepTerms(1, { deadlineMs: DEADLINE_MS + 5_000, bye: true });
    node.clock.advance(9_999);
    assert.deepEqual(node.ended, []);
    node.clock.advance(END_STEP_MS + 1);
    assert.equal(node.ended.length, 1);
  });

  const ends: readonly (readonly [string, (node: Node) => void])[] = [
    ["the drain is undone here", (node) => void node.drains.undo(1)],
    ["the drain is undone on another node", (node) => void node.drains.adoptUndo(1, true)],
    ["the destination is enabled", (node) => void node.balancer.setStatus(1, true, "script")],
    ["its row goes", (node) => node.replaceTable([row(2)])],
  ];
  for (const [name, act] of ends) {
    it(`stays once ${name}`, () => {
      const node = drained();
      node.adopt(1);
      act(node);
      node.clock.advance(60_000);
      assert.deepEqual([node.ended, node.clock.pending], [[], 0]);
    });
  }

  it("is hung up by the drain that begins anew, if there is one", () => {
    const node = drained();
    node.adopt(1);
    node.drains.begin(1, 9, true);
    assert.equal(node.state(1), "draining 1 (drained)");
    node.clock.advance(8_900);
    assert.deepEqual(node.ended, []);
    node.clock.advance(200);
    assert.equal(node.ended.length, 1);
  });

  it("is hung up after a restart, too, once the terms are known again", () => {
    const node = drained();
    const next = new Node([row(1), row(2)], node.saved.slice(-1), node.clock);
    assert.equal(next.state(1), "drained");
    const names = next.adopt(1);
    next.drains.keepTerms(1, { deadlineMs: DEADLINE_MS, bye: true });
    next.clock.advance(5_000 + END_STEP_MS);
    assert.deepEqual(next.ended, names);
  });

  it("takes no room once it has ended", () => {
    const node = drained({ deadlineMs: START_MS + 1_000_000, bye: true });
    for (let i = 0; i < 3_000; i++) node.hangUp(...node.adopt(1));
    const [last] = node.adopt(1);
    const endings: string[] = [];
    node.onEnding = (name) => void endings.push(name);
    node.clock.advance(1_000_000 + 100 * END_STEP_MS);
    assert.ok(endings.length < 1_100, `${endings.length} calls were remembered`);
    assert.deepEqual(node.ended, [last]);
  });
});
