import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { headerOf, request, responseTo } from "../support/sip-messages.ts";
import { INTERVAL_MS, ProbeBench, row, type Sent, TIMEOUT_MS } from "./probe-bench.ts";

/** A destination that is disabled, and whose probe is under way: only a reply that counts enables it. */
async function waiting(): Promise<{ bench: ProbeBench; probe: Sent }> {
  const bench = await ProbeBench.started([row(1, 1)]);
  bench.balancer.setStatus(1, false, "script");
  bench.run(10);
  return { bench, probe: bench.probes[0]! };
}

describe("a reply to a probe is ignored and counted", () => {
  const cases: readonly (readonly [string, string, (bench: ProbeBench, probe: Sent) => void])[] = [
    ["from another address", "ignored_source", (bench, probe) => bench.reply(probe, 200, { address: "192.0.2.66" })],
    ["from another port of the address", "ignored_source", (bench, probe) => bench.reply(probe, 200, { port: 5070 })],
    [
      "with a branch that was never sent",
      "ignored_branch",
      (bench, probe) => {
        const text = responseTo(probe.text, 200).replace(/branch=\S+/, "branch=z9hG4bKguessed");
        bench.line.receive(text, probe.to);
      },
    ],
    [
      "without a branch",
      "ignored_branch",
      (bench, probe) => bench.line.receive(responseTo(probe.text, 200).replace(/;branch=\S+/, ""), probe.to),
    ],
    [
      "with the method of another request",
      "ignored_branch",
      (bench, probe) => bench.line.receive(responseTo(probe.text, 200).replace("1 OPTIONS", "1 REGISTER"), probe.to),
    ],
    [
      "that comes after the time-out",
      "ignored_branch",
      (bench, probe) => {
        bench.run(TIMEOUT_MS + 100);
        bench.reply(probe, 200);
      },
    ],
    [
      "when a reload has removed the destination and brought it back",
      "ignored_stale",
      (bench, probe) => {
        bench.reload([]);
        bench.reload([row(1, 1)]);
        bench.balancer.setStatus(1, false, "script");
        bench.reply(probe, 200);
      },
    ],
    [
      "when a reload has given the destination another address",
      "ignored_stale",
      (bench, probe) => {
        bench.reload([row(1, 1, { addresses: [{ ip: "192.0.2.99", port: 5060, transport: "udp" }] })]);
        bench.reply(probe, 200);
      },
    ],
    [
      "when a reload has given its id to another destination",
      "ignored_stale",
      (bench, probe) => {
        bench.reload([row(1, 1, { uri: "sip:192.0.2.77", addresses: [{ ip: "192.0.2.77", port: 5060, transport: "udp" }] })]);
        bench.balancer.setStatus(1, false, "script");
        bench.reply(probe, 200);
      },
    ],
    [
      "when a reload has set its probe mode to 0",
      "ignored_stale",
      (bench, probe) => {
        bench.reload([row(1, 0)]);
        bench.reply(probe, 200);
      },
    ],
    ["when it cannot be read", "ignored_malformed", (bench, probe) => bench.line.receive("SIP/2.0 200 OK\r\n\r\n", probe.to)],
    ["when it is a request", "ignored_requests", (bench, probe) => bench.line.receive(request({ method: "OPTIONS" }), probe.to)],
  ];
  for (const [name, counter, act] of cases) {
    it(name, async () => {
      const { bench, probe } = await waiting();
      const sent = bench.sent.length;
      act(bench, probe);
      assert.equal(bench.isEnabled(1), false);
      const counters: Record<string, number> = { ...bench.prober.counters };
      assert.equal(counters[counter], 1);
      const ignored = Object.entries(counters).filter(([key, count]) => key.startsWith("ignored_") && count > 0);
      assert.equal(ignored.length, 1, "in no other counter");
      if (name !== "that comes after the time-out") assert.equal(bench.sent.length, sent, "and nothing is sent for it");
      assert.deepEqual(bench.faults, []);
    });
  }

  it("and one that counts enables it all the same afterwards", async () => {
    const { bench, probe } = await waiting();
    bench.reply(probe, 200, { address: "192.0.2.66" });
    bench.reply(probe, 200);
    assert.equal(bench.isEnabled(1), true);
  });

  it("copies of a reply are absorbed, and count neither way", async () => {
    const { bench, probe } = await waiting();
    bench.reply(probe, 200);
    bench.reply(probe, 200);
    bench.reply(probe, 503);
    assert.equal(bench.isEnabled(1), true);
    assert.equal(bench.prober.counters.good, 1);
    assert.equal(bench.prober.counters.ignored_branch, 0);
  });

  it("takes another spelling of an IPv6 address as the same address", async () => {
    const uri = "sip:[2001:db8::2]";
    const six = row(1, 2, { uri, addresses: [{ ip: "2001:DB8:0::2", port: 5060, transport: "udp" }] });
    const bench = await ProbeBench.started([six], {}, ["2001:db8::1"]);
    bench.run(10);
    bench.reply(bench.probes[0]!, 503, { address: "2001:db8::2" });
    assert.equal(bench.isEnabled(1), false);
  });
});

describe("what comes to the probing sockets", () => {
  it("throws nothing and changes no status, whatever it is", async () => {
    const { bench, probe } = await waiting();
    const reply = responseTo(probe.text, 200);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary", maxLength: 200 }),
          fc.tuple(fc.nat(reply.length), fc.nat(20), fc.string({ maxLength: 20 })).map(([at, cut, text]) => {
            return reply.slice(0, at) + text + reply.slice(at + cut);
          }),
        ),
        (text) => {
          bench.line.receive(text, { ...probe.to, address: "192.0.2.66" });
          assert.equal(bench.isEnabled(1), false);
        },
      ),
      { numRuns: 500 },
    );
    assert.deepEqual(bench.faults, []);
  });
});

describe("a reload", () => {
  it("keeps turn, figures and streak of destinations that stay, and schedules new ones within the interval", async () => {
    const bench = await ProbeBench.started([row(1, 2), row(2, 2)], { fall: 3 });
    bench.behaviours.set("192.0.2.1", 500);
    bench.behaviours.set("192.0.2.2", 200);
    bench.turn();
    bench.reload([row(1, 2, { attrs: "changed" }), row(2, 2), row(3, 2)]);
    bench.turn();
    bench.run(100);
    assert.deepEqual(bench.timesOf(1), [10, INTERVAL_MS], "in its slot");
    assert.equal(bench.prober.figures()[0]!.streak, 2);
    assert.equal(bench.prober.figures()[1]!.latency.samples, 2);
    assert.ok(bench.timesOf(3)[0]! <= 1.5 * INTERVAL_MS);
  });

  it("stops probing what is gone", async () => {
    const bench = await ProbeBench.started([row(1, 2), row(2, 2)]);
    bench.reload([row(2, 2)]);
    bench.run(3 * INTERVAL_MS);
    assert.equal(bench.timesOf(1).length, 0);
    assert.equal(bench.timesOf(2).length, 3);
    assert.ok(headerOf(bench.sent[0]!.text, "To").includes("192.0.2.2"));
    assert.equal(bench.prober.figures().length, 1);
  });

  it("leaves no timer behind when the last destination goes", async () => {
    const bench = await ProbeBench.started([row(1, 2), row(2, 2)]);
    bench.run(INTERVAL_MS);
    bench.reload([]);
    bench.run(TIMEOUT_MS + 10_000);
    assert.equal(bench.wheel.pending, 0);
    assert.equal(bench.prober.underWay, 0);
  });
});
