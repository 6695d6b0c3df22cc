import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { REQUESTS_PER_CALL } from "../../src/overload/limits.ts";
import type { BanChange } from "../../src/overload/source-rates.ts";
import { SourceRates } from "../../src/overload/source-rates.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { limits, SETTINGS } from "./fixtures.ts";

const A = "192.0.2.1";
const B = "192.0.2.2";

function rates(options: { density?: number; exempt?: string[]; calls?: number; maxBans?: number; maxSources?: number } = {}) {
  const clock = new FakeClock(5_000_000);
  const changes: BanChange[] = [];
  const exempt = new Set(options.exempt);
  const sources = new SourceRates(
    { unitMs: 2_000, density: options.density ?? 10, banMs: 60_000 },
    {
      seed: 99,
      nowMs: clock.now,
      isExempt: (address) => exempt.has(address),
      callsOf: () => options.calls ?? 0,
      onBan: (change) => changes.push(change),
      ...(options.maxBans && { maxBans: options.maxBans }),
      ...(options.maxSources && { maxSources: options.maxSources }),
    },
  );
  const send = (address: string, count: number): boolean[] => Array.from({ length: count }, () => sources.request(address));
  const told = (): string[] => changes.splice(0).map(({ kind, source, reason = "" }) => `${kind} ${source} ${reason}`.trim());
  return { sources, clock, send, told, exempt };
}

const passed = (answers: readonly boolean[]): number => answers.filter((answer) => answer).length;

describe("the rate of a source", () => {
  it("is the number of requests in a window: one more is a ban", () => {
    const { sources, clock, send, told } = rates();
    assert.equal(passed(send(A, 10)), 10);
    clock.advance(1_999);
    assert.deepEqual(told(), []);
    assert.equal(passed(send(A, 3)), 0);
    assert.deepEqual(told(), [`began ${A}`]);
    assert.equal(sources.isBanned(A), true);
    assert.equal(passed(send(B, 1)), 1);
  });

  it("begins again with the next window", () => {
    const { clock, send, told } = rates();
    for (let n = 0; n < 20; n++) {
      assert.equal(passed(send(A, 10)), 10);
      clock.advance(2_000);
    }
    assert.deepEqual(told(), []);
  });

  it("is not counted where the density is 0, and bans end when it becomes that", () => {
    const { sources, send, told } = rates();
    send(A, 11);
    sources.use({ unitMs: 2_000, density: 0, banMs: 60_000 });
    assert.equal(passed(send(A, 1_000)), 1_000);
    assert.deepEqual(told(), [`began ${A}`, `ended ${A} lifted`]);
  });

  it("counts an IPv6 host once, whatever address of its /64 it takes", () => {
    const { sources, told } = rates();
    const answers = Array.from({ length: 30 }, (_, i) => sources.request(`2001:db8:0:7::${i.toString(16)}`));
    assert.equal(passed(answers), 10);
    assert.equal(passed([sources.request("2001:db8:0:8::1")]), 1);
    assert.deepEqual(told(), ["began 2001:db8:0:7::/64"]);
  });

  it("is higher by 10 for each call that is up", () => {
    const { send, told } = rates({ calls: 3 });
    assert.equal(passed(send(A, 200)), 10 + 3 * REQUESTS_PER_CALL);
    assert.deepEqual(told(), [`began ${A}`]);
  });

  it("lets pass what is no address", () => {
    const { send } = rates();
    assert.equal(passed(send("pipe", 100)), 100);
  });
});

describe("a ban", () => {
  it("lasts for its time from the last window with too many requests", () => {
    const { sources, clock, send, told } = rates();
    send(A, 11);
    clock.advance(30_000);
    send(A, 10); // within the rate: the ban stays as long as it was
    assert.deepEqual(
      sources.bans().map(({ source, ageMs, leftMs, refused }) => [source, ageMs, leftMs, refused]),
      [[A, 30_000, 30_000, 11]],
    );
    send(A, 1);
    assert.equal(sources.bans()[0]?.leftMs, 60_000);
    clock.advance(60_000);
    sources.sweep();
    assert.deepEqual(told(), [`began ${A}`, `ended ${A} time`]);
    assert.equal(passed(send(A, 10)), 10);
  });

  it("ends with the first request after its time, though nobody has looked", () => {
    const { clock, send, told } = rates();
    send(A, 11);
    clock.advance(60_000);
    assert.equal(passed(send(A, 11)), 10);
    assert.deepEqual(told(), [`began ${A}`, `ended ${A} time`, `began ${A}`]);
  });

  for (const text of [A, "::ffff:192.0.2.1"]) {
    it(`is lifted by ${text}`, () => {
      const { sources, send, told } = rates();
      send(A, 11);
      assert.equal(sources.lift(text), true);
      assert.equal(sources.lift(text), false);
      assert.equal(passed(send(A, 10)), 10);
      assert.deepEqual(told(), [`began ${A}`, `ended ${A} lifted`]);
    });
  }

  it("of an IPv6 host is lifted by what the list shows and by any address of it", () => {
    for (const text of ["2001:db8::/64", "2001:db8::77"]) {
      const { sources, send } = rates();
      send("2001:db8::5", 11);
      assert.equal(sources.bans()[0]?.source, "2001:db8::/64");
      assert.equal(sources.lift(text), true, text);
    }
  });

  it("is not lifted for what is not banned", () => {
    const { sources } = rates();
    for (const text of [B, "", "nobody", "2001:db8::/64", "999.1.1.1"]) assert.equal(sources.lift(text), false, text);
  });

  it("never comes over who is exempt, and ends within a sweep for who becomes it", () => {
    const { sources, send, told, exempt } = rates({ exempt: [A] });
    assert.equal(passed(send(A, 10_000)), 10_000);
    assert.ok(sources.counters.bans_spared > 900);
    send(B, 11);
    exempt.add(B);
    sources.sweep();
    assert.deepEqual(told(), [`began ${B}`, `ended ${B} exempt`]);
  });

  it("of an IPv6 block does not hold for a server of ours within it", () => {
    const { send } = rates({ exempt: ["2001:db8::1"] });
    assert.equal(passed(send("2001:db8::bad", 50)), 10);
    assert.equal(passed(send("2001:db8::1", 50)), 50);
    assert.equal(passed(send("2001:db8::bad", 50)), 0);
  });

  it("is refused where there are as many as may be: such a source is held to its rate", () => {
    const { sources, clock, send, told } = rates({ maxBans: 1 });
    send(A, 11);
    assert.equal(passed(send(B, 30)), 10);
    clock.advance(2_000);
    assert.equal(passed(send(B, 30)), 10);
    assert.deepEqual(told(), [`began ${A}`]);
    assert.deepEqual([sources.counters.bans_refused, sources.counters.over_rate_requests], [2, 40]);
  });
});

describe("the table of sources", () => {
  const made = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;

  it("stays as large as it is, and bans who floods among a hundred thousand made-up sources", () => {
    const { sources, told } = rates({ maxSources: 1_024, density: 100 });
    let refused = 0;
    for (let i = 0; i < 100_000; i++) {
      sources.request(made(i));
      if (i % 10 === 0 && !sources.request(A)) refused++;
    }
    assert.deepEqual(told(), [`began ${A}`]);
    assert.ok(refused > 9_000, `${refused} refused`);
    assert.ok(sources.sourceCount <= 1_024);
    assert.ok(sources.evictedCount > 90_000);
  });

  it("keeps a ban, however many sources are made up meanwhile", () => {
    const { sources, send } = rates({ maxSources: 64 });
    send(A, 11);
    for (let i = 0; i < 50_000; i++) sources.request(made(i));
    assert.equal(sources.isBanned(A), true);
    assert.deepEqual(passed(send(A, 5)), 0);
  });

  it("lets new sources pass uncounted where all their places are banned", () => {
    const { sources, send } = rates({ maxSources: 8 });
    for (let i = 0; i < 8; i++) send(made(i), 11);
    assert.equal(sources.banCount, 8);
    assert.equal(passed(send(A, 100)), 100);
  });

  it("counts who has sent within a window", () => {
    const { sources, clock, send } = rates();
    for (let i = 0; i < 50; i++) send(made(i), 1);
    assert.equal(sources.sourceCount, 50);
    clock.advance(2_000);
    assert.equal(sources.sourceCount, 0);
  });
});

describe("the limits as a whole", () => {
  it("count a request of a datagram, and nothing for responses and junk", () => {
    const { overload, bans } = limits();
    const datagram = (text: string): boolean => overload.admitDatagram(Buffer.from(text), A);
    for (let n = 0; n < 100; n++) {
      assert.equal(datagram("SIP/2.0 200 OK\r\n\r\n"), true);
      assert.equal(datagram("GET / HTTP/1.1\r\n\r\n"), false);
    }
    const answers = Array.from({ length: 20 }, () => datagram("OPTIONS sip:a@b SIP/2.0\r\n\r\n"));
    assert.equal(passed(answers), SETTINGS.rate.density);
    assert.equal(bans.length, 1);
    assert.equal(datagram("SIP/2.0 200 OK\r\n\r\n"), true, "what a banned source answers still arrives");
    assert.equal(overload.counters["junk_text"], 100);
  });
});
