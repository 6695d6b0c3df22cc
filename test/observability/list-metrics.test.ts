import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Distributor } from "../../src/distributor/index.ts";
import { MAX_METRIC_DESTINATIONS } from "../../src/observability/destination-metrics.ts";
import { dispatcherMetrics, distributorMetrics, MAX_METRIC_NODES } from "../../src/observability/list-metrics.ts";
import { type MetricFamily, printFamilies } from "../../src/observability/metric-family.ts";
import { Bench } from "../dispatch/support.ts";

/** The lines of one metric, without its HELP and TYPE. */
async function linesOf(families: readonly MetricFamily[], name: string): Promise<string[]> {
  return (await printFamilies(families))
    .toString()
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`));
}

describe("the metrics of the dispatcher", () => {
  const { dispatcher } = new Bench(`
1 sip:192.0.2.1 0 9 maxload=30
1 sip:192.0.2.2 1 8
1 sip:192.0.2.2 4 7
2 sip:192.0.2.3 2 0 duid=east;latency=20`);
  const families = dispatcherMetrics(dispatcher.sets);

  it("tell of each destination whether it gets requests, also of two with one URI", async () => {
    assert.deepEqual(await linesOf(families, "headroom_dispatcher_destination_up"), [
      'headroom_dispatcher_destination_up{set="1",destination="1/sip:192.0.2.1/0",uri="sip:192.0.2.1"} 1',
      'headroom_dispatcher_destination_up{set="1",destination="1/sip:192.0.2.2/0",uri="sip:192.0.2.2"} 0',
      'headroom_dispatcher_destination_up{set="1",destination="1/sip:192.0.2.2/1",uri="sip:192.0.2.2"} 0',
      'headroom_dispatcher_destination_up{set="2",destination="2#east",uri="sip:192.0.2.3"} 1',
    ]);
    const disabled = await linesOf(families, "headroom_dispatcher_destination_disabled");
    assert.deepEqual(
      disabled.map((line) => line.at(-1)),
      ["0", "0", "1", "0"],
    );
  });

  it("leave out a capacity that nobody has written, and a latency that nobody has measured", async () => {
    assert.deepEqual(await linesOf(families, "headroom_dispatcher_max_load"), [
      'headroom_dispatcher_max_load{set="1",destination="1/sip:192.0.2.1/0",uri="sip:192.0.2.1"} 30',
    ]);
    assert.deepEqual(await linesOf(families, "headroom_dispatcher_latency_seconds"), [
      'headroom_dispatcher_latency_seconds{set="2",destination="2#east",uri="sip:192.0.2.3"} 0.02',
    ]);
  });

  it("are bounded, however many sets there are", async () => {
    const lines = Array.from({ length: MAX_METRIC_DESTINATIONS + 9 }, (_, i) => `${i % 3} sip:a${i}.example`);
    const many = dispatcherMetrics(new Bench(lines.join("\n")).dispatcher.sets);
    assert.equal((await linesOf(many, "headroom_dispatcher_load")).length, MAX_METRIC_DESTINATIONS);
  });
});

describe("the metrics of the distributor", () => {
  const usable = { isUsable: () => true };

  it("tell a node once that stands in its list several times", async () => {
    const nodes = [
      { name: "gw1", weight: 2 },
      { name: "gw1", weight: 5 },
    ];
    const families = distributorMetrics(new Distributor(usable, [{ name: "out", nodes }]).lists);
    assert.deepEqual(await linesOf(families, "headroom_distributor_node_weight"), [
      'headroom_distributor_node_weight{list="out",node="gw1"} 7',
    ]);
  });

  it("tell the weight of each node, and how often it was chosen", async () => {
    const nodes = [
      { name: "gw1", weight: 2 },
      { name: "gw2", weight: 1 },
    ];
    const distributor = new Distributor(usable, [{ name: "out", nodes }]);
    for (let call = 0; call < 6; call++) distributor.next("out");
    const families = distributorMetrics(distributor.lists);
    assert.deepEqual(await linesOf(families, "headroom_distributor_node_weight"), [
      'headroom_distributor_node_weight{list="out",node="gw1"} 2',
      'headroom_distributor_node_weight{list="out",node="gw2"} 1',
    ]);
    assert.deepEqual(await linesOf(families, "headroom_distributor_node_picks_total"), [
      'headroom_distributor_node_picks_total{list="out",node="gw1"} 4',
      'headroom_distributor_node_picks_total{list="out",node="gw2"} 2',
    ]);
  });

  it("are bounded, however many lists there are", async () => {
    const nodes = Array.from({ length: 300 }, (_, i) => ({ name: `gw${i}`, weight: 1 }));
    const { lists } = new Distributor(
      usable,
      ["a", "b", "c", "d"].map((name) => ({ name, nodes })),
    );
    assert.equal((await linesOf(distributorMetrics(lists), "headroom_distributor_node_weight")).length, MAX_METRIC_NODES);
  });
});
