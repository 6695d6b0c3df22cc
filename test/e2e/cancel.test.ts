import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { runCaller, type Sipp, type SippStatistics, startCallee, startCaller } from "../support/sipp.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CALLER = "127.0.21.31";
const CALLEE = "127.0.21.32";

describe("a caller that gives up before the answer", () => {
  let headroom: Headroom;
  before(async () => {
    headroom = await startHeadroom("tm: { fr_timeout: 2 }");
  });
  after(() => headroom?.stop());

  async function withCallee(
    scenario: string,
    holdMs: number,
    use: (callee: Sipp, target: string) => Promise<void>,
  ): Promise<SippStatistics> {
    const callee = await startCallee({ scenario, address: CALLEE, holdMs });
    await headroom.replaceRows([{ uri: callee.uri, resources: "pstn=50" }]);
    await use(callee, `${headroom.address}:${headroom.port}`);
    await headroom.untilIdle();
    return callee.stop();
  }

  it("while it rings: CANCEL reaches the callee, the caller hears 487, and the load that was counted is gone", async () => {
    const callee = await withCallee("callee-ringing", 0, async (_, target) => {
      const caller = await startCaller({ scenario: "caller-cancelling", address: CALLER, target, calls: 10, rate: 100, holdMs: 1_000 });
      await waitFor("ten ringing calls are counted", 3_000, async () => (await headroom.loads())[0] === 10);
      const { successful, failed, errors } = await caller.ended;
      assert.deepEqual({ successful, failed, errors }, { successful: 10, failed: 0, errors: "" });
    });
    assert.deepEqual([callee.successful, callee.failed], [10, 0]);
  });

  it("before any 1xx: CANCEL is answered at once and goes on when the callee has rung (RFC 3261 §9.1)", async () => {
    const callee = await withCallee("callee-ringing", 700, async (_, target) => {
      const caller = await runCaller({ scenario: "caller-cancelling-early", address: CALLER, target, calls: 5, rate: 50, holdMs: 100 });
      assert.deepEqual([caller.successful, caller.failed, caller.errors], [5, 0, ""]);
    });
    assert.deepEqual([callee.successful, callee.failed], [5, 0]);
  });

  it("with a BYE in the early dialog: it reaches the callee, who ends the INVITE with 487", async () => {
    const callee = await withCallee("callee-early-bye", 0, async (_, target) => {
      const caller = await runCaller({ scenario: "caller-early-bye", address: CALLER, target, calls: 5, rate: 50, holdMs: 100 });
      assert.deepEqual([caller.successful, caller.failed, caller.errors], [5, 0, ""]);
    });
    assert.deepEqual([callee.successful, callee.failed], [5, 0]);
  });

  it("while the callee is silent for good: the call ends with fr_timeout, and no other destination is tried", async () => {
    const caller = await UdpPeer.open(CALLER);
    const silent = await UdpPeer.open(CALLEE);
    const other = await UdpPeer.open(CALLEE);
    await headroom.replaceRows([
      { uri: `sip:${silent.sentBy}`, resources: "pstn=50" },
      { uri: `sip:${other.sentBy}`, resources: "pstn=1" },
    ]);
    const invite = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
    caller.send(invite, headroom);
    await silent.nextRequest("INVITE");
    caller.send(cancelOf(invite), headroom);
    assert.equal(statusOf(await caller.nextFinal("CANCEL")), 200);
    const final = await caller.nextFinal("INVITE", 5_000);
    assert.ok([408, 487].includes(statusOf(final)), `the INVITE was answered ${statusOf(final)}`);
    assert.deepEqual(other.received, []);
    await headroom.untilIdle();
    for (const peer of [caller, silent, other]) await peer.close();
  });

  it("too late: the callee's 200 crosses the CANCEL, the call stands until its BYE", async () => {
    const caller = await UdpPeer.open(CALLER);
    const callee = await UdpPeer.open(CALLEE);
    await headroom.replaceRows([{ uri: `sip:${callee.sentBy}`, resources: "pstn=50" }]);
    const invite = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
    caller.send(invite, headroom);
    const delivered = await callee.nextRequest("INVITE");
    const contact = [`Contact: <sip:callee@${callee.sentBy}>`];
    callee.send(responseTo(delivered, 180, { toTag: "late", headers: contact }), headroom);
    await caller.next("180", (message) => statusOf(message) === 180);
    caller.send(cancelOf(invite), headroom);
    const cancel = await callee.nextRequest("CANCEL");
    callee.send(responseTo(delivered, 200, { toTag: "late", headers: contact }), headroom);
    callee.send(responseTo(cancel, 200, { toTag: "late" }), headroom);
    const answer = await caller.nextFinal("INVITE");
    assert.equal(statusOf(answer), 200);
    assert.deepEqual(await headroom.loads(), [1]);

    const inDialog = {
      uri: `sip:callee@${callee.sentBy}`,
      sentBy: caller.sentBy,
      from: headerOf(answer, "From"),
      to: headerOf(answer, "To"),
    };
    const routes = [headerOf(answer, "Record-Route")];
    const callId = headerOf(answer, "Call-ID");
    caller.send(request({ ...inDialog, method: "ACK", callId, cseq: 1, routes }), headroom);
    await callee.nextRequest("ACK");
    caller.send(request({ ...inDialog, method: "BYE", callId, cseq: 2, routes }), headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
    assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    await headroom.untilIdle();
    for (const peer of [caller, callee]) await peer.close();
  });
});

/** The CANCEL of an INVITE (RFC 3261 §9.1): its branch, From, To, Call-ID and CSeq number. */
function cancelOf(invite: string): string {
  const [, branch] = /;branch=([^;\r\n]+)/.exec(invite) as unknown as [string, string];
  const uri = invite.split(" ", 2)[1] as string;
  const sentBy = /UDP ([^;]+)/.exec(headerOf(invite, "Via"))?.[1] as string;
  return request({
    method: "CANCEL",
    uri,
    sentBy,
    branch,
    from: headerOf(invite, "From"),
    to: headerOf(invite, "To"),
    callId: headerOf(invite, "Call-ID"),
  });
}
