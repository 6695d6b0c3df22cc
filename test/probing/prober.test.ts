import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compileReplyCodes, type ProbeFigures } from "../../src/health/index.ts";
import { parseMessage } from "../../src/sip/index.ts";
import { headerOf } from "../support/sip-messages.ts";
import { type Behaviour, INTERVAL_MS, ProbeBench, row, TIMEOUT_MS } from "./probe-bench.ts";

/** Statuses that commands and probes lead to. */
const STATUSES = ["enabled", "disabled", "disabled by MI"] as const;
const ENDS: readonly Behaviour[] = [200, 202, 302, 404, 408, 486, 500, 503, 603, "silence", "unsent"];

describe("a probe", () => {
  it("has the destination's URI as Request-URI and To, the configured From, and what RFC 3261 §8.1.1 wants of a request", async () => {
    const uri = "sip:media@192.0.2.1:5080;transport=udp";
    const destination = row(1, 2, { uri, addresses: [{ ip: "192.0.2.1", port: 5080, transport: "udp" }] });
    const bench = await ProbeBench.started([destination], { from: "sip:watch@example.net" });
    bench.run(10);
    const { text, to } = bench.sent[0]!;
    assert.equal(parseMessage(text).kind, "request");
    assert.equal(text.split("\r\n", 1)[0], `OPTIONS ${uri} SIP/2.0`);
    assert.equal(headerOf(text, "To"), `<${uri}>`);
    assert.match(headerOf(text, "From"), /^<sip:watch@example\.net>;tag=tok\w+$/);
    assert.match(headerOf(text, "Via"), /^SIP\/2\.0\/UDP 198\.51\.100\.1:40000;rport;branch=z9hG4bKtok\w+$/);
    assert.equal(headerOf(text, "CSeq"), "1 OPTIONS");
    assert.equal(headerOf(text, "Max-Forwards"), "70");
    assert.equal(headerOf(text, "User-Agent"), "headroom");
    assert.equal(headerOf(text, "Content-Length"), "0");
    assert.deepEqual([to.address, to.port], ["192.0.2.1", 5080]);
  });

  it("has a Call-ID, a tag and a branch of its own, and the configured method", async () => {
    const bench = await ProbeBench.started([row(1, 2)], { method: "NOTIFY" });
    bench.run(INTERVAL_MS + 10);
    const [first, second] = bench.probes.map(({ text }) => text);
    assert.ok(first!.startsWith("NOTIFY "));
    assert.equal(headerOf(first!, "CSeq"), "1 NOTIFY");
    for (const name of ["Call-ID", "From", "Via"]) assert.notEqual(headerOf(first!, name), headerOf(second!, name));
  });

  it("is sent again over UDP until the time-out, as any request (RFC 3261 §17.1.2.2)", async () => {
    const bench = await ProbeBench.started([row(1, 2)]);
    bench.run(TIMEOUT_MS + 100);
    assert.deepEqual(
      bench.sent.map(({ atMs }) => Math.round((atMs - bench.sent[0]!.atMs) / 100) * 100),
      [0, 500, 1_500, 3_500],
    );
    assert.equal(bench.isEnabled(1), false);
  });

  it("leaves from the socket of the destination's address family", async () => {
    const six = row(2, 2, { uri: "sip:[2001:db8::2]", addresses: [{ ip: "2001:db8::2", port: 5060, transport: "udp" }] });
    const bench = await ProbeBench.started([row(1, 2), six], {}, ["198.51.100.1", "198.51.100.2", "2001:db8::1"]);
    assert.deepEqual(
      bench.sockets.map(({ address }) => address),
      ["198.51.100.1", "198.51.100.2", "2001:db8::1"],
    );
    bench.run(INTERVAL_MS);
    for (const { from, to } of bench.sent) assert.equal(from.family, to.address.includes(":") ? 6 : 4);
    assert.ok(bench.sent.some(({ to }) => to.address === "2001:db8::2"));
  });

  const machines = [
    { name: "loopback first", listen: ["127.0.0.1", "198.51.100.1"], from: ["198.51.100.1", "127.0.0.1", "198.51.100.1"] },
    { name: "loopback last", listen: ["198.51.100.1", "127.0.0.1"], from: ["198.51.100.1", "127.0.0.1", "198.51.100.1"] },
    { name: "a wildcard beside loopback", listen: ["127.0.0.1", "0.0.0.0"], from: ["0.0.0.0", "127.0.0.1", "0.0.0.0"] },
    { name: "two networks", listen: ["198.51.100.1", "203.0.113.1"], from: ["198.51.100.1", "198.51.100.1", "203.0.113.1"] },
    {
      name: "one address with two ports",
      listen: ["198.51.100.1", "198.51.100.1"],
      from: ["198.51.100.1", "198.51.100.1", "198.51.100.1"],
    },
    { name: "two wildcards", listen: ["0.0.0.0", "0.0.0.0"], from: ["0.0.0.0", "0.0.0.0", "0.0.0.0"] },
  ];
  for (const { name, listen, from } of machines) {
    it(`leaves from the listen address that faces its destination: ${name}`, async () => {
      const rows = ["192.0.2.1", "127.0.0.9", "203.0.113.9"].map((ip, i) =>
        row(i + 1, 2, { uri: `sip:${ip}`, addresses: [{ ip, port: 5060, transport: "udp" }] }),
      );
      const bench = new ProbeBench(rows, {}, listen);
      bench.networks = { "203.0.113": "203.0.113.1", "127.0.0": "127.0.0.1" };
      await bench.prober.start();
      bench.run(INTERVAL_MS);
      assert.deepEqual(
        bench.sockets.map(({ address }) => address),
        [...new Set(listen)],
      );
      assert.deepEqual(
        bench.probes.slice(0, 3).map((probe) => [probe.to.address, probe.from.address]),
        ["192.0.2.1", "127.0.0.9", "203.0.113.9"].map((ip, i) => [ip, from[i]]),
      );
    });
  }

  it("that this machine cannot send tells nothing of the destination: that is said once, counted, and changes no status and no row", async () => {
    for (const enabled of [true, false]) {
      const bench = await ProbeBench.started([row(1, 2)], { fall: 2, rise: 2 });
      if (!enabled) bench.balancer.setStatus(1, false, "script");
      bench.behaviours.set("192.0.2.1", enabled ? 503 : 200);
      bench.turn();
      const before = bench.prober.figures()[0]!;
      assert.equal(before.streak, 1);
      bench.behaviours.set("192.0.2.1", "no route");
      for (let turn = 0; turn < 3; turn++) bench.turn();
      const { streak, lastStatus, enabled: now } = bench.prober.figures()[0]!;
      assert.deepEqual([streak, lastStatus, now], [1, enabled ? 503 : 200, enabled]);
      const { skipped_unreachable, transport_errors, bad } = bench.prober.counters;
      assert.deepEqual([skipped_unreachable, transport_errors, bad], [3, 0, enabled ? 1 : 0]);
      assert.deepEqual(
        bench.logged.filter(({ level }) => level === "warn").map(({ message }) => message),
        ["Cannot probe destination 1 <sip:192.0.2.1>: send EINVAL 192.0.2.1:5060"],
      );
      assert.equal(bench.prober.underWay, 0);
    }
  });

  it("is not sent where no socket reaches; that is said once a table, counted, and changes no status", async () => {
    const six = row(1, 2, { uri: "sip:[2001:db8::2]", addresses: [{ ip: "2001:db8::2", port: 5060, transport: "udp" }] });
    const tcp = row(2, 2, { addresses: [{ ip: "192.0.2.2", port: 5060, transport: "tcp" }] });
    const bench = await ProbeBench.started([six, tcp]);
    bench.run(3 * INTERVAL_MS - 10);
    assert.equal(bench.sent.length, 0);
    assert.equal(bench.prober.counters.skipped_unreachable, 6);
    assert.deepEqual(
      bench.logged.map(({ level }) => level),
      ["warn", "warn"],
    );
    assert.match(bench.logged[0]!.message, /^Cannot probe destination 1 <sip:\[2001:db8::2\]>: want a listener/);
    assert.equal(bench.changes.length, 0);
  });
});

describe("the status after one turn", () => {
  it("is OpenSIPS's for the whole product of probe mode, status, end of the probe and accepted codes", async () => {
    for (const mode of [0, 1, 2] as const) {
      for (const status of STATUSES) {
        for (const accepted of [[], [404], ["5xx"], ["408", "4xx"]]) {
          for (const end of ENDS) {
            const bench = await ProbeBench.started([row(1, mode)], { accepted: compileReplyCodes(accepted) });
            if (status !== "enabled") bench.balancer.setStatus(1, false, status === "disabled" ? "script" : "mi");
            bench.behaviours.set("192.0.2.1", end);
            bench.run(INTERVAL_MS - 100);
            const what = JSON.stringify({ mode, status, accepted, end });

            const probed = status !== "disabled by MI" && (mode === 2 || (mode === 1 && status === "disabled"));
            assert.equal(bench.probes.length, probed ? 1 : 0, what);
            const listed =
              typeof end === "number" &&
              accepted.some((code) => String(code) === String(end) || String(code) === `${Math.floor(end / 100)}xx`);
            const good = end === 200 || listed;
            const bad = !good && (typeof end !== "number" || end >= 400);
            const before = status === "enabled";
            assert.equal(bench.isEnabled(1), probed && (good || bad) ? good : before, what);
            assert.equal(bench.balancer.isAutoReenable(bench.balancer.destination(1)!), status !== "disabled by MI", what);
            assert.deepEqual(bench.faults, []);
          }
        }
      }
    }
  });

  it("does not change by provisional replies, which do not end the wait either", async () => {
    const bench = await ProbeBench.started([row(1, 2)]);
    bench.run(10);
    bench.reply(bench.probes[0]!, 100);
    bench.reply(bench.probes[0]!, 183);
    bench.run(1_000);
    assert.equal(bench.isEnabled(1), true);
    assert.equal(bench.prober.underWay, 1);
    bench.run(TIMEOUT_MS);
    assert.equal(bench.isEnabled(1), false);
  });

  it("stays disabled when a management command disabled it while the probe was under way", async () => {
    const bench = await ProbeBench.started([row(1, 2)]);
    bench.run(10);
    bench.balancer.setStatus(1, false, "mi");
    bench.reply(bench.probes[0]!, 200);
    assert.equal(bench.isEnabled(1), false);
    bench.run(10 * INTERVAL_MS);
    assert.equal(bench.probes.length, 1, "it is not probed any more");
    bench.balancer.setStatus(1, true, "mi");
    bench.run(INTERVAL_MS);
    assert.equal(bench.probes.length, 2, "it is probed again once it was enabled");
  });

  it("mode 1: it is probed from when a script disables it until a probe enables it, within one interval", async () => {
    const bench = await ProbeBench.started([row(1, 1)]);
    bench.behaviours.set("192.0.2.1", 200);
    bench.run(3 * INTERVAL_MS + 5_000);
    assert.equal(bench.probes.length, 0);
    bench.balancer.setStatus(1, false, "script");
    bench.run(INTERVAL_MS + 100);
    assert.equal(bench.isEnabled(1), true);
    bench.run(3 * INTERVAL_MS);
    assert.equal(bench.probes.length, 1);
  });
});

describe("thresholds", () => {
  it("disable after `fall` bad probes in a row and enable after `rise` good ones", async () => {
    const bench = await ProbeBench.started([row(1, 2)], { rise: 2, fall: 3 });
    const seen: boolean[] = [];
    for (const status of [500, 500, 200, 500, 500, 500, 200, 500, 200, 302, 200]) {
      bench.behaviours.set("192.0.2.1", status);
      bench.turn();
      seen.push(bench.isEnabled(1));
    }
    assert.deepEqual(seen, [true, true, true, true, true, false, false, false, false, false, true]);
  });

  it("begin anew when somebody else changes the status", async () => {
    const bench = await ProbeBench.started([row(1, 2)], { rise: 1, fall: 3 });
    bench.behaviours.set("192.0.2.1", 500);
    bench.turn();
    bench.turn();
    assert.equal(figure(bench).streak, 2);
    bench.balancer.setStatus(1, false, "mi");
    bench.balancer.setStatus(1, true, "mi");
    assert.equal(figure(bench).streak, 0);
    bench.turn();
    bench.turn();
    assert.equal(bench.isEnabled(1), true);
    bench.turn();
    assert.equal(bench.isEnabled(1), false);
  });
});

describe("the log", () => {
  for (const verbose of [true, false]) {
    it(`has OpenSIPS's sentences ${verbose ? "with probing_verbose" : "for debugging only without probing_verbose"}`, async () => {
      const bench = await ProbeBench.started([row(1, 2)], { verbose });
      bench.behaviours.set("192.0.2.1", 503);
      bench.turn();
      bench.behaviours.set("192.0.2.1", 200);
      bench.turn();
      bench.turn();
      bench.behaviours.set("192.0.2.1", "silence");
      bench.turn();
      const level = verbose ? "info" : "debug";
      assert.deepEqual(bench.logged, [
        { level, message: "disable destination 1 <sip:192.0.2.1> after 503 reply on probe" },
        { level, message: "re-enable destination 1 <sip:192.0.2.1> after 200 reply on probe" },
        { level, message: "disable destination 1 <sip:192.0.2.1> after 408 reply on probe" },
      ]);
      assert.deepEqual(
        bench.changes.map(({ cause }) => cause),
        ["probe", "probe", "probe"],
      );
    });
  }
});

describe("figures()", () => {
  it("has latency, time-outs and the last end of each destination with a probe mode", async () => {
    const bench = await ProbeBench.started([row(1, 2), row(2, 0), row(3, 1)]);
    bench.behaviours.set("192.0.2.1", 200);
    for (const ms of [100, 200, 600]) {
      bench.answerMs = ms;
      bench.turn();
    }
    bench.behaviours.set("192.0.2.1", "silence");
    bench.turn();
    const [first, third, ...rest] = bench.prober.figures();
    assert.equal(rest.length, 0);
    assert.deepEqual(
      { ...first, lastAtMs: 0, latency: { ...first!.latency, average: Math.round(first!.latency.average) } },
      {
        id: 1,
        group: 1,
        uri: "sip:192.0.2.1",
        probeMode: 2,
        enabled: false,
        probed: true,
        sent: 4,
        lastStatus: 408,
        lastAtMs: 0,
        streak: 0,
        latency: { last: 600, average: 300, ewma: first!.latency.ewma, max: 600, samples: 3, timeouts: 1 },
        capacityShare: 1,
      },
    );
    assert.ok(first!.lastAtMs > 1_700_000_000_000);
    assert.deepEqual([third!.id, third!.probed, third!.sent, third!.lastStatus], [3, false, 0, 0]);
  });
});

function figure(bench: ProbeBench): ProbeFigures {
  return bench.prober.figures()[0]!;
}
