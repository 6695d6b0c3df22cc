import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { delivered, established, requestUriOf, uriOf } from "../support/sim-call.ts";
import { FR_MS, PROXY, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, responseTo, statusOf } from "../support/sip-messages.ts";

const METHODS = ["UPDATE", "INFO", "PRACK", "REFER", "NOTIFY", "MESSAGE", "OPTIONS", "SUBSCRIBE", "FROBNICATE"];

describe("RFC 3261 §16.12: requests inside a dialog", () => {
  for (const method of METHODS) {
    it(`${method} passes in both directions, and its answer back`, () => {
      const net = new SimNetwork();
      const call = established(net);
      for (const [from, to, text] of [
        [call.caller, call.callee, call.fromCaller(method, 2, { headers: ["X-Any: 1"] })],
        [call.callee, call.caller, call.fromCallee(method, 1, { headers: ["X-Any: 1"] })],
      ] as const) {
        from.send(text);
        const received = to.take(method);
        assert.deepEqual(headersOf(received, "Route"), []);
        assert.deepEqual(headersOf(received, "Record-Route"), []);
        assert.equal(headerOf(received, "X-Any"), "1");
        assert.equal(received.split(" ")[1], `sip:${to === call.callee ? "callee" : "caller"}@${to.sentBy}`);
        to.send(responseTo(received, 202));
        assert.deepEqual(headersOf(from.take(202), "Via"), headersOf(text, "Via"));
        from.assertSilent();
        to.assertSilent();
      }
      assert.deepEqual(net.loads, [1, 0]);
      net.finish();
    });
  }

  it("re-INVITE passes in both directions with its 100, 200 and ACK; it is counted no second time (§14)", () => {
    const net = new SimNetwork();
    const call = established(net);
    for (const [from, to, text, ack] of [
      [call.caller, call.callee, call.fromCaller("INVITE", 2), call.fromCaller("ACK", 2)],
      [call.callee, call.caller, call.fromCallee("INVITE", 1), call.fromCallee("ACK", 1)],
    ] as const) {
      from.send(text);
      from.take(100);
      const received = to.take("INVITE");
      to.send(responseTo(received, 200, { headers: [`Contact: <sip:moved@${to.sentBy}>`] }));
      from.take(200);
      from.send(ack);
      to.take("ACK");
    }
    assert.deepEqual(net.loads, [1, 0]);
    assert.equal(net.onlyDialog.state, 4);
    net.checkLoads();
  });

  it("a re-INVITE that is refused is acknowledged hop by hop and ends nothing (§14.1)", () => {
    const net = new SimNetwork();
    const call = established(net);
    const text = call.fromCaller("INVITE", 2);
    call.caller.send(text);
    call.callee.send(responseTo(call.callee.take("INVITE"), 491));
    call.callee.take("ACK");
    call.caller.take(491);
    call.caller.send(text.replace(/^INVITE/, "ACK").replace("2 INVITE", "2 ACK"));
    call.callee.assertSilent();
    assert.deepEqual(net.loads, [1, 0]);
    net.run(10_000);
    call.caller.clear();
    call.caller.assertSilent();
  });

  it("a re-INVITE and an UPDATE refresh the targets of both sides (§12.2)", () => {
    for (const method of ["INVITE", "UPDATE"]) {
      const net = new SimNetwork();
      const call = established(net);
      call.caller.send(call.fromCaller(method, 2, { headers: method === "UPDATE" ? ["Contact: <sip:caller@198.51.100.7>"] : [] }));
      call.callee.send(responseTo(call.callee.take(method), 200, { headers: ["Contact: <sip:callee@203.0.113.7>"] }));
      assert.equal(net.onlyDialog.calleeContact, "sip:callee@203.0.113.7");
      assert.equal(net.onlyDialog.callerContact, method === "UPDATE" ? "sip:caller@198.51.100.7" : "sip:caller@198.51.100.1:5060");
    }
  });

  it("UPDATE, PRACK, INFO pass in an early dialog, both ways (RFC 3262, RFC 3311)", () => {
    const net = new SimNetwork();
    const call = delivered(net, { headers: ["Supported: 100rel"] });
    call.answerWith(183, { headers: ["Require: 100rel", "RSeq: 1"] });
    call.caller.send(call.fromCaller("PRACK", 2, { headers: ["RAck: 1 1 INVITE"] }));
    call.callee.send(responseTo(call.callee.take("PRACK"), 200));
    call.caller.take(200);
    call.callee.send(call.fromCallee("UPDATE", 1));
    call.caller.send(responseTo(call.caller.take("UPDATE"), 200));
    call.callee.take(200);
    call.caller.send(call.fromCaller("INFO", 3));
    call.callee.take("INFO");
    assert.equal(net.onlyDialog.state, 2);
    assert.equal(net.onlyDialog.callerCseq, 3);
    assert.equal(net.onlyDialog.calleeCseq, 1);
    call.answerWith(200);
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("BYE from either side ends the call and frees the destination at once; its answer passes (§15)", () => {
    for (const side of ["caller", "callee"] as const) {
      const net = new SimNetwork();
      const call = established(net);
      const [from, to] = side === "caller" ? [call.caller, call.callee] : [call.callee, call.caller];
      from.send(side === "caller" ? call.fromCaller("BYE", 2) : call.fromCallee("BYE", 1));
      const bye = to.take("BYE");
      assert.deepEqual(net.loads, [0, 0]);
      to.send(responseTo(bye, 200));
      from.take(200);
      net.finish();
    }
  });

  it("a request whose next hop is a host name is forwarded once the name is known, or to where the peer was last seen", async () => {
    const net = new SimNetwork({ resolve: (host) => Promise.resolve(host === "good.example.com" ? "203.0.113.50" : undefined) });
    const call = established(net);
    call.caller.send(call.fromCaller("INFO", 2, { uri: "sip:x@good.example.com" }));
    call.caller.send(call.fromCaller("INFO", 3, { uri: "sip:x@bad.example.com" }));
    await net.runAsync(10);
    assert.equal(headerOf(net.peer("203.0.113.50").take("INFO"), "CSeq"), "2 INFO");
    assert.equal(headerOf(call.callee.take("INFO"), "CSeq"), "3 INFO");
  });

  it("a target that cannot be reached is replaced by where the peer was last seen: ACK and BYE arrive", () => {
    for (const contact of ["sip:callee@203.0.113.1;transport=tcp", "tel:123", "sip:callee@203.0.113.1:0"]) {
      const net = new SimNetwork();
      const call = established(net);
      call.caller.send(call.fromCaller("ACK", 1, { uri: contact }));
      call.callee.take("ACK");
      call.caller.send(call.fromCaller("BYE", 2, { uri: contact }));
      call.callee.send(responseTo(call.callee.take("BYE"), 200));
      call.caller.take(200);
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("a stranger who knows the tags reaches the other side and nobody else; a party of the call routes as it likes", () => {
    const net = new SimNetwork();
    const call = established(net);
    const stranger = net.peer("198.51.100.66");
    const own = headersOf(call.answer, "Record-Route")[0]!;
    stranger.send(call.fromCaller("MESSAGE", 2, { uri: "sip:victim@203.0.113.99" }));
    stranger.send(call.fromCaller("INFO", 3, { routes: [own, "<sip:203.0.113.99;lr>"] }));
    assert.equal(requestUriOf(call.callee.take("MESSAGE")), `sip:callee@${call.callee.sentBy}`);
    assert.deepEqual(headersOf(call.callee.take("INFO"), "Route"), []);
    net.peer("203.0.113.99").assertSilent();
    call.caller.send(call.fromCaller("INFO", 4, { routes: [own, "<sip:203.0.113.99;lr>"] }));
    net.peer("203.0.113.99").take("INFO");
  });

  it("before the 2xx a tag that nobody saw leads to the destination and nowhere else", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    const stranger = net.peer("198.51.100.66");
    call.answerWith(180);
    const request = call.fromCaller("MESSAGE", 9, { uri: "sip:victim@203.0.113.99" }).replace(/(\r\nTo: [^\r]*;tag=)[^\r;]*/, "$1whatever");
    stranger.send(request);
    call.callee.take("MESSAGE");
    net.peer("203.0.113.99").assertSilent();
  });

  it("a 2xx without a To tag, of RFC 2543, makes a call that is acknowledged, hung up and counted as any other", () => {
    for (const side of ["caller", "callee"] as const) {
      const net = new SimNetwork();
      const call = delivered(net);
      call.callee.send(
        responseTo(call.delivered, 200, { headers: [`Contact: <sip:callee@${call.callee.sentBy}>`] }).replace(
          /(\r\nTo: [^\r;]*);tag=[^\r]*/,
          "$1",
        ),
      );
      call.answer = call.caller.take(200);
      call.caller.send(call.fromCaller("ACK", 1));
      call.callee.take("ACK");
      assert.deepEqual(net.loads, [1, 0]);
      const [from, to] = side === "caller" ? [call.caller, call.callee] : [call.callee, call.caller];
      from.send(side === "caller" ? call.fromCaller("BYE", 2) : call.fromCallee("BYE", 1));
      to.send(responseTo(to.take("BYE"), 200));
      from.take(200);
      assert.deepEqual(net.loads, [0, 0]);
      net.finish();
    }
  });

  it("a BYE with an old CSeq ends nothing unless it is accepted", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("BYE", 0));
    call.callee.send(responseTo(call.callee.take("BYE"), 500));
    call.caller.take(500);
    assert.deepEqual(net.loads, [1, 0]);
    call.caller.send(call.fromCaller("BYE", 2));
    call.callee.send(responseTo(call.callee.take("BYE"), 200));
    assert.deepEqual(net.loads, [0, 0]);
  });

  it("an ACK that would come back to us is dropped", () => {
    const net = new SimNetwork();
    const call = established(net);
    const before = net.core.counters.fwd_requests;
    call.callee.send(call.fromCallee("ACK", 1, { uri: `sip:me@${PROXY}`, maxForwards: 255 }));
    assert.ok(net.core.counters.fwd_requests - before <= 1);
  });

  it("a BYE that is never answered ends the call; its sender is left to its own Timer F (RFC 4320)", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("BYE", 2));
    net.run(FR_MS + 20);
    call.caller.assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
    net.finish();
  });

  it("a peer that lost Contact and route set and addresses us is put right by the dialog", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("INFO", 2, { uri: `sip:${PROXY}`, routes: [] }));
    assert.equal(call.callee.take("INFO").split(" ")[1], uriOf(headerOf(call.answer, "Contact")));
    call.callee.send(call.fromCallee("INFO", 1, { uri: `sip:${PROXY}`, routes: [] }));
    assert.equal(call.caller.take("INFO").split(" ")[1], `sip:caller@${call.caller.sentBy}`);
  });

  it("§16.3: 483 and 420 also inside a dialog, and a refused BYE ends nothing", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("BYE", 2, { maxForwards: 0 }));
    call.caller.take(483);
    call.caller.send(call.fromCaller("OPTIONS", 3, { maxForwards: 0 }));
    call.caller.take(483);
    call.caller.send(call.fromCaller("BYE", 4, { headers: ["Proxy-Require: x"] }));
    call.caller.take(420);
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("a Request-URI or Route that cannot be used is answered, never thrown", () => {
    const net = new SimNetwork();
    const call = established(net);
    const route = `<sip:${PROXY};lr;did=${net.onlyDialog.did}>`;
    let cseq = 2;
    for (const bad of [
      '<sip:"a b"@203.0.113.1>',
      "<sip:a b@203.0.113.1>",
      "<>",
      "<sip:>",
      "<foo:bar>",
      '"<sip:x',
      "<sip:203.0.113.1:99999>",
    ]) {
      call.caller.send(call.fromCaller("INFO", cseq++, { routes: [route, bad] }));
      call.caller.send(call.fromCaller("INFO", cseq++, { uri: `sip:${PROXY};lr;did=${net.onlyDialog.did}`, routes: [bad] }));
    }
    const answers = call.caller.inbox.map(statusOf);
    assert.ok(answers.every((status) => status >= 400));
    net.finish();
  });
});

describe("RFC 3261 §16.7: answers inside a dialog", () => {
  it("a 503 becomes 500, other answers pass as they are", () => {
    const net = new SimNetwork();
    const call = established(net);
    for (const [cseq, status, expected] of [
      [2, 503, 500],
      [3, 481, 481],
      [4, 405, 405],
      [5, 603, 603],
      [6, 302, 302],
    ] as const) {
      call.caller.send(call.fromCaller("INFO", cseq));
      call.callee.send(responseTo(call.callee.take("INFO"), status));
      call.caller.take(expected);
    }
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("a copy of a request is absorbed and answered again", () => {
    const net = new SimNetwork();
    const call = established(net);
    const info = call.fromCaller("INFO", 2);
    call.caller.send(info);
    call.caller.send(info);
    call.callee.send(responseTo(call.callee.take("INFO"), 200));
    call.callee.assertSilent();
    call.caller.send(info);
    call.caller.take(200);
    call.caller.take(200);
    call.callee.assertSilent();
  });

  it("a re-INVITE that nobody answers gets 408", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("INVITE", 2));
    call.caller.take(100);
    net.run(FR_MS + 20);
    call.caller.take(408);
    assert.deepEqual(net.loads, [1, 0]);
    net.finish();
  });
});
