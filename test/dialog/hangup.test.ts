import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { delivered, established, requestUriOf, uriOf } from "../support/sim-call.ts";
import { LIFETIME_MS, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, responseTo } from "../support/sip-messages.ts";

describe("the lifetime of a call ends", () => {
  it("leases are given back and both sides get BYE, each as if from the other (RFC 3261 §12.2.1.1, §15)", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("INFO", 7));
    call.callee.send(responseTo(call.callee.take("INFO"), 200));
    call.callee.send(call.fromCallee("INFO", 41));
    call.caller.send(responseTo(call.caller.take("INFO"), 200));
    call.caller.clear();
    call.callee.clear();
    net.run(LIFETIME_MS - 1_000);
    assert.deepEqual(net.loads, [1, 0]);
    net.run(1_000);
    assert.deepEqual(net.loads, [0, 0]);
    assert.equal(net.dialogs.counters.expired_dialogs, 1);
    const toCallee = call.callee.take("BYE");
    const toCaller = call.caller.take("BYE");
    assert.equal(headerOf(toCallee, "CSeq"), "8 BYE");
    assert.equal(headerOf(toCaller, "CSeq"), "42 BYE");
    assert.equal(requestUriOf(toCallee), uriOf(headerOf(call.answer, "Contact")));
    assert.equal(requestUriOf(toCaller), uriOf(headerOf(call.invite, "Contact")));
    assert.equal(headerOf(toCallee, "From"), headerOf(call.answer, "From"));
    assert.equal(headerOf(toCallee, "To"), headerOf(call.answer, "To"));
    assert.equal(headerOf(toCaller, "From"), headerOf(call.answer, "To"));
    assert.equal(headerOf(toCaller, "To"), headerOf(call.answer, "From"));
    for (const bye of [toCallee, toCaller]) {
      assert.equal(headerOf(bye, "Call-ID"), call.callId);
      assert.equal(headersOf(bye, "Via").length, 1);
      assert.deepEqual(headersOf(bye, "Route"), []);
      assert.equal(headerOf(bye, "Max-Forwards"), "70");
    }
    call.callee.send(responseTo(toCallee, 200));
    call.caller.send(responseTo(toCaller, 481));
    call.callee.assertSilent();
    call.caller.assertSilent();
    net.finish();
  });

  it("it runs from the 2xx, and re-INVITEs do not lengthen it", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    net.run(60_000);
    call.answerWith(200);
    net.run(LIFETIME_MS / 2);
    call.caller.send(call.fromCaller("INVITE", 2));
    call.callee.send(responseTo(call.callee.take("INVITE"), 200));
    net.run(LIFETIME_MS / 2 - 100);
    assert.deepEqual(net.loads, [1, 0]);
    net.run(200);
    assert.deepEqual(net.loads, [0, 0]);
  });

  it("a call whose BYE never reached us is given back by its lifetime", () => {
    const net = new SimNetwork();
    established(net);
    net.finish();
  });

  it("the BYEs take the way of the route sets; a strict router gets itself as Request-URI (§12.2.1.1)", () => {
    const net = new SimNetwork();
    const call = delivered(net, { headers: ["Record-Route: <sip:198.51.100.50;lr>, <sip:198.51.100.51;lr>"] });
    const ok = responseTo(call.delivered, 200, { toTag: "T", headers: ["Contact: <sip:bob@203.0.113.77>"] });
    call.callee.send(
      ok.replace("Record-Route:", "Record-Route: <sip:203.0.113.61;lr>\r\nRecord-Route: <sip:203.0.113.60>\r\nRecord-Route:"),
    );
    net.proxy.endDialog(net.onlyDialog);
    const toCallee = net.peer("203.0.113.60").take("BYE");
    assert.equal(requestUriOf(toCallee), "sip:203.0.113.60");
    assert.deepEqual(headersOf(toCallee, "Route"), ["<sip:203.0.113.61;lr>", "<sip:bob@203.0.113.77>"]);
    const toCaller = net.peer("198.51.100.50").take("BYE");
    assert.equal(requestUriOf(toCaller), uriOf(headerOf(call.invite, "Contact")));
    assert.deepEqual(headersOf(toCaller, "Route"), ["<sip:198.51.100.50;lr>", "<sip:198.51.100.51;lr>"]);
  });

  it("the BYEs go to the refreshed targets", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.callee.send(call.fromCallee("UPDATE", 1, { headers: ["Contact: <sip:callee@203.0.113.7>"] }));
    call.caller.send(responseTo(call.caller.take("UPDATE"), 200, { headers: ["Contact: <sip:caller@198.51.100.7>"] }));
    net.proxy.endDialog(net.onlyDialog);
    net.peer("203.0.113.7").take("BYE");
    net.peer("198.51.100.7").take("BYE");
  });

  it("a side without a Contact that can be used is reached where it was last seen", () => {
    for (const contact of ["*", "<sip:nowhere.example.com>", "<tel:+1555>", "<sip:x@203.0.113.1;transport=tcp>"]) {
      const net = new SimNetwork();
      const call = delivered(net);
      call.answerWith(200, { contact });
      net.proxy.endDialog(net.onlyDialog);
      call.callee.take("BYE");
      call.caller.take("BYE");
      net.finish();
    }
  });

  it("every fork that is up is hung up, on both sides", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(200, { toTag: "one" });
    call.answerWith(200, { toTag: "two" });
    net.proxy.endDialog(net.onlyDialog);
    for (const side of [call.callee, call.caller]) {
      const byes = [side.take("BYE"), side.take("BYE")];
      const tags = byes.map((bye) => /tag=(one|two)$/.exec(headerOf(bye, side === call.callee ? "To" : "From"))?.[1]);
      assert.deepEqual(tags, ["one", "two"]);
      side.assertSilent();
    }
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });
});

describe("dlg_end_dlg", () => {
  it("of a call that is up: BYE to both sides with the extra headers, the leases are given back", () => {
    for (const acknowledged of [false, true]) {
      const net = new SimNetwork();
      const call = delivered(net);
      call.answerWith(200);
      if (acknowledged) {
        call.caller.send(call.fromCaller("ACK", 1));
        call.callee.take("ACK");
      }
      net.proxy.endDialog(net.onlyDialog, [["X-Why", "operator"]]);
      assert.equal(headerOf(call.callee.take("BYE"), "X-Why"), "operator");
      assert.equal(headerOf(call.caller.take("BYE"), "X-Why"), "operator");
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("of a call that is not up: CANCEL to the destination, 487 to the caller", () => {
    for (const ringing of [false, true]) {
      const net = new SimNetwork();
      const call = delivered(net);
      if (ringing) call.answerWith(180);
      net.proxy.endDialog(net.onlyDialog);
      call.caller.take(487);
      assert.deepEqual(net.loads, [0, 0]);
      if (!ringing) call.respond(180);
      call.callee.take("CANCEL");
      call.respond(487);
      call.callee.take("ACK");
      call.caller.assertSilent();
      net.finish();
    }
  });

  it("of an ended call: nothing happens", () => {
    const net = new SimNetwork();
    const call = established(net);
    const dialog = net.onlyDialog;
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.caller.take(200);
    net.proxy.endDialog(dialog);
    call.callee.assertSilent();
    call.caller.assertSilent();
    net.finish();
  });
});

describe("RFC 3261 §13.2.2.4: several 2xx of a fork", () => {
  it("the call is counted once, and ends with the BYE of its last fork", () => {
    for (const order of [
      ["one", "two", "three"],
      ["three", "one", "two"],
      ["two", "three", "one"],
    ]) {
      const net = new SimNetwork();
      const call = delivered(net);
      const answers = new Map(["one", "two", "three"].map((toTag) => [toTag, call.answerWith(200, { toTag })]));
      assert.deepEqual(net.loads, [1, 0]);
      for (const [i, toTag] of order.entries()) {
        assert.deepEqual(net.loads, [1, 0]);
        call.answer = answers.get(toTag)!;
        call.caller.send(call.fromCaller("ACK", 1));
        call.callee.take("ACK");
        if (i === 1) call.callee.send(call.fromCallee("BYE", 1));
        else call.caller.send(call.fromCaller("BYE", 2));
        (i === 1 ? call.caller : call.callee).take("BYE");
      }
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("a copy of a fork's 2xx after its BYE does not bring it back", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(200, { toTag: "one" });
    call.answerWith(200, { toTag: "two" });
    call.caller.send(call.fromCaller("BYE", 2));
    call.answerWith(200, { toTag: "two" });
    call.answerWith(200, { toTag: "one" });
    call.caller.send(call.fromCaller("BYE", 2));
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("a fork that answers when the call is over is acknowledged and hung up: its caller would not know it", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    call.caller.take(200);
    net.run(10_000);
    call.respond(200, { toTag: "late" });
    assert.match(headerOf(call.callee.take("ACK"), "To"), /tag=late$/);
    assert.match(headerOf(call.callee.take("BYE"), "To"), /tag=late$/);
    call.caller.assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });
});
