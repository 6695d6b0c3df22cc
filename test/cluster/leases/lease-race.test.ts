import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Keys } from "../../../src/cluster/keys.ts";
import { openRedisLink, type RedisLink } from "../../../src/cluster/redis/redis-link.ts";
import { waitFor } from "../../support/net.ts";
import { seededRandom } from "../../support/random.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { LeaseNode, type LeaseNodeOptions, REAL_CLOCK } from "./lease-node.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const KEYS = new Keys(1);
const FIRST = KEYS.leases("1 sip:192.0.2.1", "pstn");
/** A place that was free when a caller was refused may have been taken, or be on its way back, for as long as messages are under way. */
const UNDER_WAY_MS = 25;
/** Nodes have Redis again, and calls that began without it have ended. */
const OPEN_CALLS_END_MS = 2_000;
/** Pauses of this machine, which others use too, that are longer than this are no fault of leases. */
const PAUSE_MS = 20;

function open(port: number): RedisLink {
  return openRedisLink({ url: `redis://127.0.0.1:${port}`, log: SILENT, onFault: (error) => assert.fail(String(error)) });
}

/** Several nodes, each with a link of its own, and their calls as somebody sees them who knows nothing of leases. */
class Race implements AsyncDisposable {
  readonly server: RedisServer;
  readonly nodes: LeaseNode[] = [];
  live = 0;
  most = 0;
  refused = 0;
  placed = 0;
  readonly #links: RedisLink[];
  readonly #history: { atMs: number; live: number }[] = [];
  readonly #refusedAtMs: number[] = [];
  readonly #pausedAtMs: number[] = [];
  #isOver = false;
  #watching: Promise<void> | undefined;

  constructor(server: RedisServer, links: RedisLink[], options: Partial<LeaseNodeOptions>) {
    this.server = server;
    this.#links = links;
    for (const [i, link] of links.entries()) this.nodes.push(new LeaseNode(link, { clock: REAL_CLOCK, ...options, nodeId: i + 1 }));
  }

  static async begin(count: number, options: Partial<LeaseNodeOptions>, ports: readonly number[] = []): Promise<Race> {
    const server = await startRedis();
    const race = new Race(
      server,
      Array.from({ length: count }, (_, i) => open(ports[i] ?? server.port)),
      options,
    );
    await race.settled();
    return race;
  }

  /** All nodes ask Redis, and it knows its leases. */
  async settled(): Promise<void> {
    await waitFor("nodes to settle", 10_000, () => this.nodes.every(({ book }) => book.isExact));
    await sleep(1_100);
    this.#watching ??= this.#watch();
  }

  /** A caller that wants a place again and again, at once when it got none. */
  async caller(node: LeaseNode, untilMs: number, random: () => number, holdMs: number): Promise<void> {
    while (performance.now() < untilMs) {
      const call = node.newCall();
      const what = await node.place(call);
      if (what === "reserved") {
        this.placed++;
        this.#changed(1);
        await sleep(random() * holdMs);
        this.#changed(-1);
        node.end(call);
      } else {
        this.refused++;
        node.end(call);
        if (what !== "closed") this.#refusedAtMs.push(performance.now());
        await sleep(0);
      }
    }
  }

  /**
   * Of the callers that were refused while Redis and this process went on without a pause: how many there were, and how many of them while more than one
   * place was free and stayed so.
   */
  idle(capacity: number): { judged: number; idle: number } {
    const isNear = (atMs: number, otherMs: number): boolean => Math.abs(atMs - otherMs) <= UNDER_WAY_MS;
    const judged = this.#refusedAtMs.filter((atMs) => !this.#pausedAtMs.some((pausedMs) => Math.abs(atMs - pausedMs) <= 4 * UNDER_WAY_MS));
    const idle = judged.filter((atMs) => !this.#history.some((then) => then.live >= capacity - 1 && isNear(atMs, then.atMs)));
    return { judged: judged.length, idle: idle.length };
  }

  /** Notes when an answer of Redis, or this process, is late: then nobody can have a place at once. */
  async #watch(): Promise<void> {
    while (!this.#isOver) {
      const sinceMs = performance.now();
      await this.server.cli("PING").catch(() => undefined); // it may be starting again
      await sleep(5);
      const nowMs = performance.now();
      for (let atMs = sinceMs; nowMs - sinceMs > PAUSE_MS && atMs < nowMs; atMs += UNDER_WAY_MS) this.#pausedAtMs.push(atMs);
    }
  }

  async leases(key = FIRST): Promise<number> {
    return Number(await this.server.cli("ZCARD", key));
  }

  async untilEmpty(withinMs: number): Promise<void> {
    await waitFor("no lease to be left", withinMs, async () => (await this.leases()) === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#watching;
    for (const { book } of this.nodes) book.close();
    await Promise.all(this.#links.map((link) => link.close()));
    await this.server.close();
  }

  #changed(by: number): void {
    this.live += by;
    this.most = Math.max(this.most, this.live);
    this.#history.push({ atMs: performance.now(), live: this.live });
  }
}

/**
 * Does something beside timers of `before` ms, which begin first, and of `behind` ms, which begin after it.
 *
 * @returns how many of the timers it outlasted: other than a clock, they wait with it when the machine pauses
 */
async function against<T>(
  before: readonly number[],
  work: () => Promise<T>,
  behind: readonly number[],
): Promise<{ result: T; outlasted: number }> {
  let outlasted = 0;
  const timer = (ms: number): NodeJS.Timeout => setTimeout(() => outlasted++, ms);
  const timers = before.map(timer);
  const working = work();
  timers.push(...behind.map(timer));
  try {
    const result = await working;
    return { result, outlasted };
  } finally {
    for (const each of timers) clearTimeout(each);
  }
}

function storm(race: Race, callers: number, ms: number, holdMs: number): Promise<unknown> {
  const untilMs = performance.now() + ms;
  const random = seededRandom(7);
  return Promise.all(race.nodes.flatMap((node) => Array.from({ length: callers }, () => race.caller(node, untilMs, random, holdMs))));
}

function judge(race: Race, capacity: number): void {
  const { judged, idle } = race.idle(capacity);
  assert.ok(judged > 10, `${judged} of ${race.refused} refused callers can be judged`);
  assert.equal(idle, 0, `of ${judged} refused callers ${idle} were refused while more than one place was free`);
}

describe("three nodes with a Redis", () => {
  it("never have more than 100 calls together, and refuse nobody while more than one place is free", async () => {
    await using race = await Race.begin(3, { rows: ["pstn=100"], redisLost: "fail_closed" });
    await storm(race, 45, 4_000, 400);
    assert.ok(race.most <= 100, `${race.most} calls at once`);
    assert.equal(race.most, 100);
    assert.ok(race.placed > 1_000 && race.refused > 100, `${race.placed} placed, ${race.refused} refused`);
    judge(race, 100);
    await race.untilEmpty(1_000);
    for (const { book, faults } of race.nodes) {
      assert.deepEqual([book.calls, book.owed, faults], [0, 0, []]);
      assert.equal(book.counters.malformed, 0);
    }
  });

  it("do so over four destinations", async () => {
    await using race = await Race.begin(3, { rows: ["pstn=10", "pstn=20", "pstn=5", "pstn=25"], redisLost: "fail_closed" });
    await storm(race, 30, 3_000, 400);
    assert.equal(race.most, 60);
    judge(race, 60);
    await race.untilEmpty(1_000);
  });

  it("share a pool between two groups", async () => {
    const shared = { attrs: "shared=box", resources: [{ name: "pstn", capacity: 20 }] };
    await using race = await Race.begin(3, { rows: [shared, { ...shared, group: 2 }] });
    let live = 0;
    let most = 0;
    const untilMs = performance.now() + 1_500;
    const caller = async (node: LeaseNode, group: number): Promise<void> => {
      while (performance.now() < untilMs) {
        const call = node.newCall();
        if ((await node.place(call, { group })) === "reserved") {
          most = Math.max(most, ++live);
          await sleep(Math.random() * 10);
          live--;
        } else await sleep(0);
        node.end(call);
      }
    };
    await Promise.all(race.nodes.flatMap((node) => [1, 2, 1, 2, 1, 2, 1, 2, 1, 2].map((group) => caller(node, group))));
    assert.equal(most, 20);
    await waitFor("no lease to be left", 1_000, async () => (await race.leases(KEYS.leases("pool box", "pstn"))) === 0);
  });

  for (const redisLost of ["fail_closed", "fail_open"] as const) {
    it(`${redisLost}: lose no count of the calls that there are when Redis is flushed`, async () => {
      await using race = await Race.begin(3, { rows: ["pstn=100"], redisLost });
      const running = storm(race, 45, 4_000, 300);
      await sleep(1_000);
      await race.server.flush();
      const bound = redisLost === "fail_closed" ? 100 : 110;
      await running;
      assert.ok(race.most <= bound, `${race.most} calls at once`);
      if (redisLost === "fail_closed")
        assert.ok(race.nodes.some(({ book }) => book.counters.unready > 0 && book.counters.failed_closed > 0));
      else assert.ok(race.nodes.some(({ book }) => book.counters.unready > 0 && book.counters.failed_open > 0));
      await race.untilEmpty(1_000);
    });
  }

  for (const redisLost of ["fail_closed", "fail_open"] as const) {
    it(`${redisLost}: count the calls that there are, and no others, when Redis comes back with what it had a while ago`, async () => {
      await using race = await Race.begin(3, { rows: ["pstn=100"], redisLost });
      const running = storm(race, 45, 5_000, 300);
      await sleep(800);
      await race.server.cli("SAVE");
      const old = await race.leases();
      await sleep(1_000); // every call of then has ended
      const stayed = race.nodes.map((node) => node.newCall());
      for (const [i, node] of race.nodes.entries()) node.balancer.place(stayed[i]!, node.balancer.destination(1)!, ["pstn"]);
      await sleep(100);
      await race.server.restart();
      const placed = race.placed;
      if (redisLost === "fail_open") {
        // Without Redis nobody knew of the others' calls: how many were too many is a matter of how long that took.
        await sleep(OPEN_CALLS_END_MS);
        race.most = race.live;
      }
      await running;
      assert.ok(old > 50, `${old} calls were saved`);
      assert.ok(race.most <= 100, `${race.most} calls at once`);
      assert.ok(race.placed > placed + 100, `${race.placed - placed} calls were placed afterwards`);
      await waitFor("the leases of the calls that go on to be left alone", 2_000, async () => (await race.leases()) === stayed.length);
      for (const [i, node] of race.nodes.entries()) node.end(stayed[i]!);
      await race.untilEmpty(1_000);
    });
  }

  it("give back after a partition what ended in it, and count what goes on", async () => {
    const server = await startRedis();
    await using proxy = await startTcpProxy(server.port);
    const links = [open(proxy.port), open(server.port)];
    await using race = new Race(server, links, { rows: ["pstn=3"] });
    await race.settled();
    const [cut, other] = race.nodes as [LeaseNode, LeaseNode];
    const [stays, ends] = [cut.newCall(), cut.newCall()];
    assert.equal(await cut.place(stays), "reserved");
    assert.equal(await cut.place(ends), "reserved");
    proxy.refuse();
    await waitFor("the node to notice", 2_000, () => !links[0]!.isUp);
    cut.end(ends);
    const alone = cut.newCall();
    const { result, outlasted } = await against([], () => cut.place(alone), [20]);
    assert.deepEqual([result, outlasted], ["reserved", 0], "fail_open, and nobody waits without a connection");
    assert.equal(await race.leases(), 2);
    assert.equal(cut.book.owed, 1);
    proxy.heal();
    await waitFor("the node to tell", 2_000, async () => cut.book.owed === 0 && (await race.leases()) === 2);
    const theirs = [other.newCall(), other.newCall()];
    assert.equal(await other.place(theirs[0]!), "reserved");
    assert.notEqual(await other.place(theirs[1]!), "reserved");
    assert.equal(other.remoteLoad(), 2);
    for (const call of [stays, alone]) cut.end(call);
    other.end(theirs[0]!);
    await race.untilEmpty(1_000);
  });

  it("lets the leases of a node that is gone expire", async () => {
    await using race = await Race.begin(2, { rows: ["pstn=2"], leaseMs: 900 });
    const [gone, other] = race.nodes as [LeaseNode, LeaseNode];
    const calls = [gone.newCall(), gone.newCall()];
    for (const call of calls) assert.equal(await gone.place(call), "reserved");
    await sleep(2_000);
    assert.equal(await race.leases(), 2, "they are renewed while the node is there");
    assert.notEqual(await other.place(other.newCall()), "reserved");
    gone.book.close();
    await waitFor("a place", 3_000, async () => (await other.place(other.newCall())) === "reserved");
  });

  for (const redisLost of ["fail_closed", "fail_open"] as const) {
    it(`${redisLost}: a Redis that takes 150 ms delays calls by 60 ms at most, and soon not at all`, async () => {
      const server = await startRedis();
      await using proxy = await startTcpProxy(server.port);
      await using race = new Race(server, [open(proxy.port)], { rows: ["pstn=50"], redisLost });
      await race.settled();
      const [node] = race.nodes as [LeaseNode];
      proxy.delay(75);
      const outlasted: number[] = [];
      for (let i = 0; i < 8; i++) {
        const call = node.newCall();
        const raced = await against(i < 3 ? [45] : [], () => node.place(call), i < 3 ? [75] : [10]);
        assert.equal(raced.result, redisLost === "fail_open" ? "reserved" : "closed");
        outlasted.push(raced.outlasted);
        node.end(call);
      }
      // A machine that pauses during a call lets the later timer end first, too: the calls that it leaves alone tell.
      const [slow, quick] = [outlasted.slice(0, 3), outlasted.slice(3)];
      assert.ok(Math.min(...slow) === 1, `the first calls wait some 50 ms: ${outlasted}`);
      assert.ok(quick.filter((timers) => timers === 0).length >= 3, `those after them wait no more: ${outlasted}`);
      proxy.heal();
      await waitFor("Redis to be asked again", 3_000, () => node.book.isExact);
      assert.equal(await node.place(node.newCall()), "reserved");
      await waitFor("one lease to be left", 3_000, async () => (await race.leases()) === 1);
    });
  }
});
