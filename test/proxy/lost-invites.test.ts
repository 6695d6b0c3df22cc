import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointsOf } from "../../src/dialog/index.ts";
import { branchOf, delivered, requestUriOf, type SimCall } from "../support/sim-call.ts";
import { SimFailover } from "../support/sim-cluster.ts";
import { FR_INVITE_MS, FR_MS, type SimNetwork } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

const CANCEL_WAIT_MS = 32_000;

/** A call that was not up when its proxy died, and that the next one has restored before anything came. */
function restored({ status = 180, uri = "sip:service@192.0.2.1" } = {}): { net: SimNetwork; call: SimCall } {
  const pair = new SimFailover();
  const before = delivered(pair.before, { uri });
  if (status !== 0) before.answerWith(status);
  const call = pair.moved(before);
  const { net } = pair;
  for (const { snapshot, held } of pair.elsewhere.kept.values()) {
    const dialog = net.dialogs.restore(snapshot, endpointsOf(snapshot, [net.listener4, net.listener6])!);
    net.balancer.adopt(dialog!.load, held);
  }
  pair.elsewhere.kept.clear();
  assert.deepEqual(net.loads, [1, 0]);
  return { net, call };
}

describe("a call that rings when its proxy starts again", () => {
  for (const status of [0, 180]) {
    it(`and is cancelled by its caller is cancelled at its destination, whose 487 ends it (${status || "nothing"} before)`, () => {
      const { net, call } = restored({ status });
      call.caller.send(call.cancel());
      call.caller.take(200);
      const cancel = call.callee.take("CANCEL");
      assert.equal(headerOf(cancel, "Via"), headerOf(call.delivered, "Via").split(",")[0]);
      assert.equal(requestUriOf(cancel), requestUriOf(call.delivered));
      assert.equal(headerOf(cancel, "CSeq"), "1 CANCEL");
      for (const name of ["From", "To", "Call-ID"]) assert.equal(headerOf(cancel, name), headerOf(call.delivered, name));
      assert.deepEqual(net.loads, [1, 0]);
      call.callee.send(responseTo(cancel, 200));
      call.answerWith(487);
      assert.deepEqual(net.loads, [0, 0]);
      call.caller.send(call.ackOf(call.answer));
      assert.equal(branchOf(call.callee.take("ACK")), branchOf(call.delivered));
      net.finish();
    });
  }

  it("and is answered while the CANCEL is on its way is up", () => {
    const { net, call } = restored();
    call.caller.send(call.cancel());
    call.caller.take(200);
    call.callee.send(responseTo(call.callee.take("CANCEL"), 200));
    call.answerWith(200);
    net.run(CANCEL_WAIT_MS + FR_INVITE_MS);
    assert.deepEqual(net.loads, [1, 0]);
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    net.finish();
  });

  it("and is cancelled at a destination that is gone ends after 64*T1 and a question", () => {
    const { net, call } = restored();
    call.caller.send(call.cancel());
    net.run(CANCEL_WAIT_MS - 1_000);
    assert.deepEqual(net.loads, [1, 0]);
    net.run(FR_MS + 3_000);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("and is cancelled at a destination that has no such INVITE is asked for at once", () => {
    const { net, call } = restored();
    call.caller.send(call.cancel());
    call.caller.take(200);
    call.callee.send(responseTo(call.callee.take("CANCEL"), 481));
    net.run(1_000);
    assert.deepEqual(net.loads, [1, 0]); // it may have been answered long ago
    call.callee.send(responseTo(call.callee.take("OPTIONS"), 481));
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("is cancelled by nobody else: another address, tag or number gets 481", () => {
    const { net, call } = restored();
    net.peer("198.51.100.9").send(call.cancel().replaceAll(call.caller.address, "198.51.100.9"));
    net.peer("198.51.100.9").take(481);
    call.caller.send(call.cancel().replace("CSeq: 1", "CSeq: 2"));
    call.caller.take(481);
    call.caller.send(call.cancel().replace(/From: ([^;]*);tag=[^\r]*/, "From: $1;tag=other"));
    call.caller.take(481);
    call.callee.assertSilent();
    net.finish();
  });

  it("and whose INVITE comes again has it passed on as the copy that it is", () => {
    const { net, call } = restored({ status: 0 });
    call.caller.send(call.invite);
    const copy = call.callee.take("INVITE");
    assert.equal(copy, call.delivered);
    assert.equal(net.dialogs.size, 1);
    call.answerWith(180);
    call.answerWith(200);
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    assert.deepEqual(net.loads, [1, 0]);
    net.finish();
  });

  it("and is refused without our Record-Route is over, and so it is by an ACK of a refusal that nobody saw", () => {
    for (const isSeen of [true, false]) {
      const { net, call } = restored();
      const refusal = responseTo(call.delivered.replaceAll(/^Record-Route: .*\r\n/gm, ""), 486, { toTag: call.toTag });
      if (isSeen) {
        call.callee.send(refusal);
        call.answer = call.caller.take(486);
      } else call.answer = refusal;
      call.caller.send(call.ackOf(call.answer));
      assert.equal(branchOf(call.callee.take("ACK")), branchOf(call.delivered));
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("and nobody answers is taken back; the 487 passes", () => {
    const { net, call } = restored();
    net.run(FR_INVITE_MS + 1_000);
    call.callee.send(responseTo(call.callee.take("CANCEL"), 200));
    call.answerWith(487);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("and is ended by an operator is taken back; a 200 that crosses is acknowledged and hung up", () => {
    for (const isAnswered of [true, false]) {
      const { net, call } = restored();
      net.proxy.endDialog(net.onlyDialog);
      assert.deepEqual(net.loads, [0, 0]);
      call.callee.take("CANCEL");
      if (isAnswered) {
        call.respond(200);
        call.callee.take("ACK");
        call.callee.take("BYE");
      } else call.answerWith(487);
      call.caller.assertSilent();
      net.finish();
    }
  });
});

describe("a call that was answered when its proxy was down", () => {
  it("is up with the caller's ACK, and its lifetime begins", () => {
    for (const status of [0, 180]) {
      const { net, call } = restored({ status });
      const headers = [`Contact: <sip:callee@${call.callee.sentBy}>`];
      call.answer = responseTo(call.delivered, 200, { toTag: call.toTag, headers });
      call.caller.send(call.fromCaller("ACK", 1));
      call.callee.take("ACK");
      assert.deepEqual([net.onlyDialog.state, net.onlyDialog.calleeContact], [4, `sip:callee@${call.callee.sentBy}`]);
      net.run(FR_INVITE_MS + CANCEL_WAIT_MS + FR_MS + 5_000);
      assert.deepEqual(net.loads, [1, 0]);
      call.callee.assertSilent();
      call.callee.send(call.fromCallee("BYE", 1));
      call.caller.take("BYE");
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("is up with a re-INVITE of either side, and over with the BYE of its callee", () => {
    for (const side of ["caller", "callee"] as const) {
      const { net, call } = restored();
      call.answer = responseTo(call.delivered, 200, { toTag: call.toTag, headers: [`Contact: <sip:callee@${call.callee.sentBy}>`] });
      if (side === "caller") call.caller.send(call.fromCaller("INVITE", 2));
      else call.callee.send(call.fromCallee("INVITE", 2));
      (side === "caller" ? call.callee : call.caller).take("INVITE");
      assert.equal(net.onlyDialog.state, 3);
      call.callee.send(call.fromCallee("BYE", 3));
      assert.deepEqual(net.loads, [0, 0]);
    }
    const { net, call } = restored();
    call.answer = responseTo(call.delivered, 200, { toTag: call.toTag });
    call.callee.send(call.fromCallee("BYE", 1));
    call.caller.send(responseTo(call.caller.take("BYE"), 200));
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  for (const status of [200, 481]) {
    it(`is over with ${status} to the BYE of its caller, as no INVITE is left to be answered`, () => {
      const { net, call } = restored();
      call.answer = responseTo(call.delivered, 200, { toTag: call.toTag, headers: [`Contact: <sip:callee@${call.callee.sentBy}>`] });
      call.caller.send(call.fromCaller("BYE", 2));
      assert.deepEqual(net.loads, [1, 0]);
      call.callee.send(responseTo(call.callee.take("BYE"), status));
      call.caller.take(status);
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    });
  }

  it("and of which nothing is heard is asked for once its time is up: 200 keeps it, 481 ends it", () => {
    for (const status of [200, 481]) {
      const { net, call } = restored();
      net.run(FR_INVITE_MS + 1_000);
      call.callee.send(responseTo(call.callee.take("CANCEL"), 481));
      net.run(100);
      const ping = call.callee.take("OPTIONS");
      assert.match(headerOf(ping, "To"), new RegExp(`tag=${call.toTag}`));
      call.callee.send(responseTo(ping, status));
      net.run(60_000);
      assert.deepEqual(net.loads, status === 200 ? [1, 0] : [0, 0]);
      net.finish();
    }
  });
});
