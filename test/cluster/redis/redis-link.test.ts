import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LinkError, type LuaScript } from "../../../src/cluster/ports.ts";
import { MAX_IN_FLIGHT } from "../../../src/cluster/redis/in-flight.ts";
import { withLink } from "../../support/link.ts";
import { waitFor } from "../../support/net.ts";

const APPEND: LuaScript = { name: "test_append", lua: "return redis.call('RPUSH', KEYS[1], ARGV[1])" };
const FAULTY: LuaScript = { name: "test_faulty", lua: "return redis.call('HGET', KEYS[1], 'a')" };

describe("a link to Redis", () => {
  it("refuses everything before it is connected, and tells nobody that it is down", async () => {
    await withLink({}, async ({ link, downs }) => {
      assert.equal(link.isUp, false);
      assert.equal(link.rttMs, undefined);
      await assert.rejects(link.command("GET", "a"), { name: "LinkError", message: 'Cannot send "GET" to Redis: there is no connection' });
      await assert.rejects(link.run(APPEND, ["a"], ["b"]), LinkError);
      link.publish("channel", "message");
      await waitFor("the lost message to be counted", 1000, () => link.counters.publishes_lost === 1);
      assert.equal(link.counters.refused_down, 3);
      assert.equal(downs.count, 0);
    });
  });

  it("gives replies as Redis sends them: hashes as flat lists, null for nothing, errors as errors", async () => {
    await withLink({}, async ({ link, up }) => {
      await up(1);
      assert.equal(await link.command("hset", "hash", "a", 1, "__proto__", "x"), 2);
      assert.deepEqual(await link.command("hgetall", "hash"), ["a", "1", "__proto__", "x"]);
      assert.deepEqual(await link.command("HGETALL", "none"), []);
      assert.equal(await link.command("get", "none"), null);
      assert.equal(await link.command("set", "text", "x", "PX", 5000, "NX"), "OK");
      assert.deepEqual(await link.command("mget", "text", "none"), ["x", null]);
      await assert.rejects(link.command("get", "hash"), (error: Error) => error.name === "Error" && /^WRONGTYPE/.test(error.message));
      await assert.rejects(link.run(FAULTY, ["text"], []), (error: Error) => error.name === "Error" && /WRONGTYPE/.test(error.message));
      assert.equal(link.isUp, true);
    });
  });

  it("carries commands and scripts out in the order in which they were sent, and answers in that order", async () => {
    await withLink({}, async ({ link, up }) => {
      await up(1);
      const answered: number[] = [];
      const sent = Array.from({ length: 3000 }, async (_, index) => {
        if (index % 3 === 0) await link.run(APPEND, ["list"], [index]);
        else await link.command("RPUSH", "list", index);
        answered.push(index);
        if (index % 500 === 0) await link.command("PING");
      });
      await Promise.all(sent);
      const wanted = Array.from({ length: 3000 }, (_, index) => index);
      assert.deepEqual(answered, wanted);
      assert.deepEqual(await link.command("LRANGE", "list", 0, -1), wanted.map(String));
    });
  });

  it("runs scripts that Redis has forgotten", async () => {
    await withLink({}, async ({ link, redis, up }) => {
      await up(1);
      assert.equal(await link.run(APPEND, ["list"], ["a"]), 1);
      assert.equal(await link.run(APPEND, ["list"], ["b"]), 2);
      await redis.cli("SCRIPT", "FLUSH");
      assert.equal(await link.run(APPEND, ["list"], ["c"]), 3);
      assert.equal(await link.run(APPEND, ["list"], ["d"]), 4);
    });
  });

  it("receives what is told on its channels, also by itself, and on channels that it learns of later", async () => {
    await withLink({}, async ({ link, up, redis }) => {
      const heard: string[] = [];
      link.subscribe("first", (message) => heard.push(`first ${message}`));
      link.subscribe("first", (message) => heard.push(`again ${message}`));
      await up(1);
      link.publish("first", "1");
      link.subscribe("second", (message) => heard.push(`second ${message}`));
      await waitFor("the second channel", 1000, async () => ((await redis.cli("PUBSUB", "NUMSUB", "second")) as unknown[])[1] === 1);
      await redis.cli("PUBLISH", "second", "2");
      await redis.cli("PUBLISH", "third", "3");
      await waitFor("the messages", 1000, () => heard.length === 3);
      assert.deepEqual(heard, ["first 1", "again 1", "second 2"]);
      assert.equal(link.counters.messages_received, 2);
    });
  });

  it("goes on when a listener throws, and says so", async () => {
    await withLink({}, async ({ link, up, faults }) => {
      const heard: string[] = [];
      link.onUp(() => {
        throw new Error("up");
      });
      link.onUp(() => heard.push("up"));
      link.subscribe("channel", () => {
        throw new Error("message");
      });
      link.subscribe("channel", (message) => heard.push(message));
      await up(1);
      link.publish("channel", "x");
      await waitFor("the message", 1000, () => heard.length === 2);
      assert.deepEqual(heard, ["up", "x"]);
      assert.deepEqual(
        faults.map((fault) => (fault as Error).message),
        ["up", "message"],
      );
    });
  });

  it("notices at once that Redis died, and is up again soon after it returned, with its channels", async () => {
    await withLink({}, async ({ link, redis, up, downs, logged }) => {
      const heard: string[] = [];
      link.subscribe("channel", (message) => heard.push(message));
      await up(1);
      await redis.stop();
      await waitFor("the loss", 500, () => !link.isUp);
      assert.equal(downs.count, 1);
      await assert.rejects(link.command("PING"), LinkError);
      await sleep(700); // attempts fail
      await redis.start();
      await up(2, 700);
      link.publish("channel", "again");
      await waitFor("the message", 500, () => heard.length === 1);
      assert.equal(await link.run(APPEND, ["list"], ["a"]), 1);
      assert.equal(link.counters.losses, 1);
      assert.equal(link.counters.connects, 2);
      assert.ok(link.counters.failed_attempts >= 2, `${link.counters.failed_attempts}`);
      assert.ok(logged.length <= 6, "an outage is not logged at each attempt");
    });
  });

  it("is lost when only the connection for messages is, because messages are", async () => {
    await withLink({}, async ({ link, redis, up, downs }) => {
      link.subscribe("channel", () => {});
      await up(1);
      await redis.cli("CLIENT", "KILL", "TYPE", "pubsub");
      await up(2, 1000);
      assert.equal(downs.count, 1);
      assert.equal(link.isUp, true);
    });
  });

  it("gives up commands in time while Redis hangs, keeps a bounded number of them, and is lost within 2 s", async () => {
    await withLink({ commandTimeoutMs: 300 }, async ({ link, redis, up, downs }) => {
      await up(1);
      await link.command("PING");
      redis.pause();
      const began = performance.now();
      const tooMany = MAX_IN_FLIGHT + 500;
      const sent = Array.from({ length: tooMany }, (_, index) => link.command("SET", `key${index}`, index));
      assert.equal(link.counters.refused_full, 500);
      const outcomes = await Promise.allSettled(sent);
      const tookMs = performance.now() - began;
      assert.ok(
        outcomes.every(({ status, reason }: { status: string; reason?: unknown }) => status === "rejected" && reason instanceof LinkError),
      );
      assert.ok(tookMs < 2_500, `took ${tookMs} ms`);
      // Nobody waits for those any more, but they still take room.
      await assert.rejects(link.command("PING"), /wait for their answers/);
      await waitFor("the loss", 4_000 - tookMs, () => downs.count === 1);
      redis.resume();
      await up(2, 1500);
      assert.equal(await link.command("PING"), "PONG");
    });
  });

  it("bounds what waits by its size, too", async () => {
    await withLink({}, async ({ link, redis, up }) => {
      await up(1);
      redis.pause();
      const big = "x".repeat(30 * 1024 * 1024);
      const sent = Promise.allSettled([link.command("SET", "a", big), link.command("SET", "b", big)]);
      await assert.rejects(link.command("SET", "c", big), /wait for their answers/);
      redis.resume();
      await sent;
    });
  });

  it("notices a partition within 2 s though nobody sends anything, and heals within about a second", async () => {
    await withLink({ isProxied: true }, async ({ link, proxy, up, downs }) => {
      await up(1);
      assert.ok(proxy !== undefined);
      await sleep(200);
      proxy.drop();
      const began = performance.now();
      await waitFor("the loss", 2300, () => downs.count === 1);
      const noticedMs = performance.now() - began;
      assert.ok(noticedMs > 1000, `a pause of ${noticedMs} ms is no loss`);
      await sleep(500); // attempts run into the void
      proxy.heal();
      await up(2, 1300);
      assert.equal(await link.command("PING"), "PONG");
      proxy.refuse();
      await waitFor("the loss", 500, () => downs.count === 2);
      proxy.heal();
      await up(3, 800);
    });
  });

  it("stays up while Redis is slow, and says how slow", async () => {
    await withLink({ isProxied: true }, async ({ link, proxy, up, downs }) => {
      await up(1);
      await waitFor("a round trip", 500, () => link.rttMs !== undefined && link.rttMs < 50);
      proxy?.delay(60);
      await waitFor("a slow round trip", 1500, () => (link.rttMs ?? 0) >= 110);
      assert.equal(await link.command("PING"), "PONG");
      assert.equal(downs.count, 0);
    });
  });

  it("fails what is under way when it is closed, and stays closed", async () => {
    await withLink({}, async ({ link, up, downs, ups }) => {
      await up(1);
      const under = link.command("PING");
      await Promise.all([assert.rejects(under, LinkError), link.close()]);
      await assert.rejects(link.command("PING"), LinkError);
      await sleep(600);
      assert.deepEqual([link.isUp, ups.count, downs.count], [false, 1, 0]);
    });
  });
});
