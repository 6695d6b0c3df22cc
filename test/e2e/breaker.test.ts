import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CONFIG = `
routing: { rules: [{ group: 1, resources: pstn, failover_on: [timeout, transport, "503"], disable_on: [], failover_budget: 20 }] }
health:
  retry_after_max: 60
  breaker: { window: 30, min_calls: 3, failure_ratio: 0.5, open_for: 3, trial_calls: 1 }
`;

describe("breaker and Retry-After in the running program", () => {
  let headroom: Headroom;
  let caller: UdpPeer;
  let sound: UdpPeer;
  let busy: UdpPeer;

  before(async () => {
    caller = await UdpPeer.open("127.0.0.1");
    sound = await UdpPeer.open("127.0.0.1");
    busy = await UdpPeer.open("127.0.0.1");
    headroom = await startHeadroom(CONFIG);
  });
  after(async () => {
    for (const peer of [caller, sound, busy]) await peer.close();
    await headroom.stop();
  });

  /** A call that ends at the sound destination with 486: the caller is told so, whatever was tried before. */
  async function call(): Promise<void> {
    const callId = unique("call");
    caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy, callId }), headroom);
    const invite = await sound.next("INVITE", (text) => text.startsWith("INVITE ") && text.includes(callId));
    sound.send(responseTo(invite, 486, { toTag: "sound" }), headroom);
    const final = await caller.next("486", (text) => text.includes(callId) && statusOf(text) >= 300);
    assert.equal(statusOf(final), 486);
  }

  /** The statistic, since the start. */
  async function statistic(name: string): Promise<number> {
    const values = (await headroom.mi("get_statistics", { statistics: [name] })) as Record<string, number>;
    return values[name] ?? Number.NaN;
  }

  it("a destination that nobody listens at fails no call, and gets none once its breaker is open; trials go on", async () => {
    const dead = await freeUdpPort("127.0.0.1");
    await headroom.replaceRows([
      { uri: `sip:127.0.0.1:${dead}`, resources: "pstn=90" },
      { uri: `sip:${sound.sentBy}`, resources: "pstn=10" },
    ]);
    for (let i = 0; i < 3; i++) await call();
    assert.equal(await statistic("health:failures_transport"), 3);
    assert.equal(await statistic("health:breakers_open"), 1);
    await headroom.untilLogged(/breaker of destination 1 <sip:127\.0\.0\.1:\d+> opened: 3 of its last 3 calls failed/);
    const failovers = await statistic("tm:failovers");
    await call();
    assert.equal(await statistic("tm:failovers"), failovers, "it was not even tried");
    await waitFor("trial calls", 10_000, async () => (await statistic("health:breaker_trials")) > 0);
    await call();
    assert.equal(await statistic("health:failures_transport"), 4);
    await headroom.untilLogged(/breaker of destination 1 <\S+> opened again: a trial call failed/);
  });

  it("a destination that asks for rest is left alone", async () => {
    await headroom.replaceRows([
      { uri: `sip:${busy.sentBy}`, resources: "pstn=90" },
      { uri: `sip:${sound.sentBy}`, resources: "pstn=10" },
    ]);
    assert.equal(await statistic("health:breakers_open"), 0, "the row with the open breaker is gone");
    const first = call();
    busy.send(responseTo(await busy.nextRequest("INVITE"), 503, { toTag: "busy", headers: ["Retry-After: 40"] }), headroom);
    await first;
    await busy.nextRequest("ACK");
    for (let i = 0; i < 3; i++) await call();
    assert.equal(busy.count("INVITE "), 1);
    await headroom.untilLogged(/destination 1 <\S+> asked for rest with Retry-After: no calls for 40 s/);
    await headroom.untilIdle();
  });
});
