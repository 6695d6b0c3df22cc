import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DialogFlag } from "../../src/dialog/index.ts";
import { bodyOf, offer, pinged, pingingNetwork, SDP, untilPing } from "../support/pinged-call.ts";
import { branchOf, delivered, requestUriOf } from "../support/sim-call.ts";
import { FR_MS } from "../support/sim-network.ts";
import { headerOf, responseTo, statusOf } from "../support/sip-messages.ts";

const { ReinvitePingCaller, ReinvitePingCallee } = DialogFlag;
const CANCEL_WAIT_MS = 32_000;

describe("a re-INVITE ping and the parties' own re-INVITEs", () => {
  for (const method of ["INVITE", "UPDATE"]) {
    it(`${method} to the side that has not answered the ping: 491, so that it comes again (RFC 3261 §14.1, §14.2); the ping is taken back`, () => {
      const { net, call, ended } = pinged(ReinvitePingCallee);
      untilPing(net);
      const ping = call.callee.take("INVITE");
      call.callee.send(responseTo(ping, 180));
      call.caller.send(call.fromCaller(method, 8, { headers: SDP, body: offer("held") }));
      call.caller.take(491);
      const cancel = call.callee.take("CANCEL");
      assert.deepEqual([branchOf(cancel), headerOf(cancel, "CSeq")], [branchOf(ping), "7 CANCEL"]);
      call.callee.send(responseTo(cancel, 200));
      call.callee.send(responseTo(ping, 487));
      call.callee.take("ACK");
      call.callee.assertSilent();
      net.run(2_100);
      call.caller.clear();
      call.caller.send(call.fromCaller(method, 9, { headers: SDP, body: offer("held") }));
      const real = call.callee.take(method);
      assert.equal(headerOf(real, "CSeq"), `9 ${method}`);
      call.callee.send(responseTo(real, 200));
      call.caller.take(200);
      assert.deepEqual([ended, net.loads, net.onlyDialog.negotiations], [[], [1, 0], 0]);
      net.finish();
    });
  }

  for (const method of ["UPDATE", "PRACK"]) {
    it(`repeats what was agreed on while it rang by ${method}, not what the INVITE had said`, () => {
      const net = pingingNetwork(ReinvitePingCallee | ReinvitePingCaller);
      const call = delivered(net, { headers: SDP, body: offer("first") });
      call.respond(183, { headers: SDP, body: offer("first-answer") });
      call.answer = call.caller.take(183);
      call.caller.send(call.fromCaller(method, 2, { headers: SDP, body: offer("second") }));
      call.callee.send(responseTo(call.callee.take(method), 200, { headers: SDP, body: offer("second-answer") }));
      call.caller.take(200);
      call.respond(200);
      call.answer = call.caller.take(200);
      call.caller.send(call.fromCaller("ACK", 1));
      call.callee.take("ACK");
      untilPing(net);
      assert.deepEqual([bodyOf(call.callee.take("INVITE")), bodyOf(call.caller.take("INVITE"))], [offer("second"), offer("second-answer")]);
    });
  }

  it("of what one callee agreed on while it rang nothing is told to another one that answered: OPTIONS goes", () => {
    const net = pingingNetwork(ReinvitePingCallee);
    const call = delivered(net, { headers: SDP, body: offer("first") });
    call.answerWith(183);
    call.caller.send(call.fromCaller("UPDATE", 2, { headers: SDP, body: offer("second") }));
    call.callee.send(responseTo(call.callee.take("UPDATE"), 200, { headers: SDP, body: offer("second-answer") }));
    call.caller.take(200);
    call.answerWith(200, { toTag: "another", headers: SDP });
    untilPing(net);
    call.callee.take("OPTIONS");
  });

  it("who answers it from another place gets its ACK there (RFC 3261 §12.2.1.2)", () => {
    const { net, call } = pinged(ReinvitePingCallee);
    untilPing(net);
    const ping = call.callee.take("INVITE");
    call.callee.send(responseTo(ping, 200, { headers: ["Contact: <sip:moved@203.0.113.88>"] }));
    const ack = net.peer("203.0.113.88").take("ACK");
    assert.deepEqual([requestUriOf(ack), headerOf(ack, "CSeq")], ["sip:moved@203.0.113.88", "7 ACK"]);
    call.callee.assertSilent();
  });

  it("a re-INVITE the other way passes, and so does everything else", () => {
    const { net, call, ended } = pinged(ReinvitePingCallee);
    untilPing(net);
    const ping = call.callee.take("INVITE");
    call.callee.send(responseTo(ping, 180));
    call.callee.send(call.fromCallee("INVITE", 41, { headers: SDP, body: offer("callee2") }));
    call.caller.send(responseTo(call.caller.take("INVITE"), 200));
    call.callee.take(200);
    call.caller.send(call.fromCaller("INFO", 8));
    call.callee.send(responseTo(call.callee.take("INFO"), 200));
    call.caller.take(200);
    call.callee.send(responseTo(ping, 200));
    call.callee.take("ACK");
    assert.deepEqual([ended, net.loads], [[], [1, 0]]);
  });

  it("while one of the parties' is not answered, OPTIONS goes in its place, and afterwards a re-INVITE with what was agreed on", () => {
    const { net, call } = pinged(ReinvitePingCaller | ReinvitePingCallee);
    net.run(29_000);
    call.caller.send(call.fromCaller("INVITE", 8, { headers: SDP, body: offer("held") }));
    const real = call.callee.take("INVITE");
    call.callee.send(responseTo(real, 180));
    call.caller.clear();
    untilPing(net);
    for (const side of [call.caller, call.callee]) {
      side.send(responseTo(side.take("OPTIONS"), 200));
      side.assertSilent();
    }
    call.callee.send(responseTo(real, 200, { headers: SDP, body: offer("answered") }));
    call.caller.clear();
    untilPing(net);
    assert.deepEqual([bodyOf(call.callee.take("INVITE")), bodyOf(call.caller.take("INVITE"))], [offer("held"), offer("answered")]);
  });

  it("a party that has sent its own meanwhile answers 491, and has the call (§14.2)", () => {
    const { net, call, ended } = pinged(ReinvitePingCallee);
    for (const [status, header] of [
      [491, ""],
      [500, "Retry-After: 7"],
      [401, 'WWW-Authenticate: Digest realm="x", nonce="n"'],
      [407, 'Proxy-Authenticate: Digest realm="x", nonce="n"'],
      [503, "Retry-After: 60"],
    ] as const) {
      untilPing(net);
      call.callee.send(responseTo(call.callee.take("INVITE"), status, { headers: header === "" ? [] : [header] }));
      call.callee.take("ACK");
    }
    assert.deepEqual([ended, net.loads], [[], [1, 0]]);
  });
});

describe("a re-INVITE ping that is only answered provisionally", () => {
  it("180: it is taken back after the time that a request may take, and the party has the call", () => {
    const { net, call, ended } = pinged(ReinvitePingCallee);
    for (let round = 0; round < 3; round++) {
      untilPing(net);
      const ping = call.callee.take("INVITE");
      call.callee.send(responseTo(ping, 180));
      net.run(FR_MS - 100);
      call.callee.assertSilent();
      net.run(100);
      call.callee.send(responseTo(call.callee.take("CANCEL"), 200));
      call.callee.send(responseTo(ping, 487));
      call.callee.take("ACK");
    }
    assert.deepEqual([ended, net.loads], [[], [1, 0]]);
  });

  it("100 alone may come from any hop: with nothing but a 487 to the CANCEL it is silence, and the second one ends the call", () => {
    const { net, call, ended } = pinged(ReinvitePingCallee);
    for (let round = 0; round < 2; round++) {
      if (round === 0) untilPing(net);
      const ping = call.callee.take("INVITE");
      call.callee.send(responseTo(ping, 100));
      net.run(FR_MS);
      call.callee.take("CANCEL");
      call.callee.send(responseTo(ping, 487));
      call.callee.take("ACK");
    }
    assert.deepEqual([ended, net.loads], [["ReINVITE Ping Timeout"], [0, 0]]);
    net.finish();
  });

  it("one that is never answered finally is given up 64*T1 after its CANCEL", () => {
    const { net, call, ended } = pinged(ReinvitePingCallee);
    untilPing(net);
    for (let round = 0; round < 2; round++) {
      call.callee.send(responseTo(call.callee.take("INVITE"), 100));
      assert.deepEqual(ended, []);
      net.run(FR_MS + CANCEL_WAIT_MS);
      call.callee.inbox.splice(
        0,
        call.callee.inbox.findIndex((text) => text.startsWith("INVITE ")),
      );
    }
    assert.deepEqual([ended, net.loads], [["ReINVITE Ping Timeout"], [0, 0]]);
    net.finish();
  });

  it("a 2xx that crosses the CANCEL is acknowledged, and the party has the call", () => {
    const { net, call, ended } = pinged(ReinvitePingCallee);
    untilPing(net);
    const ping = call.callee.take("INVITE");
    call.callee.send(responseTo(ping, 100));
    net.run(FR_MS);
    call.callee.take("CANCEL");
    call.callee.send(responseTo(ping, 200));
    assert.equal(headerOf(call.callee.take("ACK"), "CSeq"), "7 ACK");
    net.run(20_000);
    assert.deepEqual([ended, net.loads], [[], [1, 0]]);
  });

  it("when the call ends meanwhile it is taken back, and nothing of it is left", () => {
    const { net, call, ended } = pinged(ReinvitePingCallee);
    untilPing(net);
    const ping = call.callee.take("INVITE");
    call.callee.send(responseTo(ping, 180));
    call.caller.send(call.fromCaller("BYE", 8));
    call.callee.take("CANCEL");
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.callee.send(responseTo(ping, 487));
    call.callee.take("ACK");
    assert.deepEqual([ended, statusOf(call.caller.take(200))], [["Downstream BYE"], 200]);
    net.finish();
  });
});
