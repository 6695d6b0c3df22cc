import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseReplyCodes, printFlags } from "../../src/dispatch/index.ts";
import { TICK_MS } from "../../src/transaction/index.ts";
import { headerOf } from "../support/sip-messages.ts";
import { DispatchProbeBench, PING_INTERVAL_MS, PING_TIMEOUT_MS } from "./dispatch-bench.ts";

const ALL = { probingMode: 1 } as const;

function letters({ bench }: DispatchProbeBench, setId = 1): string {
  return bench.dispatcher
    .set(setId)!
    .destinations.map(({ flags }) => printFlags(flags))
    .join(" ");
}

describe("a probe of the dispatcher", () => {
  it("asks the destination's URI with the method and From of the module, or the destination's own", async () => {
    const bench = await DispatchProbeBench.started(
      "1 sip:192.0.2.1:5080;transport=udp 0 9\n1 sip:192.0.2.2 0 5 ping_from=sip:own@example.net",
      ALL,
      { method: "INFO", from: "sip:watch@example.com" },
    );
    bench.run(PING_INTERVAL_MS - 100);
    const [first, second] = bench.probes;
    assert.match(first!.text, /^INFO sip:192\.0\.2\.1:5080;transport=udp SIP\/2\.0\r\n/);
    assert.match(headerOf(first!.text, "From"), /^<sip:watch@example\.com>;tag=/);
    assert.match(headerOf(second!.text, "From"), /^<sip:own@example\.net>;tag=/);
    assert.deepEqual([first!.to.address, first!.to.port], ["192.0.2.1", 5080]);
  });

  it("goes through the proxy of the destination, else that of the module", async () => {
    const list = "1 sip:192.0.2.1 0 9 obproxy=192.0.2.91:5091\n1 sip:192.0.2.2 0 5";
    const bench = await DispatchProbeBench.started(list, ALL, { outboundProxy: "sip:192.0.2.92" });
    bench.run(PING_INTERVAL_MS - 100);
    assert.deepEqual(
      bench.probes.map(({ text, to }) => [text.split(" ", 2)[1], `${to.address}:${to.port}`]),
      [
        ["sip:192.0.2.1", "192.0.2.91:5091"],
        ["sip:192.0.2.2", "192.0.2.92:5060"],
      ],
    );
  });

  it("leaves from the address that its attributes name, when we listen there", async () => {
    const list = [
      "1 sip:192.0.2.1 0 9 socket=udp:198.51.100.2:5060",
      "1 sip:192.0.2.2 0 8 socket=udp:198.51.100.2:5060;ping_socket=udp:198.51.100.3:5060",
      "1 sip:192.0.2.3 0 7 socket=udp:203.0.113.9:5060",
      "1 sip:192.0.2.4 0 6",
    ].join("\n");
    const addresses = ["198.51.100.1", "198.51.100.2", "198.51.100.3"];
    const bench = await DispatchProbeBench.started(list, ALL, {}, addresses);
    bench.run(PING_INTERVAL_MS - 100);
    assert.deepEqual(
      bench.probes.map((probe) => probe.from.address),
      ["198.51.100.2", "198.51.100.3", "198.51.100.1", "198.51.100.1"],
    );
  });

  it("is sent to those of the probing mode, spread over the interval", async () => {
    const list = Array.from({ length: 20 }, (_, i) => `1 sip:192.0.2.${i + 1} ${i % 2 === 0 ? 8 : 0}`).join("\n");
    for (const [probingMode, count] of [
      [0, 10],
      [1, 20],
      [2, 0],
      [3, 10],
    ] as const) {
      const bench = await DispatchProbeBench.started(list, { probingMode });
      bench.run(PING_INTERVAL_MS - 10);
      assert.equal(bench.probes.length, count, `mode ${probingMode}`);
      const halves = bench.probes.filter(({ atMs }) => atMs < PING_INTERVAL_MS / 2).length;
      assert.ok(Math.abs(halves - count / 2) <= 1, `mode ${probingMode}: ${halves} in the first half`);
    }
  });

  it("is sent once an interval, until probing is switched off by command", async () => {
    const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 0", ALL);
    bench.behaviours.set("192.0.2.1:5060", 200);
    bench.run(3 * PING_INTERVAL_MS - 10);
    assert.equal(bench.probes.length, 3);
    bench.mayProbe = false;
    bench.run(3 * PING_INTERVAL_MS);
    assert.equal(bench.probes.length, 3);
    bench.mayProbe = true;
    bench.run(PING_INTERVAL_MS);
    assert.equal(bench.probes.length, 4);
  });
});

describe("the end of a probe", () => {
  const ends = [
    { end: 200, want: "AP", counter: "good" },
    { end: 299, want: "AP", counter: "good" },
    { end: 403, want: "AP", counter: "good" },
    { end: 302, want: "AP", counter: "good" },
    { end: 404, want: "IP", counter: "bad" },
    { end: 503, want: "IP", counter: "bad" },
    { end: "silence", want: "IP", counter: "timeouts" },
    { end: "unsent", want: "IP", counter: "transport_errors" },
    { end: "no route", want: "AX", counter: "skipped_unreachable" },
  ] as const;
  for (const { end, want, counter } of ends) {
    it(`${end} makes AX ${want}`, async () => {
      const replyCodes = parseReplyCodes("code=403;class=3");
      assert.ok(typeof replyCodes !== "string");
      const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 0", { ...ALL, replyCodes });
      bench.behaviours.set("192.0.2.1:5060", end);
      bench.run(PING_TIMEOUT_MS + 100);
      assert.equal(letters(bench), want);
      assert.equal(bench.line.counters[counter], 1);
      assert.equal(bench.line.underWay, 0);
    });
  }

  it("is the code 408 when nobody answers, so that class=4 keeps a dead host up, as in Kamailio; what was not sent is no code", async () => {
    const replyCodes = parseReplyCodes("class=4");
    assert.ok(typeof replyCodes !== "string");
    const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 0 1\n1 sip:192.0.2.2 0 0", { ...ALL, replyCodes });
    bench.behaviours.set("192.0.2.2:5060", "unsent");
    bench.run(PING_INTERVAL_MS + PING_TIMEOUT_MS);
    assert.equal(letters(bench), "AP IP");
  });

  it("is a failure when the name leads nowhere, and is not sent", async () => {
    const bench = await DispatchProbeBench.started("1 sip:nowhere.example 0\n1 sip:later.example 0", ALL);
    bench.hosts.set("later.example", Promise.reject(new Error("no server")));
    bench.run(PING_INTERVAL_MS - 10);
    await Promise.resolve().then(() => undefined);
    await new Promise(setImmediate);
    assert.equal(bench.sent.length, 0);
    assert.equal(letters(bench), "IP IP");
    assert.equal(bench.prober.counters.probes_unresolved, 2);
  });

  it("goes to the next address of a name when one does not answer (RFC 3263 §4.3)", async () => {
    const bench = await DispatchProbeBench.started("1 sip:two.example 0", ALL);
    bench.hosts.set("two.example", Promise.resolve([1, 2].map((k) => ({ ip: `192.0.2.${k}`, port: 5060, transport: "udp" as const }))));
    bench.behaviours.set("192.0.2.2:5060", 200);
    bench.run(50);
    await new Promise(setImmediate);
    bench.run(PING_TIMEOUT_MS + 200);
    assert.deepEqual(
      bench.probes.map(({ to }) => to.address),
      ["192.0.2.1", "192.0.2.2"],
    );
    assert.equal(letters(bench), "AP");
  });

  it("goes to the next address also when the next turn comes before the time is over", async () => {
    const bench = await DispatchProbeBench.started("1 sip:two.example 0", ALL, { intervalMs: PING_TIMEOUT_MS - 1_000 });
    // a name server's answer is new each time, and may have another order
    bench.hosts.get = () => [1, 2].map((k) => ({ ip: `192.0.2.${k}`, port: 5060, transport: "udp" as const }));
    bench.behaviours.set("192.0.2.2:5060", 200);
    bench.run(5 * PING_TIMEOUT_MS);
    assert.ok(bench.probes.filter(({ to }) => to.address === "192.0.2.2").length >= 3);
    assert.equal(letters(bench), "AP");
    assert.equal(bench.line.counters.bad, 0);
  });

  it("says nothing of the host that has the duid since a reload", async () => {
    const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 0 0 duid=a", ALL);
    bench.run(100);
    assert.equal(bench.line.underWay, 1);
    bench.bench.load("1 sip:192.0.2.2 0 0 duid=a");
    bench.prober.setsChanged();
    bench.behaviours.set("192.0.2.2:5060", 200);
    bench.run(PING_INTERVAL_MS - 200);
    assert.equal(letters(bench), "AX");
    assert.equal(bench.line.counters.timeouts, 0);
    bench.run(200);
    assert.equal(letters(bench), "AP");
  });

  it("is measured from the probe to its answer; a time-out is no sample", async () => {
    const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 0", ALL);
    bench.behaviours.set("192.0.2.1:5060", 200);
    bench.answerMs = 30;
    bench.run(3 * PING_INTERVAL_MS - 100);
    const { latency } = bench.bench.at(0);
    assert.equal(latency.samples, 3);
    assert.ok(Math.abs(latency.average - 30) <= 10, String(latency.average));
    bench.behaviours.clear();
    bench.run(PING_INTERVAL_MS + PING_TIMEOUT_MS);
    assert.deepEqual([latency.samples, latency.timeouts], [3, 1]);
    const silent = await DispatchProbeBench.started("1 sip:192.0.2.1 0", ALL, { isMeasured: false });
    silent.behaviours.set("192.0.2.1:5060", 200);
    silent.run(PING_INTERVAL_MS);
    assert.equal(silent.bench.at(0).latency.samples, 0);
  });

  it("says nothing of a destination that a reload took away meanwhile", async () => {
    const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 0", ALL);
    bench.behaviours.set("192.0.2.1:5060", 503);
    bench.answerMs = 500;
    bench.run(100);
    const gone = bench.bench.at(0);
    bench.bench.load("1 sip:192.0.2.2 0");
    bench.prober.setsChanged();
    bench.run(1_000);
    assert.equal(printFlags(gone.flags), "AX");
    assert.equal(bench.line.counters.ignored_stale, 1);
    assert.equal(bench.line.underWay, 0);
  });
});

describe("the dispatcher's prober", () => {
  it("keeps turns over reloads, adds new destinations between them, and forgets the others", async () => {
    const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 0\n1 sip:192.0.2.2 0", ALL);
    bench.run(PING_INTERVAL_MS - 10);
    const before = bench.probes.map(({ atMs }) => atMs);
    bench.bench.load("1 sip:192.0.2.1 0\n1 sip:192.0.2.2 0\n2 sip:192.0.2.3 0");
    bench.prober.setsChanged();
    bench.run(PING_INTERVAL_MS);
    assert.deepEqual(bench.asked.slice(2).sort(), ["sip:192.0.2.1", "sip:192.0.2.2", "sip:192.0.2.3"]);
    for (const atMs of before) assert.ok(bench.probes.some((probe) => Math.abs(probe.atMs - atMs - PING_INTERVAL_MS) <= TICK_MS));
    bench.bench.load("2 sip:192.0.2.3 0");
    bench.prober.setsChanged();
    bench.run(PING_INTERVAL_MS);
    assert.deepEqual(bench.asked.slice(5), ["sip:192.0.2.3"]);
  });

  it("asks two destinations with one URI each for itself (K#2527)", async () => {
    const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 8\n2 sip:192.0.2.1 0", { probingMode: 3 });
    bench.run(PING_INTERVAL_MS + PING_TIMEOUT_MS);
    assert.deepEqual([letters(bench, 1), letters(bench, 2)], ["IP", "AX"]);
  });

  it("says once that nothing of ours reaches a destination", async () => {
    const bench = await DispatchProbeBench.started("3 sip:[2001:db8::1] 0", ALL);
    bench.run(3 * PING_INTERVAL_MS);
    assert.deepEqual(bench.logged, [
      "Cannot probe destination <sip:[2001:db8::1]> of dispatcher set 3: want a listener of its transport and address family",
    ]);
    assert.equal(letters(bench, 3), "AX");
  });

  it("takes over another interval and method while it runs", async () => {
    const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 0", ALL);
    bench.behaviours.set("192.0.2.1:5060", 200);
    bench.run(PING_INTERVAL_MS - 100);
    const settings = { intervalMs: 1_000, jitter: 0, from: "sip:other@localhost", timeoutMs: 500, isMeasured: false };
    bench.prober.use({ ...settings, method: "INFO" });
    bench.run(4_900);
    assert.deepEqual(
      bench.probes.map(({ text }) => text.split(" ", 1)[0]),
      ["OPTIONS", "INFO", "INFO", "INFO", "INFO", "INFO"],
    );
    bench.prober.use({ ...settings, method: "NOTIFY" });
    bench.run(1_000);
    assert.match(bench.probes.at(-1)!.text, /^NOTIFY /);
    assert.equal(bench.probes.length, 7);
  });

  it("does not begin when it is stopped, and begins once when it is told of other settings, while its sockets are being opened", async () => {
    const stopped = new DispatchProbeBench("1 sip:192.0.2.1 0", ALL);
    const stopping = stopped.prober.start();
    stopped.prober.stop();
    await stopping;
    stopped.run(3 * PING_INTERVAL_MS);
    assert.equal(stopped.sent.length, 0);
    const told = new DispatchProbeBench("1 sip:192.0.2.1 0", ALL);
    const starting = told.prober.start();
    told.prober.use({
      intervalMs: PING_INTERVAL_MS,
      jitter: 0,
      method: "INFO",
      from: "sip:a@localhost",
      timeoutMs: 500,
      isMeasured: false,
    });
    told.prober.setsChanged();
    await starting;
    told.run(3 * PING_INTERVAL_MS - 10);
    assert.deepEqual(
      told.probes.map(({ text }) => text.split(" ", 1)[0]),
      ["INFO", "INFO", "INFO"],
    );
    told.prober.stop();
    told.run(3 * PING_INTERVAL_MS);
    assert.equal(told.probes.length, 3);
  });

  it("leaves no probe and no timer behind", async () => {
    const bench = await DispatchProbeBench.started("1 sip:192.0.2.1 0\n1 sip:192.0.2.2 0", ALL);
    bench.run(PING_INTERVAL_MS / 2 + 100);
    bench.prober.stop();
    const count = bench.sent.length;
    bench.run(5 * PING_INTERVAL_MS);
    assert.equal(bench.sent.length, count);
    assert.equal(bench.line.underWay, 0);
    assert.deepEqual(bench.faults, []);
  });
});
