import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Redis } from "ioredis";
import { BEAT, type BeatAnswer, type BeatRequest, beatArgs, readBeat, type TagAsk } from "../../../src/cluster/members/beat-script.ts";
import { BEAT_TWIN } from "../../support/memory-scripts/beat.ts";
import { MemoryStore } from "../../support/memory-store.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";

const KEYS = ["{c}:nodes", "{c}:tags", "{c}:seq", "{c}:generation"] as const;
const [NODES, TAGS, SEQ] = KEYS;
/** Redis's clock cannot be set: cases say when something was as a difference to it, long enough that the time of a test does not matter. */
type At = (differenceMs: number) => number;

interface Place {
  beat(request: Partial<BeatRequest>, tags?: readonly (Partial<TagAsk> & { name: string })[]): Promise<BeatAnswer>;
  put(key: string, field: string, value: string): Promise<void>;
  get(key: string, field: string): Promise<string | null>;
  set(key: string, value: string): Promise<void>;
  clear(): Promise<void>;
  readonly at: At;
}

function request(partial: Partial<BeatRequest>, tags: readonly (Partial<TagAsk> & { name: string })[], at: At): (string | number)[] {
  return beatArgs({
    nodeId: 1,
    incarnation: "a1",
    seq: 1,
    leaseMs: 60_000,
    identity: "says",
    epoch: 0,
    isLeaving: false,
    claimBeforeMs: at(3_600_000),
    directory: "",
    tags: tags.map((tag) => ({ act: "watch", epoch: 0, untilMs: 0, graceMs: 0, isWanted: false, ...tag })),
    ...partial,
  });
}

function read(reply: unknown): BeatAnswer {
  const answer = readBeat(reply);
  assert.ok(answer, `not an answer: ${JSON.stringify(reply)}`);
  return answer;
}

function memory(): Place {
  const store = new MemoryStore(
    () => 1_700_000_000_000,
    () => 0,
  );
  const at = (ms: number): number => 1_700_000_000_000 + ms;
  return {
    at,
    beat: async (partial, tags = []) => read(BEAT_TWIN(store, KEYS, request(partial, tags, at).map(String))),
    put: async (key, field, value) => void store.call("hset", key, field, value),
    get: async (key, field) => store.call("hget", key, field) as string | null,
    set: async (key, value) => void store.call("set", key, value),
    clear: async () => store.flush(),
  };
}

function real(redis: Redis): Place {
  const startMs = Date.now();
  const at = (ms: number): number => startMs + ms;
  return {
    at,
    beat: async (partial, tags = []) => read(await redis.eval(BEAT.lua, KEYS.length, ...KEYS, ...request(partial, tags, at))),
    put: async (key, field, value) => void (await redis.hset(key, field, value)),
    get: (key, field) => redis.hget(key, field),
    set: async (key, value) => void (await redis.set(key, value)),
    clear: async () => void (await redis.flushall()),
  };
}

function ok(answer: BeatAnswer): Extract<BeatAnswer, { outcome: "ok" }> {
  assert.equal(answer.outcome, "ok");
  return answer as Extract<BeatAnswer, { outcome: "ok" }>;
}

function tagOf(answer: BeatAnswer, name = "vip") {
  const row = ok(answer).tags.find((tag) => tag.name === name);
  assert.ok(row, `no tag "${name}"`);
  return row;
}

function record(at: At, over: Record<string, unknown>): string {
  const whole = {
    node: 2,
    incarnation: "b1",
    epoch: 4,
    expiry: at(30_000),
    lease: 60_000,
    wanted: 0,
    wantedUntil: 0,
    since: at(-90_000),
    released: 0,
  };
  return JSON.stringify({ ...whole, ...over });
}

const CASES: Record<string, (place: Place) => Promise<void>> = {
  "a first beat joins, with an epoch and a generation": async ({ beat }) => {
    const { epoch, generation, nodes, statusSeq, foreign } = ok(await beat({}));
    assert.deepEqual([epoch, generation, statusSeq, foreign], [1, "a11", 0, 0]);
    assert.deepEqual(
      nodes.map(({ nodeId, incarnation, identity }) => [nodeId, incarnation, identity]),
      [[1, "a1", "says"]],
    );
  },
  "identities are sent to those only who have not got them": async ({ beat }) => {
    const { directory } = ok(await beat({}));
    assert.equal(ok(await beat({ seq: 2, directory })).nodes[0]?.identity, "");
    assert.equal(ok(await beat({ nodeId: 2, incarnation: "b1", directory })).nodes.length, 2);
    const again = ok(await beat({ seq: 3, directory }));
    assert.deepEqual(
      again.nodes.map(({ identity }) => identity),
      ["says", "says"],
    );
    assert.notEqual(again.directory, directory);
  },
  "another incarnation is refused while the lease lasts, and told who has it": async ({ beat }) => {
    await beat({});
    const held = await beat({ incarnation: "a2", identity: "other" });
    assert.ok(held.outcome === "held");
    assert.deepEqual([held.incarnation, held.identity], ["a1", "says"]);
    assert.ok(held.expiryMs > held.redisMs && held.expiryMs <= held.redisMs + 60_000);
  },
  "after the lease another incarnation joins with a new epoch": async ({ beat, put, at }) => {
    await put(NODES, "1", `${at(-1000)} ${at(-61_000)} 60000 9 7 a1 says`);
    const answer = ok(await beat({ incarnation: "a2" }));
    assert.deepEqual([answer.epoch, answer.nodes[0]?.incarnation], [8, "a2"]);
  },
  "who left is followed at once": async ({ beat }) => {
    await beat({});
    await beat({ seq: 2, isLeaving: true });
    const { nodes } = ok(await beat({ nodeId: 2, incarnation: "b1" }));
    assert.equal(nodes.find(({ nodeId }) => nodeId === 1)?.expiryMs, 0);
    assert.equal(ok(await beat({ incarnation: "a2" })).epoch, 2);
  },
  "a beat that comes after a later one undoes nothing": async ({ beat, get }) => {
    await beat({ seq: 1 }, [{ name: "vip", epoch: 3 }]);
    await beat({ seq: 5, isLeaving: true });
    const before = await get(NODES, "1");
    assert.equal((await beat({ seq: 4 }, [{ name: "vip", act: "claim" }])).outcome, "stale");
    assert.equal(await get(NODES, "1"), before);
  },
  "a lease that ends far ahead is cut to its length": async ({ beat, put, at }) => {
    await put(NODES, "2", `${at(3_600_000)} ${at(3_590_000)} 60000 9 7 b1 says`);
    await put(TAGS, "vip", record(at, { expiry: at(3_600_000) }));
    const { nodes, tags, redisMs } = ok(await beat({}));
    const node = nodes.find(({ nodeId }) => nodeId === 2);
    assert.equal(node?.expiryMs, redisMs + 60_000);
    assert.equal(tags[0]?.leaseMs, 60_000);
  },
  "records that nobody of us wrote are counted and left alone": async ({ beat, put, get, at }) => {
    const fields = {
      x: "y",
      "0": "1 2 3 4 5 a b",
      "99999999999": "1 1 1 1 1 a b",
      "3": "",
      "4": "1 2 3 4 5 a-b c",
      "5": "1 1 0 1 1 a b",
      "6": "9999999999999999 1 1 1 1 a b",
    };
    for (const [field, value] of Object.entries(fields)) await put(NODES, field, value);
    const tags = {
      a: "",
      b: "[]",
      c: "null",
      d: "{",
      e: '"x"',
      f: record(at, { epoch: 1.5 }),
      g: record(at, { epoch: -1 }),
      h: record(at, { epoch: "4" }),
    };
    for (const [field, value] of Object.entries(tags)) await put(TAGS, field, value);
    await put(TAGS, "i", record(at, { incarnation: 'b"1' }));
    await put(TAGS, "j", record(at, { lease: 0 }));
    await put(TAGS, "k", record(at, { pad: "x".repeat(2000) }));
    await put(TAGS, "l", "[".repeat(1000));
    await put(TAGS, "m", record(at, { epoch: 1e300 }));
    const { foreign, nodes, tags: rows } = ok(await beat({}));
    assert.deepEqual([foreign, nodes.length, rows.length], [7 + 13, 1, 0]);
    assert.equal(await get(NODES, "x"), "y");
    assert.equal(await get(TAGS, "b"), "[]");
  },
  "a number of the status that is none is 0": async ({ beat, set }) => {
    await set(SEQ, "many");
    assert.equal(ok(await beat({})).statusSeq, 0);
    await set(SEQ, "17");
    assert.equal(ok(await beat({ seq: 2 })).statusSeq, 17);
  },
  "a tag that nobody knows is claimed by nobody for a lease, then with a new epoch": async ({ beat, put, at }) => {
    const first = tagOf(await beat({}, [{ name: "vip", act: "claim", epoch: 3 }]));
    assert.deepEqual([first.nodeId, first.epoch, first.waitMs], [0, 3, 60_000]);
    await put(TAGS, "vip", record(at, { node: 0, incarnation: "", expiry: 0, epoch: 3, since: at(-70_000) }));
    const second = tagOf(await beat({ seq: 2 }, [{ name: "vip", act: "claim" }]));
    assert.deepEqual([second.nodeId, second.incarnation, second.epoch, second.leaseMs], [1, "a1", 4, 60_000]);
  },
  "a tag is taken from nobody within the lease, and after it with the next epoch": async ({ beat, put, at }) => {
    await put(TAGS, "vip", record(at, {}));
    assert.equal(tagOf(await beat({}, [{ name: "vip", act: "claim", isWanted: true }])).nodeId, 2);
    await put(TAGS, "vip", record(at, { expiry: at(-1000) }));
    assert.equal(tagOf(await beat({ seq: 2 }, [{ name: "vip", act: "first" }])).nodeId, 2);
    assert.equal(tagOf(await beat({ seq: 3, claimBeforeMs: at(-5000) }, [{ name: "vip", act: "claim" }])).nodeId, 2);
    assert.equal(tagOf(await beat({ seq: 4 }, [{ name: "vip", act: "claim", graceMs: 60_000 }])).nodeId, 2);
    const taken = tagOf(await beat({ seq: 5 }, [{ name: "vip", act: "claim" }]));
    assert.deepEqual([taken.nodeId, taken.epoch], [1, 5]);
  },
  "holding renews; a claim of what is held anyway moves nothing": async ({ beat, put, at }) => {
    await put(TAGS, "vip", record(at, { node: 1, incarnation: "a1", expiry: at(5000) }));
    for (const [seq, act] of ["hold", "claim"].entries()) {
      const row = tagOf(await beat({ seq: seq + 1 }, [{ name: "vip", act: act as "hold", epoch: 4 }]));
      assert.deepEqual([row.nodeId, row.epoch, row.leaseMs], [1, 4, 60_000]);
    }
  },
  "the owner gets back what Redis has forgotten, within its lease only": async ({ beat, clear, put, at }) => {
    const hold = { name: "vip", act: "hold", epoch: 4 } as const;
    assert.equal(tagOf(await beat({}, [{ ...hold, untilMs: at(-1) }])).nodeId, 0);
    const back = tagOf(await beat({ seq: 2 }, [{ ...hold, untilMs: at(50_000) }]));
    assert.deepEqual([back.nodeId, back.epoch], [1, 4]);
    await clear();
    await put(TAGS, "vip", record(at, { epoch: 3 }));
    assert.equal(tagOf(await beat({ seq: 3 }, [{ ...hold, untilMs: at(50_000) }])).nodeId, 1, "an old file knows the owner before");
    await put(TAGS, "vip", record(at, { epoch: 5 }));
    assert.equal(tagOf(await beat({ seq: 4 }, [{ ...hold, untilMs: at(50_000) }])).nodeId, 2, "it was moved");
    await put(TAGS, "vip", record(at, { node: 0, incarnation: "", expiry: 0, released: 1 }));
    assert.equal(tagOf(await beat({ seq: 5 }, [{ ...hold, untilMs: at(50_000) }])).nodeId, 0, "it was given up");
  },
  "a tag that is given up goes to whoever it is wanted by": async ({ beat }) => {
    const vip = { name: "vip", act: "claim" } as const;
    await beat({}, [{ name: "vip", act: "hold", epoch: 4, untilMs: 9e14 }]);
    const asked = tagOf(await beat({ nodeId: 2, incarnation: "b1" }, [{ ...vip, isWanted: true }]));
    assert.deepEqual([asked.nodeId, asked.wanted], [1, 2]);
    assert.equal(tagOf(await beat({ seq: 2 }, [{ name: "vip", act: "hold", epoch: 4 }])).wanted, 2);
    const freed = tagOf(await beat({ seq: 3 }, [{ name: "vip", act: "release" }]));
    assert.deepEqual([freed.nodeId, freed.isReleased, freed.wanted], [0, true, 2]);
    const others = tagOf(await beat({ nodeId: 3, incarnation: "c1" }, [vip]));
    assert.deepEqual([others.nodeId, others.waitMs > 50_000], [0, true]);
    const moved = tagOf(await beat({ nodeId: 2, incarnation: "b1", seq: 2 }, [{ ...vip, act: "first" }]));
    assert.deepEqual([moved.nodeId, moved.epoch, moved.wanted], [2, 5, 0]);
  },
  "only who has a tag gives it up": async ({ beat, put, at }) => {
    for (const [seq, over] of [{}, { node: 1, incarnation: "a0" }].entries()) {
      await put(TAGS, "vip", record(at, over));
      assert.equal(tagOf(await beat({ seq: seq + 1 }, [{ name: "vip", act: "release" }])).isReleased, false);
    }
  },
  "a record that knows of fewer moves than a node is nobody's for a lease": async ({ beat, put, at }) => {
    await put(TAGS, "vip", record(at, { node: 0, incarnation: "", expiry: 0, released: 1 }));
    const row = tagOf(await beat({}, [{ name: "vip", act: "claim", epoch: 6 }]));
    assert.deepEqual([row.nodeId, row.epoch, row.waitMs, row.isReleased], [0, 6, 60_000, false]);
  },
  "a tag with a record that cannot be read is made anew": async ({ beat, put }) => {
    await put(TAGS, "vip", "junk");
    const row = tagOf(await beat({}, [{ name: "vip", act: "claim" }]));
    assert.deepEqual([row.nodeId, row.waitMs], [0, 60_000]);
  },
  "no more tags than Redis is to keep": async ({ beat, put, at }) => {
    for (let at_ = 0; at_ < 1000; at_++) await put(TAGS, `t${at_}`, record(at, {}));
    const { tags } = ok(await beat({}, [{ name: "vip", act: "claim" }]));
    assert.deepEqual([tags.length, tags.some(({ name }) => name === "vip")], [1000, false]);
  },
  "no more nodes than there can be: one that is dead gives way, none that lives": async ({ beat, put, at }) => {
    for (let id = 2; id <= 1001; id++) await put(NODES, `${id}`, `${at(50_000)} ${at(-id)} 60000 1 1 b says`);
    assert.equal((await beat({})).outcome, "full");
    await put(NODES, "77", `${at(-10_000)} ${at(-70_000)} 60000 1 1 b says`);
    const { nodes } = ok(await beat({ seq: 2 }));
    assert.deepEqual([nodes.length, nodes.some(({ nodeId }) => nodeId === 77)], [1000, false]);
  },
  "a node that has been gone for a day is forgotten": async ({ beat, put, get, at }) => {
    await put(NODES, "2", `${at(-90_000_000)} ${at(-90_000_000)} 60000 1 1 b says`);
    await put(NODES, "3", `${at(-80_000_000)} ${at(-80_000_000)} 60000 1 1 b says`);
    assert.deepEqual(
      ok(await beat({})).nodes.map(({ nodeId }) => nodeId),
      [3, 1],
    );
    assert.equal(await get(NODES, "2"), null);
  },
};

describe("the script of a beat", () => {
  let server: RedisServer;
  let client: Redis;
  before(async () => {
    server = await startRedis();
    client = new Redis(server.url);
  });
  after(async () => {
    client.disconnect();
    await server.close();
  });
  for (const [fact, run] of Object.entries(CASES)) {
    it(`${fact} (in Redis)`, async () => {
      await client.flushall();
      await run(real(client));
    });
    it(`${fact} (its twin)`, () => run(memory()));
  }
});
