import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HostCache } from "../../src/transport/host-cache.ts";

const FOUND_MS = 30_000;
const FAILED_MS = 5_000;
const MAX_HOSTS = 1_000;

/** A cache on a clock that only moves when told to, and a name server that answers what it is told to. */
class Bench {
  nowMs = 0;
  readonly asked: string[] = [];
  answer: (host: string) => Promise<readonly string[]> = async () => ["192.0.2.7"];
  readonly cache = new HostCache(
    (host) => {
      this.asked.push(host);
      return this.answer(host);
    },
    () => this.nowMs,
  );
}

const failing = async (): Promise<never> => {
  throw Object.assign(new Error("queryA ENOTFOUND"), { code: "ENOTFOUND" });
};

describe("HostCache.resolve()", () => {
  it("answers a promise of the first address, and from then on the address itself", async () => {
    const bench = new Bench();
    bench.answer = async () => ["192.0.2.7", "192.0.2.8"];
    const first = bench.cache.resolve("sip.example.net");
    assert.ok(first instanceof Promise);
    assert.equal(await first, "192.0.2.7");
    assert.equal(bench.cache.resolve("sip.example.net"), "192.0.2.7");
    assert.deepEqual(bench.asked, ["sip.example.net"]);
  });

  it("uses an address for 30 seconds, then looks again and takes the new one", async () => {
    const bench = new Bench();
    await bench.cache.resolve("sip.example.net");
    bench.nowMs = FOUND_MS - 1;
    assert.equal(bench.cache.resolve("sip.example.net"), "192.0.2.7");
    bench.nowMs = FOUND_MS;
    bench.answer = async () => ["192.0.2.9"];
    assert.equal(await bench.cache.resolve("sip.example.net"), "192.0.2.9");
    assert.equal(bench.asked.length, 2);
  });

  it("counts the time from the answer, not from the question", async () => {
    const bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    bench.answer = () => promise;
    const search = bench.cache.resolve("slow.example.net");
    bench.nowMs = FOUND_MS;
    resolve(["192.0.2.7"]);
    await search;
    bench.nowMs = 2 * FOUND_MS - 1;
    assert.equal(bench.cache.resolve("slow.example.net"), "192.0.2.7");
  });

  for (const [name, answer] of [
    ["a name that does not exist", failing],
    ["a name without addresses", async () => []],
  ] as const) {
    it(`remembers ${name} for 5 seconds as undefined, then looks again`, async () => {
      const bench = new Bench();
      bench.answer = answer;
      assert.equal(await bench.cache.resolve("nobody.example.net"), undefined);
      bench.nowMs = FAILED_MS - 1;
      assert.equal(bench.cache.resolve("nobody.example.net"), undefined);
      assert.equal(bench.asked.length, 1);
      bench.nowMs = FAILED_MS;
      bench.answer = async () => ["192.0.2.7"];
      assert.equal(await bench.cache.resolve("nobody.example.net"), "192.0.2.7");
      assert.equal(bench.asked.length, 2);
    });
  }

  it("rejects never, also when the look-up throws before it has begun", async () => {
    const bench = new Bench();
    bench.answer = () => {
      throw new TypeError("not a host name");
    };
    assert.equal(await bench.cache.resolve("\0"), undefined);
  });

  it("asks once for a name that many messages want at the same time", async () => {
    const bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    bench.answer = () => promise;
    const searches = Array.from({ length: 50 }, () => bench.cache.resolve("busy.example.net"));
    const other = bench.cache.resolve("other.example.net");
    assert.deepEqual(bench.asked, ["busy.example.net", "other.example.net"]);
    resolve(["192.0.2.7"]);
    assert.deepEqual(new Set(await Promise.all([...searches, other])), new Set(["192.0.2.7"]));
    bench.nowMs = FOUND_MS;
    assert.ok(bench.cache.resolve("busy.example.net") instanceof Promise, "nothing is left of the search that has ended");
  });

  it(`has at most ${MAX_HOSTS} searches under way: further names have no address for now`, async () => {
    const bench = new Bench();
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    bench.answer = () => promise;
    const searches = Array.from({ length: MAX_HOSTS }, (_, i) => bench.cache.resolve(`h${i}.example.net`));
    assert.equal(bench.cache.resolve("one-too-many.example.net"), undefined);
    assert.ok(bench.cache.resolve("h0.example.net") instanceof Promise, "who waits already goes on waiting");
    assert.equal(bench.asked.length, MAX_HOSTS);
    resolve(["192.0.2.7"]);
    await Promise.all(searches);
    assert.equal(await bench.cache.resolve("one-too-many.example.net"), "192.0.2.7");
  });

  it(`remembers at most ${MAX_HOSTS} names, and goes on with names beyond that`, async () => {
    const bench = new Bench();
    for (let i = 0; i < MAX_HOSTS; i++) await bench.cache.resolve(`h${i}.example.net`);
    assert.equal(bench.cache.resolve("h0.example.net"), "192.0.2.7", "all of them are still known");
    assert.equal(bench.cache.resolve(`h${MAX_HOSTS - 1}.example.net`), "192.0.2.7");
    assert.equal(await bench.cache.resolve("one-more.example.net"), "192.0.2.7");
    assert.equal(bench.cache.resolve("one-more.example.net"), "192.0.2.7");
    assert.ok(bench.cache.resolve("h0.example.net") instanceof Promise, "room was made");
  });
});
