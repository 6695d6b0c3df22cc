import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CALLER = "127.0.21.51";
const CALLEE = "127.0.21.52";

describe("lost and repeated messages", () => {
  let headroom: Headroom;
  let caller: UdpPeer;
  let callee: UdpPeer;
  before(async () => {
    caller = await UdpPeer.open(CALLER);
    callee = await UdpPeer.open(CALLEE);
    headroom = await startHeadroom("tm: { fr_timeout: 4 }", [{ uri: `sip:${callee.sentBy}`, resources: "pstn=20" }]);
  });
  after(async () => {
    await headroom?.stop();
    await caller.close();
    await callee.close();
  });

  const invitation = (): string => request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
  const contact = (): string[] => [`Contact: <sip:callee@${callee.sentBy}>`];

  /** Ends the call that `answer` (the caller's 200) has begun. */
  async function acknowledgeAndHangUp(answer: string): Promise<void> {
    const inDialog = {
      uri: `sip:callee@${callee.sentBy}`,
      sentBy: caller.sentBy,
      from: headerOf(answer, "From"),
      to: headerOf(answer, "To"),
      callId: headerOf(answer, "Call-ID"),
      routes: [headerOf(answer, "Record-Route")],
    };
    caller.send(request({ ...inDialog, method: "ACK", cseq: 1 }), headroom);
    await callee.nextRequest("ACK");
    caller.send(request({ ...inDialog, method: "BYE", cseq: 2 }), headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
    assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    await headroom.untilIdle();
  }

  it("answers an INVITE with 100 at once, before the callee has said anything", async () => {
    const invite = invitation();
    caller.send(invite, headroom);
    const delivered = await callee.nextRequest("INVITE");
    const trying = await caller.next("100", (message) => statusOf(message) === 100);
    assert.equal(headerOf(trying, "Call-ID"), headerOf(invite, "Call-ID"));
    callee.send(responseTo(delivered, 486, { toTag: "busy" }), headroom);
    assert.equal(statusOf(await caller.nextFinal("INVITE")), 486);
    await callee.nextRequest("ACK");
    caller.send(ackOf(invite), headroom);
    await headroom.untilIdle();
  });

  it("repeats an INVITE that the callee has not answered (Timer A), byte for byte, and places the call when it does", async () => {
    caller.send(invitation(), headroom);
    const lost = await callee.nextRequest("INVITE");
    const repeated = await callee.nextRequest("INVITE", 2_000);
    assert.equal(repeated, lost);
    callee.send(responseTo(repeated, 200, { toTag: "a", headers: contact() }), headroom);
    const answer = await caller.nextFinal("INVITE");
    assert.deepEqual(await headroom.loads(), [1]);
    await acknowledgeAndHangUp(answer);
  });

  it("absorbs an INVITE that the caller repeats: one call, one load, the latest response again", async () => {
    const invite = invitation();
    const before = callee.count("INVITE ");
    for (let copy = 0; copy < 3; copy += 1) caller.send(invite, headroom);
    const delivered = await callee.nextRequest("INVITE");
    callee.send(responseTo(delivered, 180, { toTag: "b", headers: contact() }), headroom);
    await caller.next("180", (message) => statusOf(message) === 180);
    caller.send(invite, headroom);
    await caller.next("180 again", (message) => statusOf(message) === 180);
    assert.deepEqual(await headroom.loads(), [1]);
    assert.equal(callee.count("INVITE "), before + 1);
    callee.send(responseTo(delivered, 200, { toTag: "b", headers: contact() }), headroom);
    await acknowledgeAndHangUp(await caller.nextFinal("INVITE"));
  });

  it("passes on every 200 that the callee repeats, and every ACK (RFC 6026)", async () => {
    caller.send(invitation(), headroom);
    const delivered = await callee.nextRequest("INVITE");
    const ok = responseTo(delivered, 200, { toTag: "c", headers: contact() });
    for (let copy = 0; copy < 3; copy += 1) callee.send(ok, headroom);
    const answers = [await caller.nextFinal("INVITE"), await caller.nextFinal("INVITE"), await caller.nextFinal("INVITE")];
    assert.deepEqual(answers.map(statusOf), [200, 200, 200]);
    assert.deepEqual(await headroom.loads(), [1]);
    await acknowledgeAndHangUp(answers[0] as string);
  });

  it("repeats a negative final response until it is acknowledged (Timer G), and acknowledges the callee's itself", async () => {
    const invite = invitation();
    caller.send(invite, headroom);
    const delivered = await callee.nextRequest("INVITE");
    const busy = responseTo(delivered, 486, { toTag: "d" });
    callee.send(busy, headroom);
    await callee.nextRequest("ACK");
    callee.send(busy, headroom); // as if that ACK had been lost
    await callee.nextRequest("ACK");
    const first = await caller.nextFinal("INVITE");
    assert.equal(await caller.nextFinal("INVITE", 2_000), first);
    caller.send(ackOf(invite), headroom);
    assert.ok(await caller.staysSilent(1_300), "it repeats a final response that was acknowledged");
    await headroom.untilIdle();
  });

  it("answers a repeated BYE from the transaction, and releases the load once", async () => {
    const call = await establish(headroom, caller, callee);
    const bye = call.fromCaller("BYE", 2);
    const before = callee.count("BYE ");
    caller.send(bye, headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
    const first = await caller.nextFinal("BYE");
    caller.send(bye, headroom);
    assert.equal(await caller.nextFinal("BYE"), first);
    assert.equal(callee.count("BYE "), before + 1);
    await headroom.untilIdle();
  });

  it("repeats a BYE that the callee has not answered (Timer E)", async () => {
    const call = await establish(headroom, caller, callee);
    caller.send(call.fromCaller("BYE", 2), headroom);
    const lost = await callee.nextRequest("BYE");
    const repeated = await callee.nextRequest("BYE", 2_000);
    assert.equal(repeated, lost);
    callee.send(responseTo(repeated, 200), headroom);
    assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    await headroom.untilIdle();
  });

  it("drops a response that belongs to no transaction", async () => {
    const stray = responseTo(request({ sentBy: `${headroom.address}:${headroom.port}` }), 200, { toTag: "e" });
    callee.send(stray, headroom);
    assert.ok(await caller.staysSilent(200));
    await headroom.untilIdle();
  });
});

/** The ACK of a final response other than 2xx (RFC 3261 §17.1.1.3): it belongs to the INVITE's transaction. */
function ackOf(invite: string): string {
  return invite
    .replace(/^INVITE/, "ACK")
    .replace(/^CSeq: (\d+) INVITE/m, "CSeq: $1 ACK")
    .replace(/^Contact: .*\r\n/m, "");
}
