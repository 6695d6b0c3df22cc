import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { invite } from "../support/sim-call.ts";
import { PROXY, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, request, statusOf } from "../support/sip-messages.ts";

function ask(net: SimNetwork, parts: Parameters<typeof request>[0]): string {
  const caller = net.peer("198.51.100.1");
  caller.send(request({ sentBy: caller.sentBy, uri: `sip:service@${PROXY}`, ...parts }));
  return caller.inbox.find((text) => statusOf(text) >= 200) ?? "";
}

describe("RFC 3261 §16.3 request validation", () => {
  it("step 2: a Request-URI of an unknown scheme is answered 416", () => {
    for (const uri of ["http://example.com/", "foo:bar", "mailto:a@example.com"]) {
      const net = new SimNetwork();
      assert.equal(statusOf(ask(net, { uri })), 416, uri);
      net.finish();
    }
  });

  it("step 2: a tel URI can be routed, because the balancer chooses where to", () => {
    const net = new SimNetwork();
    const caller = net.peer("198.51.100.1");
    caller.send(request({ sentBy: caller.sentBy, uri: "tel:+15551234" }));
    assert.match(net.peer("203.0.113.1").take("INVITE"), /^INVITE tel:\+15551234 SIP\/2\.0\r\n/);
  });

  it("step 3: Max-Forwards 0 is answered 483", () => {
    for (const method of ["INVITE", "BYE", "MESSAGE"]) {
      const net = new SimNetwork();
      assert.equal(statusOf(ask(net, { method, maxForwards: 0 })), 483, method);
      assert.deepEqual(net.loads, [0, 0]);
    }
  });

  it("step 3: without Max-Forwards the request passes, and §16.6 step 3 adds 70", () => {
    const net = new SimNetwork();
    const caller = net.peer("198.51.100.1");
    caller.send(request({ sentBy: caller.sentBy }).replace("Max-Forwards: 70\r\n", ""));
    assert.deepEqual(headersOf(net.peer("203.0.113.1").take("INVITE"), "Max-Forwards"), ["70"]);
  });

  it("§16.6 step 3: Max-Forwards is one less on what is forwarded", () => {
    const net = new SimNetwork();
    const caller = net.peer("198.51.100.1");
    caller.send(request({ sentBy: caller.sentBy, maxForwards: 1 }));
    assert.equal(headerOf(net.peer("203.0.113.1").take("INVITE"), "Max-Forwards"), "0");
  });

  it("step 4: a request that comes back unchanged is answered 482 (RFC 5393)", () => {
    const net = new SimNetwork();
    invite(net);
    const forwarded = net.peer("203.0.113.1").take("INVITE");
    const server = net.peer("203.0.113.1");
    // The destination sends it straight back, under a Via of its own.
    server.send(forwarded.replace("\r\nVia:", `\r\nVia: SIP/2.0/UDP ${server.sentBy};branch=z9hG4bKback\r\nVia:`));
    server.take(482);
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("step 4: a loop is found by the branch also when the first request is long forgotten", () => {
    const net = new SimNetwork();
    invite(net);
    const server = net.peer("203.0.113.1");
    const forwarded = server.take("INVITE");
    // The fingerprint is of what came to us, so the looping copy has that Request-URI again.
    const fresh = new SimNetwork();
    const looped = forwarded.replace("\r\nVia:", `\r\nVia: SIP/2.0/UDP ${server.sentBy};branch=z9hG4bKback\r\nVia:`);
    fresh.peer("203.0.113.1").send(looped);
    fresh.peer("203.0.113.1").take(482);
    assert.equal(fresh.core.counters.loops, 1);
  });

  it("step 4: one that comes back with another Request-URI is a spiral, which passes", () => {
    const net = new SimNetwork();
    invite(net);
    const server = net.peer("203.0.113.1");
    const forwarded = server.take("INVITE");
    server.send(
      forwarded
        .replace(/^INVITE \S+/, `INVITE sip:other@${PROXY}`)
        .replace("\r\nVia:", `\r\nVia: SIP/2.0/UDP ${server.sentBy};branch=z9hG4bKspiral\r\nVia:`),
    );
    const second = net.peer("203.0.113.2").take("INVITE");
    assert.equal(headersOf(second, "Record-Route").length, 2);
    assert.deepEqual(net.loads, [1, 1]);
    net.checkLoads();
  });

  it("§8.2.2.2: a request that arrives over two ways is taken once and answered 482 on the other", () => {
    const net = new SimNetwork();
    const caller = net.peer("198.51.100.1");
    const text = request({ sentBy: caller.sentBy, branch: "z9hG4bKfirst" });
    caller.send(text);
    caller.send(text.replace("z9hG4bKfirst", "z9hG4bKsecond"));
    caller.take(482);
    net.peer("203.0.113.1").take("INVITE");
    net.peer("203.0.113.2").assertSilent();
    assert.deepEqual(net.loads, [1, 0]);
  });

  it("step 5: Proxy-Require is answered 420 with every tag in Unsupported", () => {
    const net = new SimNetwork();
    const answer = ask(net, { headers: ["Proxy-Require: foo, bar", "Proxy-Require: baz"] });
    assert.equal(statusOf(answer), 420);
    assert.equal(headerOf(answer, "Unsupported"), "foo, bar, baz");
  });

  it("Require is not the proxy's business", () => {
    const net = new SimNetwork();
    invite(net, { headers: ["Require: 100rel"] });
    assert.equal(headerOf(net.peer("203.0.113.1").take("INVITE"), "Require"), "100rel");
  });

  it("an INVITE without a From tag makes no dialog: 400", () => {
    const net = new SimNetwork();
    assert.equal(statusOf(ask(net, { from: "<sip:old@example.com>" })), 400);
  });

  it("a malformed request is answered 400 with a reason that names the header, a malformed response and ACK are dropped", () => {
    const net = new SimNetwork();
    const caller = net.peer("198.51.100.1");
    caller.send(request({ sentBy: caller.sentBy }).replace(/CSeq: .*/, "CSeq: x INVITE"));
    assert.match(caller.take(400), /^SIP\/2\.0 400 .*CSeq/);
    caller.send(request({ method: "ACK", sentBy: caller.sentBy }).replace(/CSeq: .*/, "CSeq: x ACK"));
    caller.send("SIP/2.0 200 OK\r\nVia: nonsense\r\n\r\n");
    caller.send("\r\n\r\n");
    caller.assertSilent();
    assert.ok(net.proxy.malformed.size > 0);
    net.finish();
  });

  it("a request with a Route that cannot be read is answered 400", () => {
    const net = new SimNetwork();
    assert.equal(statusOf(ask(net, { routes: ["<sip:unclosed"] })), 400);
    net.finish();
  });

  it("when no more dialogs fit, an INVITE is answered 503 with Retry-After", () => {
    const net = new SimNetwork({ maxDialogs: 1 });
    invite(net);
    const answer = ask(net, {});
    assert.equal(statusOf(net.peer("198.51.100.1").take(503)), 503, answer);
  });

  it("while it stops, new calls get 503 and ongoing ones go on", () => {
    const net = new SimNetwork();
    const call = invite(net);
    call.delivered = call.callee.take("INVITE");
    net.proxy.stopAccepting();
    assert.match(ask(net, {}), /^SIP\/2\.0 503 /);
    call.respond(200);
    call.caller.take(200);
    assert.deepEqual(net.loads, [1, 0]);
  });
});
