import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LargeRequests } from "../../src/proxy/index.ts";
import type { Endpoint, Listener, SendOwner } from "../../src/transaction/index.ts";
import { invite } from "../support/sim-call.ts";
import { FR_MS, PROXY, SimNetwork } from "../support/sim-network.ts";
import { headerOf, headersOf, responseTo } from "../support/sip-messages.ts";

const [A, B] = ["203.0.113.1", "203.0.113.2"] as const;
const LIMIT_BYTES = 1_300;
const BODY = "x".repeat(1_400);
const JUDGED = { breaker: { windowMs: 60_000, minCalls: 1, failureRatio: 0.1, openMs: 10_000, trialCalls: 1 }, retryAfterMaxMs: 60_000 };
const TCP: Listener = { transport: "tcp", address: PROXY, port: 5060, family: 4, sentByFor: () => `${PROXY}:5060` };

/** A network whose destinations take TCP, or do not: then their sender learns of it after so many ticks, or never. */
class MixedNetwork extends SimNetwork {
  tcp: "taken" | "swallowed" | number = "taken";
  /** Requests that left, with their transport. */
  readonly sent: string[] = [];

  constructor() {
    super({ outcomes: JUDGED });
    Object.assign(this.core, { large: new LargeRequests({ network: this, limitBytes: LIMIT_BYTES, nowMs: () => this.wheel.nowMs }) });
  }

  override endpoint(address: string, port: number, transport: string): Endpoint | undefined {
    return transport === "tcp" ? { transport, address, port, listener: TCP } : super.endpoint(address, port, transport);
  }

  override send(text: string, to: Endpoint, owner?: SendOwner): void {
    if (!text.startsWith("SIP/2.0 ")) this.sent.push(`${text.split(" ", 1)[0]} ${to.transport}`);
    if (to.transport === "udp") super.send(text, to, owner);
    else if (this.tcp === "taken") this.peer(to.address).receive(text);
    else if (this.tcp !== "swallowed") this.after(this.tcp, () => owner?.transportError("the connection ended: connect-failed"));
  }

  /** Nobody holds anything against a destination. */
  assertNobodyBlamed(): void {
    assert.deepEqual([this.outcomes?.counters.failures_transport, this.outcomes?.counters.failures_timeout], [0, 0]);
  }
}

describe("a request that is too large for UDP (RFC 3261 §18.1.1)", () => {
  it("is one of 1,301 bytes as it leaves, not one of 1,300", () => {
    const lengths = new Set<number>();
    for (let body = 700; body < 1_000; body++) {
      const net = new MixedNetwork();
      invite(net, { body: "x".repeat(body), callId: "sized", from: "<sip:a@example.com>;tag=f" });
      const { length } = net.peer(A).take("INVITE");
      lengths.add(length);
      assert.deepEqual(net.sent, [length > LIMIT_BYTES ? "INVITE tcp" : "INVITE udp"], `${length} bytes`);
    }
    assert.ok(lengths.has(LIMIT_BYTES) && lengths.has(LIMIT_BYTES + 1), [...lengths].join());
  });

  it("goes over TCP with a Via that says so; so do its CANCEL and the ACK of its refusal (§9.1, §17.1.1.3), and its Record-Route stays", () => {
    const net = new MixedNetwork();
    const call = invite(net, { body: "x".repeat(8_000) });
    const received = net.peer(A).take("INVITE");
    assert.match(headerOf(received, "Via"), new RegExp(`^SIP/2\\.0/TCP ${PROXY}:5060;branch=`));
    assert.match(headersOf(received, "Record-Route").join(), new RegExp(`^<sip:${PROXY}:5060;lr;did=[^;]*>$`));
    call.callee.send(responseTo(received, 180, { toTag: "b" }));
    call.caller.send(call.cancel());
    call.callee.send(responseTo(received, 487, { toTag: "b" }));
    assert.deepEqual(net.sent, ["INVITE tcp", "CANCEL tcp", "ACK tcp"]);
    call.caller.send(call.ackOf(call.caller.take(487)));
    net.finish();
  });

  it("is counted once in its destination while it goes over UDP after all, with a new branch", () => {
    const net = new MixedNetwork();
    net.tcp = 5;
    const call = invite(net, { body: BODY });
    assert.deepEqual([net.sent, net.loads], [["INVITE tcp"], [1, 0]]);
    net.run(60);
    assert.deepEqual(
      [net.sent, net.loads],
      [
        ["INVITE tcp", "INVITE udp"],
        [1, 0],
      ],
    );
    call.callee.send(responseTo(net.peer(A).take("INVITE"), 486, { toTag: "b" }));
    assert.deepEqual(net.loads, [0, 0]);
    call.caller.take(486);
    net.assertNobodyBlamed();
    net.finish();
  });

  it("that is never answered over TCP goes over UDP after fr_timeout, then to the next destination, which has the only lease", () => {
    const net = new MixedNetwork();
    net.tcp = "swallowed";
    invite(net, { body: BODY });
    net.run(FR_MS + 20);
    assert.deepEqual(
      [net.sent.slice(0, 2), net.loads],
      [
        ["INVITE tcp", "INVITE udp"],
        [1, 0],
      ],
    );
    net.assertNobodyBlamed();
    net.run(FR_MS + 20);
    assert.deepEqual(net.loads, [0, 1]);
    assert.equal(net.outcomes?.counters.failures_timeout, 1);
    net.run(FR_MS + 20);
    net.peer(B).take("INVITE");
    net.checkLoads();
  });

  it("and is cancelled before anybody took it over TCP is no fault of its destination, and TCP is not tried again", () => {
    const net = new MixedNetwork();
    net.tcp = 50;
    const call = invite(net, { body: BODY });
    call.caller.send(call.cancel());
    net.run(520);
    call.caller.take(487);
    assert.deepEqual(net.loads, [0, 0]);
    net.assertNobodyBlamed();
    net.sent.length = 0;
    invite(net, { body: BODY });
    assert.deepEqual(net.sent, ["INVITE udp"]);
    net.checkLoads();
  });

  it("is answered 513 when no datagram can hold it and TCP is not taken: no destination is to blame, and none has a call", () => {
    const net = new MixedNetwork();
    net.tcp = 1;
    const call = invite(net, { body: "x".repeat(65_080) });
    net.run(20);
    call.caller.take(513);
    assert.ok(!net.sent.includes("INVITE udp"));
    assert.deepEqual(net.loads, [0, 0]);
    net.assertNobodyBlamed();
    net.finish();
  });
});
