import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { delivered, established } from "../support/sim-call.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, request, responseTo } from "../support/sip-messages.ts";

describe("RFC 4028: session timers are between the user agents", () => {
  const TIMERS = ["Session-Expires: 1800;refresher=uac", "Min-SE: 90", "Supported: timer"];

  it("Session-Expires, Min-SE and the option tag pass in the INVITE and in its answer", () => {
    const net = new SimNetwork();
    const call = delivered(net, { headers: TIMERS });
    for (const line of TIMERS) assert.ok(call.delivered.includes(`\r\n${line}\r\n`), line);
    const answer = call.answerWith(200, { headers: ["Session-Expires: 1800;refresher=uas", "Require: timer"] });
    assert.equal(headerOf(answer, "Session-Expires"), "1800;refresher=uas");
    assert.equal(headerOf(answer, "Require"), "timer");
  });

  it("a proxy that wants none leaves it: nothing is added to a call without a session timer", () => {
    const call = delivered(new SimNetwork());
    for (const name of ["Session-Expires", "x", "Min-SE", "Supported"]) assert.deepEqual(headersOf(call.delivered, name), []);
    assert.deepEqual(headersOf(call.answerWith(200), "Session-Expires"), []);
  });

  it("the compact form passes as it is", () => {
    const call = delivered(new SimNetwork(), { headers: ["x: 1800", "k: timer"] });
    assert.ok(call.delivered.includes("\r\nx: 1800\r\n") && call.delivered.includes("\r\nk: timer\r\n"));
  });

  it("a 422 with Min-SE of the destination reaches the caller, and no other destination is asked", () => {
    const net = new SimNetwork();
    const call = delivered(net, { headers: ["Session-Expires: 60", "Supported: timer"] });
    call.respond(422, { headers: ["Min-SE: 1800"] });
    assert.equal(headerOf(call.caller.take(422), "Min-SE"), "1800");
    net.peer("203.0.113.2").assertSilent();
  });

  it("refreshes by re-INVITE and UPDATE pass both ways with their Session-Expires", () => {
    for (const method of ["INVITE", "UPDATE"]) {
      const net = new SimNetwork();
      const call = established(net);
      call.callee.send(call.fromCallee(method, 1, { headers: TIMERS }));
      const refresh = call.caller.take(method);
      assert.equal(headerOf(refresh, "Session-Expires"), "1800;refresher=uac");
      call.caller.send(responseTo(refresh, 200, { headers: ["Session-Expires: 1800;refresher=uas"] }));
      assert.equal(headerOf(call.callee.take(200), "Session-Expires"), "1800;refresher=uas");
    }
  });
});

describe("extensions that a proxy would have to support", () => {
  for (const tag of ["sec-agree", "outbound", "path", "gruu", "privacy", "timer", "100rel"]) {
    it(`Proxy-Require: ${tag} is answered 420 with Unsupported, in an initial request and inside a call`, () => {
      const net = new SimNetwork();
      const call = established(net);
      call.caller.send(request({ sentBy: call.caller.sentBy, uri: "sip:service@192.0.2.1", headers: [`Proxy-Require: ${tag}`] }));
      assert.equal(headerOf(call.caller.take(420), "Unsupported"), tag);
      call.caller.send(call.fromCaller("INFO", 2, { headers: [`Proxy-Require: ${tag}`] }));
      assert.equal(headerOf(call.caller.take(420), "Unsupported"), tag);
      call.callee.assertSilent();
    });
  }

  it("Security-Client and the like pass when nothing of a proxy is required (RFC 3329)", () => {
    const headers = ["Require: sec-agree", "Security-Client: digest", "Security-Verify: tls;q=0.2"];
    const call = delivered(new SimNetwork(), { headers });
    for (const line of headers) assert.ok(call.delivered.includes(`\r\n${line}\r\n`), line);
  });

  it("an ACK is never answered, whatever it requires of a proxy (RFC 3261 §8.2.2.3)", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("ACK", 1, { headers: ["Proxy-Require: x"] }));
    call.callee.take("ACK");
    call.caller.assertSilent();
  });
});

describe("RFC 3262: reliable provisional responses", () => {
  it("RSeq, Require: 100rel and each copy of the response pass; it is not repeated here (RFC 3262 §3)", () => {
    const net = new SimNetwork();
    const call = delivered(net, { headers: ["Supported: 100rel"] });
    for (let i = 0; i < 3; i++) call.respond(183, { headers: ["Require: 100rel", "RSeq: 988789"] });
    for (let i = 0; i < 3; i++) assert.equal(headerOf(call.caller.take(183), "RSeq"), "988789");
    net.run(4_000);
    call.caller.assertSilent();
  });

  it("PRACK passes with its RAck and body, and its answer back", () => {
    const net = new SimNetwork();
    const call = delivered(net, { headers: ["Supported: 100rel"] });
    call.answerWith(183, { headers: ["Require: 100rel", "RSeq: 1"] });
    call.caller.send(call.fromCaller("PRACK", 2, { headers: ["RAck: 1 1 INVITE"], body: "v=0\r\n" }));
    const prack = call.callee.take("PRACK");
    assert.equal(headerOf(prack, "RAck"), "1 1 INVITE");
    assert.ok(prack.endsWith("\r\n\r\nv=0\r\n"));
    call.callee.send(responseTo(prack, 200));
    call.caller.take(200);
  });
});

describe("RFC 3326: Reason", () => {
  it("each of several Reasons of a CANCEL goes on in the CANCEL to the destination", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    call.caller.send(call.cancel(["Reason: SIP;cause=600", 'Reason: Q.850;cause=16;text="Normal"']));
    assert.deepEqual(headersOf(call.callee.take("CANCEL"), "Reason"), ['SIP;cause=600, Q.850;cause=16;text="Normal"']);
  });

  it("one that cannot be written keeps no CANCEL back", () => {
    const call = delivered(new SimNetwork());
    call.answerWith(180);
    call.caller.send(call.cancel(['Reason: SIP;text="\0"', "Reason: SIP;cause=200"]));
    assert.deepEqual(headersOf(call.callee.take("CANCEL"), "Reason"), ["SIP;cause=200"]);
  });

  it("a CANCEL without one gets none", () => {
    const call = delivered(new SimNetwork());
    call.answerWith(180);
    call.caller.send(call.cancel());
    assert.deepEqual(headersOf(call.callee.take("CANCEL"), "Reason"), []);
  });

  it("of a BYE passes both ways", () => {
    for (const side of ["fromCaller", "fromCallee"] as const) {
      const call = established(new SimNetwork());
      const [from, to] = side === "fromCaller" ? [call.caller, call.callee] : [call.callee, call.caller];
      from.send(call[side]("BYE", 5, { headers: ["Reason: Q.850;cause=31"] }));
      assert.equal(headerOf(to.take("BYE"), "Reason"), "Q.850;cause=31");
    }
  });
});
