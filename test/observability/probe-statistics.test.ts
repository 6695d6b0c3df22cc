import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProbeFigures } from "../../src/health/index.ts";
import { isGauge, selectStatistics } from "../../src/management/statistics.ts";
import { MAX_LATENCY_DESTINATIONS, probeStatistics } from "../../src/observability/probe-statistics.ts";
import { fakePorts } from "../management/fake-ports.ts";

function figures(id: number): ProbeFigures {
  const latency = { last: 1.5, average: 2.0004, ewma: 2.1, max: 30, samples: 4, timeouts: 2 };
  const uri = `sip:192.0.2.${id}`;
  const common = {
    id,
    group: 1,
    uri,
    probeMode: 2,
    enabled: true,
    probed: true,
    sent: 6,
    lastStatus: 200,
    lastAtMs: 0,
    streak: 0,
  } as const;
  return { ...common, latency, capacityShare: 1 };
}

describe("statistics of probing", () => {
  it("are the counters, and the latency of each destination in microseconds", () => {
    assert.deepEqual(probeStatistics({ counters: { sent: 6 }, figures: () => [figures(7)] }), {
      sent: 6,
      latency_last_7: 1_500,
      latency_average_7: 2_000,
      latency_ewma_7: 2_100,
      latency_max_7: 30_000,
      timeouts_7: 2,
    });
  });

  it("have the latency of a bounded number of destinations", () => {
    const all = Array.from({ length: MAX_LATENCY_DESTINATIONS + 5 }, (_, i) => figures(i + 1));
    assert.equal(Object.keys(probeStatistics({ counters: {}, figures: () => all })).length, MAX_LATENCY_DESTINATIONS * 5);
  });

  it("tell latency as a current value, and everything else as a count", () => {
    const statistics = probeStatistics({ counters: { sent: 6 }, figures: () => [figures(7)] });
    const ports = fakePorts({ statistics: () => ({ probing: statistics }) });
    const gauges = selectStatistics(ports, ["probing:"]).filter((statistic) => isGauge(ports, statistic));
    assert.deepEqual(
      gauges.map(({ name }) => name),
      ["latency_last_7", "latency_average_7", "latency_ewma_7", "latency_max_7"],
    );
  });
});
