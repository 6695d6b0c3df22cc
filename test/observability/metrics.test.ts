import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Balancer, CallLoad, type DestinationRow, MAX_COUNTED_GROUPS, parseResources } from "../../src/balancer/index.ts";
import type { ProbeFigures } from "../../src/health/index.ts";
import { isCurrentValue } from "../../src/management/index.ts";
import { MAX_METRIC_DESTINATIONS } from "../../src/observability/destination-metrics.ts";
import { Metrics, type MetricsSources, MIN_SCRAPE_INTERVAL_MS } from "../../src/observability/metrics.ts";
import { CallMeasures, DelayTally } from "../../src/proxy/index.ts";

function row(id: number, group: number, resources: string): DestinationRow {
  const addresses = [{ ip: "192.0.2.1", port: 5060, transport: "udp" }] as const;
  return {
    ...{ id, group, uri: `sip:d${id}.example`, resources: parseResources(resources), probeMode: 0 },
    ...{ attrs: undefined, description: undefined, addresses },
  };
}

/** A running balancer as metrics see it, with a clock that stands still. */
function farm(overrides: Partial<MetricsSources> = {}, rows = [row(1, 1, "pstn=2"), row(2, 1, "pstn=4;fax=1")]) {
  const balancer = new Balancer({ below: () => 0 });
  balancer.replaceTable(rows);
  const sources = {
    ...{ version: "1.2.3", startedAtMs: 1_700_000_000_000, balancer, calls: new CallMeasures(), lag: new DelayTally([10, 100]) },
    loopDelays: () => undefined,
    ...{ received: () => [], sent: () => [], statistics: () => ({}), isGauge: isCurrentValue, probes: () => [], freeswitches: () => [] },
    ...{ breakers: () => [], drainOf: () => undefined, sets: () => [], lists: () => [] },
    ...{ nowMs: () => 0, fault: assert.ifError },
    ...overrides,
  };
  const metrics = new Metrics(sources);
  return { balancer, sources, metrics, text: () => textOf(metrics) };
}

async function textOf(metrics: Metrics): Promise<string> {
  return (await metrics.page()).toString();
}

/** The lines of one metric, without its HELP and TYPE. */
function linesOf(text: string, name: string): string[] {
  return text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

describe("the metrics of destinations", () => {
  it("tell load, capacity and state of each", async () => {
    const { balancer, metrics } = farm();
    const call = new CallLoad();
    call.opened = true;
    balancer.start(call, 1, "pstn");
    balancer.setStatus(1, false, "mi");
    const text = await textOf(metrics);
    assert.deepEqual(linesOf(text, "headroom_load"), [
      'headroom_load{group="1",destination="1",uri="sip:d1.example",resource="pstn"} 0',
      'headroom_load{group="1",destination="2",uri="sip:d2.example",resource="pstn"} 1',
      'headroom_load{group="1",destination="2",uri="sip:d2.example",resource="fax"} 0',
    ]);
    assert.deepEqual(linesOf(text, "headroom_destination_up"), [
      'headroom_destination_up{group="1",destination="1",uri="sip:d1.example"} 0',
      'headroom_destination_up{group="1",destination="2",uri="sip:d2.example"} 1',
    ]);
    assert.deepEqual(linesOf(text, "headroom_destinations_up"), ["headroom_destinations_up 1"]);
  });

  it("tell what is left of each drain, and until when", async () => {
    const { balancer, metrics } = farm({
      drainOf: ({ id }) => (id === 1 ? { load: 3, deadlineMs: 1_700_000_060_000 } : { load: 7, deadlineMs: 0 }),
    });
    balancer.setDraining(1, true);
    const text = await textOf(metrics);
    const labels = '{group="1",destination="1",uri="sip:d1.example"}';
    assert.deepEqual(linesOf(text, "headroom_drain_calls"), [`headroom_drain_calls${labels} 3`]);
    const deadline = "headroom_drain_deadline_timestamp_seconds";
    assert.deepEqual(linesOf(text, deadline), [`${deadline}${labels} 1700000060`]);
    balancer.setDraining(2, true);
    const drains = await farm({ balancer, drainOf: () => ({ load: 7, deadlineMs: 0 }) }).text();
    assert.equal(linesOf(drains, "headroom_drain_calls").length, 2);
    assert.deepEqual(linesOf(drains, deadline), []);
  });

  it("tell what breakers go by", async () => {
    const breakers = () => [{ id: 1, group: 1, uri: "sip:d1.example", phase: "open" as const, calls: 9, failures: 5, trialsWanted: 0 }];
    const text = await farm({ breakers }).text();
    const labels = '{group="1",destination="1",uri="sip:d1.example"}';
    assert.deepEqual(linesOf(text, "headroom_breaker_window_calls"), [`headroom_breaker_window_calls${labels} 9`]);
    assert.deepEqual(linesOf(text, "headroom_breaker_window_failures"), [`headroom_breaker_window_failures${labels} 5`]);
  });

  it("are bounded: those behind the last are told together", async () => {
    const rows = Array.from({ length: MAX_METRIC_DESTINATIONS + 3 }, (_, id) => row(id, 1, "pstn=5"));
    const text = await farm({}, rows).text();
    const lines = linesOf(text, "headroom_max_load");
    assert.equal(lines.length, MAX_METRIC_DESTINATIONS + 1);
    assert.equal(lines.at(-1), 'headroom_max_load{group="other",destination="other",uri="",resource="other"} 15');
    assert.deepEqual(linesOf(text, "headroom_destinations_up"), [`headroom_destinations_up ${rows.length}`]);
  });

  it("escape what a URI may hold", async () => {
    const rows = [{ ...row(1, 1, "pstn=1"), uri: 'sip:"a\\b"@d.example' }];
    assert.deepEqual(linesOf(await farm({}, rows).text(), "headroom_destination_up"), [
      'headroom_destination_up{group="1",destination="1",uri="sip:\\"a\\\\b\\"@d.example"} 1',
    ]);
  });

  it("tell latency once there was an answer, in seconds", async () => {
    const latency = { last: 0, average: 0, ewma: 0, max: 0, samples: 0, timeouts: 3 };
    const figures = {
      group: 1,
      probeMode: 2,
      enabled: true,
      probed: true,
      sent: 4,
      lastStatus: 0,
      lastAtMs: 0,
      streak: 0,
      capacityShare: 1,
    };
    const probes: ProbeFigures[] = [
      { ...figures, id: 1, uri: "sip:a", latency } as ProbeFigures,
      { ...figures, id: 2, uri: "sip:b", latency: { ...latency, ewma: 12.5, samples: 1 } } as ProbeFigures,
    ];
    const text = await farm({ probes: () => probes }).text();
    assert.deepEqual(linesOf(text, "headroom_probe_latency_seconds"), [
      'headroom_probe_latency_seconds{group="1",destination="2",uri="sip:b"} 0.0125',
    ]);
    assert.equal(linesOf(text, "headroom_probe_timeouts_total").length, 2);
  });
});

describe("the metrics of decisions", () => {
  it("are counted by group and code, zeros too", async () => {
    const { balancer, metrics } = farm();
    for (let call = 0; call < 8; call++) balancer.start(new CallLoad(), 1, "pstn");
    balancer.start(new CallLoad(), 1, "nosuch");
    const again = new CallLoad();
    balancer.start(again, 9, "pstn");
    balancer.next(again);
    assert.deepEqual(
      linesOf(await textOf(metrics), "headroom_decisions_total").map((line) => line.slice("headroom_decisions_total".length)),
      [
        ...['{group="1",code="selected"} 6', '{group="1",code="error"} 0', '{group="1",code="no_capacity"} 2'],
        ...['{group="1",code="no_destination"} 0', '{group="1",code="bad_resource"} 1'],
        ...['{group="9",code="selected"} 0', '{group="9",code="error"} 0', '{group="9",code="no_capacity"} 0'],
        ...['{group="9",code="no_destination"} 2', '{group="9",code="bad_resource"} 0'],
      ],
    );
  });

  it("are bounded: groups without end are counted together", async () => {
    const { balancer, metrics } = farm();
    for (let group = 1; group <= MAX_COUNTED_GROUPS + 7; group++) balancer.start(new CallLoad(), group, "nosuch");
    const lines = linesOf(await textOf(metrics), "headroom_decisions_total");
    assert.equal(lines.length, (MAX_COUNTED_GROUPS + 1) * 5);
    assert.ok(lines.includes('headroom_decisions_total{group="other",code="bad_resource"} 7'));
  });
});

describe("the metrics of calls", () => {
  it("are histograms in seconds, cumulative, with sum and count", async () => {
    const { sources, metrics } = farm();
    for (const ms of [10, 10.5, 5_000]) sources.lag.observe(ms);
    assert.deepEqual(
      (await textOf(metrics)).split("\n").filter((line) => line.startsWith("headroom_event_loop_lag_seconds")),
      [
        ...['headroom_event_loop_lag_seconds_bucket{le="0.01"} 1', 'headroom_event_loop_lag_seconds_bucket{le="0.1"} 2'],
        ...['headroom_event_loop_lag_seconds_bucket{le="+Inf"} 3', "headroom_event_loop_lag_seconds_sum 5.0205"],
        "headroom_event_loop_lag_seconds_count 3",
      ],
    );
  });

  it("tell the delays of the event loop once there was an interval, in seconds", async () => {
    assert.deepEqual(linesOf(await farm().text(), "headroom_event_loop_delay_seconds"), []);
    const { text } = farm({ loopDelays: () => ({ p50Ms: 0.5, p99Ms: 12, maxMs: 20 }) });
    assert.deepEqual(linesOf(await text(), "headroom_event_loop_delay_seconds"), [
      'headroom_event_loop_delay_seconds{stat="p50"} 0.0005',
      'headroom_event_loop_delay_seconds{stat="p99"} 0.012',
      'headroom_event_loop_delay_seconds{stat="max"} 0.02',
    ]);
  });

  it("tell messages by transport, and by method or code", async () => {
    const { metrics } = farm({
      received: () => [{ transport: "udp", method: "INVITE", count: 3 }],
      sent: () => [{ transport: "tls", method: "INVITE", code: 486, count: 2 }],
    });
    const text = await textOf(metrics);
    assert.deepEqual(linesOf(text, "headroom_requests_total"), [
      'headroom_requests_total{direction="received",transport="udp",method="INVITE"} 3',
    ]);
    assert.deepEqual(linesOf(text, "headroom_responses_total"), [
      'headroom_responses_total{direction="sent",transport="tls",method="INVITE",code="486"} 2',
    ]);
  });

  it("tell why calls went on to another destination", async () => {
    const { sources, metrics } = farm();
    sources.calls.failedOver("transport-error");
    sources.calls.failedOver(undefined);
    assert.deepEqual(
      linesOf(await textOf(metrics), "headroom_failovers_total").filter((line) => !line.endsWith(" 0")),
      ['headroom_failovers_total{cause="transport_error"} 1'],
    );
  });
});

describe("the metrics of statistics", () => {
  const { metrics } = farm({
    statistics: () => ({
      core: { fwd_requests: 7, drop_requests: 2, timestamp: 60, malformed_bad_via: 1, bad_msg_hdr: 1 },
      tm: { "2xx_transactions": 5, UAS_transactions: 6, inuse_transactions: 1 },
      dialog: { active_dialogs: 3, early_dialogs: 1 },
      overload: { lag_ms: 250, utilization_percent: 50, banned_requests: 9 },
      health: { calls_alive: 8, failures_503: 2, breaker_openings: 1, drains_ended: 3 },
      dispatcher: { destinations: 5, active: 4, disabled: 1 },
      management: { requests: 6, unauthorized: 2, changes_done: 1 },
      probing: { sent: 4, latency_last_17: 1_000, timeouts_17: 1, timeouts: 2 },
    }),
  });

  it("have names of their own in units of Prometheus, counters with _total", async () => {
    const text = await textOf(metrics);
    assert.match(text, /^# TYPE headroom_core_fwd_requests_total counter\nheadroom_core_fwd_requests_total 7$/m);
    assert.match(text, /^# TYPE headroom_overload_lag_seconds gauge\nheadroom_overload_lag_seconds 0.25$/m);
    assert.match(text, /^headroom_overload_utilization_ratio 0.5$/m);
    assert.match(text, /^headroom_tm_2xx_transactions_total 5$/m);
  });

  it("or are one metric with labels, where several are one thing", async () => {
    const text = await textOf(metrics);
    assert.deepEqual(linesOf(text, "headroom_calls").sort(), ['headroom_calls{state="active"} 3', 'headroom_calls{state="early"} 1']);
    assert.deepEqual(linesOf(text, "headroom_drops_total").sort(), [
      'headroom_drops_total{reason="banned_requests"} 9',
      'headroom_drops_total{reason="drop_requests"} 2',
      'headroom_drops_total{reason="malformed_bad_via"} 1',
    ]);
    for (const line of [
      'headroom_call_outcomes_total{outcome="alive"} 8',
      'headroom_call_outcomes_total{outcome="503"} 2',
      'headroom_breaker_changes_total{change="opened"} 1',
      'headroom_drains_total{event="ended"} 3',
      'headroom_dispatcher_destinations{state="active"} 4',
      'headroom_dispatcher_destinations{state="disabled"} 1',
      'headroom_management_refusals_total{reason="unauthorized"} 2',
      'headroom_management_changes_total{outcome="done"} 1',
      "headroom_management_requests_total 6",
    ]) {
      assert.ok(text.split("\n").includes(line), line);
    }
  });

  it("leave out what there is of each destination, which has no bound", async () => {
    const text = await textOf(metrics);
    assert.doesNotMatch(text, /_17\b/);
    assert.match(text, /^headroom_probing_timeouts_total 2$/m);
  });
});

describe("a text of metrics", () => {
  it("is given out again for a while: whoever asks without end costs nothing", async () => {
    let nowMs = 0;
    let reads = 0;
    const { metrics } = farm({
      nowMs: () => nowMs,
      statistics: () => {
        reads++;
        return {};
      },
    });
    await Promise.all([textOf(metrics), textOf(metrics)]);
    nowMs = MIN_SCRAPE_INTERVAL_MS - 1;
    await textOf(metrics);
    assert.equal(reads, 1);
    nowMs = MIN_SCRAPE_INTERVAL_MS;
    await textOf(metrics);
    assert.equal(reads, 2);
  });

  it("is made once, however long that takes and whoever asks meanwhile, and lets others have their turn", async () => {
    let nowMs = 0;
    const rows = Array.from({ length: MAX_METRIC_DESTINATIONS }, (_, id) => row(id, 1, "a=1;b=1;c=1"));
    const { metrics, balancer } = farm({ nowMs: () => nowMs }, rows);
    const first = metrics.page();
    let turns = 0;
    while (turns < 20) {
      await setImmediate();
      turns++;
      nowMs += MIN_SCRAPE_INTERVAL_MS;
      assert.equal(metrics.page(), first);
    }
    balancer.replaceTable([row(7, 1, "a=9")]);
    const text = (await first).toString();
    assert.doesNotMatch(text, /headroom_max_load.* 9$/m, "a destination that came meanwhile");
    assert.match(text, /headroom_load\{group="1",destination="0"/);
    assert.deepEqual(linesOf(text, "headroom_destination_rate_limited"), [], "destinations that went meanwhile");
    assert.notEqual(metrics.page(), first);
  });

  it("has each metric once, with its help and its type", async () => {
    const names = (await farm().text()).match(/^# TYPE \S+/gm) ?? [];
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.length > 20);
  });
});
