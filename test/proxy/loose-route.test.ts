import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { delivered, established, requestUriOf, routeValues, uriOf } from "../support/sim-call.ts";
import { PROXY, PROXY6, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, responseTo } from "../support/sip-messages.ts";

describe("RFC 3261 §16.4 and §16.12: loose routing", () => {
  it("our Route is removed and the next one, with lr, is the next hop; the Request-URI stays", () => {
    const net = new SimNetwork();
    const call = established(net);
    const own = headersOf(call.answer, "Record-Route")[0]!;
    call.caller.send(call.fromCaller("INFO", 2, { routes: [own, "<sip:203.0.113.99;lr>", "<sip:203.0.113.98;lr>"] }));
    const info = net.peer("203.0.113.99").take("INFO");
    assert.equal(requestUriOf(info), `sip:callee@${call.callee.sentBy}`);
    assert.deepEqual(headersOf(info, "Route"), ["<sip:203.0.113.99;lr>", "<sip:203.0.113.98;lr>"]);
  });

  it("several Routes in one header line are as several lines", () => {
    const net = new SimNetwork();
    const call = established(net);
    const own = headersOf(call.answer, "Record-Route")[0]!;
    call.caller.send(call.fromCaller("INFO", 2, { routes: [`${own}, <sip:203.0.113.99;lr>`] }));
    assert.deepEqual(headersOf(net.peer("203.0.113.99").take("INFO"), "Route"), ["<sip:203.0.113.99;lr>"]);
  });

  it("§16.4: a strict router before us put our Record-Route into the Request-URI: the last Route is the target", () => {
    const net = new SimNetwork();
    const call = established(net);
    const uri = headersOf(call.answer, "Record-Route")[0]!.slice(1, -1);
    for (const routes of [["<sip:callee@203.0.113.1:5060>"], ["<sip:203.0.113.99;lr>", "<sip:callee@203.0.113.1:5060>"]]) {
      call.caller.send(call.fromCaller("INFO", routes.length + 1, { uri, routes }));
      const info = net.peer(routes.length === 1 ? "203.0.113.1" : "203.0.113.99").take("INFO");
      assert.equal(requestUriOf(info), "sip:callee@203.0.113.1:5060");
      assert.deepEqual(headersOf(info, "Route"), routes.slice(0, -1));
    }
  });

  it("§16.6 step 6: a strict router behind us gets itself as Request-URI, and the target as the last Route", () => {
    const net = new SimNetwork();
    const call = established(net);
    const own = headersOf(call.answer, "Record-Route")[0]!;
    call.caller.send(call.fromCaller("INFO", 2, { routes: [own, "<sip:203.0.113.99>", "<sip:203.0.113.98;lr>"] }));
    const info = net.peer("203.0.113.99").take("INFO");
    assert.equal(requestUriOf(info), "sip:203.0.113.99");
    assert.deepEqual(headersOf(info, "Route"), ["<sip:203.0.113.98;lr>", `<sip:callee@${call.callee.sentBy}>`]);
  });

  it("a strict router on both sides at once", () => {
    const net = new SimNetwork();
    const call = established(net);
    const uri = headersOf(call.answer, "Record-Route")[0]!.slice(1, -1);
    call.caller.send(call.fromCaller("INFO", 2, { uri, routes: ["<sip:203.0.113.99>", "<sip:callee@203.0.113.1:5060>"] }));
    const info = net.peer("203.0.113.99").take("INFO");
    assert.equal(requestUriOf(info), "sip:203.0.113.99");
    assert.deepEqual(headersOf(info, "Route"), ["<sip:callee@203.0.113.1:5060>"]);
  });

  it("of our two Record-Routes (RFC 5658) a strict router before us leaves one in the Request-URI: the other is removed too", () => {
    const net = new SimNetwork({ destinations: ["2001:db8::d1"] });
    const call = established(net, { callee: "2001:db8::d1" });
    const [outside, inside] = routeValues(headersOf(call.answer, "Record-Route")).reverse();
    call.caller.send(call.fromCaller("INFO", 2, { uri: uriOf(outside!), routes: [inside!, "<sip:callee@[2001:db8::d1]:5060>"] }));
    const info = call.callee.take("INFO");
    assert.equal(requestUriOf(info), "sip:callee@[2001:db8::d1]:5060");
    assert.deepEqual(headersOf(info, "Route"), []);
  });

  it("also for the ACK of a 2xx", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(200);
    const own = headersOf(call.answer, "Record-Route")[0]!;
    call.caller.send(call.fromCaller("ACK", 1, { routes: [own, "<sip:203.0.113.99>"] }));
    const ack = net.peer("203.0.113.99").take("ACK");
    assert.equal(requestUriOf(ack), "sip:203.0.113.99");
    assert.deepEqual(headersOf(ack, "Route"), [`<sip:callee@${call.callee.sentBy}>`]);
  });

  it("a call that spirals through us has two dialogs, and each request inside it passes both", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    const middle = net.peer("203.0.113.1");
    // The destination sends the call back to us for another user, and stays in the path.
    const back = call.delivered
      .replace(/^INVITE \S+/, `INVITE sip:other@${PROXY}`)
      .replace("\r\nVia:", `\r\nVia: SIP/2.0/UDP ${middle.sentBy};branch=z9hG4bKmiddle\r\nVia:`)
      .replace("\r\nRecord-Route:", "\r\nRecord-Route: <sip:203.0.113.1;lr>\r\nRecord-Route:");
    middle.send(back);
    const end = net.peer("203.0.113.2");
    const final = end.take("INVITE");
    end.send(responseTo(final, 200, { toTag: "end", headers: ["Contact: <sip:end@203.0.113.2>"] }));
    const toMiddle = middle.take(200);
    middle.send(toMiddle.replace(/Via: [^\r]*\r\n/, ""));
    call.answer = call.caller.take(200);
    assert.equal(headersOf(call.answer, "Record-Route").length, 3);
    assert.deepEqual(net.loads, [1, 1]);
    call.caller.send(call.fromCaller("BYE", 2));
    const first = middle.take("BYE");
    assert.deepEqual(net.loads, [0, 1]);
    assert.match(headerOf(first, "Route"), /^<sip:203\.0\.113\.1;lr>/);
    middle.send(
      first
        .replace("Route: <sip:203.0.113.1;lr>\r\n", "")
        .replace("\r\nVia:", `\r\nVia: SIP/2.0/UDP ${middle.sentBy};branch=z9hG4bKbye\r\nVia:`),
    );
    end.take("BYE");
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });
});

describe("RFC 5658: a call between IPv4 and IPv6", () => {
  const SIX = "2001:db8::c1";

  for (const [name, caller, callee] of [
    ["from IPv4 to IPv6", "198.51.100.1", SIX],
    ["from IPv6 to IPv4", SIX, "203.0.113.1"],
  ] as const) {
    it(`${name}: two Record-Routes, each side sees its own address first, and requests inside the dialog pass both ways`, () => {
      const net = new SimNetwork({ destinations: [callee] });
      const call = delivered(net, { caller, callee });
      const hostOf = (address: string): string => (address.includes(":") ? `[${PROXY6}]:5060` : `${PROXY}:5060`);
      const { did } = net.onlyDialog;
      const routes = routeValues(headersOf(call.delivered, "Record-Route"));
      assert.deepEqual(routes, [`<sip:${hostOf(callee)};lr;did=${did};r2=on>`, `<sip:${hostOf(caller)};lr;did=${did};r2=on>`]);
      assert.ok(headersOf(call.delivered, "Via")[0]!.startsWith(`SIP/2.0/UDP ${hostOf(callee)};`));
      call.answerWith(180);
      call.answerWith(200);
      call.caller.send(call.fromCaller("ACK", 1));
      assert.deepEqual(headersOf(call.callee.take("ACK"), "Route"), []);
      call.callee.send(call.fromCallee("INVITE", 1));
      const reinvite = call.caller.take("INVITE");
      assert.deepEqual(headersOf(reinvite, "Route"), []);
      assert.ok(headersOf(reinvite, "Via")[0]!.startsWith(`SIP/2.0/UDP ${hostOf(caller)};`));
      call.caller.send(responseTo(reinvite, 200));
      call.callee.take(200);
      call.caller.send(call.fromCaller("BYE", 2));
      call.callee.send(responseTo(call.callee.take("BYE"), 200));
      call.caller.take(200);
      assert.deepEqual(net.loads, [0]);
      net.finish();
    });
  }

  it("within one family there is one Record-Route", () => {
    const net = new SimNetwork({ destinations: ["2001:db8::d1"] });
    const call = delivered(net, { caller: SIX, callee: "2001:db8::d1" });
    assert.deepEqual(headersOf(call.delivered, "Record-Route"), [`<sip:[${PROXY6}]:5060;lr;did=${net.onlyDialog.did}>`]);
  });

  it("at the end of its lifetime each side gets its BYE at its own family", () => {
    const net = new SimNetwork({ destinations: [SIX] });
    const call = established(net, { caller: "198.51.100.1", callee: SIX });
    net.proxy.endDialog(net.onlyDialog);
    assert.ok(headerOf(call.caller.take("BYE"), "Via").startsWith(`SIP/2.0/UDP ${PROXY}:5060;`));
    assert.ok(headerOf(call.callee.take("BYE"), "Via").startsWith(`SIP/2.0/UDP [${PROXY6}]:5060;`));
    net.finish();
  });
});
