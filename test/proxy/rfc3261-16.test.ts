import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isLoop, loopFingerprint } from "../../src/proxy/branch-id.ts";
import type { Router } from "../../src/proxy/index.ts";
import { parseMessage, type SipRequest } from "../../src/sip/index.ts";
import { branchOf, delivered, established, invite, requestUriOf } from "../support/sim-call.ts";
import { balancingRouter, FR_MS, PROXY, PROXY6, SimNetwork, type SimPeer } from "../support/sim-network.ts";
import { headerOf, headersOf, request, responseTo, statusOf } from "../support/sip-messages.ts";

// What is asserted elsewhere is not repeated here: docs/conformance.md has each MUST of RFC 3261 §16 with its test.

const FIRST = "203.0.113.1";

function parsed(text: string): SipRequest {
  const message = parseMessage(text);
  assert.ok(message.kind === "request");
  return message as SipRequest;
}

/** Sends requests of every method to the first destination, and INVITEs on to the next one after any failure. */
function openRouter(balancer: Parameters<typeof balancingRouter>[0]): Router {
  const plain = balancingRouter(balancer);
  return {
    handles: () => true,
    request(call) {
      if (call.request.method === "INVITE") return plain.request(call);
      call.destinationUri = `sip:${FIRST}`;
      call.relay();
    },
    failure(call) {
      if (balancer.next(call.load) !== 1) return;
      call.destinationUri = call.load.destination?.uri;
      call.setTarget(call.load.destination);
      call.relay();
    },
  };
}

function send(net: SimNetwork, parts: Parameters<typeof request>[0] = {}): { caller: SimPeer; text: string } {
  const caller = net.peer("198.51.100.1");
  const text = request({ sentBy: caller.sentBy, uri: `sip:service@${PROXY}`, ...parts });
  caller.send(text);
  return { caller, text };
}

function finals(peer: SimPeer): string[] {
  return peer.inbox.filter((text) => statusOf(text) >= 200);
}

describe("RFC 3261 §16.1 and §16.2", () => {
  it("§16.1 when it answers itself it is a UAS: Via, From, Call-ID and CSeq as they came, To with a tag of its own (§8.2.6)", () => {
    const net = new SimNetwork();
    const { caller, text } = send(net, { headers: ["Proxy-Require: x"] });
    const answer = caller.take(420);
    for (const name of ["Via", "From", "Call-ID", "CSeq"]) assert.deepEqual(headersOf(answer, name), headersOf(text, name), name);
    assert.ok(headerOf(answer, "To").startsWith(`${headerOf(text, "To")};tag=`));
  });

  it("§16.2 no 100 is made for a request other than INVITE", () => {
    const net = new SimNetwork({ router: openRouter });
    const { caller } = send(net, { method: "MESSAGE" });
    net.run(FR_MS / 2);
    caller.assertSilent();
    net.peer(FIRST).send(responseTo(net.peer(FIRST).take("MESSAGE"), 200));
    caller.take(200);
  });

  it("§16.2 a provisional answer to a request other than INVITE stays here (RFC 4320 §4.1)", () => {
    const net = new SimNetwork({ router: openRouter });
    const { caller } = send(net, { method: "MESSAGE" });
    const message = net.peer(FIRST).take("MESSAGE");
    net.peer(FIRST).send(responseTo(message, 100));
    net.peer(FIRST).send(responseTo(message, 183));
    caller.assertSilent();
  });
});

describe("RFC 3261 §16.3 request validation", () => {
  it("step 1 a header that no step needs passes unchanged, well formed or not", () => {
    const odd = [
      'Contact: "unclosed <sip:x',
      "Date: yesterday",
      "Content-Type: ///",
      "Expires: soon",
      "Record-Route: ,,<",
      "Session-Expires: ;;",
      "Supported: ,,,",
      "Subject: \xff\xfe",
    ];
    const net = new SimNetwork();
    send(net, { headers: odd });
    const head = net.peer(FIRST).take("INVITE");
    for (const line of odd) assert.ok(head.includes(`\r\n${line}\r\n`), line);
  });

  it("step 1 a method or header that it does not know is no reason to refuse a request", () => {
    const net = new SimNetwork({ router: openRouter });
    send(net, { method: "FROBNICATE", headers: ["X-Unheard-Of: 1", "Require: unheard-of"] });
    const passed = net.peer(FIRST).take("FROBNICATE");
    assert.equal(headerOf(passed, "X-Unheard-Of"), "1");
    assert.equal(headerOf(passed, "Require"), "unheard-of");
  });

  it("step 5 Unsupported lists what is not understood, and nothing else", () => {
    const net = new SimNetwork();
    const { caller } = send(net, { headers: ["Proxy-Require: sec-agree", "Require: 100rel", "Supported: path"] });
    assert.deepEqual(headersOf(caller.take(420), "Unsupported"), ["sec-agree"]);
    net.peer(FIRST).assertSilent();
  });
});

describe("RFC 3261 §16.4 route information", () => {
  it("a maddr that names us at the port and transport of the request is stripped, with the transport", () => {
    for (const [uri, want] of [
      [`sip:service@example.com;maddr=${PROXY}`, "sip:service@example.com"],
      [`sip:service@example.com;x=y;maddr=${PROXY};transport=udp;z`, "sip:service@example.com;x=y;z"],
      [`sip:service@example.com:5060;maddr=${PROXY}`, "sip:service@example.com:5060"],
      [`sip:service@example.com;MADDR=[${PROXY6}]`, "sip:service@example.com"],
    ] as const) {
      const net = new SimNetwork();
      send(net, { uri });
      assert.equal(requestUriOf(net.peer(FIRST).take("INVITE")), want);
    }
  });

  it("a maddr of somebody else, of another port or transport stays", () => {
    for (const uri of [
      "sip:service@example.com;maddr=192.0.2.9",
      `sip:service@example.com:5070;maddr=${PROXY}`,
      `sip:service@example.com;maddr=${PROXY};transport=tcp`,
      `sip:service@example.com;user=phone`,
    ]) {
      const net = new SimNetwork();
      send(net, { uri });
      assert.equal(requestUriOf(net.peer(FIRST).take("INVITE")), uri);
    }
  });
});

describe("RFC 3261 §16.5 targets", () => {
  it("an empty target set is answered with an error", () => {
    const net = new SimNetwork({ destinations: [] });
    const { caller } = send(net);
    assert.deepEqual(finals(caller).map(statusOf), [503]);
  });

  it("a target gets a request once, whatever it answers", () => {
    const net = new SimNetwork({ router: openRouter });
    const { caller } = send(net);
    for (const row of net.rows) {
      const peer = net.peer(row.addresses[0]!.ip);
      peer.send(responseTo(peer.take("INVITE"), 480, { toTag: "a" }));
      peer.take("ACK");
    }
    for (const row of net.rows) net.peer(row.addresses[0]!.ip).assertSilent();
    assert.deepEqual(finals(caller).map(statusOf), [480]);
  });
});

describe("RFC 3261 §16.6 request forwarding", () => {
  it("step 1 the copy has every header in its order, values of one name in their order, and the body", () => {
    const headers = ["X-B: 2", "Accept: a/b", "X-A: 1, 0", "Accept: c/d, e/f", "X-B: 1", "Content-Type: text/plain"];
    const body = "\0\xff one\r\ntwo\n";
    const net = new SimNetwork();
    const { text } = send(net, { headers, body });
    const passed = net.peer(FIRST).take("INVITE");
    const ours = /^(Via: SIP\/2\.0\/UDP 192\.0\.2\.1|Record-Route|Max-Forwards|Max-Breadth)/;
    const lines = (message: string) =>
      message
        .split("\r\n\r\n", 1)[0]!
        .split("\r\n")
        .filter((line) => !ours.test(line));
    assert.deepEqual(lines(passed), lines(text));
    assert.equal(passed.slice(passed.indexOf("\r\n\r\n")), text.slice(text.indexOf("\r\n\r\n")));
  });

  it("step 2 what a Request-URI must not have is taken out of it: headers and a method (§19.1.1 table 1)", () => {
    for (const [uri, want] of [
      ["sip:a?b@example.com;user=phone?Subject=x&Route=%3Csip:evil%3E", "sip:a?b@example.com;user=phone"],
      ["sip:a@example.com;method=REGISTER;lr", "sip:a@example.com;lr"],
      ["sip:a@example.com;METHOD=BYE?X=y", "sip:a@example.com"],
      ["sip:a@example.com;methods=1", "sip:a@example.com;methods=1"],
      ["tel:+1555;phone-context=a?b", "tel:+1555;phone-context=a?b"],
    ] as const) {
      const net = new SimNetwork();
      send(net, { uri });
      assert.equal(requestUriOf(net.peer(FIRST).take("INVITE")), want);
    }
  });

  it("step 2 also the remote target of a request inside a dialog", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("INFO", 2, { uri: `sip:callee@${call.callee.sentBy};method=BYE?Route=x` }));
    assert.equal(requestUriOf(call.callee.take("INFO")), `sip:callee@${call.callee.sentBy}`);
  });

  it("step 4 the Record-Route is a SIP URI with lr, without a transport, in what makes a dialog and in nothing else", () => {
    const net = new SimNetwork({ router: openRouter });
    const [value = ""] = headersOf(delivered(net).delivered, "Record-Route");
    assert.match(value, /^<sip:[^>]*;lr;[^>]*>$/);
    assert.doesNotMatch(value, /transport/);
    send(net, { method: "MESSAGE" });
    assert.deepEqual(headersOf(net.peer(FIRST).take("MESSAGE"), "Record-Route"), []);
  });

  it("step 8 the loop part of the branch depends on what decides the way, and not on the method", () => {
    const parts = {
      sentBy: "198.51.100.1:5060",
      uri: "sip:a@example.com",
      from: "<sip:f@x>;tag=1",
      to: "<sip:t@x>",
      callId: "c",
      branch: "z9hG4bKa",
    };
    const base = loopFingerprint(parsed(request(parts)));
    assert.equal(loopFingerprint(parsed(request({ ...parts, method: "ACK" }))), base, "the ACK of a refusal has the branch of its INVITE");
    for (const other of [
      { uri: "sip:b@example.com" },
      { callId: "d" },
      { from: "<sip:f@x>;tag=2" },
      { to: "<sip:t@x>;tag=2" },
      { cseq: 2 },
      { routes: ["<sip:r@x;lr>"] },
      { headers: ["Proxy-Require: x"] },
      { headers: ["Proxy-Authorization: Digest x"] },
    ])
      assert.notEqual(loopFingerprint(parsed(request({ ...parts, ...other }))), base, JSON.stringify(other));
  });

  it("step 8 CANCEL and the ACK of a refusal have the branch of the INVITE that they belong to", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    call.caller.send(call.cancel());
    assert.equal(branchOf(call.callee.take("CANCEL")), branchOf(call.delivered));
    call.respond(487);
    assert.equal(branchOf(call.callee.take("ACK")), branchOf(call.delivered));
  });

  it("step 8 a Via that looks like ours and is at another host makes no loop (RFC 5393 §4.2)", () => {
    const text = request({ sentBy: "198.51.100.1:5060", uri: "sip:a@example.com" });
    const print = loopFingerprint(parsed(text));
    const network = new SimNetwork();
    const looped = (sentBy: string) =>
      text.replace("\r\nVia", `\r\nVia: SIP/2.0/UDP x.example.com;branch=z9hG4bKx, SIP/2.0/UDP ${sentBy};branch=z9hG4bK${print}.t\r\nVia`);
    assert.equal(isLoop(parsed(looped("198.51.100.9:5060")), print, network), false);
    assert.equal(isLoop(parsed(looped(`${PROXY}:5060`)), print, network), true);
  });
});

describe("RFC 3261 §16.7 response processing", () => {
  it("step 4 after a 6xx there is no further branch, unless the route itself asks for one", () => {
    const net = new SimNetwork({
      router: (balancer) => ({ ...balancingRouter(balancer), failure() {} }),
    });
    const call = delivered(net);
    call.respond(603);
    assert.deepEqual(finals(call.caller).map(statusOf), [603]);
    net.peer("203.0.113.2").assertSilent();
  });

  it("step 6 an answer keeps the To tag that it came with; one of ours has its own", () => {
    const net = new SimNetwork({ destinations: [FIRST] });
    const call = delivered(net);
    call.respond(486);
    assert.match(headerOf(call.caller.take(486), "To"), new RegExp(`;tag=${call.toTag}$`));
    const other = new SimNetwork({ destinations: [FIRST] });
    const lost = invite(other);
    other.run(FR_MS + 10);
    assert.match(headerOf(lost.caller.take(408), "To"), /;tag=tok/);
  });

  it("step 7 a 401 or 407 takes the challenges of all other branches along", () => {
    const net = new SimNetwork({ router: openRouter });
    const { caller } = send(net);
    const [one, two] = net.rows.map((row) => net.peer(row.addresses[0]!.ip)) as [SimPeer, SimPeer];
    one.send(responseTo(one.take("INVITE"), 407, { toTag: "a", headers: ['Proxy-Authenticate: Digest realm="one"', "X-One: 1"] }));
    const second = ['WWW-Authenticate: Digest realm="two"', 'Proxy-Authenticate: Digest realm="three"'];
    two.send(responseTo(two.take("INVITE"), 401, { toTag: "b", headers: second }));
    const [answer = ""] = finals(caller);
    assert.equal(statusOf(answer), 407);
    assert.deepEqual(headersOf(answer, "Proxy-Authenticate"), ['Digest realm="one"', 'Digest realm="three"']);
    assert.deepEqual(headersOf(answer, "WWW-Authenticate"), ['Digest realm="two"']);
    assert.equal(headerOf(answer, "X-One"), "1");
  });

  it("step 7 another answer takes no challenge along", () => {
    const net = new SimNetwork({ router: openRouter });
    const { caller } = send(net);
    const [one, two] = net.rows.map((row) => net.peer(row.addresses[0]!.ip)) as [SimPeer, SimPeer];
    one.send(responseTo(one.take("INVITE"), 401, { toTag: "a", headers: ['WWW-Authenticate: Digest realm="one"'] }));
    two.send(responseTo(two.take("INVITE"), 603, { toTag: "b" }));
    const [answer = ""] = finals(caller);
    assert.equal(statusOf(answer), 603);
    assert.deepEqual(headersOf(answer, "WWW-Authenticate"), []);
  });

  it("step 9 of a response nothing is changed but the top Via", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    const sent = responseTo(call.delivered, 183, { toTag: "a", headers: ["X-B: 2", "x-a:1", "X-B: 1"], body: "\0\xff\n" });
    call.callee.send(sent);
    assert.equal(call.caller.take(183), sent.replace(/Via: [^\r]*\r\n/, ""));
  });
});

describe("RFC 3261 §16.9 transport errors", () => {
  it("a response that cannot be sent is dropped, and the call goes on", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    net.unreachable.add(call.caller.address);
    call.respond(180);
    net.run(20);
    net.unreachable.delete(call.caller.address);
    call.answerWith(200);
    assert.deepEqual(net.loads, [1, 0]);
  });
});

describe("RFC 3261 §16.10 CANCEL", () => {
  it("with a response context it is answered 200 first, then every branch that is waited for is cancelled", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    call.caller.send(call.cancel());
    call.caller.take(200);
    call.callee.take("CANCEL");
    net.peer("203.0.113.2").assertSilent();
  });
});
