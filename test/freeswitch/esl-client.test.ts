import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backoffMs } from "../../src/freeswitch/backoff.ts";
import { EslCounters, type EslEnd } from "../../src/freeswitch/counters.ts";
import { EslClient } from "../../src/freeswitch/esl-client.ts";
import { parseFsUrl } from "../../src/freeswitch/fs-url.ts";
import { MAX_FRAME_HEADER_BYTES, MAX_FRAMES_PER_SECOND } from "../../src/freeswitch/limits.ts";
import { recordedFrames } from "../support/esl-recordings.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { eventFrame, FakeFreeswitch, type Manner, reply } from "../support/fake-freeswitch.ts";
import { waitFor } from "../support/net.ts";

const [GREETING = ""] = recordedFrames("01-banner-auth-ok");

interface Bench {
  readonly fake: FakeFreeswitch;
  readonly client: EslClient;
  readonly clock: FakeClock;
  readonly events: string[];
  readonly ends: EslEnd[];
  /** Everything that was logged. */
  readonly log: string[];
  /** Those of them that are warnings. */
  readonly warnings: string[];
}

function reasonOf(line: string): string | undefined {
  return /"reason":"([^"]+)"/.exec(line)?.[1];
}

/** A client and what it connects to. Sockets are real; time stands still until the test moves it. */
async function withClient(
  run: (bench: Bench) => Promise<void>,
  setUp: (fake: FakeFreeswitch) => string = (fake) => fake.url,
): Promise<void> {
  const fake = await FakeFreeswitch.start();
  const clock = new FakeClock(1000);
  const events: string[] = [];
  const ends: EslEnd[] = [];
  const log: string[] = [];
  const warnings: string[] = [];
  const note = (fields: object, message: string) => log.push(JSON.stringify(fields) + message);
  const warn = (fields: object, message: string) => warnings.push(log[note(fields, message) - 1] ?? "");
  const listener = {
    ready: () => events.push("ready"),
    event: ({ fields }: { fields: ReadonlyMap<string, string> }) => events.push(fields.get("Event-Name") ?? ""),
    shutdown: () => events.push("shutdown"),
    down: (reason: EslEnd) => ends.push(reason),
  };
  const ports = { clock, random: () => 0.5, log: { debug: note, info: note, warn } };
  const client = new EslClient(
    parseFsUrl(setUp(fake)),
    { connectTimeoutMs: 5000, replyTimeoutMs: 4000 },
    ports,
    listener,
    new EslCounters(),
  );
  try {
    client.start();
    await run({ fake, client, clock, events, ends, log, warnings });
  } finally {
    await client.stop();
    await fake.stop();
  }
}

describe("a connection to an event socket", () => {
  it("logs in, subscribes, and hears heartbeats", async () => {
    await withClient(async ({ fake, client, events }) => {
      await waitFor("ready", 3000, () => client.isReady);
      assert.deepEqual(fake.commands, ["auth ClueCon", "event json HEARTBEAT", "event json SHUTDOWN SHUTDOWN_REQUESTED"]);
      fake.beat();
      fake.requestShutdown();
      await waitFor("events", 3000, () => events.length === 3);
      assert.deepEqual(events, ["ready", "HEARTBEAT", "SHUTDOWN_REQUESTED"]);
    });
  });

  it("logs in with a user where the URL names one", async () => {
    await withClient(
      async ({ fake, client }) => {
        await waitFor("ready", 3000, () => client.isReady);
        assert.equal(fake.commands[0], "userauth lb:ClueCon");
      },
      (fake) => fake.url.replace("fs://", "fs://lb"),
    );
  });

  it("is content with heartbeats where the account may have no more", async () => {
    await withClient(
      async ({ client }) => {
        await waitFor("ready", 3000, () => client.isReady);
      },
      (fake) => {
        fake.answers.set("event json SHUTDOWN SHUTDOWN_REQUESTED", reply("-ERR permission denied"));
        return fake.url;
      },
    );
  });

  it("matches replies to commands by their order, heartbeats between them", async () => {
    await withClient(async ({ fake, client }) => {
      await waitFor("ready", 3000, () => client.isReady);
      fake.beat();
      const replies = ["api fsctl sps", "api status", "nonsense", "api fsctl shutdown_check"].map((command) => client.request(command));
      fake.beat();
      const [sps, status = "", nonsense, leaving] = await Promise.all(replies);
      assert.equal(sps, "+OK sessions per second: 1000\n");
      assert.match(status, /is ready\n[\s\S]*1000 session\(s\) max/);
      assert.equal(nonsense, "-ERR command not found");
      assert.equal(leaving, "false");
    });
  });

  it("warns at the first failure and when the reason changes, not at each try", async () => {
    await withClient(
      async ({ fake, client, clock, ends, warnings }) => {
        for (let tries = 1; tries <= 3; tries++) {
          await waitFor("a refusal", 3000, () => ends.length === tries);
          clock.advance(30_000);
        }
        await waitFor("a refusal", 3000, () => ends.length === 4);
        assert.deepEqual(warnings.map(reasonOf), ["login-refused"]);
        fake.password = "OTHER";
        clock.advance(30_000);
        await waitFor("ready", 3000, () => client.isReady && fake.subscribers === 1);
        fake.cut();
        await waitFor("end", 3000, () => ends.length === 5);
        assert.deepEqual(warnings.map(reasonOf), ["login-refused", "lost"]);
      },
      (fake) => fake.url.replace("ClueCon", "OTHER"),
    );
  });

  it("comes back after each end, waiting 1 s, 2 s … 30 s", async () => {
    await withClient(async ({ fake, client, clock, ends }) => {
      for (const [n, waitMs] of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].entries()) {
        await waitFor("ready", 3000, () => client.isReady && fake.subscribers === 1);
        fake.cut();
        await waitFor("end", 3000, () => ends.length === n + 1);
        clock.advance(waitMs - 1);
        assert.equal(fake.connections, n + 1, `before ${waitMs} ms`);
        clock.advance(1);
        await waitFor("a new connection", 3000, () => fake.connections === n + 2);
      }
      assert.deepEqual(new Set(ends), new Set(["lost"]));
    });
  });

  it("waits the shortest time again after a connection that held for half a minute", async () => {
    await withClient(async ({ fake, client, clock, ends }) => {
      for (const [n, waitMs] of [1000, 2000, 4000, 1000].entries()) {
        await waitFor("ready", 3000, () => client.isReady && fake.subscribers === 1);
        if (n === 3) clock.advance(30_000);
        fake.cut();
        await waitFor("end", 3000, () => ends.length === n + 1);
        clock.advance(waitMs);
      }
      await waitFor("the fifth connection", 3000, () => fake.connections === 5);
    });
  });

  it("ends with a notice: that FreeSWITCH ends is told", async () => {
    await withClient(async ({ fake, client, events, ends }) => {
      await waitFor("ready", 3000, () => client.isReady);
      fake.shutDown();
      await waitFor("end", 3000, () => ends.length === 1);
      assert.deepEqual(events, ["ready", "SHUTDOWN", "shutdown"]);
      assert.deepEqual(ends, ["disconnect-notice"]);
    });
  });

  it("says exit when it is stopped", async () => {
    await withClient(async ({ fake, client, ends, clock }) => {
      await waitFor("ready", 3000, () => client.isReady);
      const reply = client.request("api status");
      await client.stop();
      assert.equal(await reply, undefined);
      assert.equal(fake.commands.at(-1), "exit");
      assert.deepEqual(ends, ["stopped"]);
      assert.equal(clock.pending, 0);
      assert.equal(await client.request("api status"), undefined);
    });
  });

  it("is refused: nobody listens", async () => {
    const gone = await FakeFreeswitch.start();
    await gone.stop();
    await withClient(
      async ({ ends }) => {
        await waitFor("end", 3000, () => ends.length > 0);
        assert.deepEqual(ends, ["connect-failed"]);
      },
      () => "fs://:x@127.0.0.1:1",
    );
  });

  it("takes no longer than it may until it stands", async () => {
    // TEST-NET-1 answers nothing, or the system says at once that there is no way.
    await withClient(
      async ({ clock, ends }) => {
        clock.advance(5000);
        await waitFor("end", 3000, () => ends.length > 0);
        assert.ok(ends[0] === "connect-timeout" || ends[0] === "connect-failed", ends[0]);
      },
      () => "fs://:x@192.0.2.1",
    );
  });
});

describe("an event socket that does not want us", () => {
  const cases: { name: string; setUp: (fake: FakeFreeswitch) => string; want: EslEnd }[] = [
    {
      name: "wrong password",
      setUp: (fake) => {
        fake.password = "other";
        return fake.url.replace("other", "SECRET");
      },
      want: "login-refused",
    },
    {
      name: "rude rejection",
      setUp: (fake) => {
        fake.manner = "rude";
        return fake.url.replace("ClueCon", "SECRET");
      },
      want: "rude-rejection",
    },
    {
      name: "no heartbeats for this account",
      setUp: (fake) => {
        fake.password = "SECRET";
        fake.answers.set("event json HEARTBEAT", reply("-ERR permission denied, SECRET"));
        return fake.url;
      },
      want: "subscription-refused",
    },
  ];
  for (const { name, setUp, want } of cases) {
    it(`${name}: one try in half a minute, and the password in no log`, async () => {
      await withClient(async ({ fake, clock, ends, log }) => {
        await waitFor("end", 3000, () => ends.length === 1);
        assert.deepEqual(ends, [want]);
        clock.advance(29_999);
        assert.equal(fake.connections, 1);
        clock.advance(1);
        await waitFor("the second try", 3000, () => ends.length === 2);
        assert.ok(log.length > 0);
        assert.doesNotMatch(log.join("\n"), /SECRET/);
      }, setUp);
    });
  }
});

describe("an event socket that misbehaves", () => {
  const event = eventFrame('{"Event-Name":"HEARTBEAT"}');
  const cases: { name: string; manner: Manner; want: EslEnd; afterMs?: number }[] = [
    { name: "headers without an end", manner: Buffer.alloc(4 * MAX_FRAME_HEADER_BYTES, "x"), want: "broken-frame" },
    { name: "a Content-Length that is none", manner: Buffer.from("Content-Length: x\n\n"), want: "broken-frame" },
    { name: "a body of 1 GB", manner: Buffer.from("Content-Length: 1000000000\n\n"), want: "broken-frame" },
    { name: "a % that decodes to nothing", manner: Buffer.from("Content-Type: %\n\n"), want: "broken-frame" },
    { name: "JSON that is none", manner: Buffer.from(eventFrame("{")), want: "broken-frame" },
    { name: "more frames than anybody can want", manner: Buffer.from(event.repeat(MAX_FRAMES_PER_SECOND + 1)), want: "flood" },
    {
      name: "more bytes than anybody can want",
      manner: Buffer.from(`Content-Length: 1000000\n\n${"x".repeat(1_000_000)}`.repeat(5)),
      want: "flood",
    },
    { name: "nothing", manner: "silent", want: "handshake-timeout", afterMs: 4000 },
    { name: "a web page", manner: Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), want: "handshake-timeout", afterMs: 4000 },
    { name: "events before the login", manner: Buffer.from(event), want: "handshake-timeout", afterMs: 4000 },
    { name: "no reply after the login", manner: "deaf", want: "handshake-timeout", afterMs: 4000 },
    { name: "a greeting over and over", manner: Buffer.from(GREETING.repeat(50)), want: "handshake-timeout", afterMs: 4000 },
  ];
  for (const { name, manner, want, afterMs } of cases) {
    it(`${name}: its connection ends, and is tried again`, async () => {
      await withClient(
        async ({ fake, client, clock, ends, events }) => {
          if (afterMs !== undefined) {
            await waitFor("the connection", 3000, () => fake.connections === 1 && client.counters.tries === 1);
            await new Promise((resolve) => setTimeout(resolve, 50));
            clock.advance(afterMs);
          }
          await waitFor("end", 3000, () => ends.length === 1);
          assert.deepEqual([ends, events], [[want], []]);
          fake.manner = "normal";
          clock.advance(1000);
          await waitFor("ready", 3000, () => client.isReady);
        },
        (fake) => {
          fake.manner = manner;
          return fake.url;
        },
      );
    });
  }

  it("no reply to a command: the order of the replies is lost, so the connection ends", async () => {
    await withClient(async ({ fake, client, clock, ends }) => {
      await waitFor("ready", 3000, () => client.isReady);
      fake.manner = "deaf";
      const replies = [client.request("api status"), client.request("api fsctl sps")];
      clock.advance(4000);
      assert.deepEqual(await Promise.all(replies), [undefined, undefined]);
      assert.deepEqual(ends, ["reply-timeout"]);
    });
  });

  it("replies that nobody asked for are counted", async () => {
    await withClient(async ({ fake, client }) => {
      await waitFor("ready", 3000, () => client.isReady);
      fake.send(reply("+OK") + reply("+OK"));
      await waitFor("counted", 3000, () => client.counters.unasked_replies === 2);
      assert.equal(await client.request("api fsctl shutdown_check"), "false");
    });
  });

  it("garbage ends one connection, not another", async () => {
    await withClient(async (good) => {
      await withClient(async (bad) => {
        await waitFor("both ready", 3000, () => good.client.isReady && bad.client.isReady);
        bad.fake.send("Content-Length: -1\n\n");
        await waitFor("end", 3000, () => bad.ends.length === 1);
        good.fake.beat();
        await waitFor("heartbeat", 3000, () => good.events.includes("HEARTBEAT"));
        assert.deepEqual(good.ends, []);
        assert.equal(bad.client.counters.frame_faults["bad-content-length"], 1);
      });
    });
  });
});

describe("the wait before a try", () => {
  it("doubles from 1 to 30 s, moved by chance by a fifth at most", () => {
    const cases: [failures: number, low: number, high: number][] = [
      [1, 1000, 1200],
      [2, 1600, 2400],
      [5, 12_800, 19_200],
      [6, 24_000, 30_000],
      [1000, 24_000, 30_000],
    ];
    for (const [failures, low, high] of cases) {
      assert.equal(
        backoffMs(failures, () => 0),
        low,
      );
      assert.equal(
        backoffMs(failures, () => 1),
        high,
      );
    }
  });
});
