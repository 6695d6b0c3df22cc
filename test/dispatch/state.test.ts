import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseReplyCodes, type StateChange } from "../../src/dispatch/index.ts";
import { Latency } from "../../src/dispatch/latency.ts";
import { isAlive } from "../../src/dispatch/reply-codes.ts";
import { isOpen, parseState, printFlags, type State, setState, step } from "../../src/dispatch/state.ts";
import { Bench } from "./support.ts";

const THRESHOLDS = { probingThreshold: 3, inactiveThreshold: 2 };

function trail(start: number, reports: readonly string[]): string {
  let state: State = { flags: start, probingCount: 0 };
  return reports
    .map((report) => {
      state = step(state, parseState(report)!, THRESHOLDS);
      return printFlags(state.flags);
    })
    .join(" ");
}

describe("states of a destination", () => {
  const cases: { name: string; start: number; reports: string; want: string }[] = [
    { name: "fails three times before it is inactive", start: 0, reports: "t t t", want: "TX TX IX" },
    { name: "counts failures in a row", start: 0, reports: "t t a t t t", want: "TX TX AX TX TX IX" },
    { name: "stays inactive when it is reported as trying", start: 1, reports: "t t tp", want: "IX IX IP" },
    { name: "answers twice before it is active", start: 1, reports: "a a", want: "IX AX" },
    { name: "keeps the probing flag until it is active", start: 9, reports: "a a", want: "IP AX" },
    { name: "counts successes in a row", start: 1, reports: "a t a a", want: "IX IX IX AX" },
    { name: "counts a mark as inactive as no success", start: 1, reports: "a i a a", want: "IX IX IX AX" },
    { name: "is disabled and nothing else", start: 8, reports: "d", want: "DX" },
    { name: "is active at once after it was disabled", start: 4, reports: "ap", want: "AP" },
    { name: "takes the probing flag from each report", start: 8, reports: "ap a tp t", want: "AP AX TP TX" },
  ];
  for (const { name, start, reports, want } of cases) it(name, () => assert.equal(trail(start, reports.split(" ")), want));

  it("prints I before D before T, and P before N", () => {
    const letters = [0, 8, 1, 9, 2, 10, 4, 12, 5, 7, 6, 32, 40, 16, 63].map(printFlags).join(" ");
    assert.equal(letters, "AX AP IX IP TX TP DX DP IX IX DX AN AP AX IP");
  });
  it("keeps what the record says whatever is reported", () => {
    fc.assert(
      fc.property(fc.nat(63), fc.array(fc.nat(15), { maxLength: 10 }), (start, reports) => {
        let state: State = { flags: start, probingCount: 0 };
        for (const report of reports) {
          state = step(state, report, THRESHOLDS);
          assert.equal(state.flags & 48, start & 48);
          assert.ok(state.probingCount < 3);
          assert.ok([0, 1, 2, 4].includes(state.flags & 7), String(state.flags));
        }
        assert.equal(setState(state, 0).flags, start & 48);
      }),
    );
  });
  it("reads the states of commands", () => {
    const read = ["a", "I", "t", "d", "ap", "IP", "tP", "dp", "", "ad", "x", "p"].map(parseState);
    assert.deepEqual(read, [0, 1, 2, 4, 8, 9, 10, 4, 1, 0, undefined, undefined]);
  });
});

describe("answers to probes", () => {
  it("are alive for any 2xx, and for codes and classes of the list, also the 408 of a time-out", () => {
    const none = { codes: new Set<number>(), classes: new Set<number>() };
    const some = parseReplyCodes("code=403;class=4");
    assert.ok(typeof some !== "string");
    assert.deepEqual(
      [200, 204, 299, 302, 403, 408, 500].map((code) => isAlive(code, none)),
      [true, true, true, false, false, false, false],
    );
    assert.deepEqual(
      [302, 403, 404, 408, 500].map((code) => isAlive(code, some)),
      [false, true, true, true, false],
    );
  });

  const eventsOf = (changes: readonly StateChange[]) =>
    changes.map(({ event, cause, after }) => `${cause} ${printFlags(after)} ${event ?? "-"}`);

  it("tell of destinations that go down and come up", () => {
    const bench = new Bench("1 sip:10.0.0.1", { probingMode: 1, probingThreshold: 2 });
    for (const code of [200, 408, 408, 408, 200, 200]) bench.dispatcher.probed(bench.at(0), code, undefined);
    assert.deepEqual(eventsOf(bench.changes), ["probe AP -", "probe TP -", "probe IP dst-down", "probe AP dst-up"]);
  });
  it("say nothing of a destination that was disabled meanwhile, nor, in mode 3, of one whose flag was taken", () => {
    const bench = new Bench("1 sip:10.0.0.1 8\n1 sip:10.0.0.2 8", { probingMode: 3 });
    bench.dispatcher.setState(1, "sip:10.0.0.2", 4);
    bench.dispatcher.setState(1, "SIP:10.0.0.1", 0);
    for (const position of [0, 1]) bench.dispatcher.probed(bench.at(position), 408, undefined);
    assert.deepEqual(
      [0, 1].map((position) => printFlags(bench.at(position).flags)),
      ["DX", "AX"],
    );
  });
  it("are not asked of disabled ones, nor of those without ping; of those without address they are (seen on 5.6.3)", () => {
    const list = [0, 4, 16, 32, 8, 1, 9].map((flags) => `1 sip:10.0.0.${flags} ${flags}`).join("\n");
    const probed = (probingMode: 0 | 1 | 2 | 3) =>
      new Bench(list, { probingMode }).dispatcher
        .probeTargets()
        .map(({ flags }) => flags)
        .sort((a, b) => a - b);
    assert.deepEqual([probed(0), probed(1), probed(2), probed(3)], [[8, 9], [0, 1, 8, 9, 16], [9], [8, 9]]);
  });
  it("belong to one record, also when another one of the set has its URI (K#2527)", () => {
    const bench = new Bench("1 sip:10.0.0.1 0 9 socket=udp:192.0.2.1:5060\n1 sip:10.0.0.1 0 5 socket=udp:192.0.2.2:5060");
    bench.dispatcher.probed(bench.at(1), 408, undefined);
    bench.dispatcher.report(bench.at(1), 4, "script");
    assert.deepEqual(
      [0, 1].map((position) => isOpen(bench.at(position).flags)),
      [true, false],
    );
    assert.equal(bench.dispatcher.setState(1, "sip:10.0.0.1", 1), 2);
  });
});

describe("latency of a destination", () => {
  it("is the plain average for the first samples, and then weighted by alpha", () => {
    const latency = new Latency();
    for (const ms of [10, 30, 20, 40]) latency.add(ms, 900);
    assert.deepEqual([latency.average, latency.estimate, latency.max, latency.min], [25, 25, 40, 10]);
    for (const ms of [25, 25, 25, 25, 25]) latency.add(ms, 900);
    assert.equal(latency.estimate, 25);
    latency.add(125, 900);
    assert.ok(Math.abs(latency.estimate - (25 * 0.9 + 12.5)) < 1e-9, String(latency.estimate));
  });
  it("has the standard deviation of the samples", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 2, maxLength: 40 }), (samples) => {
        const latency = new Latency();
        for (const ms of samples) latency.add(ms, 900);
        if (latency.samples !== samples.length) return; // stable after the warm-up: taken for many
        const mean = samples.reduce((sum, ms) => sum + ms, 0) / samples.length;
        const variance = samples.reduce((sum, ms) => sum + (ms - mean) ** 2, 0) / (samples.length - 1);
        assert.ok(Math.abs(latency.average - mean) < 1e-6);
        assert.ok(Math.abs(latency.deviation - Math.sqrt(variance)) < 1e-6);
      }),
    );
  });
  it("is trained by ten stable samples, or the attribute: one slow answer moves the estimate, not the average", () => {
    const trained = new Bench("1 sip:10.0.0.1 0 0 latency=24").at(0).latency;
    assert.deepEqual([trained.average, trained.estimate, trained.samples], [24, 24, 10_000]);
    const latency = new Latency();
    for (let i = 0; i < 11; i++) latency.add(20, 900);
    assert.equal(latency.samples, 10_000);
    latency.add(120, 900);
    assert.ok(latency.average < 20.1 && latency.estimate > 29, `${latency.average} ${latency.estimate}`);
    assert.equal(latency.congestionMs, 9);
  });
  it("counts time-outs, which are no samples", () => {
    const bench = new Bench("1 sip:10.0.0.1", { probingMode: 1 });
    bench.dispatcher.probed(bench.at(0), 200, 10);
    bench.dispatcher.probed(bench.at(0), 408, 32_000);
    assert.deepEqual([bench.at(0).latency.max, bench.at(0).latency.timeouts, bench.at(0).latency.samples], [10, 1, 1]);
  });
});

describe("congestion control", () => {
  const list = [0, 1, 2].map((i) => `1 sip:10.0.0.${i} 0 ${9 - i} rweight=50;weight=50;cc=1;latency=20`).join("\n");
  it("takes a weight off for each ms of congestion", () => {
    const bench = new Bench(list, { probingMode: 1 });
    bench.dispatcher.probed(bench.at(0), 200, 220);
    assert.deepEqual(
      [0, 1, 2].map((i) => bench.at(i).relativeWeight),
      [31, 50, 50],
    );
    for (let i = 0; i < 80; i++) bench.dispatcher.probed(bench.at(0), 200, 20);
    assert.equal(bench.at(0).relativeWeight, 50);
  });
  it("shares by the ratio of congestions when all are above what they bear", () => {
    const bench = new Bench(list, { probingMode: 1 });
    for (const [i, ms] of [1020, 1020, 2020].entries()) bench.dispatcher.probed(bench.at(i), 200, ms);
    const [one, two, three] = [0, 1, 2].map((i) => bench.at(i).relativeWeight) as [number, number, number];
    assert.ok(one === two && three > 0 && Math.abs(one / three - 2) < 0.1, `${one} ${two} ${three}`);
  });
});
