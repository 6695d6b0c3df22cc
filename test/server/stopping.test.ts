import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { finishRequests } from "../../src/server/stopping.ts";
import { delivered, established } from "../support/sim-call.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headerOf, request, statusOf } from "../support/sip-messages.ts";

const TIMEOUT_MS = 10_000;

/** Stops a simulated proxy; time passes while it waits. */
function stopping(net: SimNetwork, onWait: (waitedMs: number) => void = () => {}) {
  let waitedMs = 0;
  const wait = async (ms: number): Promise<void> => {
    waitedMs += ms;
    net.run(ms);
    onWait(waitedMs);
  };
  const { proxy, layer, dialogs } = net;
  const done = finishRequests({ proxy, layer, dialogs, timeoutMs: TIMEOUT_MS, nowMs: () => net.wheel.nowMs, wait });
  return done.then(() => waitedMs);
}

describe("a stop", () => {
  it("does not wait for calls that are up, but a moment for their last messages", async () => {
    const net = new SimNetwork();
    established(net);
    assert.equal(await stopping(net), 100);
    assert.equal(await stopping(new SimNetwork()), 0);
  });

  it("goes on until the request in flight is answered, and no longer", async () => {
    const net = new SimNetwork();
    const call = delivered(net);
    const waitedMs = await stopping(net, (ms) => {
      if (ms === 6_000) call.respond(200);
    });
    assert.ok(waitedMs >= 6_000 && waitedMs < 6_200, `${waitedMs} ms`);
    call.caller.take(200);
  });

  it("refuses calls that still ring when its time is over: 503 to the caller, CANCEL to the destination", async () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.respond(180);
    const waitedMs = await stopping(net);
    assert.ok(waitedMs >= TIMEOUT_MS && waitedMs < TIMEOUT_MS + 300, `${waitedMs} ms`);
    call.caller.take(503);
    call.callee.take("CANCEL");
    assert.deepEqual(net.loads, [0, 0]);
  });

  it("refuses new calls with 503 and Retry-After, and says so to who asks with OPTIONS; a BYE passes", async () => {
    const net = new SimNetwork();
    const call = established(net);
    const ringing = delivered(net, { caller: "198.51.100.2", callee: "203.0.113.2" });
    const peer = net.peer("198.51.100.9");
    const ask = (method: string): string => {
      peer.send(request({ method, uri: "sip:192.0.2.1", sentBy: peer.sentBy }));
      return peer.inbox.splice(0).find((text) => statusOf(text) >= 200) ?? "";
    };
    assert.equal(statusOf(ask("OPTIONS")), 200);
    await stopping(net, (ms) => {
      if (ms !== 1_000) return;
      for (const method of ["INVITE", "OPTIONS"]) {
        const answer = ask(method);
        assert.deepEqual([statusOf(answer), headerOf(answer, "Retry-After")], [503, "10"], method);
      }
      call.caller.send(call.fromCaller("BYE", 2));
      call.callee.take("BYE");
      ringing.respond(486);
    });
    ringing.caller.take(486);
  });
});
