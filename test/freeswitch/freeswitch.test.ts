import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { OPENSIPS_CAPACITY } from "../../src/freeswitch/capacity-settings.ts";
import type { Freeswitch } from "../../src/freeswitch/freeswitch.ts";
import { FreeswitchPool } from "../../src/freeswitch/freeswitch-pool.ts";
import { parseFsUrl } from "../../src/freeswitch/fs-url.ts";
import type { FreeswitchSettings } from "../../src/freeswitch/ports.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { apiResponse, eventFrame, FakeFreeswitch, reply } from "../support/fake-freeswitch.ts";
import { waitFor } from "../support/net.ts";

const SETTINGS: FreeswitchSettings = {
  ...OPENSIPS_CAPACITY,
  connectTimeoutMs: 5000,
  // Tests let much time pass at once.
  replyTimeoutMs: 600_000,
  statusIntervalMs: 5000,
  limitsIntervalMs: 60_000,
  updateIntervalMs: 1000,
};

interface Bench {
  readonly pool: FreeswitchPool;
  readonly fakes: readonly FakeFreeswitch[];
  readonly clock: FakeClock;
  /** Calls that we have, by the label of the FreeSWITCH. */
  readonly calls: Map<string, number>;
  readonly changes: Freeswitch[];
  readonly log: string[];
  /** What the pool has for a fake. */
  of(fake: FakeFreeswitch | undefined): Freeswitch;
}

async function withFarm(size: number, run: (bench: Bench) => Promise<void>, settings: Partial<FreeswitchSettings> = {}): Promise<void> {
  const fakes: FakeFreeswitch[] = [];
  const clock = new FakeClock(1000);
  const calls = new Map<string, number>();
  const changes: Freeswitch[] = [];
  const log: string[] = [];
  const note = (fields: object, message: string) => log.push(JSON.stringify(fields) + message);
  const pool = new FreeswitchPool(
    { ...SETTINGS, ...settings },
    {
      clock,
      random: () => 0.5,
      log: { debug: note, info: note, warn: note },
      ownCalls: (freeswitch) => calls.get(freeswitch.url.label) ?? 0,
      changed: (freeswitch) => changes.push(freeswitch),
    },
  );
  function of(fake: FakeFreeswitch | undefined): Freeswitch {
    const found = pool.get(parseFsUrl(fake?.url ?? ""));
    assert.ok(found);
    return found;
  }
  try {
    for (let n = 0; n < size; n++) fakes.push(await FakeFreeswitch.start());
    await run({ pool, fakes, clock, calls, changes, log, of });
  } finally {
    await pool.stop();
    for (const fake of fakes) await fake.stop();
    assert.equal(clock.pending, 0, "timers are left");
  }
}

/** Connects to all of the farm and waits until what is asked first was answered. */
async function ready({ pool, fakes, changes, of }: Bench): Promise<void> {
  pool.replace(fakes.map(({ url }) => parseFsUrl(url)));
  for (const fake of fakes) {
    await waitFor("answers", 3000, () => of(fake).isConnected && changes.includes(of(fake)));
  }
}

async function beat(fake: FakeFreeswitch, freeswitch: Freeswitch, changes?: Record<string, string | undefined>): Promise<void> {
  const { heartbeats } = freeswitch.counters;
  fake.beat(changes);
  await waitFor("heartbeat", 3000, () => freeswitch.counters.heartbeats > heartbeats);
}

describe("FreeSWITCHes that rows name", () => {
  it("have one connection each, however many rows name them", async () => {
    await withFarm(2, async (bench) => {
      const { pool, fakes } = bench;
      const urls = [...fakes, ...fakes, ...fakes].map(({ url }) => parseFsUrl(url));
      pool.replace(urls);
      pool.replace([...urls, ...urls]);
      await ready(bench);
      assert.deepEqual(
        fakes.map(({ connections }) => connections),
        [1, 1],
      );
      assert.equal([...pool].length, 2);
    });
  });

  it("are left when no row names them any more, and joined when one does", async () => {
    await withFarm(2, async (bench) => {
      await ready(bench);
      const { pool, fakes, of } = bench;
      const kept = of(fakes[0]);
      pool.replace([kept.url]);
      await waitFor("the other is left", 3000, () => fakes[1]!.openConnections === 0);
      assert.equal(fakes[1]!.commands.at(-1), "exit");
      assert.equal(of(fakes[0]), kept);
      await ready(bench);
      assert.equal(of(fakes[0]), kept);
      assert.equal(fakes[0]!.connections, 1);
    });
  });

  it("connect anew with a new password; of two passwords the last one counts, and neither is shown", async () => {
    await withFarm(1, async (bench) => {
      const { pool, fakes, log } = bench;
      const [fake] = fakes;
      fake!.password = "SECRET2";
      pool.replace([parseFsUrl(fake!.url.replace("SECRET2", "SECRET1"))]);
      await waitFor("refusal", 3000, () => [...pool][0]?.counters.ends["login-refused"] === 1);
      const both = [parseFsUrl(fake!.url.replace("SECRET2", "SECRET1")), parseFsUrl(fake!.url)];
      const told = () => log.filter((line) => line.includes("different passwords")).length;
      for (let i = 0; i < 3; i++) pool.replace(both);
      assert.equal(told(), 1, "not with each table");
      await ready(bench);
      pool.replace(both);
      assert.equal(told(), 2, "they had come to agree");
      assert.doesNotMatch(log.join("\n") + inspect(pool, { depth: 20, showHidden: true }), /SECRET/);
    });
  });
});

describe("a farm of three", () => {
  it("gives the capacities of the formula as Idle-CPU and sessions move", async () => {
    await withFarm(3, async (bench) => {
      await ready(bench);
      const { fakes, calls, of, changes } = bench;
      assert.deepEqual(
        fakes.map((fake) => of(fake).capacity(0).maxLoad),
        [1000, 1000, 1000],
      );
      const steps: { idle: number[]; sessions: number[]; ours: number[]; want: number[] }[] = [
        { idle: [100, 50, 25], sessions: [0, 0, 0], ours: [0, 0, 0], want: [1000, 500, 250] },
        { idle: [95.8, 78.4, 10], sessions: [10, 100, 500], ours: [10, 100, 400], want: [958, 784, 90] },
        { idle: [0, 100, 60], sessions: [900, 1000, 700], ours: [900, 1000, 0], want: [0, 1000, 180] },
      ];
      for (const { idle, sessions, ours, want } of steps) {
        const seen = changes.length;
        for (const [i, fake] of fakes.entries()) {
          fake.figures.idleCpu = idle[i]!;
          fake.figures.sessions = sessions[i]!;
          calls.set(of(fake).url.label, ours[i]!);
          await beat(fake, of(fake));
        }
        assert.deepEqual(
          fakes.map((fake, i) => of(fake).capacity(ours[i]!).maxLoad),
          want,
        );
        assert.deepEqual(changes.slice(seen), fakes.map(of));
      }
    });
  });

  it("has its capacities computed again in every interval", async () => {
    await withFarm(1, async (bench) => {
      await ready(bench);
      const seen = bench.changes.length;
      bench.clock.advance(3000);
      assert.equal(bench.changes.length, seen + 3);
    });
  });
});

describe("one FreeSWITCH", () => {
  it("sends bad heartbeats: they are counted, the last good one stays, and one line of log tells", async () => {
    await withFarm(1, async (bench) => {
      await ready(bench);
      const { fakes, of, log } = bench;
      const fake = fakes[0]!;
      const freeswitch = of(fake);
      fake.figures.idleCpu = 50;
      await beat(fake, freeswitch);
      const bad = [
        { "Idle-CPU": undefined },
        { "Session-Count": "many" },
        { "Max-Sessions": "-1" },
        { "Max-Sessions": "4294967295" },
        { "Idle-CPU": "1000" },
      ];
      for (const changes of bad) fake.beat(changes);
      await waitFor("counted", 3000, () => Object.values(freeswitch.counters.bad_heartbeats).reduce((a, b) => a + b) === bad.length);
      assert.deepEqual(freeswitch.counters.bad_heartbeats, { missing: 1, "not-a-number": 1, negative: 1, absurd: 2 });
      assert.equal(freeswitch.capacity(0).maxLoad, 500);
      assert.equal(log.filter((line) => line.includes("heartbeat is ignored")).length, 1);
    });
  });

  it("is paused, which no heartbeat shows: asked, it drains, and comes back by itself", async () => {
    await withFarm(1, async (bench) => {
      await ready(bench);
      const { fakes, of, clock } = bench;
      const fake = fakes[0]!;
      const freeswitch = of(fake);
      await beat(fake, freeswitch);
      for (const pause of [{ paused: true }, { pausedInbound: true }]) {
        Object.assign(fake.figures, pause);
        clock.advance(5000);
        await waitFor("paused", 3000, () => freeswitch.model.withdrawal(clock.now()) === "paused");
        assert.equal(freeswitch.capacity(3).maxLoad, 3);
        Object.assign(fake.figures, { paused: false, pausedInbound: false });
        await waitFor("resumed", 3000, () => {
          clock.advance(5000);
          return freeswitch.model.withdrawal(clock.now()) === undefined;
        });
        assert.equal(freeswitch.capacity(3).maxLoad, 1000);
      }
    });
  });

  it("begins to leave: drains at once; stays after all: comes back", async () => {
    await withFarm(1, async (bench) => {
      await ready(bench);
      const { fakes, of, clock } = bench;
      const fake = fakes[0]!;
      const freeswitch = of(fake);
      fake.requestShutdown();
      await waitFor("leaving", 3000, () => freeswitch.model.withdrawal(clock.now()) === "leaving");
      clock.advance(5000);
      await beat(fake, freeswitch);
      assert.equal(freeswitch.model.withdrawal(clock.now()), "leaving");
      fake.figures.leaving = false;
      await waitFor("back", 3000, () => {
        clock.advance(5000);
        return freeswitch.model.withdrawal(clock.now()) === undefined;
      });
    });
  });

  it("begins to leave just after it said that it does not: the later word counts", async () => {
    await withFarm(1, async (bench) => {
      await ready(bench);
      const { fakes, of, clock, changes } = bench;
      const fake = fakes[0]!;
      const asked = fake.commands.length;
      fake.manner = "deaf";
      clock.advance(5000);
      await waitFor("questions", 3000, () => fake.commands.length === asked + 3);
      const seen = changes.length;
      fake.send(["UP 0 years", "false", "false"].map(apiResponse).join("") + eventFrame('{"Event-Name":"SHUTDOWN_REQUESTED"}'));
      await waitFor("both", 3000, () => changes.length >= seen + 2);
      assert.equal(of(fake).model.withdrawal(clock.now()), "leaving");
    });
  });

  it("leaves, and is leaving until it is there again", async () => {
    await withFarm(1, async (bench) => {
      await ready(bench);
      const { fakes, of, clock } = bench;
      const fake = fakes[0]!;
      const freeswitch = of(fake);
      fake.shutDown();
      await waitFor("gone", 3000, () => freeswitch.counters.ends["disconnect-notice"] === 1);
      assert.equal(freeswitch.model.withdrawal(clock.now()), "leaving");
      clock.advance(1000);
      await waitFor("back", 3000, () => freeswitch.model.withdrawal(clock.now()) === undefined);
    });
  });

  it("shows changed max-sessions in its status before the next heartbeat", async () => {
    await withFarm(1, async (bench) => {
      await ready(bench);
      const { fakes, of, clock } = bench;
      const freeswitch = of(fakes[0]);
      await beat(fakes[0]!, freeswitch);
      fakes[0]!.figures.maxSessions = 50;
      clock.advance(5000);
      await waitFor("the new limit", 3000, () => freeswitch.capacity(0).maxLoad === 50);
    });
  });

  it("refuses a call for lack of room: its slot closes until the next heartbeat, and it is asked why, once a second at most", async () => {
    await withFarm(1, async (bench) => {
      await ready(bench);
      const { fakes, of, clock, calls } = bench;
      const fake = fakes[0]!;
      const freeswitch = of(fake);
      calls.set(freeswitch.url.label, 12);
      await beat(fake, freeswitch);
      const asked = fake.commands.length;
      for (let n = 0; n < 100; n++) freeswitch.refusedForLackOfRoom();
      assert.equal(freeswitch.capacity(12).maxLoad, 12);
      assert.equal(freeswitch.counters.refused_calls, 100);
      clock.advance(1000);
      await waitFor("asked", 3000, () => fake.commands.length === asked + 3);
      assert.deepEqual(fake.commands.slice(asked), ["api status", "api fsctl pause_check inbound", "api fsctl shutdown_check"]);
      await beat(fake, freeswitch);
      assert.equal(freeswitch.capacity(12).maxLoad, 1000);
    });
  });

  it("has its sessions-per-second obeyed, and its slot opened again as soon as the second is over", async () => {
    await withFarm(
      1,
      async (bench) => {
        bench.fakes[0]!.figures.sessionsPerSecond = 3;
        await ready(bench);
        const { fakes, of, clock, changes } = bench;
        const freeswitch = of(fakes[0]);
        await beat(fakes[0]!, freeswitch);
        await waitFor("the limit", 3000, () => freeswitch.model.callsPerSecond === 2);
        clock.advance(5);
        freeswitch.callPlaced();
        freeswitch.callPlaced();
        assert.equal(freeswitch.capacity(2).maxLoad, 2);
        const seen = changes.length;
        clock.advance(1000);
        assert.ok(changes.length > seen);
        assert.equal(freeswitch.capacity(2).maxLoad, 1000);
      },
      { obeySessionsPerSecond: true, updateIntervalMs: 100_000 },
    );
  });

  it("may forbid commands to our account: heartbeats are enough", async () => {
    await withFarm(1, async (bench) => {
      const { fakes, of } = bench;
      for (const command of ["status", "fsctl pause_check inbound", "fsctl shutdown_check"]) {
        fakes[0]!.answers.set(`api ${command}`, reply("-ERR permission denied"));
      }
      await ready(bench);
      await beat(fakes[0]!, of(fakes[0]));
      assert.equal(of(fakes[0]).model.withdrawal(1000), undefined);
      assert.equal(of(fakes[0]).capacity(0).maxLoad, 1000);
    });
  });

  it("is lost: what is known stays, and grows stale", async () => {
    await withFarm(
      1,
      async (bench) => {
        await ready(bench);
        const { fakes, of, clock } = bench;
        const freeswitch = of(fakes[0]);
        fakes[0]!.figures.idleCpu = 50;
        await beat(fakes[0]!, freeswitch);
        fakes[0]!.cut();
        await waitFor("lost", 3000, () => !freeswitch.isConnected);
        assert.equal(freeswitch.capacity(0).maxLoad, 500);
        fakes[0]!.manner = "silent";
        clock.advance(60_001);
        assert.equal(freeswitch.model.freshness(clock.now()), "stale");
        assert.equal(freeswitch.capacity(0).maxLoad, 250);
      },
      { staleHeartbeats: 3, staleAction: "shrink" },
    );
  });
});
