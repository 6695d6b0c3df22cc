import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Address } from "../../src/balancer/index.ts";
import type { Endpoint } from "../../src/transaction/index.ts";
import { invite, type SimCall } from "../support/sim-call.ts";
import { FR_INVITE_MS, FR_MS, SimNetwork } from "../support/sim-network.ts";
import type { SimOptions } from "../support/sim-options.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

const [A, B, OTHER] = ["203.0.113.1", "203.0.113.11", "203.0.113.2"] as const;

function udp(ip: string): Address {
  return { ip, port: 5060, transport: "udp" };
}

/** Destination 1 has the addresses A and B, destination 2 one other. */
function farm(options: SimOptions = {}): { net: SimNetwork; call: SimCall; failed: string[] } {
  const net = new SimNetwork(options);
  const [first, second] = net.rows;
  net.balancer.replaceTable([{ ...first!, addresses: [udp(A), udp(B)] }, second!]);
  const failed: string[] = [];
  Object.assign(net, { failed: ({ address }: Endpoint) => failed.push(address) });
  return { net, failed, call: invite(net) };
}

const JUDGED = { breaker: { windowMs: 60_000, minCalls: 1, failureRatio: 0.5, openMs: 10_000, trialCalls: 1 }, retryAfterMaxMs: 60_000 };

describe("the next address of a destination is tried, with a branch of its own and the same lease (RFC 3263 §4.3)", () => {
  it("after the time-out of the first", () => {
    const { net, failed } = farm();
    const first = net.peer(A).take("INVITE");
    net.run(FR_MS + 20);
    const second = net.peer(B).take("INVITE");
    net.peer(OTHER).assertSilent();
    assert.deepEqual(net.loads, [1, 0]);
    assert.notEqual(headerOf(second, "Via"), headerOf(first, "Via"));
    for (const name of ["Record-Route", "CSeq", "Call-ID", "Max-Forwards"]) assert.equal(headerOf(second, name), headerOf(first, name));
    assert.deepEqual(failed, [A]);
    assert.deepEqual([net.core.counters.address_failovers, net.core.counters.failovers], [1, 0]);
  });

  it("after a transport error, at once", () => {
    const net = new SimNetwork();
    const [row] = net.rows;
    net.balancer.replaceTable([{ ...row!, addresses: [udp(A), udp(B)] }]);
    net.unreachable.add(A);
    invite(net);
    net.run(20);
    net.peer(B).take("INVITE");
    assert.deepEqual(net.loads, [1]);
  });

  it("after 503, which is acknowledged and is no failure of the destination", () => {
    const { net, call, failed } = farm({ outcomes: JUDGED });
    net.peer(A).send(responseTo(net.peer(A).take("INVITE"), 503, { toTag: "a" }));
    net.peer(A).take("ACK");
    const second = net.peer(B).take("INVITE");
    net.peer(B).send(responseTo(second, 200, { toTag: "b", headers: [`Contact: <sip:${B}>`] }));
    call.caller.take(200);
    assert.deepEqual(net.loads, [1, 0]);
    assert.deepEqual(failed, [], "it answers");
    assert.equal(net.balancer.isAvailable(net.balancer.destination(1)!), true);
  });

  it("then the balancer is asked, and the destination has failed once", () => {
    const { net, failed } = farm({ outcomes: JUDGED });
    net.run(FR_MS + 20);
    assert.equal(net.balancer.isAvailable(net.balancer.destination(1)!), true);
    net.run(FR_MS + 20);
    net.peer(OTHER).take("INVITE");
    assert.deepEqual(net.loads, [0, 1]);
    assert.equal(net.balancer.isAvailable(net.balancer.destination(1)!), false, "its breaker is open");
    assert.deepEqual(failed, [A, B]);
    assert.deepEqual([net.core.counters.address_failovers, net.core.counters.failovers], [1, 1]);
  });
});

describe("no other address is tried", () => {
  it("after another answer than 503", () => {
    const { net } = farm();
    net.peer(A).send(responseTo(net.peer(A).take("INVITE"), 500, { toTag: "a" }));
    net.peer(B).assertSilent();
    net.peer(OTHER).take("INVITE");
  });

  it("when it has no room, and that is told: the other address is of the same server", () => {
    const told: string[] = [];
    const { net } = farm({ outcomes: JUDGED });
    Object.assign(net.outcomes!, { lackOfRoom: () => told.push("full") > 0 });
    net.peer(A).send(responseTo(net.peer(A).take("INVITE"), 503, { toTag: "a", reason: "Maximum Calls In Progress" }));
    net.peer(B).assertSilent();
    net.peer(OTHER).take("INVITE");
    assert.deepEqual(told, ["full"]);
  });

  it("when the first one rang too long: somebody is there", () => {
    const { net } = farm();
    net.peer(A).send(responseTo(net.peer(A).take("INVITE"), 180, { toTag: "a" }));
    net.run(FR_INVITE_MS + 20);
    net.peer(B).assertSilent();
    net.peer(OTHER).take("INVITE");
  });

  it("after a 503 that follows ringing, which the destination has failed", () => {
    const { net } = farm({ outcomes: JUDGED });
    const attempt = net.peer(A).take("INVITE");
    net.peer(A).send(responseTo(attempt, 180, { toTag: "a" }));
    net.peer(A).send(responseTo(attempt, 503, { toTag: "a" }));
    net.peer(B).assertSilent();
    net.peer(OTHER).take("INVITE");
    assert.equal(net.balancer.isAvailable(net.balancer.destination(1)!), false, "its breaker is open");
  });

  it("when the caller has given up", () => {
    const { net, call } = farm();
    call.caller.send(call.cancel());
    net.run(FR_MS + 40_000);
    net.peer(B).assertSilent();
    net.peer(OTHER).assertSilent();
    assert.deepEqual(net.loads, [0, 0]);
  });
});

describe("a late answer of an address that was given up", () => {
  it("is taken, the other one is cancelled, and the lease stays", () => {
    const { net, call } = farm();
    const first = net.peer(A).take("INVITE");
    net.run(FR_MS + 20);
    net.peer(B).send(responseTo(net.peer(B).take("INVITE"), 180, { toTag: "b" }));
    net.peer(A).send(responseTo(first, 200, { toTag: "a", headers: [`Contact: <sip:${A}>`] }));
    call.caller.take(200);
    net.peer(B).take("CANCEL");
    assert.deepEqual(net.loads, [1, 0]);
    assert.deepEqual(net.escaped, []);
  });
});
