import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { EventListener } from "../support/event-listener.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish, type RawCall } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CONFIG = `
tm: { fr_timeout: 2 }
dialog: { default_timeout: 4, options_ping_interval: 1, reinvite_ping_interval: 1, race_condition_timeout: 1 }
routing:
  rules:
    - { match: { ruri_user: "^options" }, group: 1, resources: pstn, disable_on: [], dialog_flags: options-ping-callee }
    - { match: { ruri_user: "^reinvite" }, group: 1, resources: pstn, disable_on: [], dialog_flags: "r" }
    - { match: { ruri_user: "^race" }, group: 1, resources: pstn, disable_on: [], dialog_flags: end-on-race-condition }
    - { group: 1, resources: pstn, disable_on: [] }
`;
const SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n";

describe("E_DLG_STATE_CHANGED at the end of a call", () => {
  let caller: UdpPeer;
  let callee: UdpPeer;
  let headroom: Headroom;
  let events: EventListener;

  before(async () => {
    caller = await UdpPeer.open("127.0.80.2");
    callee = await UdpPeer.open("127.0.80.3");
    headroom = await startHeadroom(CONFIG, [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }], "127.0.80.1");
    events = await EventListener.open(headroom);
  });
  after(async () => {
    events?.close();
    await headroom?.stop();
    await Promise.all([caller?.close(), callee?.close()]);
  });

  const uri = (user: string): string => `sip:${user}@${headroom.address}:${headroom.port}`;
  const up = (user = "service"): Promise<RawCall> => establish(headroom, caller, callee, { uri: uri(user) });
  const atCallee = (method: string, callId: string): Promise<string> =>
    callee.next(method, (text) => text.startsWith(`${method} `) && headerOf(text, "Call-ID") === callId, 8_000);

  /** An INVITE that rings, by its Call-ID and with what the callee has got. */
  async function ringing(user = "service"): Promise<{ callId: string; invite: string; delivered: string; answer(status: number): void }> {
    const invite = request({ uri: uri(user), sentBy: caller.sentBy });
    const callId = headerOf(invite, "Call-ID");
    caller.send(invite, headroom);
    const delivered = await atCallee("INVITE", callId);
    const contact = `Contact: <sip:callee@${callee.sentBy}>`;
    const answer = (status: number): void => callee.send(responseTo(delivered, status, { toTag: "t", headers: [contact] }), headroom);
    answer(180);
    await caller.next("180", (text) => statusOf(text) === 180 && headerOf(text, "Call-ID") === callId);
    return { callId, invite, delivered, answer };
  }

  function cancel(invite: string): string {
    return invite
      .replace(/^INVITE /, "CANCEL ")
      .replace("1 INVITE", "1 CANCEL")
      .replace(/^Contact:.*\r\n/m, "");
  }

  async function endOf(callId: string, reason: string, oldState: number): Promise<void> {
    const { params } = await waitFor(`the end of ${callId}`, 8_000, () =>
      events.events.find((event) => event.name === "E_DLG_STATE_CHANGED" && event.params.callid === callId && event.params.new_state === 5),
    );
    assert.deepEqual([params.reason, params.old_state], [reason, oldState]);
    await headroom.untilIdle();
  }

  it("Downstream BYE: the caller hung up", async () => {
    const call = await up();
    caller.send(call.fromCaller("BYE", 2), headroom);
    callee.send(responseTo(await atCallee("BYE", call.callId), 200), headroom);
    await endOf(call.callId, "Downstream BYE", 4);
  });

  it("Upstream BYE: the callee hung up", async () => {
    const call = await up();
    callee.send(call.fromCallee("BYE", 1), headroom);
    caller.send(responseTo(await caller.nextRequest("BYE"), 200), headroom);
    await endOf(call.callId, "Upstream BYE", 4);
  });

  it("Lifetime Timeout: it lasted for default_timeout", async () => {
    await endOf((await up()).callId, "Lifetime Timeout", 4);
  });

  it("MI Termination: an operator ended it", async () => {
    const { callId } = await up();
    await headroom.mi("dlg_end_dlg", { dialog_id: callId });
    await endOf(callId, "MI Termination", 4);
  });

  it("Ping Timeout: a party does not have it", async () => {
    const { callId } = await up("options");
    callee.send(responseTo(await atCallee("OPTIONS", callId), 481), headroom);
    await endOf(callId, "Ping Timeout", 4);
  });

  it("ReINVITE Ping Timeout: the same, by re-INVITE", async () => {
    const headers = ["Content-Type: application/sdp"];
    const invite = request({
      uri: uri("reinvite"),
      sentBy: caller.sentBy,
      headers: [...headers, `Contact: <sip:caller@${caller.sentBy}>`],
      body: SDP,
    });
    const callId = headerOf(invite, "Call-ID");
    caller.send(invite, headroom);
    const contact = `Contact: <sip:callee@${callee.sentBy}>`;
    const ok = responseTo(await atCallee("INVITE", callId), 200, { toTag: "t", headers: [...headers, contact], body: SDP });
    callee.send(ok, headroom);
    await caller.next("200", (text) => statusOf(text) === 200 && headerOf(text, "Call-ID") === callId);
    const ping = await atCallee("INVITE", callId);
    assert.equal(ping.slice(ping.indexOf("\r\n\r\n") + 4), SDP);
    callee.send(responseTo(ping, 481), headroom);
    await endOf(callId, "ReINVITE Ping Timeout", 3);
  });

  it("SIP Race Condition: it was answered while it was cancelled, and nobody hung up", async () => {
    const { callId, invite, delivered, answer } = await ringing("race");
    caller.send(cancel(invite), headroom);
    callee.send(responseTo(await atCallee("CANCEL", callId), 200), headroom);
    assert.ok(delivered);
    answer(200);
    await endOf(callId, "SIP Race Condition", 3);
  });

  it("Cancelled: the caller gave up before it was answered", async () => {
    const { callId, invite, answer } = await ringing();
    caller.send(cancel(invite), headroom);
    callee.send(responseTo(await atCallee("CANCEL", callId), 200), headroom);
    answer(487);
    await endOf(callId, "Cancelled", 2);
  });

  it("Rejected: no destination took it", async () => {
    const { callId, answer } = await ringing();
    answer(486);
    await endOf(callId, "Rejected", 2);
  });
});
