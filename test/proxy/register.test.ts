import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Source } from "../../src/registrar/index.ts";
import type { SipRequest } from "../../src/sip/index.ts";
import { balancingRouter, PROXY, SimNetwork } from "../support/sim-network.ts";
import type { SimOptions } from "../support/sim-options.ts";
import { headerOf, headersOf, request, statusOf } from "../support/sip-messages.ts";

const SERVER = "198.51.100.7";

/** A proxy whose registrar answers everything alike, and what came to it. */
function network(options: SimOptions = {}, status = 401) {
  const handled: { request: SipRequest; source: Source }[] = [];
  const registrar = {
    handle(received: SipRequest, source: Source) {
      handled.push({ request: received, source });
      const headers = [
        ["WWW-Authenticate", "Digest a=1"],
        ["WWW-Authenticate", "Digest b=2"],
      ] as const;
      return { status, reason: status === 200 ? "OK" : "Unauthorized", headers };
    },
  };
  const net = new SimNetwork({ ...options, registrar });
  const ask = (parts: Parameters<typeof request>[0]): string => {
    const peer = net.peer(SERVER);
    peer.send(request({ method: "REGISTER", uri: "sip:farm.example.com", sentBy: peer.sentBy, ...parts }));
    return peer.inbox.splice(0).find((text) => statusOf(text) >= 200) ?? "";
  };
  return { net, handled, ask };
}

describe("REGISTER, where servers may register", () => {
  it("goes to the registrar, whose answer goes back as it is", () => {
    const { net, handled, ask } = network();
    const answer = ask({});
    assert.match(answer, /^SIP\/2\.0 401 Unauthorized\r\n/);
    assert.deepEqual(headersOf(answer, "WWW-Authenticate"), ["Digest a=1", "Digest b=2"]);
    assert.match(headerOf(answer, "To"), /;tag=/);
    assert.deepEqual([handled.length, handled[0]?.source.address, handled[0]?.source.transport], [1, SERVER, "udp"]);
    net.finish();
  });

  const taken: { name: string; parts: Parameters<typeof request>[0] }[] = [
    { name: "that may go no further", parts: { maxForwards: 0 } },
    { name: "with a Route of ours", parts: { routes: [`<sip:${PROXY};lr>`] } },
    { name: "for our address", parts: { uri: `sip:${PROXY}` } },
    { name: "for another domain: names are not told apart", parts: { uri: "sip:other.example.com" } },
  ];
  for (const { name, parts } of taken) {
    it(`is taken ${name}`, () => {
      const { net, ask } = network();
      assert.equal(statusOf(ask(parts)), 401);
      net.finish();
    });
  }

  it("is taken from who may not call, and although a rule names it", () => {
    const rule = network({ router: (balancer) => ({ ...balancingRouter(balancer), handles: () => true }), allowed: ["192.0.2.1"] });
    assert.equal(statusOf(rule.ask({})), 401);
    assert.equal(statusOf(rule.ask({ method: "INVITE" })), 403);
    rule.net.finish();
  });

  it("a 200 is repeated to who repeats the request, without asking again", () => {
    const { net, handled } = network({}, 200);
    const peer = net.peer(SERVER);
    const text = request({ method: "REGISTER", uri: "sip:farm.example.com", sentBy: peer.sentBy });
    peer.send(text);
    peer.send(text);
    const [first, second] = peer.inbox.splice(0);
    assert.equal(first, second);
    assert.equal(handled.length, 1);
    net.finish();
  });

  it("a challenge is forgotten once it is sent: strangers take no places from calls, and a copy is challenged anew", () => {
    const { net, handled } = network();
    const peer = net.peer(SERVER);
    for (let n = 0; n < 50; n++) peer.send(request({ method: "REGISTER", uri: "sip:farm.example.com", sentBy: peer.sentBy }));
    assert.equal(net.core.layer.serverCount, 0);
    const text = request({ method: "REGISTER", uri: "sip:farm.example.com", sentBy: peer.sentBy });
    peer.send(text);
    peer.send(text);
    assert.deepEqual(peer.inbox.splice(0).map(statusOf), Array(52).fill(401));
    assert.equal(handled.length, 52);
    net.finish();
  });

  const refused: { name: string; parts: Parameters<typeof request>[0]; want: number }[] = [
    { name: "whose Route is not ours", parts: { routes: ["<sip:203.0.113.66;lr>"] }, want: 403 },
    { name: "inside a dialog that there is not", parts: { to: "<sip:fs@farm.example.com>;tag=made-up" }, want: 481 },
    { name: "with an extension for proxies", parts: { headers: ["Proxy-Require: path"] }, want: 420 },
    { name: "of another scheme", parts: { uri: "http:farm.example.com" }, want: 416 },
  ];
  for (const { name, parts, want } of refused) {
    it(`is refused ${want} ${name}`, () => {
      const { net, handled, ask } = network();
      assert.equal(statusOf(ask(parts)), want);
      assert.equal(handled.length, 0);
      net.finish();
    });
  }

  it("stands in Allow, of OPTIONS and of 405", () => {
    const { net, ask } = network();
    assert.match(headerOf(ask({ method: "OPTIONS", uri: `sip:${PROXY}` }), "Allow"), /, REGISTER$/);
    assert.equal(headerOf(ask({ method: "MESSAGE" }), "Allow"), "INVITE, ACK, CANCEL, OPTIONS, REGISTER");
    net.finish();
  });

  it("of another method that may go no further is refused as before", () => {
    const { net, ask } = network();
    assert.equal(statusOf(ask({ method: "INVITE", maxForwards: 0 })), 483);
    net.finish();
    assert.equal(statusOf(networkWithout({ maxForwards: 0 })), 483);
  });
});

/** The answer to a REGISTER where nobody may register. */
function networkWithout(parts: Parameters<typeof request>[0]): string {
  const net = new SimNetwork();
  const peer = net.peer(SERVER);
  peer.send(request({ method: "REGISTER", uri: "sip:farm.example.com", sentBy: peer.sentBy, ...parts }));
  return peer.inbox.splice(0).find((text) => statusOf(text) >= 200) ?? "";
}
