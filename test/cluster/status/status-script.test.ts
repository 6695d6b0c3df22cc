import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { LuaScript } from "../../../src/cluster/ports.ts";
import { MAX_AHEAD_MS, versionOf } from "../../../src/cluster/status/hlc.ts";
import { STATUS_DROP, STATUS_PUT } from "../../../src/cluster/status/status-script.ts";
import { MemoryRedis } from "../../support/memory-redis.ts";
import { statusScripts } from "../../support/memory-scripts/status.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";

const [STATUS, SEQ, TAGS] = ["{c}:status", "{c}:seq", "{c}:tags"] as const;
const FIELD = "status 1 sip:192.0.2.1";

/** A Redis, or its likeness. */
interface Place {
  call(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  put(version: string, record: string, more?: { field?: string; most?: number; tag?: string; epoch?: number }): Promise<unknown>;
  drop(version: string): Promise<unknown>;
  /** Time of Redis, ms. */
  nowMs(): Promise<number>;
}

type Run = (script: LuaScript, keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>;

function placeOf(call: Place["call"], run: Run): Place {
  return {
    call,
    drop: (version) => run(STATUS_DROP, [STATUS, SEQ], [FIELD, version]),
    put: (version, record, { field = FIELD, most = 3, tag = "", epoch = 0 } = {}) =>
      run(STATUS_PUT, [STATUS, SEQ, TAGS], [field, version, record, "channel", most, tag, epoch]),
    async nowMs() {
      const [s, us] = (await call("TIME")) as [string, string];
      return Number(s) * 1000 + Math.floor(Number(us) / 1000);
    },
  };
}

function cases(place: () => Place): void {
  const at = async (differenceMs: number, node = 1): Promise<string> => versionOf((await place().nowMs()) + differenceMs, 0, node);

  it("stores what is new, and counts the changes", async () => {
    const version = await at(-5_000);
    assert.deepEqual(await place().put(version, "a"), ["stored", 1]);
    assert.deepEqual(await place().put(await at(-4_000), "b", { field: "drain 1 x" }), ["stored", 2]);
    assert.equal(await place().call("HGET", STATUS, FIELD), `${version} a`);
  });

  it("lets the newer win, whatever the order, and answers the winner", async () => {
    const [older, newer] = [await at(-5_000, 9), await at(-4_000, 1)];
    await place().put(older, "a");
    assert.deepEqual(await place().put(newer, "b"), ["stored", 2]);
    assert.deepEqual(await place().put(older, "a"), ["older", `${newer} b`]);
    assert.equal(await place().call("GET", SEQ), "2");
  });

  it("changes nothing when it is told again", async () => {
    const version = await at(-5_000);
    await place().put(version, "a");
    assert.deepEqual(await place().put(version, "z"), ["same", `${version} a`]);
    assert.equal(await place().call("GET", SEQ), "1");
  });

  it("lets the higher node win within a millisecond", async () => {
    const low = await at(-5_000, 2);
    const higher = low.replace(/2$/, "3");
    await place().put(higher, "a");
    assert.deepEqual(await place().put(low, "b"), ["older", `${higher} a`]);
  });

  it("refuses what is more than 60 s ahead, and takes what is less", async () => {
    assert.deepEqual(await place().put(await at(MAX_AHEAD_MS + 30_000), "a"), ["ahead", ""]);
    assert.deepEqual(await place().put(await at(MAX_AHEAD_MS - 30_000), "a"), ["stored", 1]);
  });

  for (const held of ["", "garbage", "1800000000000-000000-000000000", `${"9".repeat(13)}-000000-0000000001 {}`]) {
    it(`overwrites ${JSON.stringify(held)}, which no node wrote`, async () => {
      await place().call("HSET", STATUS, FIELD, held);
      assert.deepEqual(await place().put(await at(0), "a"), ["stored", 1]);
    });
  }

  it("takes no more registers than there may be, but goes on with those there are", async () => {
    for (const field of ["a", "b", "c"]) await place().put(await at(-5_000), "r", { field });
    assert.deepEqual(await place().put(await at(-5_000), "r", { field: "d" }), ["full", ""]);
    assert.deepEqual(await place().put(await at(-4_000), "r", { field: "c" }), ["stored", 4]);
  });

  it("is fenced when somebody else has had the tag since", async () => {
    const version = await at(-5_000);
    await place().call("HSET", TAGS, "vip", '{"node":2,"epoch":4}');
    assert.deepEqual(await place().put(version, "a", { tag: "vip", epoch: 3 }), ["fenced", ""]);
    assert.deepEqual(await place().put(version, "a", { tag: "vip", epoch: 4 }), ["stored", 1]);
    assert.deepEqual(await place().put(await at(-4_000), "b", { tag: "vip", epoch: 3 }), ["fenced", `${version} a`]);
  });

  it("drops the very version that was asked for, which counts as a change, and no other", async () => {
    const [older, newer] = [await at(-5_000), await at(-4_000)];
    await place().put(newer, "a");
    assert.equal(await place().drop(older), 0);
    assert.equal(await place().call("HGET", STATUS, FIELD), `${newer} a`);
    assert.equal(await place().drop(newer), 2);
    assert.equal(await place().drop(newer), 0);
    assert.deepEqual([await place().call("HGET", STATUS, FIELD), await place().call("GET", SEQ)], [null, "2"]);
  });

  for (const [what, tag] of [
    ["no tag", undefined],
    ["a tag that cannot be read", "{"],
    ["a tag without an epoch", "{}"],
    ["a tag that is no object", "5"],
  ] as const) {
    it(`is not fenced by ${what}`, async () => {
      if (tag !== undefined) await place().call("HSET", TAGS, "vip", tag);
      assert.deepEqual(await place().put(await at(-5_000), "a", { tag: "vip", epoch: 1 }), ["stored", 1]);
    });
  }
}

describe("scripts of statuses in Redis", () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.close());
  beforeEach(() => redis.flush());
  const place = placeOf(
    (name, ...args) => redis.cli(name, ...args),
    ({ lua }, keys, args) => redis.cli("EVAL", lua, keys.length, ...keys, ...args),
  );
  cases(() => place);
});

describe("scripts of statuses in their likeness", () => {
  let place: Place;
  beforeEach(() => {
    const redis = new MemoryRedis().scripts(statusScripts);
    const link = redis.link("test");
    place = placeOf(
      (name, ...args) => link.command(name, ...args),
      (script, keys, args) => link.run(script, keys, args),
    );
  });
  cases(() => place);

  it("tells all nodes of what is stored, and of nothing else", async () => {
    const redis = new MemoryRedis().scripts(statusScripts);
    const [link, heard] = [redis.link("a"), [] as string[]];
    link.subscribe("channel", (message) => heard.push(message));
    const put = (version: string, record: string): Promise<unknown> =>
      link.run(STATUS_PUT, [STATUS, SEQ, TAGS], [FIELD, version, record, "channel", 3, "", 0]);
    await put(versionOf(2_000, 0, 1), "b");
    await put(versionOf(1_000, 0, 1), "a");
    await redis.settle();
    assert.deepEqual(heard, ["1 b"]);
  });
});
