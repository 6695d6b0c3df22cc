import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { ProbedPeer } from "../support/probed-peer.ts";
import { headerOf } from "../support/sip-messages.ts";

describe("probing, from the configuration to lb_list", () => {
  let headroom: Headroom;
  const responders: ProbedPeer[] = [];

  before(async () => {
    for (let i = 0; i < 3; i++) responders.push(await ProbedPeer.open(`127.0.0.${21 + i}`));
    const rows = responders.map(({ uri }, i) => ({ uri, resources: "pstn=10", probeMode: i as 0 | 1 | 2 }));
    const settings = `
load_balancer: { probing_interval: 1, probing_reply_codes: [404], probing_verbose: true, probing_from: "sip:watch@example.net" }
`;
    headroom = await startHeadroom(settings, rows, "127.0.0.2");
  });
  after(async () => {
    await headroom.stop();
    for (const responder of responders) await responder.close();
  });

  async function enabled(): Promise<string> {
    return (await headroom.list()).map((destination) => destination.enabled).join(" ");
  }

  it("asks only the destination of mode 2 while all are enabled, with the configured From", async () => {
    await waitFor("two probes", 4_000, () => responders[2]!.probes.length >= 2);
    assert.deepEqual([responders[0]!.probes.length, responders[1]!.probes.length], [0, 0]);
    assert.match(headerOf(responders[2]!.probes[0]!, "From"), /^<sip:watch@example\.net>;tag=/);
    assert.equal(headerOf(responders[2]!.probes[0]!, "User-Agent"), "headroom");
    assert.equal(await enabled(), "yes yes yes");
  });

  it("disables it when it answers badly, and says so", async () => {
    responders[2]!.status = 480;
    await waitFor("it is disabled", 3_000, async () => (await enabled()) === "yes yes no");
    await headroom.untilLogged(/disable destination 3 <sip:127\.0\.0\.23:\d+> after 480 reply on probe/);
  });

  it("enables it with an accepted code", async () => {
    responders[2]!.status = 404;
    await waitFor("it is enabled", 3_000, async () => (await enabled()) === "yes yes yes");
    await headroom.untilLogged(/re-enable destination 3 <sip:127\.0\.0\.23:\d+> after 404 reply on probe/);
  });

  it("disables it when it falls silent", async () => {
    responders[2]!.status = 0;
    await waitFor("it is disabled", 4_000, async () => (await enabled()) === "yes yes no");
    await headroom.untilLogged(/disable destination 3 <sip:127\.0\.0\.23:\d+> after 408 reply on probe/);
  });

  it("leaves alone what a management command disabled", async () => {
    responders[2]!.status = 200;
    await waitFor("it is enabled", 3_000, async () => (await enabled()) === "yes yes yes");
    await headroom.mi("lb_status", [3, 0]);
    await headroom.mi("lb_status", [2, 0]);
    const before = responders[2]!.probes.length;
    assert.equal(await responders[2]!.peer.staysSilent(2_200), true, `after ${before} probes`);
    assert.equal(responders[1]!.probes.length, 0);
    assert.equal(await enabled(), "yes no no");
    await headroom.mi("lb_status", [3, 1]);
    await waitFor("it is probed again", 3_000, () => responders[2]!.probes.length > before);
  });

  it("tells latency and counters as statistics", async () => {
    const statistics = (await headroom.mi("get_statistics", [["probing:"]])) as Record<string, number | string>;
    assert.ok(Number(statistics["probing:sent"]) >= 5, JSON.stringify(statistics));
    assert.ok(Number(statistics["probing:latency_average_3"]) > 0);
    assert.ok(Number(statistics["probing:timeouts_3"]) >= 1);
    assert.equal(statistics["probing:latency_last_1"], undefined);
  });

  it("follows a reload: what is gone is asked no more, what is new is asked within an interval", async () => {
    const [first, , third] = responders;
    await headroom.replaceRows([{ uri: first!.uri, resources: "pstn=10", probeMode: 2 }]);
    await waitFor("a probe of the new one", 3_000, () => first!.probes.length > 0);
    assert.equal(await third!.peer.staysSilent(1_500), true);
  });
});
