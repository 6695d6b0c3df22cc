import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../support/fake-clock.ts";
import { type MemberNode, memberNode, NodeClock, START_MS } from "../../support/member-node.ts";
import { type MemoryLink, MemoryRedis } from "../../support/memory-redis.ts";
import { BEAT_TWIN } from "../../support/memory-scripts/beat.ts";
import { below, seededRandom } from "../../support/random.ts";

const HOP_MS = 20;
const HOPS = 1500;
/** More of them by hand: TAG_SEEDS=5000. */
const SEEDS = Number(process.env["TAG_SEEDS"] ?? 40);
const FIRST_SEED = Number(process.env["TAG_SEED"] ?? 1);
const TAG = "vip";

interface Place {
  readonly id: number;
  link: MemoryLink;
  clock: NodeClock;
  node: MemberNode;
}

/** Three nodes, one Redis, and everything that can go wrong between them. */
class World {
  readonly base = new FakeClock();
  readonly random: () => number;
  readonly below: (n: number) => number;
  readonly redis: MemoryRedis;
  readonly places: Place[];
  readonly failover: "auto" | "manual";
  readonly did: string[] = [];
  #jumpMs = 0;
  #steppedAtMs = 0;
  #saved: Record<string, string[]> = {};
  /** Share of what is under way that arrives within a hop. */
  pace = 0.7;
  forgot = false;
  #last = { id: 0, incarnation: "", epoch: 0 };

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.below = below(this.random);
    this.failover = this.random() < 0.8 ? "auto" : "manual";
    this.redis = new MemoryRedis({ nowMs: () => START_MS + this.base.nowMs + this.#jumpMs, delivery: "by-hand" }).script("beat", BEAT_TWIN);
    this.places = [1, 2, 3].map((id) => this.#start(id));
  }

  #start(id: number): Place {
    const hourMs = 3_600_000;
    const clock = new NodeClock(this.base, { offsetMs: this.below(1_000_000), wallOffsetMs: (this.below(3) - 1) * hourMs });
    const link = this.redis.link(`node ${id}`);
    const tags = [{ name: TAG, active: this.random() < 0.5 }];
    const node = memberNode(link, clock, { nodeId: id, tags, failover: this.failover, random: this.random });
    node.membership.join(1000).catch(() => {});
    return { id, link, clock, node };
  }

  active(): Place[] {
    return this.places.filter(({ node, clock }) => !clock.isDead && node.sharing.isActive(TAG));
  }

  check(): void {
    const active = this.active();
    assert.ok(active.length <= 1, `two at once: ${active.map(({ id }) => id)} at ${this.base.nowMs}`);
    const [one] = active;
    if (one === undefined) return;
    const { id, node } = one;
    const epoch = node.sharing.list()[0]?.epoch ?? 0;
    const isOther = this.#last.incarnation !== node.self.incarnation;
    if (isOther && !this.forgot) assert.ok(epoch > this.#last.epoch, `epoch ${epoch} after ${this.#last.epoch} at ${this.base.nowMs}`);
    if (isOther) this.forgot = false;
    this.#last = { id, incarnation: node.self.incarnation, epoch };
  }

  async hop(): Promise<void> {
    this.base.advance(HOP_MS);
    this.check();
    for (let round = 0; round < 3; round++) {
      for (const { link, clock } of this.places) {
        for (const { kind } of link.pending) {
          const isHeldUp = clock.isStopped && kind !== "command";
          if (isHeldUp || clock.isDead || this.random() > this.pace) continue;
          link.deliver(kind);
          await turn();
          this.check();
        }
      }
    }
  }

  trouble(): void {
    const place = this.places[this.below(3)] as Place;
    const { link, clock, node, id } = place;
    const acts: Record<string, () => void> = {
      cut: () => link.cut(),
      heal: () => clock.isDead || link.heal(),
      stall: () => link.stall(),
      healAll: () => this.healAll(),
      stop: () => clock.stop(),
      goOn: () => clock.goOn(),
      setActive: () => clock.isStopped || void node.sharing.setActive(TAG).catch(() => {}),
      lose: () => void link.loseMessage(),
      double: () => void link.doubleMessage(),
      slow: () => {
        this.pace = this.random();
      },
      flush: () => {
        this.redis.flush();
        this.forgot = true;
      },
      save: () => this.#save(),
      restart: () => this.#restart(this.random() < 0.5),
      jump: () => this.#step(this.random() < 0.5 ? 3_600_000 : -3_600_000),
      step: () => this.#step(600 + this.below(5000)),
      crash: () => this.#crash(place),
      leave: () => {
        if (clock.isStopped) return;
        void node.membership.leave();
        this.#later.push({ atMs: this.base.nowMs + 500, run: () => this.#again(place) });
      },
    };
    const names = Object.keys(acts);
    const name = names[this.below(names.length)] as string;
    this.did.push(`${this.base.nowMs} ${name} ${id}`);
    acts[name]?.();
  }

  #later: { atMs: number; run: () => void }[] = [];

  due(): void {
    for (const { run } of this.#later.filter(({ atMs }) => atMs <= this.base.nowMs)) run();
    this.#later = this.#later.filter(({ atMs }) => atMs > this.base.nowMs);
  }

  /** Redis's clock is put to another time; not twice between two beats, which a node could not see. */
  #step(byMs: number): void {
    if (this.base.nowMs < this.#steppedAtMs + 5000) return;
    this.#steppedAtMs = this.base.nowMs;
    this.#jumpMs += byMs;
  }

  #crash(place: Place): void {
    place.clock.isDead = true;
    place.link.cut();
    this.#later.push({ atMs: this.base.nowMs + this.below(6000), run: () => this.#again(place) });
  }

  #again(place: Place): void {
    const at = this.places.indexOf(place);
    if (at < 0) return;
    place.clock.isDead = true;
    place.link.cut();
    this.places[at] = this.#start(place.id);
  }

  healAll(): void {
    this.pace = 0.7;
    for (const { link, clock } of this.places) {
      if (!clock.isDead) link.heal();
      clock.goOn();
    }
  }

  #save(): void {
    const { store } = this.redis;
    this.#saved = Object.fromEntries(
      store
        .keys()
        .filter((key) => /:(?:nodes|tags)$/.test(key))
        .map((key) => [key, store.call("hgetall", key) as string[]]),
    );
  }

  /** Redis dies and comes again, empty or with an old file. */
  #restart(isEmpty: boolean): void {
    this.forgot = true;
    for (const { link } of this.places) link.cut();
    this.redis.flush();
    for (const [key, flat] of isEmpty ? [] : Object.entries(this.#saved)) if (flat.length > 0) this.redis.store.call("hset", key, ...flat);
    for (const { link, clock } of this.places) if (!clock.isDead && this.random() < 0.8) link.heal();
  }
}

function turn(): Promise<void> {
  return new Promise(setImmediate);
}

async function live(seed: number): Promise<void> {
  const world = new World(seed);
  try {
    for (let hop = 0; hop < HOPS; hop++) {
      if (world.random() < 0.02) world.trouble();
      world.due();
      await world.hop();
    }
    for (let hop = 0; hop < 12_000 / HOP_MS; hop++) {
      if (hop % 50 === 0) world.healAll();
      world.due();
      await world.hop();
    }
    const owners = world.active();
    if (world.failover === "auto") assert.equal(owners.length, 1, "somebody is active in the end");
    for (const { node, id } of world.places) {
      assert.equal(node.membership.state, "joined", `node ${id}`);
      const [view] = node.sharing.list();
      if (owners.length === 1) assert.equal(view?.owner, owners[0]?.id, `node ${id} knows the owner`);
      const living = node.membership.nodes().filter(({ isAlive }) => isAlive);
      assert.deepEqual(
        living.map(({ nodeId }) => nodeId),
        [1, 2, 3],
        `node ${id} knows who lives`,
      );
    }
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${world.did.slice(-25).join("\n")}`, { cause: error });
  }
}

describe("a sharing tag in random trouble", () => {
  it(`is never active on two nodes, its epochs grow, and it is active on one in the end (${SEEDS} runs of ${(HOPS * HOP_MS) / 1000} s)`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) await live(seed);
  });
});
