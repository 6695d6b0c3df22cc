/** What metrics cost a message, a call and a scrape: `node test/observability/cost-bench.ts`. Prints times; no test, as they depend on the machine. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Histogram, Registry, Counter as WireCounter } from "prom-client";
import { Balancer, CallLoad, DecisionTally, parseResources } from "../../src/balancer/index.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { CallMeasures, DelayTally } from "../../src/proxy/index.ts";
import { parseMessage } from "../../src/sip/index.ts";
import { MessageTally } from "../../src/transport/message-tally.ts";
import { request, responseTo } from "../support/sip-messages.ts";

const ROUNDS = 1_000_000;
const SCRAPES = 20;

function measure(name: string, run: (i: number) => unknown): void {
  for (let i = 0; i < 100_000; i++) run(i);
  const began = performance.now();
  for (let i = 0; i < ROUNDS; i++) run(i);
  process.stdout.write(`${name.padEnd(60)} ${(((performance.now() - began) * 1e6) / ROUNDS).toFixed(1).padStart(9)} ns\n`);
}

const texts = ["INVITE", "ACK", "BYE", "OPTIONS", "REFER"].map((method) => request({ method }));
const replies = [200, 180, 100].map((code) =>
  responseTo(texts[0]!, code, { headers: ["Server: a switch", "Allow: INVITE, ACK, BYE, CANCEL"] }),
);
const tally = new MessageTally();
measure("counting a request", (i) => tally.count(texts[i % texts.length]!, "udp"));
measure("counting a response", (i) => tally.count(replies[i % replies.length]!, "udp"));
const decisions = new DecisionTally();
measure("counting a decision, 20 groups", (i) => decisions.count(i % 20, 1));
const delays = new DelayTally([5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000]);
measure("observing a delay", (i) => delays.observe(i % 12_000));
const registers = [new Registry()];
const wire = new WireCounter({ name: "a_total", help: "a", labelNames: ["transport", "method"], registers });
measure("for comparison: a counter of prom-client with two labels", () => wire.inc({ transport: "udp", method: "INVITE" }));
const child = wire.labels("udp", "BYE");
measure("for comparison: the same, bound to its labels", () => child.inc());
const histogram = new Histogram({ name: "b_seconds", help: "b", registers });
measure("for comparison: a histogram of prom-client", (i) => histogram.observe((i % 12_000) / 1_000));
measure("for comparison: parsing an INVITE", () => parseMessage(texts[0]!));

for (const rows of [10, 1_000, 10_000]) {
  const balancer = new Balancer({ below: () => 0 });
  balancer.replaceTable(
    Array.from({ length: rows }, (_, id) => ({
      ...{
        id,
        group: id % 20,
        uri: `sip:destination${id}.example.com:5060`,
        resources: parseResources("pstn=50;fax=10"),
        probeMode: 0 as const,
      },
      ...{ attrs: undefined, description: undefined, addresses: [{ ip: "192.0.2.1", port: 5060, transport: "udp" as const }] },
    })),
  );
  for (let group = 0; group < 20; group++) balancer.start(new CallLoad(), group, "pstn");
  let nowMs = 0;
  const metrics = new Metrics({
    ...{
      version: "1.2.3",
      startedAtMs: 0,
      balancer,
      calls: new CallMeasures(),
      lag: delays,
      loopDelays: () => undefined,
      received: () => tally.read(),
      sent: () => [],
    },
    ...{ statistics: () => ({}), isGauge: () => false, probes: () => [], freeswitches: () => [] },
    ...{ breakers: () => [], drainOf: () => undefined, sets: () => [], lists: () => [] },
    ...{ nowMs: () => nowMs, fault: (error: unknown) => process.stderr.write(`${error}\n`) },
  });
  let characters = 0;
  await sleep(20);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const began = performance.now();
  for (let i = 0; i < SCRAPES; i++) {
    nowMs += 1_000;
    characters = (await metrics.page()).length;
  }
  const ms = (performance.now() - began) / SCRAPES;
  const readAtMs = performance.now();
  for (let i = 0; i < SCRAPES; i++) metrics.families();
  const readMs = (performance.now() - readAtMs) / SCRAPES;
  delay.disable();
  const heldUpMs = delay.max / 1e6;
  process.stdout.write(
    `a scrape of ${rows} destinations: ${ms.toFixed(1)} ms, ${readMs.toFixed(1)} ms of it in one go, ${Math.round(characters / 1_024)} KiB, holds others up for ${heldUpMs.toFixed(1)} ms at most\n`,
  );
}
