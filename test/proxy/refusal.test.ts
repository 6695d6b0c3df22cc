import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Router } from "../../src/proxy/index.ts";
import { delivered, invite } from "../support/sim-call.ts";
import { balancingRouter, SimNetwork } from "../support/sim-network.ts";
import { responseTo } from "../support/sip-messages.ts";

const FIRST = "203.0.113.1";
const SECOND = "203.0.113.2";

describe("a destination whose host says that nobody listens there", () => {
  it("fails the call at once, as silence does: 408, and the next destination has it", () => {
    const seen: unknown[] = [];
    const net = new SimNetwork({
      router: (balancer): Router => {
        const plain = balancingRouter(balancer);
        return {
          ...plain,
          failure(call) {
            seen.push(call.status, call.failureCause, call.response);
            return plain.failure(call);
          },
        };
      },
    });
    net.refusing.add(FIRST);
    invite(net);
    net.run(20);
    net.peer(SECOND).take("INVITE");
    assert.deepEqual(seen, [408, "refused", undefined]);
    assert.deepEqual(net.loads, [0, 1]);
  });

  it("has the call all the same: what rings is cancelled", () => {
    const net = new SimNetwork();
    net.refusing.add(FIRST);
    const call = delivered(net);
    net.run(20);
    net.peer(SECOND).take("INVITE");
    call.respond(180);
    call.callee.take("CANCEL");
    call.respond(487);
    call.callee.take("ACK");
    assert.deepEqual(net.loads, [0, 1]);
  });

  it("has answered the call all the same: it is taken over, and the other attempt cancelled", () => {
    const net = new SimNetwork();
    net.refusing.add(FIRST);
    const call = delivered(net);
    net.run(20);
    const second = net.peer(SECOND);
    const attempt = second.take("INVITE");
    second.send(responseTo(attempt, 180, { toTag: "s" }));
    call.respond(200);
    call.caller.take(200);
    second.take("CANCEL");
    assert.deepEqual(net.loads, [1, 0]);
  });
});
