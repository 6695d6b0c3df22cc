import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Balancer, type CallLoad, parseResources } from "../../src/balancer/index.ts";
import { freeswitchFeeds, OPENSIPS_CAPACITY } from "../../src/freeswitch/index.ts";
import type { AuditDifference } from "../../src/management/index.ts";
import { FreeswitchFeeds } from "../../src/server/freeswitch-feeds.ts";
import { LoadAudit, MAX_TOLD_DIFFERENCES, type SessionGap } from "../../src/server/load-audit.ts";
import { HEARTBEATS_FOR_A_GAP } from "../../src/server/session-gaps.ts";
import { balancerOf, newCall, occupy, row, usage } from "../balancer/support.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakeFreeswitch } from "../support/fake-freeswitch.ts";
import { waitFor } from "../support/net.ts";

const CALLS_PER_PART = 1_000;

interface Bench {
  readonly audit: LoadAudit;
  readonly balancer: Balancer;
  readonly calls: Set<CallLoad>;
  readonly clock: FakeClock;
  readonly told: AuditDifference[];
  readonly gaps: SessionGap[];
  readonly logged: { level: string; fields: Record<string, unknown> }[];
  /** Most calls that were counted without a turn of others. */
  readonly longestPart: () => number;
  /** Done at each turn of others, with its number. */
  atTurn: (turn: number) => void;
}

function bench(balancer: Balancer, { intervalS = 0, feeds }: { intervalS?: number; feeds?: FreeswitchFeeds } = {}): Bench {
  const calls = new Set<CallLoad>();
  const clock = new FakeClock();
  const told: AuditDifference[] = [];
  const gaps: SessionGap[] = [];
  const logged: Bench["logged"] = [];
  let part = 0;
  let longest = 0;
  let turns = 0;
  function logAt(level: string): (fields: object) => void {
    return (fields) => void logged.push({ level, fields: { ...fields } });
  }
  const made: Bench = {
    audit: new LoadAudit({
      balancer,
      feeds,
      config: { dialog: { audit_interval: intervalS } },
      dialogs: {
        *list() {
          for (const load of calls) {
            longest = Math.max(longest, ++part);
            yield { load };
          }
        },
      },
      after: (ms, run) => clock.after(ms, run),
      soon(run) {
        setImmediate(() => {
          part = 0;
          made.atTurn(++turns);
          run();
        });
      },
      told: { loadDiffered: (difference) => void told.push(difference), sessionsMissing: (gap) => void gaps.push(gap) },
      nowMs: clock.now,
      log: { info: logAt("info"), warn: logAt("warn"), error: logAt("error"), debug() {} } as never,
    }),
    longestPart: () => longest,
    atTurn: () => undefined,
    ...{ balancer, calls, clock, told, gaps, logged },
  };
  return made;
}

function farm(calls: number): Bench {
  const balancer = balancerOf([
    { id: 1, resources: "pstn=100000" },
    { id: 2, resources: "pstn=100000" },
  ]);
  const made = bench(balancer);
  for (const call of occupy(balancer, 1, "pstn", calls)) made.calls.add(call);
  return made;
}

describe("an audit of the loads", () => {
  it("finds nothing where nothing is wrong, however many calls begin and end while it is under way", async () => {
    const made = farm(9_500);
    const { audit, balancer, calls, told, longestPart } = made;
    const all = [...calls];
    let ended = 0;
    made.atTurn = (turn) => {
      for (let i = 0; i < 200; i++) {
        const call = all[(turn * 7_919 + i * 104_729) % all.length]!;
        balancer.release(call);
        if (calls.delete(call)) ended++;
        const begun = newCall();
        balancer.start(begun, 1, "pstn");
        calls.add(begun);
      }
    };
    const { differences } = await audit.run();
    assert.deepEqual([differences, told], [[], []]);
    assert.ok(ended > 100, "calls ended meanwhile");
    assert.ok(longestPart() <= CALLS_PER_PART, `${longestPart()} calls in one go`);
    assert.deepEqual(balancer.recount(calls), []);
    assert.deepEqual([balancer.counters.audits, balancer.counters.audit_differences], [1, 0]);
  });

  it("tells, counts and heals a load that no call holds", async () => {
    const { audit, balancer, calls, told, logged } = farm(2_500);
    [...calls][5]!.leases.pop();
    const { differences, calls: counted } = await audit.run();
    const of = { id: 1, group: 1, uri: "sip:127.0.0.21:5080", counted: 2_500, actual: 2_499 };
    assert.deepEqual(differences, [
      { ...of, resource: "pstn" },
      { ...of, resource: undefined },
    ]);
    assert.deepEqual([told, counted], [differences, 2_500]);
    assert.equal(balancer.counters.audit_differences, 2);
    assert.deepEqual(logged[0], {
      level: "error",
      fields: { destination: 1, uri: of.uri, pool: undefined, resource: "pstn", counted: 2_500, true: 2_499, healed: true },
    });
    assert.equal(usage(balancer, 1, "pstn"), "2499/100000");
    assert.deepEqual((await audit.run()).differences, []);
    for (const call of calls) balancer.release(call);
    assert.equal(usage(balancer, 1, "pstn"), "0/100000");
  });

  it("heals calls that are in no list any more, so that their slots are free", async () => {
    const { audit, balancer, calls } = farm(10);
    calls.delete([...calls][0]!);
    const { differences } = await audit.run();
    assert.deepEqual(
      differences.map(({ resource, counted, actual }) => [resource, counted, actual]),
      [
        ["pstn", 10, 9],
        [undefined, 10, 9],
      ],
    );
    assert.equal(usage(balancer, 1, "pstn"), "9/100000");
  });

  it("heals by what is so at that moment, though calls come and go between the two passes", async () => {
    const made = farm(2_500);
    const { audit, balancer, calls } = made;
    const all = [...calls];
    all[5]!.leases.pop();
    made.atTurn = (turn) => {
      balancer.release(all[turn * 10]!);
      calls.delete(all[turn * 10]!);
    };
    await audit.run();
    assert.deepEqual(balancer.recount(calls), []);
    assert.equal(balancer.counters.audit_differences, 2);
  });

  it("does not tell of what is right again in the second pass", async () => {
    const made = farm(1_500);
    const [call] = made.calls;
    const cell = call!.leases.pop()!;
    made.atTurn = (turn) => {
      if (turn === 2) call!.leases.push(cell); // in the second pass, before it is counted out
    };
    made.calls.delete(call!);
    made.calls.add(call!);
    const { differences } = await made.audit.run();
    assert.deepEqual([differences, made.told], [[], []]);
  });

  it("tells of the first hundred by themselves, and heals all", async () => {
    const destinations = MAX_TOLD_DIFFERENCES + 20;
    const balancer = balancerOf(Array.from({ length: destinations }, (_, i) => ({ id: i + 1, resources: "pstn=5" })));
    const made = bench(balancer);
    for (let id = 1; id <= destinations; id++) for (const call of occupy(balancer, id, "pstn", 1)) made.calls.add(call);
    for (const call of made.calls) call.leases.pop();
    const { differences } = await made.audit.run();
    assert.equal(balancer.counters.audit_differences, 2 * destinations);
    assert.deepEqual([differences.length, made.told.length, made.logged.length], [100, 100, 101]);
    assert.deepEqual(balancer.recount(made.calls), []);
  });

  it("who asks while one is under way gets the next one, together with all others who ask", async () => {
    const { audit, balancer } = farm(1_500);
    const first = audit.run();
    const second = audit.run();
    assert.equal(audit.run(), second);
    await Promise.all([first, second]);
    assert.equal(balancer.counters.audits, 2);
  });

  it("comes every audit_interval seconds, until it is closed", async () => {
    const balancer = balancerOf([{ id: 1, resources: "pstn=5" }]);
    const { audit, clock } = bench(balancer, { intervalS: 60 });
    audit.begin();
    for (const audits of [1, 2]) {
      clock.advance(60_000);
      await waitFor("the audit", 1_000, () => balancer.counters.audits === audits && clock.pending === 1);
    }
    audit.close();
    assert.equal(clock.pending, 0);
  });

  it("comes never with an interval of 0", () => {
    const { audit, clock } = bench(balancerOf([{ id: 1, resources: "pstn=5" }]));
    audit.begin();
    assert.equal(clock.pending, 0);
  });
});

describe("an audit and a FreeSWITCH", () => {
  it("that has fewer sessions than we count calls for several heartbeats: that is told, and nothing is healed by it", async () => {
    const fake = await FakeFreeswitch.start();
    const clock = new FakeClock(1000);
    const balancer: Balancer = balancerOf([], {
      onFedPick: (destination) => feeds.picked(destination),
      onFedChange: (destination) => feeds.loadChanged(destination),
    });
    const feeds: FreeswitchFeeds = new FreeswitchFeeds({
      settings: {
        ...OPENSIPS_CAPACITY,
        connectTimeoutMs: 600_000,
        replyTimeoutMs: 600_000,
        statusIntervalMs: 5000,
        limitsIntervalMs: 60_000,
        updateIntervalMs: 1000,
      },
      balancer,
      log: { debug() {}, info() {}, warn() {}, error() {} } as never,
      clock,
      random: () => 0.5,
      heard: (figures) => made.audit.heard(figures),
    });
    const made = bench(balancer, { feeds });
    const counted = (name: string): number => feeds.counters[name] ?? Number.NaN;
    async function beat(sessions: number): Promise<void> {
      const before = counted("heartbeats");
      fake.figures.sessions = sessions;
      fake.beat();
      await waitFor("a heartbeat", 3_000, () => counted("heartbeats") === before + 1);
    }
    try {
      balancer.replaceTable([{ ...row({ id: 1, resources: "x=1" }), resources: parseResources(`t=${fake.url}`, freeswitchFeeds(1000)) }]);
      feeds.tableChanged();
      await waitFor("the connection", 3_000, () => counted("connected") === 1);
      await waitFor("answers", 3_000, () => counted("frames") >= 7);
      const calls = Array.from({ length: 3 }, () => newCall());
      for (const call of calls) {
        balancer.start(call, 1, "t");
        made.calls.add(call);
      }
      for (let n = 0; n < HEARTBEATS_FOR_A_GAP; n++) await beat(2);
      const [{ url, ...raised } = { url: "" }] = made.gaps;
      assert.deepEqual(raised, { state: "raised", destinations: [1], calls: 3, sessions: 2 });
      assert.equal(balancer.counters.audit_missing_sessions, 1);
      const { differences, freeswitch } = await made.audit.run();
      assert.deepEqual([differences, freeswitch], [[], [{ url, sessions: 2, calls: 3, isShort: true }]]);
      assert.equal(balancer.calls(balancer.destination(1)!), 3);
      balancer.release(calls[0]!);
      await beat(2);
      assert.deepEqual(
        made.gaps.map(({ state }) => state),
        ["raised", "ended"],
      );
    } finally {
      await feeds.stop();
      await fake.stop();
    }
  });
});
