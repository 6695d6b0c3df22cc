import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, responseTo, statusOf } from "../support/sip-messages.ts";
import { runCaller, startCallee, startCaller } from "../support/sipp.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CALLER = "127.0.21.41";
const CALLEE = "127.0.21.42";

describe("requests inside a call", () => {
  let headroom: Headroom;
  before(async () => {
    headroom = await startHeadroom();
  });
  after(() => headroom?.stop());

  const pairs = [
    { name: "BYE from the callee ends the call", caller: "caller-hung-up-on", callee: "callee-hanging-up", calleeHoldMs: 600 },
    {
      name: "re-INVITE passes both ways and counts the call once",
      caller: "caller-reinviting",
      callee: "callee-reinvited",
      callerHoldMs: 300,
    },
    { name: "BYE from the caller ends the call", caller: "caller", callee: "callee", callerHoldMs: 600 },
  ];
  for (const { name, caller, callee, callerHoldMs = 0, calleeHoldMs = 0 } of pairs) {
    it(name, async () => {
      const answering = await startCallee({ scenario: callee, address: CALLEE, holdMs: calleeHoldMs });
      await headroom.replaceRows([{ uri: answering.uri, resources: "pstn=20" }]);
      const target = `${headroom.address}:${headroom.port}`;
      const calling = await startCaller({ scenario: caller, address: CALLER, target, calls: 10, rate: 100, holdMs: callerHoldMs });
      await waitFor("ten calls are counted", 3_000, async () => (await headroom.loads())[0] === 10);
      const { successful, failed, errors } = await calling.ended;
      assert.deepEqual({ successful, failed, errors }, { successful: 10, failed: 0, errors: "" });
      await headroom.untilIdle();
      assert.deepEqual([(await answering.stop()).failed, headroom.log().includes("error")], [0, false]);
    });
  }

  describe("by hand", () => {
    let caller: UdpPeer;
    let callee: UdpPeer;
    before(async () => {
      caller = await UdpPeer.open(CALLER);
      callee = await UdpPeer.open(CALLEE);
      await headroom.replaceRows([{ uri: `sip:${callee.sentBy}`, resources: "pstn=20" }]);
    });
    after(async () => {
      await caller.close();
      await callee.close();
    });

    it("stays in the path: Record-Route with lr and did, one Via more, Max-Forwards one less, the rest as it came", async () => {
      const call = await establish(headroom, caller, callee);
      const { delivered, invite } = call;
      assert.match(headerOf(delivered, "Record-Route"), new RegExp(`^<sip:${headroom.address}:${headroom.port};.*\\blr\\b`));
      assert.match(headerOf(delivered, "Record-Route"), /;did=[^;>]+/);
      assert.equal(headerOf(delivered, "Max-Forwards"), "69");
      assert.match(headerOf(delivered, "Via"), new RegExp(`^SIP/2\\.0/UDP ${headroom.address}:${headroom.port};.*branch=z9hG4bK`));
      for (const name of ["From", "To", "Call-ID", "CSeq", "Contact"]) assert.equal(headerOf(delivered, name), headerOf(invite, name));

      const { Dialogs } = (await headroom.mi("dlg_list")) as { Dialogs: { callid: string; state: number }[] };
      assert.deepEqual(
        Dialogs.map(({ callid, state }) => [callid, state]),
        [[call.callId, 4]],
      );
      await hangUp(call);
    });

    async function hangUp(call: Awaited<ReturnType<typeof establish>>): Promise<void> {
      caller.send(call.fromCaller("BYE", 9), headroom);
      callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
      assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
      await headroom.untilIdle();
    }

    for (const method of ["INFO", "UPDATE", "MESSAGE", "REFER", "FOOBAR"]) {
      it(`passes ${method} on in both directions`, async () => {
        const call = await establish(headroom, caller, callee);
        caller.send(call.fromCaller(method, 2), headroom);
        callee.send(responseTo(await callee.nextRequest(method), 200), headroom);
        assert.equal(statusOf(await caller.nextFinal(method)), 200);
        callee.send(call.fromCallee(method, 1), headroom);
        caller.send(responseTo(await caller.nextRequest(method), 202), headroom);
        assert.equal(statusOf(await callee.nextFinal(method)), 202);
        assert.deepEqual(await headroom.loads(), [1]);
        await hangUp(call);
      });
    }

    it("releases the load once when both hang up at the same time", async () => {
      const call = await establish(headroom, caller, callee);
      caller.send(call.fromCaller("BYE", 2), headroom);
      callee.send(call.fromCallee("BYE", 1), headroom);
      const [toCallee, toCaller] = await Promise.all([callee.nextRequest("BYE"), caller.nextRequest("BYE")]);
      callee.send(responseTo(toCallee, 481), headroom);
      caller.send(responseTo(toCaller, 481), headroom);
      assert.deepEqual((await Promise.all([caller.nextFinal("BYE"), callee.nextFinal("BYE")])).map(statusOf), [481, 481]);
      await headroom.untilIdle();
    });

    it("releases the load when the BYE is answered 481", async () => {
      const call = await establish(headroom, caller, callee);
      caller.send(call.fromCaller("BYE", 2), headroom);
      callee.send(responseTo(await callee.nextRequest("BYE"), 481), headroom);
      assert.equal(statusOf(await caller.nextFinal("BYE")), 481);
      await headroom.untilIdle();
    });

    it("ends a call at both sides when dlg_end_dlg asks for it", async () => {
      const call = await establish(headroom, caller, callee);
      await headroom.mi("dlg_end_dlg", [call.callId]);
      const [toCallee, toCaller] = await Promise.all([callee.nextRequest("BYE"), caller.nextRequest("BYE")]);
      callee.send(responseTo(toCallee, 200), headroom);
      caller.send(responseTo(toCaller, 200), headroom);
      await headroom.untilIdle();
    });
  });
});

describe("a call whose BYE is lost", () => {
  it("ends default_timeout seconds after its 200: the load is released, both sides get a BYE, and a late BYE changes nothing", async () => {
    const caller = await UdpPeer.open(CALLER);
    const callee = await UdpPeer.open(CALLEE);
    const headroom = await startHeadroom("dialog: { default_timeout: 2 }", [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }]);
    try {
      const call = await establish(headroom, caller, callee);
      const answeredAtMs = performance.now();
      assert.deepEqual(await headroom.loads(), [1]);
      await headroom.untilIdle(5_000);
      const lifeMs = performance.now() - answeredAtMs;
      assert.ok(lifeMs > 1_500, `the call ended after ${lifeMs} ms: want 2 s`);
      assert.equal(((await headroom.mi("get_statistics", [["dialog:"]])) as Record<string, number>)["dialog:expired_dialogs"], 1);
      const [toCallee, toCaller] = await Promise.all([callee.nextRequest("BYE"), caller.nextRequest("BYE")]);
      callee.send(responseTo(toCallee, 200), headroom);
      caller.send(responseTo(toCaller, 200), headroom);

      caller.send(call.fromCaller("BYE", 2), headroom);
      callee.send(responseTo(await callee.nextRequest("BYE"), 481), headroom);
      assert.equal(statusOf(await caller.nextFinal("BYE")), 481);
      assert.deepEqual(await headroom.loads(), [0]);
    } finally {
      await headroom.stop();
      await caller.close();
      await callee.close();
    }
  });

  it("gives its place to the next call", async () => {
    const caller = await UdpPeer.open(CALLER);
    const callee = await UdpPeer.open(CALLEE);
    const headroom = await startHeadroom("dialog: { default_timeout: 1 }", [{ uri: `sip:${callee.sentBy}`, resources: "pstn=1" }]);
    try {
      const target = `${headroom.address}:${headroom.port}`;
      await establish(headroom, caller, callee);
      const refused = await runCaller({ scenario: "caller-rejected", address: CALLER, target, calls: 1, status: 503 });
      assert.equal(refused.successful, 1);
      await headroom.untilIdle(4_000);
      await establish(headroom, caller, callee);
      await headroom.untilIdle(4_000);
    } finally {
      await headroom.stop();
      await caller.close();
      await callee.close();
    }
  });
});
