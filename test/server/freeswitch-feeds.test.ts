import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, type CallLoad, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import { freeswitchFeeds, OPENSIPS_CAPACITY } from "../../src/freeswitch/index.ts";
import type { OutcomePort } from "../../src/health/index.ts";
import { FreeswitchFeeds } from "../../src/server/freeswitch-feeds.ts";
import { cellOf, newCall, row, usage } from "../balancer/support.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakeFreeswitch } from "../support/fake-freeswitch.ts";
import { waitFor } from "../support/net.ts";

const SETTINGS = {
  ...OPENSIPS_CAPACITY,
  connectTimeoutMs: 600_000,
  replyTimeoutMs: 600_000,
  statusIntervalMs: 5000,
  limitsIntervalMs: 60_000,
  updateIntervalMs: 1000,
};

interface Bench {
  readonly balancer: Balancer;
  readonly feeds: FreeswitchFeeds;
  readonly fakes: readonly FakeFreeswitch[];
  readonly clock: FakeClock;
  /** Puts rows into use: `fs0` … in their resources stand for the fakes. */
  use(...rows: { id: number; group?: number; resources: string; attrs?: string }[]): void;
  /** Waits for all connections and their first answers. */
  ready(): Promise<void>;
  beat(...fakes: number[]): Promise<void>;
  call(group?: number): CallLoad;
}

async function withFeeds(size: number, run: (bench: Bench) => Promise<void>, settings: Partial<typeof SETTINGS> = {}): Promise<void> {
  const fakes: FakeFreeswitch[] = [];
  for (let n = 0; n < size; n++) fakes.push(await FakeFreeswitch.start());
  const clock = new FakeClock(1000);
  const balancer: Balancer = new Balancer({
    below: () => 0,
    onFault: (text) => assert.fail(text),
    onFedPick: (destination) => feeds.picked(destination),
    onFedChange: (destination) => feeds.loadChanged(destination),
  });
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const feeds = new FreeswitchFeeds({ settings: { ...SETTINGS, ...settings }, balancer, log: quiet, clock, random: () => 0.5 });
  const counted = (name: string): number => feeds.counters[name] ?? Number.NaN;
  const bench: Bench = {
    balancer,
    feeds,
    fakes,
    clock,
    use(...rows) {
      const made = rows.map((sketch): DestinationRow => {
        const resources = sketch.resources.replace(/\bfs(\d)/g, (_, n: string) => fakes[Number(n)]!.url);
        return { ...row({ ...sketch, resources: "x=1" }), resources: parseResources(resources, freeswitchFeeds(1000)) };
      });
      balancer.replaceTable(made);
      feeds.tableChanged();
    },
    async ready() {
      await waitFor("connections", 3000, () => counted("connected") === counted("servers"));
      const perServer = settings.obeySessionsPerSecond ? 7 : 6; // login, two subscriptions, three questions, the limit
      await waitFor("answers", 3000, () => counted("frames") >= counted("servers") * (perServer + 1));
      await new Promise(setImmediate);
    },
    async beat(...indexes) {
      const before = counted("heartbeats");
      for (const index of indexes) fakes[index]!.beat();
      await waitFor("heartbeats", 3000, () => counted("heartbeats") === before + indexes.length);
    },
    call(group = 1) {
      const call = newCall();
      balancer.start(call, group, "t");
      return call;
    },
  };
  try {
    await run(bench);
  } finally {
    await feeds.stop();
    for (const fake of fakes) await fake.stop();
    assert.equal(clock.pending, 0, "timers are left");
  }
}

describe("FreeSWITCHes and the balancer", () => {
  it("a table without them has no connection, no timer and no counters but zeros", async () => {
    await withFeeds(0, async ({ feeds, clock, use }) => {
      use({ id: 1, resources: "t=5" });
      assert.equal(clock.pending, 0);
      assert.ok(Object.values(feeds.counters).every((value) => value === 0));
      assert.deepEqual(feeds.figures(), []);
    });
  });

  it("the calls of a second stay below sessions-per-second, and the next second opens again, also when calls end meanwhile", async () => {
    await withFeeds(
      1,
      async ({ balancer, fakes, clock, use, ready, beat, call }) => {
        fakes[0]!.figures.sessionsPerSecond = 4;
        use({ id: 1, resources: "t=fs0" });
        await ready();
        await beat(0);
        const calls = [call(), call(), call()];
        assert.ok(calls.every(({ destination }) => destination?.id === 1));
        assert.equal(call().destination, undefined, "FreeSWITCH admits one fewer than 4");
        balancer.release(calls[0]!);
        assert.equal(call().destination, undefined, "room is no reason");
        clock.advance(1000);
        assert.equal(call().destination?.id, 1);
      },
      { obeySessionsPerSecond: true },
    );
  });

  for (const [what, before, after] of [
    ["moves to another group", [{ id: 1, resources: "t=fs0" }], [{ id: 1, group: 2, resources: "t=fs0" }]],
    ["renames its resource", [{ id: 1, resources: "t=fs0" }], [{ id: 1, resources: "u=fs0" }]],
    [
      "goes, beside another of the same server",
      [
        { id: 1, resources: "t=fs0" },
        { id: 2, group: 2, resources: "u=fs0" },
      ],
      [{ id: 2, group: 2, resources: "u=fs0" }],
    ],
  ] as const) {
    it(`a row that ${what} while it has calls takes them for sessions of others until the next heartbeat, not for free`, async () => {
      await withFeeds(
        1,
        async ({ balancer, fakes, use, ready, beat, call }) => {
          Object.assign(fakes[0]!.figures, { maxSessions: 40, sessions: 10 });
          use(...before);
          await ready();
          const calls = Array.from({ length: 10 }, () => call());
          await beat(0);
          use(...after);
          const [resource] = after[0].resources.split("=");
          assert.equal(usage(balancer, after[0].id, resource!), "0/30");
          await beat(0);
          assert.equal(usage(balancer, after[0].id, resource!), "0/30");
          use(...before);
          assert.equal(usage(balancer, 1, "t"), "10/40", "they count as ours again");
          for (const one of calls) balancer.release(one);
        },
        { predict: true },
      );
    });
  }

  it("each call counts once as a new session, whatever it uses of its row", async () => {
    await withFeeds(
      1,
      async ({ balancer, fakes, feeds, use, ready, beat }) => {
        Object.assign(fakes[0]!.figures, { maxSessions: 40, sessions: 0 });
        use({ id: 1, resources: "a=fs0;b=fs0;fixed=100" });
        await ready();
        await beat(0);
        for (const resources of ["a", "b", "fixed", "a;b;fixed"]) balancer.start(newCall(), 1, resources);
        assert.equal(feeds.figures()[0]?.ownCalls, 4);
      },
      { predict: true },
    );
  });

  it("calls of other nodes are no sessions of strangers, and new ones of theirs count as new sessions", async () => {
    await withFeeds(
      1,
      async ({ balancer, fakes, feeds, use, ready, beat, call }) => {
        Object.assign(fakes[0]!.figures, { maxSessions: 40, sessions: 15 });
        use({ id: 1, resources: "t=fs0;other=fs0" });
        await ready();
        const cell = cellOf(balancer.destination(1), "t");
        for (let i = 0; i < 3; i++) call();
        balancer.setRemoteLoad(cell, 2);
        await beat(0);
        assert.deepEqual([balancer.maxLoad(cell), balancer.freeSlots(cell)], [30, 25], "ten are strangers");
        balancer.setRemoteLoad(cell, 6);
        assert.deepEqual([balancer.maxLoad(cell), balancer.freeSlots(cell)], [27, 18], "they cost idle CPU, too");
        assert.equal(feeds.figures()[0]?.ownCalls, 9, "each once");
      },
      { predict: true },
    );
  });

  it("a node that becomes known with its calls, or leaves, has not begun or ended any", async () => {
    await withFeeds(
      1,
      async ({ balancer, fakes, feeds, use, ready, beat }) => {
        Object.assign(fakes[0]!.figures, { maxSessions: 40, sessions: 15 });
        use(
          { id: 1, resources: "t=fs0" },
          { id: 2, resources: "t=fs0", attrs: "shared=p" },
          { id: 3, resources: "t=fs0", attrs: "shared=p" },
        );
        await ready();
        await beat(0);
        const cell = cellOf(balancer.destination(1), "t");
        const pooled = cellOf(balancer.destination(2), "t");
        assert.equal(balancer.freeSlots(cell), 25);
        feeds.recount(() => balancer.setRemoteLoad(cell, 5));
        assert.deepEqual([balancer.maxLoad(cell), balancer.freeSlots(cell)], [30, 25]);
        feeds.recount(() => balancer.setRemoteLoad(cell, 0));
        assert.equal(balancer.freeSlots(cell), 25);
        balancer.setRemoteLoad(pooled, 4);
        assert.equal(feeds.figures()[0]?.ownCalls, 4, "those of a pool once");
      },
      { predict: true },
    );
  });

  it("a pool whose number changes with a reload follows its FreeSWITCH at once: that is no resize", async () => {
    await withFeeds(1, async ({ balancer, fakes, use, ready, beat }) => {
      fakes[0]!.figures.maxSessions = 30;
      use({ id: 1, resources: "t=fs0", attrs: "shared=a" }, { id: 2, resources: "t=50", attrs: "shared=a" });
      await ready();
      await beat(0);
      assert.equal(usage(balancer, 1, "t"), "0/30");
      use({ id: 1, resources: "t=fs0", attrs: "shared=a" }, { id: 2, resources: "t=40", attrs: "shared=a" });
      assert.equal(usage(balancer, 1, "t"), "0/30");
    });
  });

  it("a pool of a FreeSWITCH and a number, or of two FreeSWITCHes, has the smallest capacity", async () => {
    await withFeeds(2, async ({ balancer, fakes, use, ready, beat }) => {
      fakes[0]!.figures.maxSessions = 40;
      fakes[1]!.figures.maxSessions = 30;
      use({ id: 1, resources: "t=fs0", attrs: "shared=a" }, { id: 2, resources: "t=25", attrs: "shared=a" });
      await ready();
      await beat(0);
      assert.equal(usage(balancer, 1, "t"), "0/25");
      use({ id: 1, resources: "t=fs0", attrs: "shared=a" }, { id: 2, resources: "t=fs1", attrs: "shared=a" });
      await ready();
      await beat(1);
      assert.equal(usage(balancer, 1, "t"), "0/30");
    });
  });

  it("a row with two FreeSWITCHes is withdrawn when both are, and the resource of the one that is paused is full", async () => {
    await withFeeds(2, async ({ balancer, feeds, fakes, clock, use, ready }) => {
      use({ id: 1, resources: "t=fs0;u=fs1" });
      await ready();
      const destination = balancer.destination(1)!;
      fakes[0]!.figures.pausedInbound = true;
      clock.advance(5000);
      await waitFor("paused", 3000, () => feeds.stateOf(destination) === "paused");
      assert.deepEqual([balancer.isWithdrawn(destination), balancer.maxLoad(cellOf(destination, "t"))], [false, 0]);
      assert.ok(balancer.maxLoad(cellOf(destination, "u")) > 0);
      fakes[1]!.figures.pausedInbound = true;
      clock.advance(5000);
      await waitFor("both paused", 3000, () => balancer.isWithdrawn(destination));
      use({ id: 1, resources: "t=5" });
      assert.equal(balancer.isWithdrawn(balancer.destination(1)!), false, "nobody feeds it any more");
    });
  });

  it("a resize holds until the next heartbeat, over calls, time and reloads", async () => {
    await withFeeds(1, async ({ balancer, fakes, clock, use, ready, beat, call }) => {
      use({ id: 1, resources: "t=fs0" });
      await ready();
      await beat(0);
      balancer.resize(1, "t", 7);
      call();
      clock.advance(3000);
      use({ id: 1, resources: "t=fs0" });
      assert.equal(usage(balancer, 1, "t"), "1/7");
      fakes[0]!.figures.sessions = 1;
      await beat(0);
      assert.equal(usage(balancer, 1, "t"), "1/1000");
    });
  });

  it("an answer to what was asked before a heartbeat does not take its figures back", async () => {
    await withFeeds(1, async ({ balancer, fakes, clock, feeds, use, ready, beat }) => {
      const fake = fakes[0]!;
      use({ id: 1, resources: "t=fs0" });
      await ready();
      // The answer to "api status" is sent at once, that to the last question only after the heartbeat.
      fake.answers.set("api fsctl shutdown_check", "");
      const { commands } = feeds.counters;
      clock.advance(5000);
      await waitFor("questions", 3000, () => feeds.counters["commands"]! >= commands! + 3);
      await waitFor("they have come", 3000, () => fake.commands.filter((text) => text === "api fsctl shutdown_check").length === 2);
      fake.figures.maxSessions = 50;
      await beat(0);
      fake.send("Content-Type: api/response\nContent-Length: 5\n\nfalse");
      await waitFor("the answer", 3000, () => clock.pending > 0 && feeds.figures()[0]?.maxSessions === 50);
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(usage(balancer, 1, "t"), "0/50");
    });
  });
});

describe("outcomes of calls, with FreeSWITCHes", () => {
  it("lack of room is told to who feeds the destination; all else to who judges", async () => {
    await withFeeds(1, async ({ balancer, feeds, use, ready, beat, call }) => {
      use({ id: 1, resources: "t=fs0" }, { id: 2, group: 2, resources: "t=5" });
      await ready();
      await beat(0);
      const [fed, fixed] = balancer.destinations();
      const told: string[] = [];
      const judge: OutcomePort = {
        begun: () => 5,
        alive: (_, ticket) => ticket + 1,
        passed: (_, ticket) => told.push(`passed ${ticket}`),
        failed: (_, ticket, failure) => told.push(`${failure} ${ticket}`),
      };
      const port = feeds.outcomes(judge);
      assert.deepEqual([port.begun(fixed!), port.alive(fixed!, 5)], [5, 6]);
      port.passed(fixed!, 6, true);
      port.failed(fixed!, 6, "503", false, 300);
      assert.deepEqual(told, ["passed 6", "503 6"]);
      assert.equal(port.lackOfRoom?.(fixed!, []), false);
      const [held, refused] = [call(), call()];
      assert.equal(port.lackOfRoom?.(fed!, refused.picked), true);
      balancer.release(refused);
      assert.equal(usage(balancer, 1, "t"), "1/1");
      balancer.release(held);
      assert.equal(usage(balancer, 1, "t"), "0/1");
      await beat(0);
      assert.equal(usage(balancer, 1, "t"), "0/1000");
      const counted = call();
      const uncounted = newCall();
      balancer.place(uncounted, fed, []);
      assert.equal(port.lackOfRoom?.(fed!, uncounted.picked), true);
      assert.equal(usage(balancer, 1, "t"), "1/1", "the call that was refused is not among those that are counted");
      balancer.release(uncounted);
      balancer.release(counted);
      await beat(0);
      const alone = feeds.outcomes(undefined);
      assert.deepEqual([alone.begun(fed!), alone.alive(fed!, 3)], [0, 3]);
    });
  });
});
