import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProxyCall, Router } from "../../src/proxy/index.ts";
import { branchOf, delivered, established, invite, requestUriOf } from "../support/sim-call.ts";
import { balancingRouter, FR_MS, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, responseTo } from "../support/sip-messages.ts";

describe("RFC 3261 §9 and §16.10: CANCEL", () => {
  it("is answered 200 with the To tag of the INVITE's answer, and 481 when there is nothing to cancel", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.caller.send(call.cancel());
    const ok = call.caller.take(200);
    call.respond(180);
    call.respond(487);
    assert.equal(headerOf(ok, "CSeq"), "1 CANCEL");
    assert.notEqual(/tag=/.exec(headerOf(ok, "To")), null);
    const other = delivered(net, { callee: "203.0.113.1" });
    other.caller.clear();
    other.caller.send(other.cancel().replaceAll(branchOf(other.invite), "z9hG4bKnone"));
    other.caller.take(481);
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("before any 1xx it is held until one comes, then goes the way of the INVITE (§9.1)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.caller.send(call.cancel());
    call.caller.take(200);
    call.callee.assertSilent();
    call.respond(100);
    const cancel = call.callee.take("CANCEL");
    assert.equal(requestUriOf(cancel), requestUriOf(call.delivered));
    assert.deepEqual(headersOf(cancel, "Via"), headersOf(call.delivered, "Via").slice(0, 1));
    for (const name of ["From", "To", "Call-ID"]) assert.equal(headerOf(cancel, name), headerOf(call.delivered, name), name);
    assert.equal(headerOf(cancel, "CSeq"), "1 CANCEL");
    call.callee.send(responseTo(cancel, 200));
    call.respond(487);
    call.callee.take("ACK");
    const final = call.caller.take(487);
    assert.deepEqual(net.loads, [0, 0]);
    call.caller.send(call.ackOf(final));
    call.caller.assertSilent();
    net.finish();
  });

  it("when no 1xx ever comes, the caller gets 487 at the time-out and the destination is never sent a CANCEL", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.caller.send(call.cancel());
    call.caller.take(200);
    net.run(FR_MS);
    call.caller.take(487);
    assert.deepEqual(net.loads, [0, 0]);
    assert.ok(!call.callee.inbox.some((text) => text.startsWith("CANCEL")));
    net.peer("203.0.113.2").assertSilent();
    net.finish();
  });

  it("after 180 it goes to the destination at once, with the caller's Reason (RFC 3326)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    call.caller.send(call.cancel(['Reason: SIP;cause=200;text="Call completed elsewhere"']));
    const cancel = call.callee.take("CANCEL");
    assert.equal(headerOf(cancel, "Reason"), 'SIP;cause=200;text="Call completed elsewhere"');
    call.callee.send(responseTo(cancel, 200));
    call.respond(487);
    call.callee.take("ACK");
    assert.deepEqual(net.loads, [0, 0]);
    net.run(FR_MS);
    assert.equal(call.callee.inbox.length, 0, "the CANCEL was answered, so it is not repeated");
  });

  it("is repeated until it is answered (§17.1.2.2)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    call.caller.send(call.cancel());
    net.run(1_500);
    assert.equal(call.callee.inbox.filter((text) => text.startsWith("CANCEL")).length, 3);
  });

  it("a copy of the CANCEL is answered again and forwarded once", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    const cancel = call.cancel();
    call.caller.send(cancel);
    call.caller.send(cancel);
    call.caller.take(200);
    call.caller.take(200);
    call.callee.take("CANCEL");
    call.callee.assertSilent();
  });

  it("after the 2xx it is answered 200 and has no effect (§9.2)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(200);
    call.caller.send(call.cancel());
    assert.equal(headerOf(call.caller.take(200), "CSeq"), "1 CANCEL");
    call.callee.assertSilent();
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("a 2xx that crosses it passes: the call is up and counted, and the caller ends it with BYE (§15)", () => {
    for (const before of [undefined, 180]) {
      const net = new SimNetwork();
      const call = delivered(net);
      if (before !== undefined) call.answerWith(before);
      call.caller.send(call.cancel());
      call.caller.take(200);
      call.respond(200);
      call.answer = call.caller.take(200);
      assert.equal(headerOf(call.answer, "CSeq"), "1 INVITE");
      assert.deepEqual(net.loads, [1, 0]);
      call.caller.send(call.fromCaller("ACK", 1));
      call.callee.take("ACK");
      call.caller.send(call.fromCaller("BYE", 2));
      call.callee.send(responseTo(call.callee.take("BYE"), 200));
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("a destination that ignores it is given up after 64*T1, and its late 2xx is acknowledged and hung up (§9.1)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    call.caller.send(call.cancel());
    call.caller.clear();
    net.run(32_000);
    call.caller.take(487);
    assert.deepEqual(net.loads, [0, 0]);
    call.callee.clear();
    call.respond(200);
    call.callee.take("ACK");
    assert.equal(headerOf(call.callee.take("BYE"), "CSeq"), "2 BYE");
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("provisional responses after it do not pass; what the callee answers does, a server failure is 487", () => {
    for (const [answered, wanted] of [
      [486, 486],
      [603, 603],
      [503, 487],
    ] as const) {
      const net = new SimNetwork();
      const call = delivered(net);
      call.answerWith(180);
      call.caller.send(call.cancel());
      call.caller.take(200);
      call.respond(183);
      call.caller.assertSilent();
      call.respond(answered);
      call.caller.take(wanted);
      net.peer("203.0.113.2").assertSilent();
      assert.deepEqual(net.loads, [0, 0]);
    }
  });

  it("while the call fails over, it cancels the branch that is waited for and no further one is made", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.respond(500);
    const second = net.peer("203.0.113.2");
    const attempt = second.take("INVITE");
    second.send(responseTo(attempt, 180, { toTag: "s" }));
    call.caller.send(call.cancel());
    second.take("CANCEL");
    second.send(responseTo(attempt, 487, { toTag: "s" }));
    call.caller.take(487);
    assert.deepEqual(net.loads, [0, 0]);
    call.callee.take("ACK");
    call.callee.assertSilent();
  });

  it("for a re-INVITE it goes to the other side, and the call stays up", () => {
    const net = new SimNetwork();
    const call = established(net);
    const reinvite = call.fromCaller("INVITE", 2);
    call.caller.send(reinvite);
    const received = call.callee.take("INVITE");
    call.callee.send(responseTo(received, 180));
    call.caller.send(reinvite.replace(/^INVITE/, "CANCEL").replace("CSeq: 2 INVITE", "CSeq: 2 CANCEL"));
    call.callee.take("CANCEL");
    call.callee.send(responseTo(received, 487));
    call.caller.take(487);
    assert.deepEqual(net.loads, [1, 0]);
    assert.equal(net.onlyDialog.state, 4);
  });

  it("a CANCEL that overtakes its INVITE is answered 481, and the INVITE goes on", () => {
    const net = new SimNetwork();
    const call = invite(net);
    const early = call.cancel().replaceAll(branchOf(call.invite), "z9hG4bKearly");
    call.caller.send(early);
    call.caller.take(481);
    assert.deepEqual(net.loads, [1, 0]);
  });
});

describe("CANCEL while the route handler waits", () => {
  it("is answered 487 at once; what the handler does afterwards has no effect and counts nothing", async () => {
    const results: unknown[] = [];
    const net = new SimNetwork({
      router: (balancer): Router => ({
        ...balancingRouter(balancer),
        async request(call: ProxyCall) {
          await new Promise<void>((resolve) => net.after(100, resolve));
          call.openDialog();
          results.push(call.cancelled, balancer.start(call.load, 1, "pstn"), call.relay(), call.reply(404));
        },
      }),
    });
    const call = invite(net);
    call.caller.take(100);
    call.caller.send(call.cancel());
    call.caller.take(200);
    call.caller.send(call.ackOf(call.caller.take(487)));
    await net.runAsync(2_000);
    assert.deepEqual(results, [true, -1, false, false]);
    call.callee.assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("also when the destination was chosen before the wait: it is freed at once", async () => {
    const net = new SimNetwork({
      router: (balancer): Router => ({
        ...balancingRouter(balancer),
        async request(call: ProxyCall) {
          call.openDialog();
          balancer.start(call.load, 1, "pstn");
          await new Promise<void>((resolve) => net.after(100, resolve));
          assert.equal(balancer.next(call.load), -1);
          call.relay();
        },
      }),
    });
    const call = invite(net);
    assert.deepEqual(net.loads, [1, 0]);
    call.caller.send(call.cancel());
    call.caller.take(487);
    assert.deepEqual(net.loads, [0, 0]);
    await net.runAsync(2_000);
    assert.deepEqual(net.loads, [0, 0]);
    net.peer("203.0.113.1").assertSilent();
    net.finish();
  });

  it("also in an asynchronous failure handler", async () => {
    const net = new SimNetwork({
      router: (balancer): Router => {
        const plain = balancingRouter(balancer);
        return {
          ...plain,
          async failure(call: ProxyCall) {
            await new Promise<void>((resolve) => net.after(100, resolve));
            plain.failure(call);
          },
        };
      },
    });
    const call = delivered(net);
    call.respond(500);
    call.caller.send(call.cancel());
    call.caller.take(487);
    await net.runAsync(2_000);
    net.peer("203.0.113.2").assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("also while a host name is looked up", async () => {
    const net = new SimNetwork({
      resolve: () => new Promise((resolve) => net.after(100, () => resolve("203.0.113.9"))),
      router: (balancer): Router => ({
        ...balancingRouter(balancer),
        request(call: ProxyCall) {
          call.destinationUri = "sip:media.example.com";
          call.relay();
        },
      }),
    });
    const call = invite(net);
    call.caller.send(call.cancel());
    call.caller.take(487);
    await net.runAsync(2_000);
    net.peer("203.0.113.9").assertSilent();
    net.finish();
  });
});
