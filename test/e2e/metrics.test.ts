import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FreeswitchFarm, PLAIN_FORMULA } from "../support/freeswitch-farm.ts";
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

  it("tell what connected FreeSWITCHes say, and that one of them is gone", async () => {
    const farm = await FreeswitchFarm.start(2, PLAIN_FORMULA);
    try {
      await farm.untilConnected();
      const [first, second] = farm.media;
      assert.ok(first !== undefined && second !== undefined);
      Object.assign(first.esl.figures, { maxSessions: 200, idleCpu: 75, sessions: 40 });
      await farm.beat();
      const servers = (await farm.freeswitches()).map(({ url }) => String(url));
      const of = async (name: string): Promise<(number | undefined)[]> => {
        const { values } = await scrape(farm.headroom);
        return servers.map((server) => values.get(`headroom_freeswitch_${name}{server="${server}"}`));
      };
      // The text of metrics may be half a second old.
      await waitFor("the metrics tell of the heartbeats", 5_000, async () => (await of("sessions"))[0] === 40);
      assert.deepEqual(await of("up"), [1, 1]);
      assert.deepEqual(await of("max_sessions"), [200, 1000]);
      assert.deepEqual(await of("idle_cpu_ratio"), [0.75, 1]);
      assert.deepEqual(await of("withdrawn"), [0, 0]);
      const ages = await of("heartbeat_age_seconds");
      assert.ok(
        ages.every((age) => age !== undefined && age >= 0 && age < 10),
        String(ages),
      );
      const maxLoad = `headroom_max_load{group="1",destination="1",uri="${first.sip.uri}",resource="calls"}`;
      const foreign = maxLoad.replace("max_load", "foreign_load");
      const { values } = await scrape(farm.headroom);
      assert.deepEqual([values.get(maxLoad), values.get(foreign)], [120, 0]);
      assert.doesNotMatch(servers.join(" "), /ClueCon/);

      await second.esl.stop();
      await waitFor("the metrics tell of the loss", 5_000, async () => (await of("up"))[1] === 0);
    } finally {
      await farm.stop();
    }
  });
});
