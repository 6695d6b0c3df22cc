import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Address } from "../../src/balancer/index.ts";
import { delivered, type SimCall } from "../support/sim-call.ts";
import { FR_MS, SimNetwork } from "../support/sim-network.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

const [HERE, OTHER] = ["203.0.113.1", "203.0.113.11"] as const;
const CONTACT = "<sip:callee@farm.example>";

function udp(ip: string): Address {
  return { ip, port: 5060, transport: "udp" };
}

/** A call whose callee is at HERE, behind a name that leads to OTHER first, and to HERE. */
function named(): { net: SimNetwork; call: SimCall } {
  const net = new SimNetwork({ locate: () => [udp(OTHER), udp(HERE)] });
  const call = delivered(net);
  call.answerWith(200, { contact: CONTACT });
  call.caller.send(call.fromCaller("ACK", 1));
  call.callee.take("ACK");
  return { net, call };
}

describe("a request inside a dialog, whose next hop is a name with several addresses (RFC 3263 §4.3)", () => {
  it("goes to where the other side was seen, and when nobody answers there to the next address, as one request", () => {
    const { net, call } = named();
    call.caller.send(call.fromCaller("INFO", 2));
    const first = net.peer(HERE).take("INFO");
    net.peer(OTHER).assertSilent();
    while (net.core.counters.address_failovers === 0) net.run(FR_MS);
    const second = net.peer(OTHER).take("INFO");
    for (const name of ["CSeq", "Call-ID", "Max-Forwards", "From", "To"]) assert.equal(headerOf(second, name), headerOf(first, name));
    net.peer(OTHER).send(responseTo(second, 200));
    call.caller.take(200);
  });

  it("goes on at once after a refusal and after 503, not after another answer", () => {
    const { net, call } = named();
    call.caller.send(call.fromCaller("INFO", 2));
    net.peer(HERE).send(responseTo(net.peer(HERE).take("INFO"), 503));
    net.peer(OTHER).send(responseTo(net.peer(OTHER).take("INFO"), 200));
    call.caller.take(200);
    const again = named();
    again.call.caller.send(again.call.fromCaller("INFO", 2));
    again.net.peer(HERE).send(responseTo(again.net.peer(HERE).take("INFO"), 481));
    again.call.caller.take(481);
    again.net.peer(OTHER).assertSilent();
    const refused = named();
    refused.net.refusing.add(HERE);
    refused.call.caller.send(refused.call.fromCaller("BYE", 2));
    refused.net.run(20);
    refused.net.peer(OTHER).send(responseTo(refused.net.peer(OTHER).take("BYE"), 200));
    refused.call.caller.take(200);
    assert.deepEqual(refused.net.loads, [0, 0]);
  });

  it("is followed by the ACK and by what comes after to where it was answered", () => {
    const { net, call } = named();
    net.refusing.add(HERE);
    call.caller.send(call.fromCaller("INVITE", 2));
    net.run(20);
    net.refusing.delete(HERE);
    net.peer(HERE).clear();
    net.peer(OTHER).send(responseTo(net.peer(OTHER).take("INVITE"), 200, { headers: [`Contact: ${CONTACT}`] }));
    call.caller.take(200);
    call.caller.send(call.fromCaller("ACK", 2));
    net.peer(OTHER).take("ACK");
    call.caller.send(call.fromCaller("BYE", 3));
    net.peer(OTHER).take("BYE");
    net.peer(HERE).assertSilent();
  });

  it("is not sent again when its sender has cancelled it", () => {
    const { net, call } = named();
    const reinvite = call.fromCaller("INVITE", 2);
    call.caller.send(reinvite);
    net.peer(HERE).take("INVITE");
    call.caller.send(reinvite.replace(/^INVITE/, "CANCEL").replace(/CSeq: 2 INVITE/, "CSeq: 2 CANCEL"));
    net.run(2 * FR_MS);
    net.peer(OTHER).assertSilent();
  });
});
