import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { EventListener } from "../support/event-listener.ts";
import { FreeswitchFarm, PLAIN_FORMULA } from "../support/freeswitch-farm.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const FORGETFUL = pathToFileURL(join(import.meta.dirname, "../support/forgetful-release.ts")).href;
const HEARTBEATS_FOR_A_GAP = 5;
const INTERVAL_MS = 5_000;

async function statistic(headroom: Headroom, name: string): Promise<number> {
  return ((await headroom.mi("get_statistics", [[name]])) as Record<string, number>)[name] ?? Number.NaN;
}

describe("a FreeSWITCH that has lost a call without BYE", () => {
  it("is asked for its calls, though the route wants no pings, and the slot of the lost one is free", async () => {
    const farm = await FreeswitchFarm.start(1, `${PLAIN_FORMULA}\ndialog: { options_ping_interval: 1 }`);
    try {
      await farm.untilConnected();
      const [media] = farm.media;
      const calls = [await farm.call(), await farm.call(), await farm.call()];
      media!.esl.figures.sessions = 3;
      await farm.beat();
      const lost = calls[1]!.callId;
      media!.sip.forget(lost);
      media!.esl.figures.sessions = 2;
      for (let n = 0; n < HEARTBEATS_FOR_A_GAP; n++) await farm.beat();
      await waitFor("the lost call is over", 5_000, async () => (await farm.headroom.loads())[0] === 2);
      const { Dialogs } = (await farm.headroom.mi("dlg_list")) as { Dialogs: { callid: string }[] };
      assert.deepEqual(Dialogs.map(({ callid }) => callid).sort(), [calls[0]!.callId, calls[2]!.callId].sort());
      await waitFor("each was asked for", 3_000, async () => (await farm.statistic("dialog:options_pings")) === 3);
      await farm.headroom.untilLogged(/"calls":3,"asked":3,"seconds":1,[^\n]*is asked for its calls/);
      await farm.beat();
      await farm.headroom.untilLogged(/has as many sessions as we count calls there again/);
      for (const call of [calls[0]!, calls[2]!]) await call.hangUp();
      await farm.headroom.untilIdle();
    } finally {
      await farm.stop();
    }
  });
});

describe("a caller that vanished while the program was down", () => {
  it("is noticed within two intervals after the start; the calls of others go on, with the numbers that they had", async () => {
    const [gone, here, callee] = await Promise.all(["127.0.81.2", "127.0.81.3", "127.0.81.4"].map((address) => UdpPeer.open(address)));
    const config = `
      tm: { fr_timeout: 1 }
      dialog: { options_ping_interval: ${INTERVAL_MS / 1000} }
      routing: { rules: [{ group: 1, resources: pstn, disable_on: [], dialog_flags: "Pp" }] }`;
    const headroom = await startHeadroom(config, [{ uri: `sip:${callee!.sentBy}`, resources: "pstn=5" }], "127.0.81.1");
    try {
      const lost = await establish(headroom, gone!, callee!);
      const kept = await establish(headroom, here!, callee!);
      here!.send(kept.fromCaller("INFO", 7), headroom);
      callee!.send(responseTo(await callee!.nextRequest("INFO"), 200), headroom);
      await waitFor("all is written", 5_000, async () => (await statistic(headroom, "dialog:persist_pending")) === 0);
      await headroom.kill();
      await gone!.close();
      await headroom.restart("SIGKILL");
      const startedMs = performance.now();
      assert.deepEqual(await headroom.loads(), [2]);
      const answering = new AbortController();
      const pings: string[] = [];
      const answer = async (peer: UdpPeer): Promise<void> => {
        while (!answering.signal.aborted) {
          const asked = await peer.next("a ping", (text) => /^(?:OPTIONS|BYE) /.test(text), 500).catch(() => undefined);
          if (asked === undefined) continue;
          pings.push(asked);
          peer.send(responseTo(asked, 200), headroom);
        }
      };
      const answers = [answer(here!), answer(callee!)];
      await waitFor("the lost call is over", 3 * INTERVAL_MS, async () => (await headroom.loads())[0] === 1);
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs < 2 * INTERVAL_MS, `it took ${tookMs} ms`);
      await waitFor("pings of the kept call, and a BYE", 5_000, () => {
        const ofKept = pings.filter((text) => headerOf(text, "Call-ID") === kept.callId).map((text) => headerOf(text, "CSeq"));
        const bye = pings.find((text) => text.startsWith("BYE ") && headerOf(text, "Call-ID") === lost.callId);
        return ofKept.includes("7 OPTIONS") && ofKept.includes("0 OPTIONS") && bye !== undefined && headerOf(bye, "CSeq") === "2 BYE";
      });
      answering.abort();
      await Promise.all(answers);
      here!.send(kept.fromCaller("BYE", 8), headroom);
      callee!.send(
        responseTo(await callee!.next("BYE", (text) => text.startsWith("BYE ") && headerOf(text, "Call-ID") === kept.callId), 200),
        headroom,
      );
      await headroom.untilIdle();
    } finally {
      await headroom.stop();
      await Promise.all([here, callee].map((peer) => peer!.close()));
    }
  });
});

describe("a load that is wrong because of a fault of the program", () => {
  it("is found by the audit, told, counted and healed", async () => {
    const [caller, callee] = await Promise.all(["127.0.82.2", "127.0.82.3"].map((address) => UdpPeer.open(address)));
    const rows = [{ uri: `sip:${callee!.sentBy}`, resources: "pstn=5" }];
    const headroom = await startHeadroom("dialog: { audit_interval: 0 }", rows, "127.0.82.1", ["--import", FORGETFUL]);
    const events = await EventListener.open(headroom);
    try {
      for (let n = 0; n < 2; n++) {
        const call = await establish(headroom, caller!, callee!);
        caller!.send(call.fromCaller("BYE", 2), headroom);
        callee!.send(responseTo(await callee!.nextRequest("BYE"), 200), headroom);
        await caller!.nextFinal("BYE");
      }
      assert.deepEqual(await headroom.loads(), [1], "what the first call counted was not given back");
      const { Differences } = (await headroom.mi("lb_audit")) as { Differences: Record<string, unknown>[] };
      assert.ok(Differences.length >= 1, JSON.stringify(Differences));
      assert.deepEqual(await headroom.loads(), [0]);
      assert.deepEqual(((await headroom.mi("lb_audit")) as { Differences: unknown[] }).Differences, []);
      assert.equal(await statistic(headroom, "load_balancer:audit_differences"), Differences.length);
      await headroom.untilLogged(/"level":"?(?:50|error)"?[^\n]*this is a bug/);
      const told = await waitFor("the event", 3_000, () => events.events.filter(({ name }) => name === "E_LOAD_BALANCER_AUDIT").length);
      assert.equal(told, Differences.length);
      const call = await establish(headroom, caller!, callee!);
      assert.deepEqual(await headroom.loads(), [1]);
      caller!.send(call.fromCaller("BYE", 2), headroom);
      callee!.send(responseTo(await callee!.nextRequest("BYE"), 200), headroom);
      await headroom.untilIdle();
    } finally {
      events.close();
      await headroom.stop();
      await Promise.all([caller!.close(), callee!.close()]);
    }
  });
});
