import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type AddressChange,
  type Location,
  LocationCache,
  MAX_NEGATIVE_TTL_MS,
  MAX_STALE_MS,
  MAX_TARGETS,
  MAX_TTL_MS,
  MAX_WAIT_MS,
  MIN_TTL_MS,
  RETRY_MS,
  type SipTarget,
} from "../../src/resolution/index.ts";

function target(host: string): SipTarget {
  return { host, port: undefined, transport: undefined, isSecure: false };
}

function found(ttlS: number, ...ips: string[]): Location {
  return { outcome: "found", addresses: ips.map((ip) => ({ ip, port: 5060, transport: "udp" })), ttlS, isPartial: false };
}

const DOWN: Location = { outcome: "failed", reason: "nobody answers" };
const GONE: Location = { outcome: "none", reason: "it has no address", ttlS: 60 };

/** A cache on a clock that moves when it is told to, and answers as they are told. */
class Bench {
  nowMs = 0;
  readonly asked: string[] = [];
  /** Those of them that the table wanted. */
  readonly ofTable: string[] = [];
  readonly changes: AddressChange[] = [];
  answer: (host: string) => Location | Promise<Location> = () => found(100, "192.0.2.1");
  #timers: { atMs: number; run: () => void }[] = [];
  readonly cache = new LocationCache({
    locate: async ({ host }, isHeld) => {
      this.asked.push(host);
      if (isHeld) this.ofTable.push(host);
      return this.answer(host);
    },
    nowMs: () => this.nowMs,
    after: (ms, run) => {
      const timer = { atMs: this.nowMs + ms, run };
      this.#timers.push(timer);
      return () => {
        this.#timers = this.#timers.filter((one) => one !== timer);
      };
    },
    onChange: (change) => this.changes.push(change),
  });

  /** What is answered for a host: its addresses, or why there are none. */
  async get(host = "x.test"): Promise<string> {
    const { addresses, reason } = await this.cache.get(target(host));
    return addresses.length > 0 ? addresses.map(({ ip }) => ip).join(" ") : (reason ?? "");
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const next = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      this.nowMs = next?.atMs ?? untilMs;
      if (next === undefined) return;
      this.#timers = this.#timers.filter((one) => one !== next);
      next.run();
      await new Promise(setImmediate);
    }
  }

  get told(): readonly AddressChange[] {
    return this.changes;
  }

  get waiting(): number {
    return this.#timers.length;
  }
}

describe("LocationCache.get()", () => {
  it("answers a promise while nothing is known, then what was found, until its time to live is over", async () => {
    const bench = new Bench();
    assert.ok(bench.cache.get(target("x.test")) instanceof Promise);
    assert.equal(await bench.get(), "192.0.2.1");
    assert.ok(!(bench.cache.get(target("x.test")) instanceof Promise));
    assert.equal(bench.asked.length, 1);
    bench.nowMs = 100_000;
    bench.answer = () => found(100, "192.0.2.2");
    assert.equal(await bench.get(), "192.0.2.2");
    assert.equal(bench.asked.length, 2);
  });

  it("asks again in the last fifth of the time, while what is known is used on", async () => {
    const bench = new Bench();
    await bench.get();
    bench.nowMs = 79_999;
    await bench.get();
    assert.equal(bench.asked.length, 1);
    bench.nowMs = 80_000;
    bench.answer = () => found(100, "192.0.2.2");
    assert.equal(await bench.get(), "192.0.2.1");
    await new Promise(setImmediate);
    assert.equal(await bench.get(), "192.0.2.2");
    assert.deepEqual([bench.asked.length, bench.cache.counters.refreshes], [2, 1]);
  });

  const bounds: [name: string, answer: Location, ms: number][] = [
    ["an answer for no time at all", found(0, "192.0.2.1"), MIN_TTL_MS],
    ["an answer for a week", found(604_800, "192.0.2.1"), MAX_TTL_MS],
    ["that there is nothing, for a minute", GONE, 60_000],
    ["that there is nothing, for a day", { ...GONE, ttlS: 86_400 } as Location, MAX_NEGATIVE_TTL_MS],
    ["that nobody answers", DOWN, RETRY_MS],
  ];
  for (const [name, answer, ms] of bounds) {
    it(`remembers ${name}: ${ms / 1000} s`, async () => {
      const bench = new Bench();
      bench.answer = () => answer;
      await bench.get();
      bench.nowMs = ms - 1;
      assert.ok(!(bench.cache.get(target("x.test")) instanceof Promise));
      await new Promise(setImmediate);
      if (answer.outcome !== "found") {
        bench.nowMs = ms;
        assert.ok(bench.cache.get(target("x.test")) instanceof Promise);
      }
    });
  }

  it("asks less and less often while nobody answers, every minute at least", async () => {
    const bench = new Bench();
    bench.answer = () => DOWN;
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      const sinceMs = bench.nowMs;
      await bench.get();
      while (!(bench.cache.get(target("x.test")) instanceof Promise)) bench.nowMs += 1_000;
      waits.push((bench.nowMs - sinceMs) / 1000);
      await bench.get();
    }
    assert.ok(waits.every((wait, i) => i === 0 || wait >= waits[i - 1]!) && waits.at(-1) === 60, String(waits));
  });

  it("uses addresses after their time while nobody answers, for a day", async () => {
    const bench = new Bench();
    await bench.get();
    bench.answer = () => DOWN;
    bench.nowMs = 200_000;
    const stale = await bench.cache.get(target("x.test"));
    assert.deepEqual([stale.addresses[0]?.ip, stale.reason], ["192.0.2.1", "nobody answers"]);
    assert.equal(await bench.get(), "192.0.2.1");
    assert.deepEqual([bench.asked.length, bench.cache.counters.stale_used], [2, 2]);
    bench.nowMs = 100_000 + MAX_STALE_MS;
    assert.equal(await bench.get(), "nobody answers");
  });

  it("prefers what was known to half an answer, and half an answer to nothing", async () => {
    const half: Location = { outcome: "found", addresses: [{ ip: "192.0.2.9", port: 5060, transport: "udp" }], ttlS: 100, isPartial: true };
    const bench = new Bench();
    await bench.get();
    bench.answer = () => half;
    bench.nowMs = 100_000;
    assert.equal(await bench.get(), "192.0.2.1");
    assert.equal(await bench.get("y.test"), "192.0.2.9");
    bench.nowMs += MIN_TTL_MS;
    await bench.get("y.test");
    assert.equal(bench.asked.filter((host) => host === "y.test").length, 2);
  });

  it("takes half an answer in place of half an answer, and of a whole one after a day: some servers never tell everything", async () => {
    const half = (ip: string): Location => ({
      outcome: "found",
      addresses: [{ ip, port: 5060, transport: "udp" }],
      ttlS: 100,
      isPartial: true,
    });
    const bench = new Bench();
    bench.cache.hold([target("x.test"), target("whole.test")]);
    bench.answer = (host) => (host === "x.test" ? half("192.0.2.8") : found(100, "192.0.2.1"));
    await bench.pass(0);
    assert.equal(await bench.get(), "192.0.2.8");
    bench.answer = () => half("192.0.2.9");
    await bench.pass(200_000);
    assert.deepEqual([await bench.get(), await bench.get("whole.test")], ["192.0.2.9", "192.0.2.1"]);
    await bench.pass(MAX_STALE_MS);
    assert.equal(await bench.get("whole.test"), "192.0.2.9");
  });

  it("makes nobody wait for name servers that were silent a moment ago, nor for a search that is under way", async () => {
    const bench = new Bench();
    await bench.get();
    bench.answer = () => DOWN;
    bench.nowMs = 100_000;
    await bench.get();
    const { promise, resolve } = Promise.withResolvers<Location>();
    bench.answer = () => promise;
    bench.nowMs += RETRY_MS;
    for (let i = 0; i < 3; i++) assert.ok(!(bench.cache.get(target("x.test")) instanceof Promise));
    assert.equal(bench.asked.length, 3);
    resolve(found(100, "192.0.2.2"));
    await new Promise(setImmediate);
    assert.equal(await bench.get(), "192.0.2.2");
  });

  it("waits for an answer when the last one has been of no use for long", async () => {
    const bench = new Bench();
    await bench.get();
    bench.answer = () => DOWN;
    bench.nowMs = 100_000;
    await bench.get();
    bench.answer = () => found(100, "192.0.2.2");
    bench.nowMs += 600_000;
    assert.equal(await bench.get(), "192.0.2.2");
  });

  it("believes at once that a name is gone", async () => {
    const bench = new Bench();
    await bench.get();
    bench.answer = () => GONE;
    bench.nowMs = 100_000;
    assert.equal(await bench.get(), "it has no address");
  });

  it("asks again for what was not found when somebody insists, and only then", async () => {
    const bench = new Bench();
    bench.answer = () => GONE;
    await bench.get();
    bench.answer = () => found(100, "192.0.2.1");
    assert.equal(await bench.get(), "it has no address");
    assert.equal((await bench.cache.get(target("x.test"), true)).addresses.length, 1);
    assert.ok(!(bench.cache.get(target("x.test"), true) instanceof Promise));
    assert.equal(bench.asked.length, 2);
  });

  it("rejects never", async () => {
    const bench = new Bench();
    bench.answer = () => Promise.reject(new Error("broken"));
    assert.equal(await bench.get(), "broken");
  });

  it("asks once for what many want, 16 searches at a time, and refuses when 500 wait", async () => {
    const bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<Location>();
    bench.answer = () => promise;
    const waiting = Array.from({ length: 2_000 }, (_, i) => bench.get(`h${i % 516}.test`));
    assert.equal(bench.asked.length, 16);
    assert.equal(await bench.get("more.test"), "too many names are being looked up");
    assert.equal(bench.cache.counters.refused, 1);
    resolve(found(100, "192.0.2.1"));
    assert.deepEqual(new Set(await Promise.all(waiting)), new Set(["192.0.2.1"]));
    assert.equal(await bench.get("one.test"), "192.0.2.1");
  });

  it("lets nobody wait for a turn for long: what takes so long is not found now, and asked for again later", async () => {
    const bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<Location>();
    bench.answer = () => promise;
    const waiting = Array.from({ length: 17 }, (_, i) => bench.get(`h${i}.test`));
    await bench.pass(MAX_WAIT_MS);
    assert.equal(await waiting[16], "too many names are being looked up");
    assert.equal(bench.cache.counters.refused, 1);
    resolve(found(100, "192.0.2.1"));
    assert.deepEqual(new Set(await Promise.all(waiting.slice(0, 16))), new Set(["192.0.2.1"]));
    assert.equal(await bench.get("h16.test"), "192.0.2.1");
    assert.equal(bench.waiting, 0);
  });

  it("remembers a thousand targets, and forgets those first that were not used for longest", async () => {
    const bench = new Bench();
    for (let i = 0; i < MAX_TARGETS; i++) await bench.get(`h${i}.test`);
    await bench.get("h0.test");
    await bench.get("more.test");
    assert.ok(!(bench.cache.get(target("h0.test")) instanceof Promise));
    assert.ok(bench.cache.get(target("h1.test")) instanceof Promise);
  });
});

describe("LocationCache.hold()", () => {
  it("keeps targets up to date that nobody uses, and tells of other addresses", async () => {
    const bench = new Bench();
    await bench.get();
    bench.cache.hold([target("x.test"), target("x.test")]);
    await bench.pass(80_000);
    assert.equal(bench.asked.length, 2);
    assert.deepEqual(bench.changes, []);
    bench.answer = () => found(100, "192.0.2.2", "192.0.2.1");
    await bench.pass(80_000);
    const told = bench.told.map(({ before, addresses }) => [before.map(({ ip }) => ip), addresses.map(({ ip }) => ip)]);
    assert.deepEqual(told, [[["192.0.2.1"], ["192.0.2.2", "192.0.2.1"]]]);
  });

  it("takes another order of the same addresses for no change, and keeps the first one", async () => {
    const bench = new Bench();
    bench.answer = () => found(10, "192.0.2.1", "192.0.2.2");
    const first = await bench.cache.get(target("x.test"));
    bench.cache.hold([target("x.test")]);
    bench.answer = () => found(10, "192.0.2.2", "192.0.2.1");
    await bench.pass(20_000);
    assert.equal((await bench.cache.get(target("x.test"))).addresses, first.addresses);
    assert.deepEqual(bench.changes, []);
  });

  it("tries a target that has no address again, and tells when it has one", async () => {
    const bench = new Bench();
    bench.answer = () => DOWN;
    await bench.get();
    bench.cache.hold([target("x.test")]);
    await bench.pass(20_000);
    bench.answer = () => found(100, "192.0.2.1");
    await bench.pass(60_000);
    assert.deepEqual(
      bench.changes.map(({ before, addresses }) => [before.length, addresses.length]),
      [[0, 1]],
    );
  });

  for (const [name, answer] of [
    ["nobody answers", DOWN],
    ["there is no such name any more", GONE],
  ] as const) {
    it(`takes no address away when ${name}`, async () => {
      const bench = new Bench();
      await bench.get();
      bench.cache.hold([target("x.test")]);
      bench.answer = () => answer;
      await bench.pass(3 * MAX_STALE_MS);
      assert.equal(await bench.get(), "192.0.2.1");
      assert.deepEqual(bench.changes, []);
    });
  }

  it("searches for it at once, whatever callers have asked for and wait for, with questions that are not among theirs", async () => {
    const bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<Location>();
    bench.answer = (host) => (host.startsWith("h") ? promise : found(100, "192.0.2.1"));
    const waiting = Array.from({ length: 100 }, (_, i) => bench.get(`h${i}.test`));
    bench.cache.hold([target("x.test")]);
    await bench.pass(0);
    assert.deepEqual(bench.ofTable, ["x.test"]);
    assert.equal(bench.asked.length, 17);
    assert.equal((await bench.cache.get(target("loaded.test"), true)).addresses.length, 1);
    assert.deepEqual(bench.ofTable, ["x.test", "loaded.test"]);
    resolve(found(100, "192.0.2.1"));
    await Promise.all(waiting);
    assert.deepEqual(bench.ofTable, ["x.test", "loaded.test"]);
  });

  it("does not let it wait on among those of callers when one has asked for it before", async () => {
    const bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<Location>();
    bench.answer = (host) => (host.startsWith("h") ? promise : found(100, "192.0.2.1"));
    const hosts = Array.from({ length: 20 }, (_, i) => `h${i}.test`);
    const waiting = [...hosts, "x.test", "y.test"].map((host) => bench.get(host));
    bench.cache.hold([target("x.test")]);
    assert.equal(await waiting.at(-2), "192.0.2.1");
    assert.equal((await bench.cache.get(target("y.test"), true)).addresses.length, 1);
    assert.deepEqual(bench.ofTable, ["x.test", "y.test"]);
    resolve(found(100, "192.0.2.1"));
    await Promise.all(waiting);
  });

  it("searches for what nobody has asked for yet", async () => {
    const bench = new Bench();
    bench.cache.hold([target("x.test")]);
    await bench.pass(0);
    assert.equal(bench.changes.length, 1);
  });

  it("lets go of what is held no more, and of everything when it is closed", async () => {
    const bench = new Bench();
    bench.cache.hold([target("x.test"), target("y.test")]);
    await bench.pass(0);
    bench.cache.hold([target("y.test")]);
    assert.equal(bench.waiting, 1);
    assert.equal(await bench.get(), "192.0.2.1", "it is still remembered");
    bench.cache.close();
    assert.equal(bench.waiting, 0);
    assert.equal(bench.asked.length, 2);
  });
});
