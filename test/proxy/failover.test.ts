import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProxyCall, Router } from "../../src/proxy/index.ts";
import { delivered, invite, type SimCall } from "../support/sim-call.ts";
import { balancingRouter, FR_INVITE_MS, FR_MS, SimNetwork, type SimPeer } from "../support/sim-network.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";

function finalsOf(peer: SimPeer): number[] {
  return peer.inbox.map(statusOf).filter((status) => status >= 200);
}

describe("serial re-try on another destination", () => {
  it("after a negative final answer: the next destination is counted, the first no more", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.respond(503);
    const second = net.peer("203.0.113.2").take("INVITE");
    assert.deepEqual(net.loads, [0, 1]);
    assert.notEqual(headerOf(second, "Via"), headerOf(call.delivered, "Via"));
    assert.equal(headerOf(second, "Record-Route"), headerOf(call.delivered, "Record-Route"), "it is the same dialog");
    call.caller.assertSilent();
    call.callee.take("ACK");
  });

  it("after the time-out of a destination that never answers (Timer B, RFC 3261 §17.1.1.2)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    net.run(FR_MS - 10);
    net.peer("203.0.113.2").assertSilent();
    net.run(20);
    net.peer("203.0.113.2").take("INVITE");
    assert.deepEqual(net.loads, [0, 1]);
    assert.equal(net.core.counters.timeouts_invite, 1);
    assert.equal(call.callee.inbox.length, 3, "the INVITE was repeated at 0.5, 1.5 and 3.5 s");
  });

  it("after a transport error, which counts as 503 (§16.9)", () => {
    const seen: unknown[] = [];
    const net = new SimNetwork({
      router: (balancer): Router => {
        const plain = balancingRouter(balancer);
        return {
          ...plain,
          failure(call) {
            seen.push(call.status, call.failureCause, call.response);
            return plain.failure(call);
          },
        };
      },
    });
    net.unreachable.add("203.0.113.1");
    invite(net);
    net.run(20);
    net.peer("203.0.113.2").take("INVITE");
    assert.deepEqual(seen, [503, "transport-error", undefined]);
    assert.deepEqual(net.loads, [0, 1]);
  });

  it("after Timer C, when a destination rings too long: it is cancelled (§16.8)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    net.run(FR_INVITE_MS);
    assert.match(headerOf(call.callee.take("CANCEL"), "Reason"), /cause=408/);
    net.peer("203.0.113.2").take("INVITE");
    assert.deepEqual(net.loads, [0, 1]);
  });

  it("Timer C starts again with every 1xx but 100 (§16.7 step 2)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    net.run(FR_INVITE_MS - 1_000);
    call.respond(183);
    net.run(FR_INVITE_MS - 1_000);
    net.peer("203.0.113.2").assertSilent();
    call.respond(100);
    net.run(1_000);
    net.peer("203.0.113.2").take("INVITE");
  });

  it("a 100 alone starts Timer C too: a destination that only ever says that is given up", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.respond(100);
    net.run(FR_INVITE_MS);
    net.peer("203.0.113.2").take("INVITE");
  });

  it("when all destinations fail, the best answer goes to the caller and nothing stays counted", () => {
    const net = new SimNetwork({ destinations: ["203.0.113.1", "203.0.113.2", "203.0.113.3"] });
    const call = delivered(net);
    call.respond(500);
    net.run(FR_MS + 20); // the second never answers
    const third = net.peer("203.0.113.3");
    third.send(responseTo(third.take("INVITE"), 488, { toTag: "t" }));
    call.caller.send(call.ackOf(call.caller.take(488)));
    assert.deepEqual(net.loads, [0, 0, 0]);
    net.finish();
  });

  it("when nobody answers at all, the caller gets 408 for an INVITE", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    net.run(2 * FR_MS + 20);
    call.caller.take(408);
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("and when none can be reached, 500", () => {
    const net = new SimNetwork();
    net.unreachable.add("203.0.113.1").add("203.0.113.2");
    const { caller } = invite(net);
    net.run(100);
    caller.take(500);
    net.finish();
  });

  it("a request other than INVITE that nobody answers is not answered 408 (RFC 4320 §4.1)", () => {
    const net = new SimNetwork({
      router: (balancer): Router => ({ ...balancingRouter(balancer), handles: () => true, failure: () => undefined }),
    });
    const caller = net.peer("198.51.100.1");
    const text = request({ method: "MESSAGE", sentBy: caller.sentBy });
    caller.send(text);
    net.peer("203.0.113.1").take("MESSAGE");
    net.run(FR_MS + 20);
    caller.send(text);
    caller.assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  for (const uri of ["sip:203.0.113.9;transport=tcp", "sips:203.0.113.9", "tel:+1555", "sip:nowhere.example.com", "nonsense"]) {
    it(`a target that no listener can reach is a transport error: ${uri}`, async () => {
      const net = new SimNetwork({
        router: (balancer): Router => ({
          ...balancingRouter(balancer),
          request(call: ProxyCall) {
            call.openDialog();
            balancer.start(call.load, 1, "pstn");
            call.destinationUri = uri;
            call.relay();
          },
          failure: () => undefined,
        }),
      });
      const { caller } = invite(net);
      await net.runAsync(10);
      caller.take(500);
      net.finish();
    });
  }
});

describe("late answers of a branch that was given up", () => {
  /** The first destination has timed out, the second has the INVITE. */
  function givenUp(net: SimNetwork): { call: SimCall; second: SimPeer; attempt: string } {
    const call = delivered(net);
    net.run(FR_MS + 20);
    call.callee.clear();
    const second = net.peer("203.0.113.2");
    const attempt = second.take("INVITE");
    second.clear();
    return { call, second, attempt };
  }

  it("a 1xx is answered with CANCEL, and the 487 that follows with ACK", () => {
    const net = new SimNetwork();
    const { call, second } = givenUp(net);
    call.respond(180);
    call.callee.take("CANCEL");
    call.respond(487);
    call.callee.take("ACK");
    call.caller.assertSilent();
    second.assertSilent();
    assert.deepEqual(net.loads, [0, 1]);
  });

  it("a negative final answer is acknowledged each time it comes", () => {
    const net = new SimNetwork();
    const { call } = givenUp(net);
    call.respond(486);
    call.respond(486);
    call.callee.take("ACK");
    call.callee.take("ACK");
    call.caller.assertSilent();
  });

  it("a 2xx is taken over: the other branch is cancelled and the lease moves back", () => {
    const net = new SimNetwork();
    const { call, second, attempt } = givenUp(net);
    second.send(responseTo(attempt, 180, { toTag: "s" }));
    call.caller.clear();
    call.respond(200);
    call.answer = call.caller.take(200);
    assert.match(headerOf(second.take("CANCEL"), "Reason"), /cause=200/);
    assert.deepEqual(net.loads, [1, 0]);
    net.checkLoads();
    second.send(responseTo(attempt, 487, { toTag: "s" }));
    second.take("ACK");
    call.caller.assertSilent();
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.take("BYE");
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("also above the capacity of the first destination", () => {
    const net = new SimNetwork({ resources: "pstn=1" });
    const { call } = givenUp(net);
    const other = delivered(net, { callee: "203.0.113.1" });
    assert.deepEqual(net.loads, [1, 1]);
    other.answerWith(200);
    call.respond(200);
    call.caller.take(200);
    assert.deepEqual(net.loads, [2, 0]);
    net.checkLoads();
    net.finish();
  });

  it("when both answer 2xx the caller gets both as forks, and the call is counted once", () => {
    const net = new SimNetwork();
    const { call, second, attempt } = givenUp(net);
    call.respond(200);
    call.caller.take(200);
    second.send(responseTo(attempt, 200, { toTag: "second", headers: [`Contact: <sip:b@${second.sentBy}>`] }));
    const fork = call.caller.take(200);
    assert.match(headerOf(fork, "To"), /tag=second/);
    assert.deepEqual(net.loads, [1, 0]);
    net.finish();
  });

  it("when the caller was told that the call failed, a 2xx is acknowledged and hung up, and its copies acknowledged", () => {
    const net = new SimNetwork();
    const { call, second, attempt } = givenUp(net);
    second.send(responseTo(attempt, 603, { toTag: "s" }));
    call.caller.take(603);
    call.respond(200);
    assert.equal(headerOf(call.callee.take("ACK"), "CSeq"), "1 ACK");
    const bye = call.callee.take("BYE");
    assert.equal(headerOf(bye, "CSeq"), "2 BYE");
    assert.equal(bye.split(" ")[1], `sip:callee@${call.callee.sentBy}`);
    assert.equal(headerOf(bye, "From"), headerOf(call.invite, "From"));
    assert.match(headerOf(bye, "To"), new RegExp(`;tag=${call.toTag}$`));
    call.callee.send(responseTo(bye, 200));
    call.respond(200);
    call.callee.take("ACK");
    call.callee.assertSilent();
    call.caller.assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("the BYE goes to the Contact of the 2xx, also when a 1xx had another one", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.respond(180, { contact: "<sip:early@203.0.113.77>" });
    net.run(FR_INVITE_MS);
    const second = net.peer("203.0.113.2");
    second.send(responseTo(second.take("INVITE"), 603, { toTag: "s" }));
    call.callee.clear();
    call.respond(200, { contact: "<sip:late@203.0.113.78>" });
    net.peer("203.0.113.78").take("ACK");
    assert.equal(net.peer("203.0.113.78").take("BYE").split(" ")[1], "sip:late@203.0.113.78");
  });

  it("while an asynchronous failure handler still thinks, a 2xx wins and the handler counts nothing more", async () => {
    let code: unknown;
    const net = new SimNetwork({
      router: (balancer): Router => ({
        ...balancingRouter(balancer),
        async failure(call: ProxyCall) {
          await new Promise<void>((resolve) => net.after(50, resolve));
          code = [balancer.next(call.load), balancer.reset(call.load)];
          call.relay();
        },
      }),
    });
    const call = delivered(net);
    net.run(FR_MS);
    call.respond(200);
    call.caller.take(200);
    assert.deepEqual(net.loads, [1, 0]);
    await net.runAsync(1_000);
    assert.deepEqual(code, [-1, -1]);
    assert.deepEqual(net.loads, [1, 0]);
    net.peer("203.0.113.2").assertSilent();
    net.finish();
  });

  it("64*T1 after it was given up, nothing of the branch is kept", () => {
    const net = new SimNetwork();
    const { call, second, attempt } = givenUp(net);
    second.send(responseTo(attempt, 603, { toTag: "s" }));
    assert.equal(net.core.abandoned.size, 1);
    net.run(32_000);
    assert.equal(net.core.abandoned.size, 0);
    call.callee.clear();
    call.respond(200);
    call.callee.assertSilent();
    assert.deepEqual(finalsOf(call.caller).slice(0, 1), [603]);
    net.finish();
  });
});
