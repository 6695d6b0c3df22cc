import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish, routesOf } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const BALANCER = "127.0.80.1";
const CONFIG = "{ tm: { fr_timeout: 5 }, routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] } }";
const WRITTEN_MS = 250;

describe("calls of a program that was killed, by their real parties", () => {
  it("go on: requests of both sides pass, and what rang is answered, cancelled and refused as before", async () => {
    const caller = await UdpPeer.open("127.0.80.2");
    const callee = await UdpPeer.open("127.0.80.3");
    const headroom = await startHeadroom(CONFIG, [{ uri: `sip:${callee.sentBy}`, resources: "pstn=100" }], BALANCER);
    const contactOf = (peer: UdpPeer): string => `Contact: <sip:x@${peer.sentBy}>`;
    const ofCall = (callId: string, start: string) => (text: string) => text.startsWith(start) && headerOf(text, "Call-ID") === callId;

    /** An INVITE that rings. */
    async function ring(): Promise<{ invite: string; delivered: string; callId: string; toTag: string }> {
      const invite = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
      const callId = headerOf(invite, "Call-ID");
      const toTag = unique("t");
      caller.send(invite, headroom);
      const delivered = await callee.next("the INVITE", ofCall(callId, "INVITE "));
      callee.send(responseTo(delivered, 180, { toTag, headers: [contactOf(callee)] }), headroom);
      await caller.next("180", ofCall(callId, "SIP/2.0 180"));
      return { invite, delivered, callId, toTag };
    }

    /** A request inside a call passes, and its answer comes back. */
    async function passes(from: UdpPeer, to: UdpPeer, text: string): Promise<void> {
      const method = text.split(" ", 1)[0]!;
      const callId = headerOf(text, "Call-ID");
      from.send(text, headroom);
      const received = await to.next(method, ofCall(callId, `${method} `));
      to.send(responseTo(received, 200, { headers: [contactOf(to)] }), headroom);
      const answer = await from.next(
        `200 to ${method}`,
        (other) => statusOf(other) === 200 && headerOf(other, "Call-ID") === callId && headerOf(other, "CSeq").endsWith(method),
      );
      assert.equal(statusOf(answer), 200);
    }

    try {
      const up = [await establish(headroom, caller, callee), await establish(headroom, caller, callee)];
      const [answered, cancelled, refused] = [await ring(), await ring(), await ring()];
      await waitFor("all is written", 5_000, async () => {
        const name = "dialog:persist_pending";
        return ((await headroom.mi("get_statistics", [[name]])) as Record<string, number>)[name] === 0;
      });
      await sleep(WRITTEN_MS);
      await headroom.restart("SIGKILL");
      assert.deepEqual(await headroom.loads(), [5]);

      for (const [i, call] of up.entries()) {
        await passes(caller, callee, call.fromCaller("INVITE", 2));
        caller.send(call.fromCaller("ACK", 2), headroom);
        await callee.next("the ACK", ofCall(call.callId, "ACK "));
        await passes(callee, caller, call.fromCallee("UPDATE", 1));
        await passes(callee, caller, call.fromCallee("INVITE", 2));
        callee.send(call.fromCallee("ACK", 2), headroom);
        await caller.next("the ACK", ofCall(call.callId, "ACK "));
        await passes(caller, callee, call.fromCaller("UPDATE", 3));
        if (i === 0) await passes(caller, callee, call.fromCaller("BYE", 4));
        else await passes(callee, caller, call.fromCallee("BYE", 4));
        assert.deepEqual(await headroom.loads(), [4 - i]);
      }

      const branch = /branch=([^;\s]+)/.exec(headerOf(cancelled.invite, "Via"))![1]!;
      const [from, to] = [headerOf(cancelled.invite, "From"), headerOf(cancelled.invite, "To")];
      const uri = cancelled.invite.split(" ")[1]!;
      caller.send(request({ method: "CANCEL", uri, sentBy: caller.sentBy, branch, from, to, callId: cancelled.callId, cseq: 1 }), headroom);
      await caller.next("200 to CANCEL", ofCall(cancelled.callId, "SIP/2.0 200"));
      callee.send(responseTo(await callee.next("CANCEL", ofCall(cancelled.callId, "CANCEL ")), 200), headroom);
      callee.send(responseTo(cancelled.delivered, 487, { toTag: cancelled.toTag }), headroom);
      await caller.next("487", ofCall(cancelled.callId, "SIP/2.0 487"));
      callee.send(responseTo(refused.delivered.replaceAll(/^Record-Route: .*\r\n/gm, ""), 486, { toTag: refused.toTag }), headroom);
      await caller.next("486", ofCall(refused.callId, "SIP/2.0 486"));
      assert.deepEqual(await headroom.loads(), [1]);

      callee.send(responseTo(answered.delivered, 200, { toTag: answered.toTag, headers: [contactOf(callee)] }), headroom);
      const answer = await caller.next("200", ofCall(answered.callId, "SIP/2.0 200"));
      const inside = { uri: `sip:x@${callee.sentBy}`, sentBy: caller.sentBy, from: headerOf(answer, "From"), to: headerOf(answer, "To") };
      const routes = routesOf(answer).reverse();
      caller.send(request({ method: "ACK", ...inside, callId: answered.callId, cseq: 1, routes }), headroom);
      await callee.next("the ACK", ofCall(answered.callId, "ACK "));
      const { Dialogs } = (await headroom.mi("dlg_list")) as { Dialogs: { state: number }[] };
      assert.deepEqual(
        Dialogs.map(({ state }) => state),
        [4],
      );
      await passes(caller, callee, request({ method: "BYE", ...inside, callId: answered.callId, cseq: 2, routes }));
      await headroom.untilIdle();
    } finally {
      await headroom.stop();
      await caller.close();
      await callee.close();
    }
  });
});
