import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Balancer, CallLoad, type DestinationRow } from "../../src/balancer/index.ts";
import { runMi } from "../../src/cli/mi.ts";
import { type BreakerFigures, CallOutcomes } from "../../src/health/index.ts";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { fakePorts, row } from "./fake-ports.ts";
import { call } from "./raw-http.ts";

let server: ManagementServer | undefined;
afterEach(() => server?.close());

const clock = new FakeClock(1_000_000);

/** Destinations 1 and 2, of which 2 may get two calls a second. */
const ROWS: readonly DestinationRow[] = [
  row(1, 1, "sip:127.0.0.21:5080", "transcoding=10;conference=5", "id=1"),
  row(2, 2, "sip:127.0.0.22:5080", "transcoding=20", "cps=2"),
];

async function start(breakers?: () => readonly BreakerFigures[]): Promise<Balancer> {
  const balancer = new Balancer({ below: () => 0, nowMs: clock.now });
  balancer.replaceTable(ROWS);
  const ports = { ...fakePorts(), balancer, ...(breakers && { breakers }) };
  server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
  return balancer;
}

async function listed(id: number): Promise<Record<string, unknown>> {
  const { Destinations } = (await call(server!.url, "lb_list")) as { Destinations: Record<string, unknown>[] };
  return Destinations.find((destination) => destination["id"] === id)!;
}

/** The status that `headroom mi lb_list` shows for destination 1. */
async function printedStatus(): Promise<string | undefined> {
  const lines: string[] = [];
  const output = { out: (line: string) => void lines.push(line), error: assert.fail };
  assert.equal(await runMi("lb_list", [], { url: server!.url, json: false }, output), 0);
  return /conference=\S+ +(.*?) +(?:on|off)\b/m.exec(lines.join("\n"))?.[1];
}

const PLAIN = {
  uri: "sip:127.0.0.21:5080",
  id: 1,
  group: 1,
  enabled: "yes",
  "auto-reenable": "on",
  Resources: [
    { name: "transcoding", max: 10, load: 0 },
    { name: "conference", max: 5, load: 0 },
  ],
  attrs: "id=1",
};

describe("what lb_list tells beyond OpenSIPS", () => {
  it("is nothing while there is nothing to say, nor after it is over", async () => {
    const balancer = await start();
    assert.equal(JSON.stringify(await listed(1)), JSON.stringify(PLAIN));
    balancer.setBreaker(1, "open");
    balancer.restUntil(1, clock.now() + 1_000);
    balancer.setCapacityFactor(1, 0.5);
    assert.notEqual(JSON.stringify(await listed(1)), JSON.stringify(PLAIN));
    clock.advance(1_000);
    balancer.setBreaker(1, "closed");
    balancer.setCapacityFactor(1, 1);
    assert.equal(JSON.stringify(await listed(1)), JSON.stringify(PLAIN));
  });

  it("is the breaker while it is not closed", async () => {
    const balancer = await start();
    balancer.setBreaker(1, "open");
    assert.deepEqual([await listed(1), await printedStatus()], [{ ...PLAIN, breaker: "open" }, "breaker open"]);
    balancer.setBreaker(1, { trials: 3 });
    assert.deepEqual([await listed(1), await printedStatus()], [{ ...PLAIN, breaker: "trials" }, "breaker trials"]);
  });

  it("is how many seconds a destination still rests, begun ones whole", async () => {
    const balancer = await start();
    balancer.restUntil(1, clock.now() + 12_000);
    assert.deepEqual([await listed(1), await printedStatus()], [{ ...PLAIN, resting: 12 }, "resting 12 s"]);
    clock.advance(11_001);
    assert.deepEqual(await listed(1), { ...PLAIN, resting: 1 });
    clock.advance(999);
    assert.deepEqual([await listed(1), await printedStatus()], [PLAIN, "enabled"]);
  });

  it("is the limit of calls a second, and whether it is reached", async () => {
    const balancer = await start();
    async function limit(): Promise<readonly unknown[]> {
      const { rate_limit, over_rate } = await listed(2);
      return [rate_limit, over_rate];
    }
    assert.deepEqual(await limit(), [2, "no"]);
    for (let i = 0; i < 2; i++) assert.equal(balancer.start(new CallLoad(), 2, "transcoding"), 1);
    assert.deepEqual(await limit(), [2, "yes"]);
    clock.advance(1_000);
    assert.deepEqual(await limit(), [2, "no"]);
  });

  it("is the real capacity and its open share during a slow start", async () => {
    const balancer = await start();
    balancer.setCapacityFactor(1, 0.25);
    assert.deepEqual(await listed(1), {
      ...PLAIN,
      Resources: [
        { name: "transcoding", max: 2, load: 0, capacity: 10 },
        { name: "conference", max: 1, load: 0, capacity: 5 },
      ],
      capacity_percent: 25,
    });
  });
});

describe("lb_breakers", () => {
  it("lists the breaker of each destination that had a call", async () => {
    let figures: () => readonly BreakerFigures[] = () => [];
    const balancer = await start(() => figures());
    const outcomes = new CallOutcomes({
      balancer,
      settings: { retryAfterMaxMs: 0, breaker: { windowMs: 10_000, minCalls: 3, failureRatio: 0.5, openMs: 5_000, trialCalls: 2 } },
      nowMs: clock.now,
      after: (ms, run) => clock.after(ms, run),
    });
    figures = () => outcomes.figures();
    assert.deepEqual(await call(server!.url, "lb_breakers"), { Breakers: [] });
    const [first, second] = balancer.destinations();
    outcomes.failed(second!, outcomes.begun(second!), "503", false, undefined);
    for (let i = 0; i < 3; i++) outcomes.failed(first!, outcomes.begun(first!), "timeout", false, undefined);
    const one = { id: 1, group: 1, uri: "sip:127.0.0.21:5080" };
    const two = {
      id: 2,
      group: 2,
      uri: "sip:127.0.0.22:5080",
      breaker: "closed",
      calls: 1,
      failures: 1,
      failure_percent: 100,
      trials_wanted: 0,
    };
    assert.deepEqual(await call(server!.url, "load_balancer:breakers"), {
      Breakers: [{ ...one, breaker: "open", calls: 3, failures: 3, failure_percent: 100, trials_wanted: 0 }, two],
    });
    clock.advance(5_000);
    const { Breakers } = (await call(server!.url, "lb_breakers")) as { Breakers: Record<string, unknown>[] };
    assert.deepEqual([Breakers[0]?.["breaker"], Breakers[0]?.["trials_wanted"]], ["trials", 2]);
    outcomes.stop();
  });
});
