import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { openRedisLink } from "../../../src/cluster/redis/redis-link.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryRedis } from "../../support/memory-redis.ts";
import { waitFor } from "../../support/net.ts";
import { startRedis } from "../../support/redis-server.ts";
import { LoadNode, ROWS } from "./load-nodes.ts";

const SLOTS = [
  [1, "t"],
  [2, "t"],
  [2, "own"],
] as const;

type Step =
  | { readonly do: "begin"; readonly node: number; readonly slot: number; readonly calls: number }
  | { readonly do: "end" | "cut" | "heal" | "lose" | "double" | "beat" | "restart"; readonly node: number }
  | { readonly do: "scan" | "deliver" | "flush" | "expire" };

const node = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("begin" as const), node, slot: fc.nat(2), calls: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("end" as const), node }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("scan" as const) }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant("deliver" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("beat" as const), node }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("cut" as const, "heal" as const, "lose" as const, "double" as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("flush" as const, "expire" as const) }) },
);

/** Three nodes over a Redis whose every step is drawn. */
class World {
  readonly clock = new FakeClock(1_000);
  readonly redis = new MemoryRedis({ nowMs: this.clock.now, delivery: "by-hand" });
  readonly links = [1, 2, 3].map((id) => this.redis.link(`node ${id}`));
  readonly random: () => number;
  nodes: LoadNode[];
  readonly ends: (() => void)[][] = [[], [], []];
  #starts = 0;

  constructor(random: () => number) {
    this.random = random;
    this.nodes = this.links.map((_, i) => this.#node(i));
  }

  async act(step: Step): Promise<void> {
    if (step.do === "begin") this.ends[step.node]!.push(this.#occupy(step.node, step.slot, step.calls));
    else if (step.do === "end") this.ends[step.node]!.pop()?.();
    else if (step.do === "cut") this.links[step.node]!.cut();
    else if (step.do === "heal") this.links[step.node]!.heal();
    else if (step.do === "lose") this.links[step.node]!.loseMessage();
    else if (step.do === "double") this.links[step.node]!.doubleMessage();
    else if (step.do === "beat" && this.links[step.node]!.isUp) this.nodes[step.node]!.members.beat();
    else if (step.do === "restart") this.#restart(step.node);
    else if (step.do === "scan") this.clock.advance(25);
    else if (step.do === "expire") this.clock.advance(4000);
    else if (step.do === "flush") this.redis.flush();
    else {
      for (let i = 0; i < 3; i++) {
        this.redis.deliver(this.random);
        await new Promise(setImmediate);
      }
    }
  }

  #occupy(at: number, slot: number, calls: number): () => void {
    const [id, resource] = SLOTS[slot]!;
    return this.nodes[at]!.occupy(id, resource, calls);
  }

  /** Everything is well again for so many seconds. */
  async rest(seconds: number): Promise<void> {
    for (const link of this.links) link.heal();
    for (let s = 0; s < seconds; s++) {
      this.clock.advance(1000);
      for (const { members } of this.nodes) members.beat();
      await this.redis.settle(this.random);
      this.clock.advance(25);
      await this.redis.settle(this.random);
    }
  }

  compare(): void {
    for (const [id, resource] of SLOTS) {
      const loads = this.nodes.map(({ balancer }) => balancer.profileSize(resource, id) ?? 0);
      const all = loads.reduce((a, b) => a + b);
      for (const [i, node] of this.nodes.entries())
        assert.equal(node.remote(id, resource), all - loads[i]!, `${resource} of ${id} on ${i}`);
    }
  }

  #node(at: number): LoadNode {
    const incarnation = `i${++this.#starts}`;
    const node = new LoadNode({ nodeId: at + 1, link: this.links[at]!, clock: this.clock, rows: ROWS, incarnation });
    for (const id of [1, 2, 3]) node.members.came(id);
    return node;
  }

  /** With its calls it forgets all. */
  #restart(at: number): void {
    this.nodes[at]!.exchange.stop();
    this.nodes[at] = this.#node(at);
    this.ends[at] = [];
  }
}

describe("the exchange of loads", () => {
  it("comes to the truth on every node, whatever was lost, doubled, cut, flushed and restarted before", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 20, maxLength: 90, size: "max" }),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        async (steps, draws) => {
          const world = new World(() => draws.next().value ?? 0);
          for (const each of steps) await world.act(each);
          await world.rest(3);
          world.compare();
        },
      ),
      { numRuns: 60 },
    );
  });

  it("goes over a real Redis: loads are known after a scan of 25 ms and a message, and read by a node that comes later", async () => {
    await using redis = await startRedis();
    const clock = new FakeClock(1_000);
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const onFault = (error: unknown) => {
      throw error;
    };
    const links = [1, 2, 3].map(() => openRedisLink({ url: redis.url, log, onFault }));
    try {
      const nodes = links.map((link, i) => new LoadNode({ nodeId: i + 1, link, clock, rows: ROWS }));
      const [one, two, three] = nodes as [LoadNode, LoadNode, LoadNode];
      await waitFor("connections", 5000, () => links.every(({ isUp }) => isUp));
      for (const { members } of [one, two]) {
        for (const id of [1, 2]) members.came(id);
        members.beat();
      }
      await waitFor("the first writes", 5000, () => one.counters.whole_writes === 1 && two.counters.reads! > 0);
      one.occupy(1, "t", 3);
      clock.advance(25); // nothing but messages is waited for then: the clock stands
      await waitFor("the load on the other node", 5000, () => two.remote(1, "t") === 3);
      for (let i = 0; i < 3; i++) {
        one.members.beat();
        await links[0]!.command("ping");
      }
      assert.equal(one.counters.whole_writes, 1, "what Redis answers is what the publisher reckons with");
      three.members.came(1);
      await waitFor("the load on the third", 5000, () => three.remote(1, "t") === 3);
    } finally {
      await Promise.all(links.map((link) => link.close()));
    }
  });
});
