import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { delivered, established, invite } from "../support/sim-call.ts";
import { balancingRouter, SimNetwork } from "../support/sim-network.ts";
import { headersOf, responseTo } from "../support/sip-messages.ts";

describe("a route module that tries again and again", () => {
  it("comes to an end after twelve attempts, and the caller has its answer", () => {
    const net = new SimNetwork({
      router: (balancer) => ({ ...balancingRouter(balancer), failure: (call) => void call.relay() }),
    });
    const call = delivered(net);
    let attempt = call.delivered;
    for (let i = 0; i < 12; i++) {
      call.callee.send(responseTo(attempt, 503, { toTag: `t${i}` }));
      if (i < 11) attempt = call.callee.take("INVITE");
    }
    call.caller.take(500);
    call.callee.take("ACK");
    assert.ok(!call.callee.inbox.some((text) => text.startsWith("INVITE")));
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("with a target that cannot be reached ends at once: relay() answers false", () => {
    let relayed: boolean | undefined;
    const net = new SimNetwork({
      router: (balancer) => ({
        ...balancingRouter(balancer),
        request(call) {
          call.destinationUri = "sip:203.0.113.1;transport=tcp";
          relayed = call.relay();
        },
        failure: (call) => void call.relay(),
      }),
    });
    invite(net).caller.take(500);
    assert.equal(relayed, false);
    net.finish();
  });
});

describe("tags that nobody knows", () => {
  it("of many early BYEs do not keep the answered leg from being hung up", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    for (let i = 0; i < 20; i++) {
      call.caller.send(call.fromCaller("BYE", 2 + i).replace(/(\r\nTo: [^\r]*;tag=)[^\r;]*/, `$1invented${i}`));
      call.callee.send(responseTo(call.callee.take("BYE"), 481));
      call.caller.take(481);
    }
    call.answerWith(200);
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    assert.deepEqual(net.loads, [1, 0]);
    net.proxy.endDialog(net.onlyDialog);
    call.callee.take("BYE");
    call.caller.take("BYE");
    assert.deepEqual(net.loads, [0, 0]);
  });

  it("a BYE without Route belongs to the call that has its legs, not to one that rings under the same Call-ID and tag", () => {
    const net = new SimNetwork();
    const ringing = delivered(net);
    ringing.answerWith(180);
    const up = established(net, { callId: ringing.callId, cseq: 7, callee: "203.0.113.2" });
    assert.deepEqual(net.loads, [1, 1]);
    up.caller.send(up.fromCaller("BYE", 8, { routes: [] }));
    assert.deepEqual(net.loads, [1, 0]);
  });
});

describe("RFC 3261 §18.1.2", () => {
  it("a response whose sent-by is not ours is discarded, though its branch is right", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    const [ours = ""] = headersOf(call.delivered, "Via");
    call.callee.send(responseTo(call.delivered, 180, { toTag: "x" }).replace(ours, ours.replace(/UDP \S+?;/, "UDP 10.9.9.9:5060;")));
    call.caller.assertSilent();
    assert.equal(net.core.counters.drop_replies, 1);
  });
});

describe("RFC 3261 §16.3 step 1", () => {
  for (const uri of ["sip:", "sip:@x", "sip:a@b:99999", "sip:a@[::1"]) {
    it(`the Request-URI "${uri}" is answered 400`, () => {
      const net = new SimNetwork();
      invite(net, { uri }).caller.take(400);
      assert.deepEqual(net.loads, [0, 0]);
    });
  }
});
