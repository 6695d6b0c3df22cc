import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryRedis } from "../support/memory-redis.ts";
import { startRedis } from "../support/redis-server.ts";

/** Commands in the order in which they run; the store that tests use must answer each as Redis does. */
const COMMANDS = [
  "PING|PING x|ECHO_IS_UNKNOWN",
  "SET s a|GET s|SET s b NX|SET s b XX|SET s c GET|SET s d EX 100|TTL s|SET s e KEEPTTL|TTL s|PERSIST s|PTTL s|TTL none|GET none|SET s",
  "SET n NX x|MSET m1 a m2 b|MGET m1 none m2|EXISTS m1 m2 none|DEL m1 none|TYPE m2|TYPE none|SETNX m2 x|SETNX m3 x|GETDEL_IS_UNKNOWN",
  "INCR i|INCRBY i 5|DECR i|GET i|INCR s|INCRBY i x|SET i 10|INCR i",
  "HSET h a 1 b 2|HSET h a 3 c 4|HGET h a|HGET h none|HMGET h a none c|HGETALL h|HLEN h|HEXISTS h a|HEXISTS h none|HKEYS h|HVALS h|HDEL h a none",
  "HSETNX h b 9|HSETNX h d 9|HINCRBY h n 2|HINCRBY h n -3|HGETALL none|HDEL h b c d n|EXISTS h|HSET h a|HSET h|HGET s a|GET h2|HMSET h2 a 1|GET h2",
  "SADD t a b a|SADD t b|SCARD t|SISMEMBER t a|SISMEMBER t none|SMISMEMBER t a none|SREM t a none|SMEMBERS t|SMOVE t t2 b|SMOVE t t2 b|EXISTS t|SADD s x",
  "ZADD z 3 c 1 a 2 b|ZADD z 5 a|ZADD z NX 9 a|ZADD z XX 9 new|ZADD z CH 6 a 7 new|ZADD z GT 1 a|ZADD z LT CH 1 a|ZSCORE z a|ZSCORE z none|ZCARD z",
  "ZRANGE z 0 -1|ZRANGE z 0 -1 WITHSCORES|ZRANGE z 0 1|ZRANGE z 0 0 REV|ZRANGE z 1 3 BYSCORE|ZRANGE z 1 (3 BYSCORE LIMIT 0 1|ZCOUNT z (1 +inf",
  "ZADD z2 1700000000000 x 1.5 y 1700000000000 w|ZRANGEBYSCORE z2 -inf +inf WITHSCORES|ZMSCORE z2 x none y|ZREMRANGEBYSCORE z2 -inf (1700000000000",
  "ZREM z2 x none|ZCARD z2|ZREM z2 w|EXISTS z2|ZADD z2 x y|ZADD z2 1|ZADD s 1 a|ZRANGEBYSCORE z 0 10 LIMIT 1 1|ZADD z2 NX 1 a|ZREMRANGEBYSCORE none 0 1",
  "EXPIRE z 100|PEXPIRE none 5|TTL z|EXPIRE z 50 GT|EXPIRE z 50 LT|TTL z|EXPIRE z 5 NX|PEXPIRE z 0|EXISTS z|PEXPIREAT t2 1|EXISTS t2|SET e x PXAT 1|GET e",
  "PUBLISH nobody x|DBSIZE|FLUSHALL|DBSIZE",
];

/** Errors only by their kind: nobody reads more of them. */
async function answered(run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    return `error ${(error as Error).message.split(" ")[0]}`;
  }
}

describe("the Redis that tests have in memory", () => {
  it("answers as Redis does", async () => {
    const redis = await startRedis();
    try {
      const memory = new MemoryRedis({ nowMs: Date.now });
      const link = memory.link("a");
      for (const line of COMMANDS) {
        for (const text of line.split("|")) {
          const [name = "", ...words] = text.split(" ");
          const [real, ours] = [await answered(() => redis.cli(name, ...words)), await answered(() => link.command(name, ...words))];
          assert.deepEqual(ours, real, text);
        }
      }
    } finally {
      await redis.close();
    }
  });

  it("lets what has expired be gone", async () => {
    let nowMs = 1_700_000_000_500;
    const link = new MemoryRedis({ nowMs: () => nowMs }).link("a");
    assert.deepEqual(await link.command("TIME"), ["1700000000", "500000"]);
    await link.command("SET", "a", "x", "PX", 100);
    nowMs += 99;
    assert.equal(await link.command("PTTL", "a"), 1);
    nowMs += 1;
    assert.equal(await link.command("GET", "a"), null);
  });

  it("delivers by hand, each kind in its order, and loses what was under way when a link is cut", async () => {
    const memory = new MemoryRedis({ delivery: "by-hand" });
    const [a, b] = [memory.link("a"), memory.link("b")];
    const heard: string[] = [];
    b.subscribe("channel", (message) => heard.push(message));
    const set = a.command("SET", "x", 1);
    a.publish("channel", "one");
    a.publish("channel", "two");
    assert.deepEqual(
      memory.pending.map(({ kind, what }) => `${kind} ${what}`),
      ["command a: SET x"],
    );
    assert.equal(memory.deliver()?.kind, "command");
    assert.equal(memory.deliver(() => 0.99)?.kind, "answer");
    assert.equal(await set, "OK");
    await memory.settle();
    assert.deepEqual(heard, ["one", "two"]);

    const lost = a.command("SET", "x", 2);
    a.publish("channel", "three");
    memory.deliver(); // it is carried out, but the answer is lost
    a.cut();
    await assert.rejects(lost, { name: "LinkError" });
    assert.equal(memory.store.call("GET", "x"), "2");
    await assert.rejects(a.command("PING"), { name: "LinkError" });
    a.heal();
    b.stall();
    a.publish("channel", "four");
    await memory.settle();
    assert.deepEqual(heard, ["one", "two"]);
    b.heal();
    await memory.settle();
    assert.deepEqual(heard, ["one", "two", "four"]);
  });

  it("runs twins of scripts, and gives what they answer the shape of Lua's replies", async () => {
    const memory = new MemoryRedis().script("twin", (store, keys, args) => [
      true,
      false,
      1.9,
      undefined,
      store.call("INCRBY", keys[0] ?? "", args[0] ?? ""),
    ]);
    const link = memory.link("a");
    assert.deepEqual(await link.run({ name: "twin", lua: "" }, ["n"], [5]), [1, null, 1, null, 5]);
    await assert.rejects(link.run({ name: "other", lua: "" }, [], []), /give its twin/);
  });
});
