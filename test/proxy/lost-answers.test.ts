import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { delivered, established, type SimCall } from "../support/sim-call.ts";
import { SimFailover } from "../support/sim-cluster.ts";
import { FR_INVITE_MS, PROXY } from "../support/sim-network.ts";
import { headerOf, headersOf, responseTo } from "../support/sip-messages.ts";

/** A call whose node dies before it is up. */
function ringing({ status = 180, isGuest = false, headers = [] as readonly string[] } = {}) {
  const pair = new SimFailover();
  const call = delivered(pair.before, { headers });
  if (status !== 0) call.answerWith(status);
  return { net: pair.net, elsewhere: pair.elsewhere, before: pair.before, call: pair.moved(call, isGuest) };
}

describe("responses to an INVITE whose node is gone", () => {
  for (const status of [0, 180]) {
    it(`${status === 0 ? "nothing" : status} before: 180 and 200 pass by the caller's Via, the call is up, its ACK and BYE pass`, async () => {
      const { net, call } = ringing({ status });
      call.respond(180);
      await net.runAsync(0);
      assert.deepEqual(headersOf(call.caller.take(180), "Via"), headersOf(call.invite, "Via"));
      assert.deepEqual([net.onlyDialog.state, net.dialogs.counters.early_dialogs], [2, 1]);
      call.answerWith(200);
      assert.deepEqual([net.onlyDialog.state, net.dialogs.counters.active_dialogs], [3, 1]);
      assert.deepEqual(headersOf(call.answer, "Via"), headersOf(call.invite, "Via"));
      call.caller.send(call.fromCaller("ACK", 1));
      call.callee.take("ACK");
      assert.deepEqual(net.loads, [1, 0]);
      call.callee.send(call.fromCallee("BYE", 1));
      call.caller.take("BYE");
      assert.deepEqual(net.loads, [0, 0]);
      assert.equal(net.dialogs.counters.lost_replies, 2);
      net.finish();
    });
  }

  it("a 200 that is the first to come passes; its copies pass too and change nothing", async () => {
    const { net, call, elsewhere } = ringing();
    for (let i = 0; i < 3; i++) {
      call.respond(200);
      await net.runAsync(500);
      call.answer = call.caller.take(200);
    }
    assert.equal(elsewhere.asked.length, 1);
    assert.equal(net.dialogs.counters.active_dialogs, 1);
    const { expiresAtMs } = net.onlyDialog;
    call.respond(200);
    call.caller.take(200);
    assert.equal(net.onlyDialog.expiresAtMs, expiresAtMs);
    call.caller.send(call.fromCaller("BYE", 2));
    call.respond(200);
    call.caller.take(200);
    net.finish();
  });

  it("a fork's 2xx that comes after the end is acknowledged and hung up", async () => {
    const { net, call } = ringing();
    call.respond(200);
    await net.runAsync(0);
    call.answer = call.caller.take(200);
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.caller.take(200);
    call.respond(200, { toTag: "late" });
    assert.match(headerOf(call.callee.take("ACK"), "To"), /tag=late$/);
    assert.match(headerOf(call.callee.take("BYE"), "To"), /tag=late$/);
    call.caller.assertSilent();
    net.finish();
  });

  for (const status of [302, 486, 503, 603]) {
    it(`${status} passes as it is, ends the call, and the caller's ACK ends it at the destination`, async () => {
      const { net, call } = ringing();
      const branch = /branch=[^;]*/.exec(headerOf(call.delivered, "Via"))![0];
      for (let i = 0; i < 2; i++) {
        call.respond(status, { contact: "<sip:x@203.0.113.99>" });
        await net.runAsync(500);
        call.answer = call.caller.take(status);
        assert.deepEqual(net.loads, [0, 0]);
      }
      call.caller.send(call.ackOf(call.answer));
      const ack = call.callee.take("ACK");
      assert.match(headerOf(ack, "Via"), new RegExp(`${branch}$`));
      assert.equal(headerOf(ack, "To"), headerOf(call.answer, "To"));
      net.peer("203.0.113.99").assertSilent();
      const { failed_dialogs, early_dialogs, restored_dialogs } = net.dialogs.counters;
      assert.deepEqual([failed_dialogs, early_dialogs, restored_dialogs], [1, 0, 1]);
      net.finish();
    });
  }

  it("with rport the response goes back to the port that the INVITE came from", async () => {
    const pair = new SimFailover();
    const caller = pair.before.peer("198.51.100.1");
    const early = delivered(pair.before);
    const call = pair.moved(early);
    call.delivered = call.delivered.replace(
      /Via: SIP\/2.0\/UDP 198[^\r]*/,
      "Via: SIP/2.0/UDP 10.0.0.1:7000;rport=5060;received=198.51.100.1;branch=b",
    );
    call.respond(180);
    await pair.net.runAsync(0);
    call.caller.take(180);
    caller.clear();
  });

  it("an early call that hears nothing more is taken back after fr_inv_timeout, and ends; each 1xx begins it again", async () => {
    const { net, call } = ringing();
    call.respond(180);
    await net.runAsync(0);
    net.run(FR_INVITE_MS - 1_000);
    call.respond(183);
    net.run(FR_INVITE_MS - 1_000);
    assert.deepEqual(net.loads, [1, 0]);
    const dialog = net.onlyDialog;
    net.run(2_000);
    call.callee.take("CANCEL");
    net.run(40_000);
    assert.deepEqual(net.loads, [0, 0]);
    assert.equal(dialog.endReason, "Unanswered");
    assert.equal(net.dialogs.counters.failed_dialogs, 1);
    net.finish();
  });

  it("of a guest they pass and nothing changes", async () => {
    const { net, call } = ringing({ isGuest: true });
    for (const status of [183, 200, 486]) {
      call.respond(status);
      await net.runAsync(0);
      call.caller.take(status);
    }
    assert.deepEqual(net.loads, [0, 0]);
    net.checkNothingLeft();
  });
});

describe("responses to requests inside a call whose node is gone", () => {
  /** A call whose node dies while a request of this method waits for its answer; the call is adopted. */
  async function asked(method: string, side: "caller" | "callee") {
    const pair = new SimFailover();
    const early = established(pair.before);
    const isCaller = side === "caller";
    const text = isCaller ? early.fromCaller(method, 7) : early.fromCallee(method, 7);
    (isCaller ? early.caller : early.callee).send(text);
    const received = (isCaller ? early.callee : early.caller).take(method);
    const call = pair.moved(early);
    const [from, to] = isCaller ? [call.caller, call.callee] : [call.callee, call.caller];
    from.send(isCaller ? call.fromCaller("INFO", 8) : call.fromCallee("INFO", 8));
    await pair.net.runAsync(0);
    to.send(responseTo(to.take("INFO"), 200));
    from.take(200);
    return { net: pair.net, call, from, to, text, received };
  }

  for (const side of ["caller", "callee"] as const) {
    it(`200 to a re-INVITE of the ${side} passes, again too; its ACK goes where the other side has moved`, async () => {
      const { net, call, from, to, text, received } = await asked("INVITE", side);
      for (let i = 0; i < 2; i++) {
        to.send(responseTo(received, 200, { headers: ["Contact: <sip:moved@203.0.113.77>"] }));
        assert.deepEqual(headersOf(from.take(200), "Via"), headersOf(text, "Via"));
      }
      assert.equal(side === "caller" ? net.onlyDialog.calleeContact : net.onlyDialog.callerContact, "sip:moved@203.0.113.77");
      const uri = "sip:moved@203.0.113.77";
      from.send(side === "caller" ? call.fromCaller("ACK", 7, { uri }) : call.fromCallee("ACK", 7, { uri }));
      net.peer("203.0.113.77").take("ACK");
      assert.deepEqual(net.loads, [1, 0]);
      net.dialogs.end(net.onlyDialog, "MI Termination");
      net.finish();
    });

    it(`a session that ${side === "caller" ? "its caller" : "its callee"} refreshed as its node died lasts on (RFC 4028 §8.2)`, async () => {
      for (const method of ["INVITE", "UPDATE"]) {
        const { net, from, to, received } = await asked(method, side);
        const { expiresAtMs } = net.onlyDialog;
        to.send(responseTo(received, 200, { headers: ["Session-Expires: 120;refresher=uac"] }));
        from.take(200);
        assert.ok(net.onlyDialog.expiresAtMs < expiresAtMs);
        assert.equal(net.onlyDialog.hasSessionTimer, true);
        net.run(153_000);
        assert.deepEqual(net.loads, [0, 0]);
      }
    });

    it(`other answers to the ${side} pass too`, async () => {
      for (const [method, status] of [
        ["INFO", 200],
        ["INVITE", 180],
        ["REFER", 603],
      ] as const) {
        const { from, to, received } = await asked(method, side);
        to.send(responseTo(received, status));
        from.take(status);
      }
    });
  }

  it("with another tag, another Call-ID or a next Via elsewhere they are dropped; so are those of a call that this node began", async () => {
    const { net, from, to, received } = await asked("INFO", "caller");
    const answer = responseTo(received, 200);
    for (const forged of [
      answer.replace(/(From: [^\r]*tag=)[^\r]*/, "$1other"),
      answer.replace(/(To: [^\r]*tag=)[^\r]*/, "$1other"),
      answer.replace(/Call-ID: [^\r]*/, "Call-ID: other"),
      answer.replace("UDP 198.51.100.1:5060", "UDP 203.0.113.99:5060"),
      answer.replace(/Via: [^\r]*198[^\r]*\r\n/, ""),
    ])
      to.send(forged);
    const own = established(net, { callee: "203.0.113.2" });
    own.caller.send(own.fromCaller("INFO", 2));
    const info = own.callee.take("INFO");
    own.callee.send(responseTo(info, 200));
    own.caller.take(200);
    net.run(60_000);
    own.callee.send(responseTo(info, 200));
    from.assertSilent();
    net.peer("203.0.113.99").assertSilent();
  });
});

describe("responses that do not belong to a lost INVITE are dropped, and nothing changes", () => {
  const forged: Record<string, (text: string, call: SimCall) => string> = {
    "another branch of ours": (text) => text.replace(/branch=z9hG4bK[^\r;]*/, "branch=z9hG4bKother"),
    "another Call-ID": (text) => text.replace(/Call-ID: [^\r]*/, "Call-ID: other"),
    "another tag of the caller": (text) => text.replace(/(From: [^\r]*tag=)[^\r]*/, "$1other"),
    "a next Via elsewhere": (text) => text.replace("UDP 198.51.100.1:5060", "UDP 203.0.113.99:5060"),
    "a received elsewhere": (text) => text.replace("UDP 198.51.100.1:5060", "UDP 198.51.100.1:5060;received=203.0.113.99"),
    "no next Via": (text) => text.replace(/Via: [^\r]*198[^\r]*\r\n/, ""),
    "a next Via that cannot be read": (text) => text.replace("SIP/2.0/UDP 198.51.100.1:5060", "SIP/2.0/UDP"),
    "a did that nobody has": (text) => text.replace(/did=[^;>]*/, "did=1.x"),
    "another method": (text) => text.replace("1 INVITE", "1 UPDATE"),
    "status 100": (text) => text.replace("SIP/2.0 200", "SIP/2.0 100"),
  };
  const nameless: typeof forged = {
    "no Record-Route": (text) => text.replace(/Record-Route: [^\r]*\r\n/, ""),
    "a Record-Route of another host": (text) => text.replace(`Record-Route: <sip:${PROXY}`, "Record-Route: <sip:203.0.113.50"),
    "a Record-Route that cannot be read": (text) => text.replace(/Record-Route: </, "Record-Route: <<<"),
  };
  for (const [name, change] of Object.entries(nameless)) {
    it(`${name}, but they pass when the call is here: our branch says enough`, async () => {
      const { net, call } = ringing();
      call.respond(180);
      await net.runAsync(0);
      call.caller.take(180);
      call.callee.send(change(responseTo(call.delivered, 200, { toTag: call.toTag }), call));
      call.caller.take(200);
      assert.equal(net.dialogs.counters.active_dialogs, 1);
    });
  }
  for (const [name, change] of Object.entries({ ...forged, ...nameless })) {
    for (const isFound of name in nameless ? [false] : [false, true]) {
      it(`${name}, ${isFound ? "the call is here" : "the call is to be found"}`, async () => {
        const { net, call } = ringing();
        if (isFound) {
          call.respond(180);
          await net.runAsync(0);
          call.caller.take(180);
        }
        const before = net.core.counters.drop_replies;
        const text = responseTo(call.delivered, 200, { toTag: call.toTag });
        call.callee.send(change(text, call));
        await net.runAsync(0);
        call.caller.assertSilent();
        call.callee.assertSilent();
        net.peer("203.0.113.99").assertSilent();
        assert.equal(net.dialogs.counters.active_dialogs, 0);
        if (!change(text, call).includes("SIP/2.0/UDP;")) assert.equal(net.core.counters.drop_replies, before + 1);
      });
    }
  }

  it("100,000 of them leave nothing behind", async () => {
    const { net, call, elsewhere } = ringing();
    elsewhere.kept.clear();
    for (let i = 0; i < 100_000; i++) {
      call.callee.send(responseTo(call.delivered, 200, { toTag: "x" }).replace(/did=[^;>]*/, `did=${i}.x`));
      if (i % 500 === 499) await net.runAsync(0);
    }
    assert.equal(net.dialogs.counters.searches_failed, 100_000);
    net.checkNothingLeft();
  });

  it("a late response to an INVITE of this node", () => {
    const pair = new SimFailover();
    const call = delivered(pair.net);
    call.answerWith(200);
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.caller.take(200);
    pair.net.run(60_000);
    call.respond(200);
    call.caller.assertSilent();
  });
});
