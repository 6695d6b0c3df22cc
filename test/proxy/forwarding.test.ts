import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { delivered, established, invite, uriOf } from "../support/sim-call.ts";
import { PROXY, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, request, responseTo, statusOf } from "../support/sip-messages.ts";

describe("RFC 3261 §16.6 request forwarding", () => {
  it("§16.2: an INVITE is answered 100 at once, without a To tag", () => {
    const net = new SimNetwork();
    const { caller } = invite(net);
    const trying = caller.take(100);
    assert.doesNotMatch(headerOf(trying, "To"), /tag=/);
    caller.assertSilent();
  });

  it("a copy of the INVITE is absorbed and answered with the last provisional response (§17.2.1)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.caller.send(call.invite);
    call.caller.take(100);
    call.answerWith(180);
    call.caller.send(call.invite);
    call.caller.take(180);
    call.callee.assertSilent();
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("step 4: Record-Route names us with lr and did, the Request-URI stays", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    assert.equal(headerOf(call.delivered, "Record-Route"), `<sip:${PROXY}:5060;lr;did=${net.onlyDialog.did}>`);
    assert.equal(call.delivered.split("\r\n", 1)[0], `INVITE sip:service@${PROXY} SIP/2.0`);
  });

  it("step 4: our Record-Route stands above those of others", () => {
    const net = new SimNetwork();
    const call = delivered(net, { headers: ["Record-Route: <sip:edge.example.com;lr>"] });
    const routes = headersOf(call.delivered, "Record-Route");
    assert.match(routes[0]!, /;did=/);
    assert.equal(routes[1], "<sip:edge.example.com;lr>");
  });

  it("step 8: our Via is on top, its branch begins with the magic cookie, and the sender's Via is marked (§18.2.1, RFC 3581)", () => {
    const net = new SimNetwork();
    const caller = net.peer("198.51.100.1");
    caller.send(request({ sentBy: "pc.example.com:5060" }).replace(/(Via: [^\r]*)/, "$1;rport"));
    const vias = headersOf(net.peer("203.0.113.1").take("INVITE"), "Via");
    assert.match(vias[0]!, new RegExp(`^SIP/2\\.0/UDP ${PROXY}:5060;branch=z9hG4bK`));
    assert.match(vias[1]!, /;received=198\.51\.100\.1/);
    assert.match(vias[1]!, /;rport=5060/);
  });

  it("branches differ for each forwarded request", () => {
    const net = new SimNetwork();
    const branches = new Set<string>();
    for (let i = 0; i < 5; i++) branches.add(headerOf(delivered(net, { callee: `203.0.113.${1 + (i % 2)}` }).delivered, "Via"));
    assert.equal(branches.size, 5);
  });

  it("unknown headers and the body pass byte for byte", () => {
    const net = new SimNetwork();
    const body = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=\xe9\r\n";
    const call = delivered(net, { headers: ["X-Odd:   a ;b", "Content-Type: application/sdp"], body });
    assert.ok(call.delivered.includes("\r\nX-Odd:   a ;b\r\n"));
    assert.ok(call.delivered.endsWith(`\r\n\r\n${body}`));
  });

  it("our own preloaded Route is taken out (§16.4)", () => {
    const net = new SimNetwork();
    const caller = net.peer("198.51.100.1");
    caller.send(request({ sentBy: caller.sentBy, routes: [`<sip:${PROXY};lr>`] }));
    assert.deepEqual(headersOf(net.peer("203.0.113.1").take("INVITE"), "Route"), []);
  });
});

describe("RFC 3261 §16.7 response processing", () => {
  it("steps 3 and 9: our Via is removed, the rest is as it was, and it goes to the caller", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    const ringing = call.answerWith(180, { headers: ["X-Ring: 1"] });
    assert.deepEqual(headersOf(ringing, "Via"), headersOf(call.invite, "Via"));
    assert.equal(headerOf(ringing, "X-Ring"), "1");
    assert.match(headerOf(ringing, "Record-Route"), /;did=/);
  });

  it("step 5: 100 stays here, other provisional responses pass", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.respond(100);
    call.caller.assertSilent();
    for (const status of [180, 181, 182, 183, 199]) call.answerWith(status);
    call.caller.assertSilent();
  });

  it("step 5: every 2xx passes, copies and forks", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(200);
    call.respond(200);
    call.respond(200, { toTag: "fork" });
    assert.deepEqual(call.caller.inbox.map(statusOf), [200, 200]);
    assert.match(headerOf(call.caller.inbox[1]!, "To"), /tag=fork$/);
    assert.equal(net.core.counters.requests_2xx, 1, "one request was answered 2xx");
    net.finish();
  });

  it("after a 2xx nothing else passes", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(200);
    call.respond(180);
    call.respond(486);
    call.caller.assertSilent();
    assert.deepEqual(net.loads, [1, 0]);
    net.finish();
  });

  it("a negative final response passes, is acknowledged hop by hop, and frees the destination (§17.1.1.3)", () => {
    for (const status of [302, 404, 486, 603]) {
      const net = new SimNetwork();
      const call = delivered(net);
      call.respond(status);
      assert.equal(headerOf(call.callee.take("ACK"), "Via"), headerOf(call.delivered, "Via"));
      const answer = status === 603 ? "" : call.caller.take(status);
      if (answer !== "") assert.deepEqual(net.loads, [0, 0], String(status));
    }
  });

  it("step 6: the best response: a 6xx before all, then the lowest class, 401 407 415 420 484 before other 4xx", () => {
    const cases: [first: number, second: number, best: number][] = [
      [500, 404, 404],
      [500, 603, 603],
      [603, 404, 603],
      [600, 486, 600],
      [502, 407, 407],
      [504, 302, 302],
    ];
    for (const [first, second, best] of cases) {
      const net = new SimNetwork();
      const call = delivered(net);
      call.respond(first);
      const second2 = net.peer("203.0.113.2");
      second2.send(responseTo(second2.take("INVITE"), second, { toTag: "two" }));
      const final = call.caller.inbox.map(statusOf).filter((status) => status >= 200);
      assert.deepEqual(final, [best], `${first} then ${second}`);
      assert.deepEqual(net.loads, [0, 0]);
      call.caller.send(call.ackOf(call.caller.take(best)));
      net.finish();
    }
  });

  it("step 6: 503 becomes 500, because it is not true of us", () => {
    const net = new SimNetwork({ destinations: ["203.0.113.1"] });
    const call = delivered(net);
    call.respond(503, { headers: ["Retry-After: 10"] });
    call.caller.take(500);
    assert.deepEqual(net.loads, [0]);
  });

  it("the caller gets a copy of its final response again until it sends ACK, and the ACK goes no further (§17.2.1)", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.respond(486);
    call.callee.take("ACK");
    const busy = call.caller.take(486);
    net.run(500);
    call.caller.take(486);
    call.caller.send(call.ackOf(busy));
    net.run(10_000);
    call.caller.assertSilent();
    call.callee.assertSilent();
    net.finish();
  });

  it("a response that belongs to nothing goes nowhere", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.callee.send(responseTo(call.delivered, 180, { toTag: "x" }).replace("z9hG4bK", "z9hG4bKother"));
    call.caller.assertSilent();
    assert.equal(net.core.counters.drop_replies, 1);
  });

  it("a response that has lost all Vias but ours reaches the caller with those of its request", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    const [, behind = ""] = headersOf(call.delivered, "Via");
    call.callee.send(responseTo(call.delivered, 486, { toTag: "x" }).replace(`Via: ${behind}\r\n`, ""));
    assert.deepEqual(headersOf(call.caller.take(486), "Via"), [behind]);
    assert.equal(net.core.counters.drop_replies, 0);
  });
});

describe("RFC 3261 §16.11 and §13.2.2.4: ACK", () => {
  it("the ACK of a 2xx goes end to end, with our Route taken out and our Via added", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(200);
    call.caller.send(call.fromCaller("ACK", 1, { body: "v=0\r\n" }));
    const ack = call.callee.take("ACK");
    assert.equal(ack.split(" ")[1], uriOf(headerOf(call.answer, "Contact")));
    assert.deepEqual(headersOf(ack, "Route"), []);
    assert.equal(headersOf(ack, "Via").length, 2);
    assert.equal(headerOf(ack, "Max-Forwards"), "69");
    assert.ok(ack.endsWith("\r\n\r\nv=0\r\n"));
  });

  it("each copy of the ACK passes: no transaction keeps them", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("ACK", 1));
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    call.callee.take("ACK");
  });

  it("an ACK of a 2xx that has the branch of its INVITE, as old elements send it, passes too", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(200);
    const branch = /branch=([^;\r]+)/.exec(headerOf(call.invite, "Via"))![1]!;
    call.caller.send(call.fromCaller("ACK", 1, { branch }));
    call.callee.take("ACK");
  });

  it("an ACK that belongs to no call goes nowhere and is not answered, nor is one without hops left", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("ACK", 1, { callId: "unknown" }));
    call.caller.send(call.fromCaller("ACK", 1, { maxForwards: 0 }));
    call.caller.send(call.fromCaller("ACK", 1, { to: "<sip:x@example.com>" }));
    call.caller.send(call.fromCaller("ACK", 1, { routes: ["<sip:bad"] }));
    call.callee.assertSilent();
    call.caller.assertSilent();
  });
});
