import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { establish, type RawCall, routesOf } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

/** A call that rings: its INVITE as the caller sent it, and as the destination got it. */
interface Ringing {
  readonly callId: string;
  readonly invite: string;
  readonly delivered: string;
  readonly toTag: string;
}

describe("calls that are under way at a restart without a stop", () => {
  const open: { close(): Promise<void> }[] = [];
  let headroom: Headroom;
  let caller: UdpPeer;
  let first: UdpPeer;
  let second: UdpPeer;

  before(async () => {
    [caller, first, second] = [await UdpPeer.open("127.0.0.1"), await UdpPeer.open("127.0.0.1"), await UdpPeer.open("127.0.0.1")];
    open.push(caller, first, second);
    headroom = await startHeadroom("{ tm: { fr_timeout: 10 }, sip: { restart_timeout: 60 } }", [
      { uri: `sip:${first.sentBy}`, resources: "pstn=100" },
      { uri: `sip:${second.sentBy}`, resources: "pstn=1" },
    ]);
  });

  after(async () => {
    for (const part of open) await part.close();
    await headroom.stop();
  });

  async function ring(headers: readonly string[] = []): Promise<Ringing> {
    const invite = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy, headers });
    caller.send(invite, headroom);
    const callId = headerOf(invite, "Call-ID");
    const delivered = await first.next("the INVITE", (text) => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === callId);
    const toTag = unique("t");
    first.send(responseTo(delivered, 180, { toTag, headers: [`Contact: <sip:callee@${first.sentBy}>`] }), headroom);
    await response(callId, (status) => status === 180);
    return { callId, invite, delivered, toTag };
  }

  function response(callId: string, wanted: (status: number) => boolean, method = "INVITE"): Promise<string> {
    return caller.next(
      `a response to ${method}`,
      (text) => wanted(statusOf(text)) && headerOf(text, "Call-ID") === callId && headerOf(text, "CSeq").endsWith(` ${method}`),
    );
  }

  function inside(answer: string, method: string, cseq: number): string {
    return request({
      ...{ method, cseq, sentBy: caller.sentBy, callId: headerOf(answer, "Call-ID") },
      ...{ uri: /<([^>]*)>/.exec(headerOf(answer, "Contact"))?.[1] ?? "", from: headerOf(answer, "From"), to: headerOf(answer, "To") },
      routes: routesOf(answer).reverse(),
    });
  }

  async function answered({ callId, delivered, toTag }: Ringing): Promise<string> {
    first.send(responseTo(delivered, 200, { toTag, headers: [`Contact: <sip:callee@${first.sentBy}>`] }), headroom);
    const answer = await response(callId, (status) => status >= 200);
    assert.equal(statusOf(answer), 200);
    caller.send(inside(answer, "ACK", 1), headroom);
    await first.next("the ACK", (text) => text.startsWith("ACK ") && headerOf(text, "Call-ID") === callId);
    return answer;
  }

  async function hangUp(answer: string, cseq = 2): Promise<void> {
    const callId = headerOf(answer, "Call-ID");
    caller.send(inside(answer, "BYE", cseq), headroom);
    const bye = await first.next("the BYE", (text) => text.startsWith("BYE ") && headerOf(text, "Call-ID") === callId);
    first.send(responseTo(bye, 200), headroom);
    assert.equal(statusOf(await response(callId, (status) => status >= 200, "BYE")), 200);
  }

  it("go on: ringing ones are answered, cancelled, refused and sent elsewhere; those that were up are hung up by either side", async () => {
    const talking = [await establish(headroom, caller, first), await establish(headroom, caller, first)] as [RawCall, RawCall];
    const answers = await ring();
    const cancelled = await ring();
    const refused = await ring();
    const moved = await ring();
    const without = await ring();
    const acknowledged = await ring(["Supported: 100rel"]);
    const invited = await ring();
    assert.deepEqual(await headroom.loads(), [9, 0]);
    // A BYE is on its way, and its destination has not answered it yet.
    caller.send(talking[1].fromCaller("BYE", 2), headroom);
    const bye = await first.nextRequest("BYE");
    assert.deepEqual(await headroom.loads(), [8, 0]);
    const before = headroom.pid;
    await headroom.restartHot();
    assert.notEqual(headroom.pid, before);
    assert.deepEqual(await headroom.loads(), [8, 0]);
    await assert.rejects(headroom.restartHot(), /the process before this one still has requests under way/);

    first.send(responseTo(bye, 200), headroom);
    assert.equal(statusOf(await response(talking[1].callId, (status) => status >= 200, "BYE")), 200);

    // Its copy is absorbed, and answered with what was answered last.
    const invites = first.count("INVITE ");
    caller.send(answers.invite, headroom);
    await response(answers.callId, (status) => status === 180);
    assert.equal(first.count("INVITE "), invites);
    const answer = await answered(answers);

    const cancel = request({ method: "CANCEL", uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy })
      .replace(/Via: [^\r]*/, `Via: ${headerOf(cancelled.invite, "Via")}`)
      .replace(/From: [^\r]*/, `From: ${headerOf(cancelled.invite, "From")}`)
      .replace(/To: [^\r]*/, `To: ${headerOf(cancelled.invite, "To")}`)
      .replace(/Call-ID: [^\r]*/, `Call-ID: ${cancelled.callId}`);
    caller.send(cancel, headroom);
    assert.equal(statusOf(await response(cancelled.callId, (status) => status >= 200, "CANCEL")), 200);
    const taken = await first.nextRequest("CANCEL");
    first.send(responseTo(taken, 200, { toTag: cancelled.toTag }), headroom);
    first.send(responseTo(cancelled.delivered, 487, { toTag: cancelled.toTag }), headroom);
    assert.equal(statusOf(await response(cancelled.callId, (status) => status >= 200)), 487);
    await first.next("the ACK", (text) => text.startsWith("ACK ") && headerOf(text, "Call-ID") === cancelled.callId);

    first.send(responseTo(refused.delivered, 486, { toTag: refused.toTag }), headroom);
    assert.equal(statusOf(await response(refused.callId, (status) => status >= 200)), 486);

    // The process before still chooses another destination for a call that it has begun; the one after counts it there.
    first.send(responseTo(moved.delivered, 500, { toTag: moved.toTag }), headroom);
    const elsewhere = await second.nextRequest("INVITE");
    assert.deepEqual(await headroom.loads(), [5, 1]);
    second.send(responseTo(elsewhere, 603, { toTag: unique("t") }), headroom);
    assert.equal(statusOf(await response(moved.callId, (status) => status >= 200)), 603);

    // It gives away no place that the one after it has given away: the second destination has one place, which a new call takes.
    await headroom.mi("lb_status", ["1", "0"]);
    const fresh = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
    caller.send(fresh, headroom);
    const place = await second.next(
      "the new INVITE",
      (text) => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === headerOf(fresh, "Call-ID"),
    );
    await sleep(300); // loads are told ten times a second
    first.send(responseTo(without.delivered, 500, { toTag: without.toTag }), headroom);
    assert.equal(statusOf(await response(without.callId, (status) => status >= 200)), 500);
    second.send(responseTo(place, 486, { toTag: unique("t") }), headroom);
    assert.equal(statusOf(await response(headerOf(fresh, "Call-ID"), (status) => status >= 200)), 486);
    await headroom.mi("lb_status", ["1", "1"]);

    // Inside a call that still rings.
    const progress = responseTo(acknowledged.delivered, 183, {
      toTag: acknowledged.toTag,
      headers: [`Contact: <sip:callee@${first.sentBy}>`, "Require: 100rel", "RSeq: 1"],
    });
    first.send(progress, headroom);
    const early = await response(acknowledged.callId, (status) => status === 183);
    caller.send(inside(early, "PRACK", 2), headroom);
    const prack = await first.nextRequest("PRACK");
    first.send(responseTo(prack, 200), headroom);
    assert.equal(statusOf(await response(acknowledged.callId, (status) => status >= 200, "PRACK")), 200);
    await hangUp(await answered(acknowledged), 3);

    // By the caller, and by the callee.
    await hangUp(answer);
    caller.send(talking[0].fromCaller("INVITE", 2), headroom);
    const again = await first.next("the re-INVITE", (text) => text.startsWith("INVITE ") && headerOf(text, "CSeq") === "2 INVITE");
    first.send(responseTo(again, 200, { headers: [`Contact: <sip:callee@${first.sentBy}>`] }), headroom);
    assert.equal(statusOf(await response(talking[0].callId, (status) => status >= 200)), 200);
    first.send(talking[0].fromCallee("BYE", 1), headroom);
    const hungUp = await caller.nextRequest("BYE");
    caller.send(responseTo(hungUp, 200), headroom);
    assert.equal(statusOf(await first.nextFinal("BYE")), 200);

    assert.deepEqual(await headroom.loads(), [1, 0]);
    await hangUp(await answered(invited));
    await headroom.untilIdle();
    const { Differences } = (await headroom.mi("lb_audit")) as { Differences: unknown };
    assert.deepEqual(Differences, []);
  });
});
