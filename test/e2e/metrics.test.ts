import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { readMetrics, type ScrapedMetrics } from "../support/metrics.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.29.15";
const CALLER = "127.0.29.151";
const CALLEE = "127.0.29.152";

async function scrape(headroom: Headroom): Promise<ScrapedMetrics> {
  const response = await fetch(new URL("/metrics", headroom.miUrl), { signal: AbortSignal.timeout(5_000) });
  assert.equal(response.status, 200);
  return readMetrics(await response.text());
}

describe("metrics of the running program", () => {
  it("move with a call, and with its end", async () => {
    const caller = await UdpPeer.open(CALLER);
    const callee = await UdpPeer.open(CALLEE);
    const headroom = await startHeadroom("", [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }], ADDRESS);
    try {
      const load = `headroom_load{group="1",destination="1",uri="sip:${callee.sentBy}",resource="pstn"}`;
      const before = await scrape(headroom);
      assert.deepEqual([before.values.get(load), before.values.get("headroom_call_setup_seconds_count")], [0, 0]);

      const call = await establish(headroom, caller, callee);
      await waitFor("the metrics tell of the call", 5_000, async () => (await scrape(headroom)).values.get(load) === 1);
      const { values } = await scrape(headroom);
      const seen = [
        'headroom_decisions_total{group="1",code="selected"}',
        'headroom_calls{state="active"}',
        "headroom_calls_total",
        "headroom_post_dial_delay_seconds_count",
        "headroom_call_setup_seconds_count",
        'headroom_requests_total{direction="received",transport="udp",method="INVITE"}',
        'headroom_responses_total{direction="received",transport="udp",method="INVITE",code="180"}',
        'headroom_responses_total{direction="sent",transport="udp",method="INVITE",code="100"}',
        'headroom_responses_total{direction="sent",transport="udp",method="INVITE",code="200"}',
      ];
      for (const series of seen) assert.ok((values.get(series) ?? 0) >= 1, `${series} is ${values.get(series)}`);
      assert.equal(values.get("headroom_call_setup_seconds_count"), 1);

      caller.send(call.fromCaller("BYE", 2), headroom);
      await waitFor("the call has ended", 5_000, async () => (await scrape(headroom)).values.get(load) === 0);
    } finally {
      await headroom.stop();
      await caller.close();
      await callee.close();
    }
  });
});
