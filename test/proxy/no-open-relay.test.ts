import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { established, invite } from "../support/sim-call.ts";
import { balancingRouter, PROXY, PROXY6, SimNetwork } from "../support/sim-network.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";

function ask(net: SimNetwork, parts: Parameters<typeof request>[0]): string {
  const caller = net.peer("198.51.100.1");
  caller.send(request({ sentBy: caller.sentBy, ...parts }));
  return caller.inbox.splice(0).find((text) => statusOf(text) >= 200) ?? "";
}

describe("no open relay", () => {
  it("an initial request other than INVITE is answered 405 with Allow, when no rule names its method", () => {
    const net = new SimNetwork();
    for (const method of ["MESSAGE", "SUBSCRIBE", "REGISTER", "PUBLISH", "BYE", "INFO", "UPDATE", "REFER", "FROBNICATE"]) {
      const answer = ask(net, { method, uri: "sip:victim@203.0.113.66" });
      assert.equal(statusOf(answer), 405, method);
      assert.match(headerOf(answer, "Allow"), /^INVITE, ACK, CANCEL, OPTIONS$/);
    }
    net.peer("203.0.113.66").assertSilent();
    net.finish();
  });

  it("one whose method a rule names is routed, without Record-Route and without a dialog", () => {
    const net = new SimNetwork({ router: (balancer) => ({ ...balancingRouter(balancer), handles: (method) => method === "MESSAGE" }) });
    ask(net, { method: "MESSAGE" });
    assert.equal(headerOf(net.peer("203.0.113.1").take("MESSAGE"), "Record-Route"), "");
    assert.equal(net.dialogs.size, 0);
  });

  it("a preloaded Route that is not ours is refused 403, for every method", () => {
    const net = new SimNetwork();
    for (const method of ["INVITE", "MESSAGE", "OPTIONS"]) {
      for (const routes of [["<sip:203.0.113.66;lr>"], [`<sip:${PROXY};lr>`, "<sip:203.0.113.66;lr>"]]) {
        assert.equal(statusOf(ask(net, { method, routes })), 403, `${method} ${routes.join()}`);
      }
    }
    net.peer("203.0.113.66").assertSilent();
    net.finish();
  });

  it("a request inside a dialog that we do not know is answered 481, of every method", () => {
    const net = new SimNetwork();
    for (const method of ["BYE", "INVITE", "UPDATE", "INFO", "FROBNICATE"]) {
      assert.equal(statusOf(ask(net, { method, to: "<sip:x@203.0.113.66>;tag=made-up", uri: "sip:x@203.0.113.66" })), 481, method);
    }
    net.peer("203.0.113.66").assertSilent();
    net.finish();
  });

  it("also with the did of a call that is up, when Call-ID or tags are not its own", () => {
    const net = new SimNetwork();
    const call = established(net);
    const cases: Record<string, string>[] = [
      { callId: "other" },
      { from: "<sip:x@example.com>;tag=wrong" },
      { to: "<sip:x@example.com>;tag=wrong" },
      { from: "<sip:x@example.com>" },
    ];
    for (const wrong of cases) {
      call.caller.send(call.fromCaller("BYE", 2, wrong));
      call.caller.take(481);
      call.callee.send(call.fromCallee("BYE", 2, wrong));
      call.callee.take(481);
    }
    assert.deepEqual(net.loads, [1, 0]);
    assert.equal(net.core.counters.unknown_dialog, 8);
  });

  it("a caller's BYE reaches the destination that holds the call, wherever it is addressed: a slot is not freed while the call stays up there", () => {
    for (const parts of [{ uri: "sip:accomplice@203.0.113.66" }, { routes: [`<sip:${PROXY};lr>`, "<sip:203.0.113.66;lr>"] }]) {
      const net = new SimNetwork();
      const call = established(net);
      call.caller.send(call.fromCaller("BYE", 2, parts));
      call.callee.send(responseTo(call.callee.take("BYE"), 200));
      call.caller.take(200);
      assert.deepEqual(net.loads, [0, 0]);
      net.peer("203.0.113.66").assertSilent();
    }
  });

  it("a source that sip.allow does not name gets 403 for a new request, but may speak inside its dialog", () => {
    const net = new SimNetwork({ allowed: ["198.51.100.1"] });
    const call = established(net);
    const stranger = net.peer("198.51.100.99");
    stranger.send(request({ sentBy: stranger.sentBy }));
    stranger.take(403);
    call.callee.send(call.fromCallee("INFO", 1));
    call.caller.take("INFO");
  });
});

describe("RFC 3261 §11: OPTIONS to the proxy itself", () => {
  it("is answered 200 with what it can do, on each of its addresses", () => {
    const net = new SimNetwork();
    for (const uri of [`sip:${PROXY}`, `sip:${PROXY}:5060`, `sip:[${PROXY6}]`, `sip:ping@${PROXY}`]) {
      const answer = ask(net, { method: "OPTIONS", uri });
      assert.equal(statusOf(answer), 200, uri);
      assert.match(headerOf(answer, "Allow"), /OPTIONS/);
      assert.equal(headerOf(answer, "Accept"), "application/sdp");
      assert.equal(headerOf(answer, "Server"), "headroom");
      assert.match(headerOf(answer, "To"), /;tag=/);
    }
    net.finish();
  });

  it("also with Max-Forwards 0, which ends at us (§16.3 step 3), and through our own Route", () => {
    const net = new SimNetwork();
    assert.equal(statusOf(ask(net, { method: "OPTIONS", uri: `sip:${PROXY}`, maxForwards: 0 })), 200);
    assert.equal(statusOf(ask(net, { method: "OPTIONS", uri: `sip:${PROXY}`, routes: [`<sip:${PROXY};lr>`] })), 200);
  });

  it("to somebody else it is answered 405, with no hops left 483 or 405", () => {
    const net = new SimNetwork();
    assert.equal(statusOf(ask(net, { method: "OPTIONS", uri: "sip:victim@203.0.113.66" })), 405);
    net.peer("203.0.113.66").assertSilent();
  });

  it("when a rule names OPTIONS it is routed, and 483 without hops left", () => {
    const net = new SimNetwork({ router: (balancer) => ({ ...balancingRouter(balancer), handles: () => true }) });
    ask(net, { method: "OPTIONS", uri: `sip:${PROXY}` });
    net.peer("203.0.113.1").take("OPTIONS");
    assert.equal(statusOf(ask(net, { method: "OPTIONS", uri: `sip:${PROXY}`, maxForwards: 0 })), 483);
  });

  it("an INVITE to the proxy itself is a call like any other", () => {
    const net = new SimNetwork();
    invite(net, { uri: `sip:${PROXY}` });
    net.peer("203.0.113.1").take("INVITE");
  });
});
