import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer } from "../../src/balancer/index.ts";
import type { ProxyCall, Router } from "../../src/proxy/index.ts";
import { delivered, established, invite } from "../support/sim-call.ts";
import { balancingRouter, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, request, responseTo } from "../support/sip-messages.ts";

type Handler = (call: ProxyCall, balancer: Balancer) => void | Promise<void>;

/** A simulation whose handlers are these; what is not given is as in {@link balancingRouter}. */
function withHandlers(handlers: { request?: Handler; failure?: Handler; reply?: Router["reply"] }): SimNetwork {
  return new SimNetwork({
    router: (balancer) => {
      const plain = balancingRouter(balancer);
      const { request: onRequest, failure, reply } = handlers;
      return {
        handles: () => true,
        request: (call) => (onRequest ?? plain.request.bind(plain))(call, balancer),
        failure: (call) => (failure ?? plain.failure.bind(plain))(call, balancer),
        ...(reply === undefined ? {} : { reply }),
      };
    },
  });
}

function pick(call: ProxyCall, balancer: Balancer): void {
  call.openDialog();
  assert.equal(balancer.start(call.load, 1, "pstn"), 1);
  call.destinationUri = call.load.destination!.uri;
  call.setTarget(call.load.destination);
}

describe("what a handler may do", () => {
  it("reply(): the answer has its reason and headers, and what was counted is freed", () => {
    const net = withHandlers({
      request: (call, balancer) => {
        pick(call, balancer);
        assert.equal(call.reply(503, "Service full", [["Retry-After", "5"]]), true);
        assert.equal(call.reply(404), false);
        assert.equal(call.relay(), false);
      },
    });
    const { caller } = invite(net);
    const answer = caller.take(503);
    assert.match(answer, /^SIP\/2\.0 503 Service full\r\n/);
    assert.equal(headerOf(answer, "Retry-After"), "5");
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("reply() after relay(): the destination is cancelled", () => {
    const net = withHandlers({
      request: (call, balancer) => {
        pick(call, balancer);
        call.relay();
        call.reply(480);
      },
    });
    const call = invite(net);
    call.delivered = call.callee.take("INVITE");
    call.caller.take(480);
    call.respond(180);
    call.callee.take("CANCEL");
    call.respond(200);
    call.callee.take("ACK");
    call.callee.take("BYE");
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("drop(): no answer at all, copies are absorbed, a CANCEL has nothing to cancel, nothing is left", () => {
    for (const relayFirst of [false, true]) {
      const net = withHandlers({
        request: (call, balancer) => {
          pick(call, balancer);
          if (relayFirst) call.relay();
          call.drop();
          call.drop();
          call.openDialog();
          assert.equal(call.relay(), false);
          assert.equal(call.reply(404), false);
        },
      });
      const call = invite(net);
      if (relayFirst) call.caller.take(100);
      call.caller.send(call.invite);
      call.caller.assertSilent();
      assert.deepEqual(net.loads, [0, 0]);
      if (relayFirst) {
        call.delivered = call.callee.take("INVITE");
        call.respond(180);
        call.callee.take("CANCEL");
        call.respond(200);
        call.callee.take("ACK");
        call.callee.take("BYE");
      }
      call.caller.assertSilent();
      net.finish();
    }
  });

  it("drop() of another request than INVITE", () => {
    const net = withHandlers({ request: (call) => call.drop() });
    const caller = net.peer("198.51.100.1");
    caller.send(request({ method: "MESSAGE", sentBy: caller.sentBy }));
    caller.assertSilent();
    net.finish();
  });

  it("addHeader(), removeHeader() and requestUri change what is relayed", () => {
    const net = withHandlers({
      request: (call, balancer) => {
        pick(call, balancer);
        call.requestUri = "sip:mapped@203.0.113.1";
        call.addHeader("X-Group", "1");
        call.addHeader("X-Gone", "1");
        call.removeHeader("x-gone");
        call.removeHeader("X-Secret");
        call.relay();
      },
    });
    const received = delivered(net, { headers: ["X-Secret: 1"] }).delivered;
    assert.equal(received.split(" ")[1], "sip:mapped@203.0.113.1");
    assert.equal(headerOf(received, "X-Group"), "1");
    assert.deepEqual([...headersOf(received, "X-Gone"), ...headersOf(received, "X-Secret")], []);
  });

  it("reply() sees each 1xx but 100 and the final answer, with its status", () => {
    const seen: number[] = [];
    const net = withHandlers({ reply: (call) => seen.push(call.status), failure: () => undefined });
    const call = delivered(net);
    call.respond(100);
    call.answerWith(183);
    call.respond(486);
    assert.deepEqual(seen, [183, 486]);
  });

  it("a request other than INVITE may be counted too: until its final answer", () => {
    const net = withHandlers({
      request: (call, balancer) => {
        assert.equal(balancer.start(call.load, 1, "pstn"), 1);
        call.destinationUri = call.load.destination!.uri;
        call.relay();
      },
    });
    const caller = net.peer("198.51.100.1");
    caller.send(request({ method: "MESSAGE", sentBy: caller.sentBy }));
    assert.deepEqual(net.loads, [1, 0]);
    const server = net.peer("203.0.113.1");
    server.send(responseTo(server.take("MESSAGE"), 200, { toTag: "m" }));
    caller.take(200);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("requests inside a dialog are not its business", () => {
    let calls = 0;
    const net = withHandlers({
      request: (call, balancer) => {
        calls++;
        pick(call, balancer);
        call.relay();
      },
    });
    const call = established(net);
    call.caller.send(call.fromCaller("INVITE", 2));
    call.callee.take("INVITE");
    assert.equal(calls, 1);
  });
});
