import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OverloadSettings } from "../../src/overload/index.ts";
import { limits } from "../overload/fixtures.ts";
import { delivered, established, invite } from "../support/sim-call.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headerOf, request, statusOf } from "../support/sip-messages.ts";

const CALLER = "198.51.100.1";
const LAGGING = { lagMs: 900, utilization: 1, repeatedShare: 0 };
const CALM = { lagMs: 0, utilization: 0, repeatedShare: 0 };

/** A proxy with limits; calls that change their state are told to them, as in the server. */
function limited(over: Partial<OverloadSettings> = {}) {
  const { overload, clock, bans } = limits(over);
  const net = new SimNetwork({ overload });
  net.dialogs.onState = (dialog) => overload.callChanged(dialog);
  const lag = (): void => {
    for (let n = 0; n < 2; n++) overload.sample(LAGGING);
  };
  const calm = (): void => {
    for (let n = 0; n < 4; n++) overload.sample(CALM);
  };
  return { net, overload, clock, bans, lag, calm };
}

describe("while the event loop does not keep up", () => {
  it("new calls get 503 with Retry-After, and leave nothing behind; afterwards they are taken", () => {
    const { net, lag, calm } = limited();
    lag();
    const call = invite(net);
    const answer = call.caller.take(503);
    assert.equal(headerOf(answer, "Retry-After"), "7");
    assert.match(headerOf(answer, "To"), /;tag=/);
    assert.equal(net.layer.serverCount, 0);
    call.caller.send(call.ackOf(answer));
    call.caller.assertSilent();
    assert.deepEqual([net.layer.counters.stray_acks, net.core.counters.drop_requests], [0, 0], "its ACK is expected");
    calm();
    delivered(net, { callId: "another" });
  });

  it("a copy of a refused call is refused also afterwards: its caller waits for nothing any more", () => {
    const { net, lag, calm } = limited();
    lag();
    const call = invite(net);
    const first = call.caller.take(503);
    calm();
    call.caller.send(call.invite);
    assert.equal(call.caller.take(503), first);
    call.callee.assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
  });

  it("INVITEs that come again are told apart from other copies: their callers wait", () => {
    const { net } = limited();
    const call = established(net);
    const bye = call.fromCaller("BYE", 2);
    for (let n = 0; n < 2; n++) call.caller.send(bye);
    const next = invite(net, { callId: "next" });
    next.caller.send(next.invite);
    assert.deepEqual([net.layer.counters.absorbed_requests, net.layer.counters.repeated_invites], [2, 1]);
  });

  it("calls that are up go on: re-INVITE, its ACK, INFO, BYE", () => {
    const { net, lag } = limited();
    const call = established(net);
    lag();
    call.caller.send(call.fromCaller("INVITE", 2));
    call.delivered = call.callee.take("INVITE");
    call.answerWith(200);
    call.caller.send(call.fromCaller("ACK", 2));
    call.callee.take("ACK");
    call.callee.send(call.fromCallee("INFO", 1));
    call.caller.take("INFO");
    call.caller.send(call.fromCaller("BYE", 3));
    call.callee.take("BYE");
    assert.deepEqual(net.loads, [0, 0]);
  });

  it("calls that ring are cancelled and answered", () => {
    const { net, lag } = limited();
    const cancelled = delivered(net);
    cancelled.respond(180);
    const answered = delivered(net, { caller: "198.51.100.2", callee: "203.0.113.2" });
    lag();
    cancelled.caller.send(cancelled.cancel());
    cancelled.caller.take(200);
    cancelled.callee.take("CANCEL");
    answered.answerWith(200);
    answered.caller.send(answered.fromCaller("ACK", 1));
    answered.callee.take("ACK");
  });

  it("OPTIONS to us are answered 200: we are there", () => {
    const { net, lag } = limited();
    lag();
    const peer = net.peer(CALLER);
    peer.send(request({ method: "OPTIONS", uri: "sip:192.0.2.1", sentBy: peer.sentBy }));
    peer.take(200);
  });

  it("what would be refused anyway gets its own answer", () => {
    const { net, lag } = limited();
    lag();
    const peer = net.peer(CALLER);
    peer.send(request({ uri: "http:example.com", sentBy: peer.sentBy }));
    peer.take(416);
    peer.send(request({ method: "MESSAGE", sentBy: peer.sentBy }));
    peer.take(405);
  });
});

describe("at the ceiling of new calls", () => {
  it("one more gets 503, and its next try a second later is taken", () => {
    const { net, clock } = limited({ newCallsPerSecond: 2 });
    delivered(net, { callId: "a" });
    delivered(net, { callId: "b", callee: "203.0.113.2" });
    invite(net, { callId: "c" }).caller.take(503);
    clock.advance(1_000);
    delivered(net, { callId: "c", cseq: 2 });
  });
});

describe("a scanner", () => {
  const headers = ["User-Agent: friendly-scanner"];
  for (const method of ["INVITE", "OPTIONS", "REGISTER"]) {
    it(`gets no answer to ${method}, and leaves nothing behind`, () => {
      const { net } = limited();
      const peer = net.peer(CALLER);
      peer.send(request({ method, uri: "sip:100@192.0.2.1", sentBy: peer.sentBy, headers }));
      peer.assertSilent();
      assert.deepEqual([net.layer.serverCount, net.dialogs.size], [0, 0]);
    });

    it(`gets 403 to ${method} where that is configured, and leaves nothing behind`, () => {
      const { net } = limited({ scannerAnswer: "forbid" });
      const peer = net.peer(CALLER);
      peer.send(request({ method, uri: "sip:100@192.0.2.1", sentBy: peer.sentBy, headers }));
      assert.equal(statusOf(peer.take(403)), 403);
      assert.equal(net.layer.serverCount, 0);
    });
  }
});

describe("a source that sends too many requests", () => {
  it("begins no calls any more, while its call that is up and other sources go on", () => {
    const { net, overload, bans } = limited();
    const call = established(net);
    for (let n = 0; n < 100; n++) overload.admitRequest(CALLER);
    assert.equal(bans.length, 1);
    invite(net, { callId: "more" }).caller.assertSilent();
    assert.equal(overload.admitRequest(CALLER), true, "the datagram is let pass for the call");
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.take("BYE");
    assert.equal(overload.admitRequest(CALLER), false, "the call is over");
    delivered(net, { caller: "198.51.100.2" });
  });
});
