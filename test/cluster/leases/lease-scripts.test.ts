import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Redis } from "ioredis";
import {
  LEASE_COUNT,
  LEASE_RELEASE,
  LEASE_RENEW,
  LEASE_RESERVE,
  type LeaseAnswer,
  readLeaseAnswer,
  reserveArguments,
} from "../../../src/cluster/leases/lease-scripts.ts";
import type { LuaScript } from "../../../src/cluster/ports.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryRedis } from "../../support/memory-redis.ts";
import { LEASE_TWINS } from "../../support/memory-scripts/leases.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";

/** Short, as the real Redis has to be waited for. */
const SETTLING = 40;
const TTL = 60_000;

/** A Redis to try the scripts on. */
interface Bench {
  run(script: LuaScript, keys: string[], args: (string | number)[]): Promise<unknown>;
  call(name: string, ...args: (string | number)[]): Promise<unknown>;
  wait(ms: number): Promise<unknown>;
}

let serial = 0;

/** Keys that no other case uses, and the scripts on them. */
class Slots {
  readonly ready: string;
  readonly keys: string[];
  readonly bench: Bench;
  process = "p1";

  constructor(bench: Bench, resources = 1) {
    this.bench = bench;
    const owner = `o${++serial}`;
    this.ready = `ready:{${owner}}`;
    this.keys = Array.from({ length: resources }, (_, i) => `leases:{${owner}}:${i}`);
  }

  async settled(): Promise<this> {
    assert.equal((await this.count()).outcome, "found-lost");
    await this.bench.wait(SETTLING + 5);
    return this;
  }

  reserve(capacities: number[], names: string[][], ttl = TTL): Promise<LeaseAnswer> {
    const requests = this.keys.map((key, i) => ({ key, capacity: capacities[i]!, members: names[i]! }));
    return this.#read(LEASE_RESERVE, [this.ready, ...this.keys], [this.process, SETTLING, ttl, ...reserveArguments(requests)]);
  }

  renew(names: string[], ttl = TTL): Promise<LeaseAnswer> {
    return this.#read(LEASE_RENEW, [this.ready, this.keys[0]!], [this.process, SETTLING, ttl, ...names]);
  }

  release(names: string[]): Promise<LeaseAnswer> {
    return this.#read(LEASE_RELEASE, [this.ready, this.keys[0]!], [this.process, SETTLING, ...names]);
  }

  count(): Promise<LeaseAnswer> {
    return this.#read(LEASE_COUNT, [this.ready, ...this.keys], [this.process, SETTLING]);
  }

  async #read(script: LuaScript, keys: string[], args: (string | number)[]): Promise<LeaseAnswer> {
    const answer = readLeaseAnswer(await this.bench.run(script, keys, args), keys.length - 1);
    assert.ok(answer);
    return answer;
  }
}

function itHolds(bench: () => Bench): void {
  it("takes leases up to the capacity and not one beyond", async () => {
    const slots = await new Slots(bench()).settled();
    for (let i = 1; i <= 3; i++) {
      const { outcome, counts } = await slots.reserve([3], [[`c${i}`]]);
      assert.deepEqual([outcome, counts], ["done", [i]]);
    }
    const { outcome, counts } = await slots.reserve([3], [["c4"]]);
    assert.deepEqual([outcome, counts], ["full", [3]]);
  });

  it("gives the same lease twice without counting it twice, also when full", async () => {
    const slots = await new Slots(bench()).settled();
    await slots.reserve([1], [["c1"]]);
    const { outcome, counts } = await slots.reserve([1], [["c1"]]);
    assert.deepEqual([outcome, counts], ["done", [1]]);
  });

  it("takes all of several or none", async () => {
    const slots = await new Slots(bench(), 2).settled();
    assert.equal((await slots.reserve([5, 1], [["c1"], ["c1"]])).outcome, "done");
    const { outcome, counts } = await slots.reserve([5, 1], [["c2"], ["c2"]]);
    assert.deepEqual([outcome, counts], ["full", [1, 1]]);
    const { counts: units } = await slots.reserve([5, 5], [["c3", "c3+1"], ["c3"]]);
    assert.deepEqual(units, [3, 2]);
    assert.equal((await slots.reserve([4, 5], [["c4", "c4+1"], ["c4"]])).outcome, "full");
  });

  it("adds and renews whatever the capacity", async () => {
    const slots = await new Slots(bench()).settled();
    await slots.reserve([1], [["c1"]]);
    assert.deepEqual((await slots.renew(["c1", "c2", "c2+1"])).counts, [3]);
  });

  it("gives leases back, those that are not there too", async () => {
    const slots = await new Slots(bench()).settled();
    await slots.renew(["c1", "c2"]);
    const { outcome, counts } = await slots.release(["c1", "c9"]);
    assert.deepEqual([outcome, counts], ["done", [1]]);
    assert.deepEqual((await slots.release(["c2"])).counts, [0]);
    assert.equal(await bench().call("EXISTS", slots.keys[0]!), 0);
  });

  it("forgets what was not renewed in time", async () => {
    const slots = await new Slots(bench()).settled();
    await slots.reserve([2], [["short"]], 200);
    await slots.reserve([2], [["long"]], TTL);
    assert.equal((await slots.reserve([2], [["c3"]])).outcome, "full");
    await bench().wait(210);
    assert.deepEqual((await slots.reserve([2], [["c3"]])).counts, [2]);
    const ttl = (await bench().call("PTTL", slots.keys[0]!)) as number;
    assert.ok(ttl > TTL / 2 && ttl <= TTL, `the key lives ${ttl} ms`);
  });

  it("settles before it gives leases that nobody knows of, and takes those that are added meanwhile", async () => {
    const slots = new Slots(bench());
    const first = await slots.reserve([1], [["c1"]]);
    assert.deepEqual([first.outcome, first.counts], ["found-lost", [0]]);
    const second = await slots.reserve([1], [["c1"]]);
    assert.deepEqual([second.outcome, second.reliableFromMs], ["settling", first.reliableFromMs]);
    assert.deepEqual(await slots.renew(["c2"]), { outcome: "settling", reliableFromMs: first.reliableFromMs, counts: [1] });
    await bench().wait(SETTLING + 5);
    assert.equal((await slots.reserve([1], [["c1"]])).outcome, "full");
    assert.equal((await slots.reserve([2], [["c1"]])).outcome, "done");
  });

  it("settles again when it is another process of Redis that answers", async () => {
    const slots = await new Slots(bench()).settled();
    slots.process = "";
    assert.equal((await slots.count()).outcome, "done");
    slots.process = "p2";
    assert.equal((await slots.count()).outcome, "found-lost");
    assert.equal((await slots.count()).outcome, "settling");
  });

  it("forgets what nobody adds again once another process of Redis brings old leases back", async () => {
    const slots = await new Slots(bench(), 2).settled();
    await slots.reserve([9, 9], [["gone", "stays"], ["gone"]]);
    slots.process = "p2";
    const { outcome, counts, reliableFromMs } = await slots.renew(["stays"]);
    assert.deepEqual([outcome, counts], ["found-lost", [1]]);
    assert.deepEqual(await slots.renew(["other"]), { outcome: "settling", reliableFromMs, counts: [2] });
    await bench().wait(SETTLING + 5);
    assert.deepEqual((await slots.count()).counts, [2, 0], "the second key was not used before");
    assert.deepEqual((await slots.reserve([2, 1], [["stays"], ["new"]])).counts, [2, 1]);
    assert.deepEqual((await slots.count()).counts, [2, 1]);
  });

  it("empties a key once, whichever script is the first to use it", async () => {
    const uses: readonly ((slots: Slots) => Promise<LeaseAnswer>)[] = [
      (slots) => slots.reserve([9], [["a"]]),
      (slots) => slots.renew(["a"]),
      (slots) => slots.release(["a"]),
      (slots) => slots.count(),
    ];
    for (const use of uses) {
      const slots = await new Slots(bench()).settled();
      await slots.renew(["old", "older"]);
      slots.process = "p2";
      assert.equal((await use(slots)).outcome, "found-lost");
      await slots.renew(["a"]);
      assert.equal((await use(slots)).outcome, "settling");
      await slots.renew(["a"]);
      await bench().wait(SETTLING + 5);
      const { outcome, counts } = await slots.count();
      assert.deepEqual([outcome, counts], ["done", [1]]);
    }
  });

  it("keeps the leases while the process of Redis is not known", async () => {
    const slots = await new Slots(bench()).settled();
    await slots.renew(["a"]);
    slots.process = "";
    assert.deepEqual((await slots.renew(["b"])).counts, [2]);
    slots.process = "p1";
    assert.deepEqual((await slots.count()).counts, [2]);
  });

  it("lets no two settlings end at the same time, though both are found at once", async () => {
    const slots = await new Slots(bench()).settled();
    const ends = new Set<number>();
    for (let i = 0; i < 20; i++) {
      slots.process = `q${i}`;
      const { outcome, reliableFromMs } = await slots.count();
      assert.equal(outcome, "found-lost");
      ends.add(reliableFromMs);
    }
    assert.equal(ends.size, 20);
  });

  for (const kept of ["", "nonsense", "p1 x", "p1 5", "p1 99999999999999999\n", "p1 -5\n"]) {
    it(`settles when "${kept}" stands where it says since when leases can be relied on`, async () => {
      const slots = new Slots(bench());
      await bench().call("SET", slots.ready, kept);
      assert.equal((await slots.count()).outcome, "found-lost");
      assert.ok(((await bench().call("PTTL", slots.ready)) as number) > 0);
    });
  }
}

describe("lease scripts in Redis", () => {
  let server: RedisServer;
  let client: Redis;
  before(async () => {
    server = await startRedis();
    client = new Redis(server.url, { protocol: 2 });
  });
  after(async () => {
    client.disconnect();
    await server.close();
  });
  itHolds(() => ({
    run: (script, keys, args) => client.eval(script.lua, keys.length, ...keys, ...args),
    call: (name, ...args) => client.call(name, ...args),
    wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  }));
});

describe("lease scripts in memory", () => {
  const clock = new FakeClock(1_700_000_000_000);
  const memory = new MemoryRedis({ nowMs: clock.now }).scripts(LEASE_TWINS);
  const link = memory.link("a");
  itHolds(() => ({
    run: (script, keys, args) => link.run(script, keys, args),
    call: async (name, ...args) => memory.store.call(name, ...args),
    wait: async (ms) => clock.advance(ms),
  }));
});

describe("readLeaseAnswer()", () => {
  for (const answer of [
    undefined,
    null,
    "OK",
    [],
    [1, 2],
    [9, 0, 1],
    [-1, 0, 1],
    [1, 0, "1"],
    [1, 0, 1.5],
    [1, 0, -1],
    [1, 0, 1, 2],
    ["1", 0, 1],
  ]) {
    it(`refuses ${JSON.stringify(answer)}`, () => assert.equal(readLeaseAnswer(answer, 1), undefined));
  }
});
