import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OutcomeSettings } from "../../src/health/index.ts";
import type { ProxyCall, Router } from "../../src/proxy/index.ts";
import { createScriptRouter } from "../../src/routing/index.ts";
import { delivered, established, invite, type SimCall } from "../support/sim-call.ts";
import { balancingRouter, FR_INVITE_MS, FR_MS, SimNetwork } from "../support/sim-network.ts";
import type { SimOptions } from "../support/sim-options.ts";
import { request, responseTo } from "../support/sip-messages.ts";

const FIRST = "203.0.113.1";
const SECOND = "203.0.113.2";
const JUDGED: OutcomeSettings = {
  breaker: { windowMs: 60_000, minCalls: 2, failureRatio: 0.5, openMs: 10_000, trialCalls: 1 },
  retryAfterMaxMs: 30_000,
};

function makeNet(options: SimOptions = {}): SimNetwork {
  return new SimNetwork({ outcomes: JUDGED, ...options });
}

/** Calls that were told as alive, and as failed by time-out or 408, 503 and transport error. */
function told(net: SimNetwork): number[] {
  const counters = net.outcomes?.counters;
  assert.ok(counters);
  return [counters.calls_alive, counters.failures_timeout + counters.failures_408, counters.failures_503, counters.failures_transport];
}

function states({ balancer }: SimNetwork): string[] {
  return balancer.destinations().map((destination) => balancer.breaker(destination));
}

/** Only the first destination is left, so that every call goes there. */
function onlyFirst(net: SimNetwork): SimNetwork {
  net.balancer.setStatus(2, false, "mi");
  return net;
}

describe("what a call says of its destination", () => {
  const rows: readonly (readonly [name: string, act: (call: SimCall, net: SimNetwork) => void, want: number[]])[] = [
    ["100 alone says nothing", (call) => call.respond(100), [0, 0, 0, 0]],
    ["it rings: alive, at once", (call) => call.respond(180), [1, 0, 0, 0]],
    ["more responses change nothing", (call) => [180, 183, 200, 200].forEach((status) => void call.respond(status)), [1, 0, 0, 0]],
    ["200 at once", (call) => call.respond(200), [1, 0, 0, 0]],
    ...[302, 404, 486, 500, 504, 603].map((status): [string, (call: SimCall) => void, number[]] => [
      `${status} is about the call, not about the server`,
      (call) => call.respond(status),
      [1, 0, 0, 0],
    ]),
    ["408: the destination found nobody in time", (call) => call.respond(408), [0, 1, 0, 0]],
    ["408 after 100 as well", (call) => [100, 408].forEach((status) => void call.respond(status)), [0, 1, 0, 0]],
    ["408 after ringing: nobody picked up", (call) => [180, 408].forEach((status) => void call.respond(status)), [1, 0, 0, 0]],
    ["503", (call) => call.respond(503), [0, 0, 1, 0]],
    ["503 each time it comes: once", (call) => [503, 503].forEach((status) => void call.respond(status)), [0, 0, 1, 0]],
    ["it rings, then 503: both", (call) => [180, 503].forEach((status) => void call.respond(status)), [1, 0, 1, 0]],
    ["no answer", (_, net) => net.run(FR_MS + 20), [0, 1, 0, 0]],
    [
      "100 and no more until Timer C",
      (call, net) => {
        call.respond(100);
        net.run(FR_INVITE_MS + 20);
      },
      [0, 1, 0, 0],
    ],
    [
      "it rings until Timer C: alive, nobody picked up",
      (call, net) => {
        call.respond(180);
        net.run(FR_INVITE_MS + 20);
        call.respond(487);
      },
      [1, 0, 0, 0],
    ],
    [
      "a late answer after the time-out takes nothing back",
      (call, net) => {
        net.run(FR_MS + 20);
        call.respond(200);
      },
      [0, 1, 0, 0],
    ],
    [
      "cancelled while it rings",
      (call) => {
        call.respond(180);
        call.caller.send(call.cancel());
        call.respond(487);
      },
      [1, 0, 0, 0],
    ],
    [
      "cancelled by an impatient caller before any answer, and the destination is dead: that is a time-out",
      (call, net) => {
        call.caller.send(call.cancel());
        net.run(FR_MS + 20);
      },
      [0, 1, 0, 0],
    ],
    [
      "cancelled, and the destination has only been slow",
      (call) => {
        call.caller.send(call.cancel());
        call.respond(100);
        call.respond(487);
      },
      [1, 0, 0, 0],
    ],
  ];
  for (const [name, act, want] of rows) {
    it(name, () => {
      const router = (balancer: SimNetwork["balancer"]): Router => ({ ...balancingRouter(balancer), failure: () => undefined });
      const net = makeNet({ router });
      const call = delivered(net);
      act(call, net);
      assert.deepEqual(told(net), want);
    });
  }

  it("a transport error", () => {
    const net = makeNet({ router: (balancer): Router => ({ ...balancingRouter(balancer), failure: () => undefined }) });
    net.unreachable.add(FIRST);
    invite(net);
    net.run(20);
    assert.deepEqual(told(net), [0, 0, 0, 1]);
  });

  it("requests inside a dialog say nothing", () => {
    const net = makeNet();
    const call = established(net);
    call.caller.send(call.fromCaller("BYE", 2));
    net.run(60_000);
    assert.deepEqual(told(net), [1, 0, 0, 0]);
  });

  it("a request other than INVITE does: its final answer, or none", () => {
    const net = makeNet({
      router: (balancer): Router => ({ ...balancingRouter(balancer), handles: () => true, failure: () => undefined }),
    });
    const caller = net.peer("198.51.100.1");
    caller.send(request({ method: "MESSAGE", sentBy: caller.sentBy, callId: "a" }));
    const first = net.peer(FIRST);
    first.send(responseTo(first.take("MESSAGE"), 202, { toTag: "t" }));
    caller.send(request({ method: "MESSAGE", sentBy: caller.sentBy, callId: "b" }));
    net.run(FR_MS + 20);
    assert.deepEqual(told(net), [1, 1, 0, 0]);
  });

  it("what a script sends elsewhere than to its pick says nothing of the pick", () => {
    const net = makeNet({
      router: (balancer) =>
        createScriptRouter(
          {
            request(call) {
              call.lb.start(1, "pstn");
              call.destinationUri = "sip:203.0.113.99";
              call.relay();
            },
          },
          { balancer, log: { debug() {}, info() {}, warn() {}, error() {} } },
        ),
    });
    for (let i = 0; i < 3; i++) {
      const call = delivered(net, { callee: "203.0.113.99" });
      call.respond(503);
    }
    assert.deepEqual(told(net), [0, 0, 0, 0]);
    assert.deepEqual(states(net), ["closed", "closed"]);
  });

  it("a row whose URI leads nowhere fails by transport", async () => {
    const net = makeNet({ router: (balancer): Router => ({ ...balancingRouter(balancer), failure: () => undefined }) });
    net.balancer.replaceTable([{ ...net.rows[0]!, addresses: [{ ip: FIRST, port: 5060, transport: "tcp" }] }]);
    net.outcomes?.tableChanged();
    invite(net);
    await net.runAsync(20);
    assert.deepEqual(told(net), [0, 0, 0, 1]);
  });

  it("nobody is told when nobody judges", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.respond(503);
    net.peer(SECOND).take("INVITE");
    assert.equal(net.outcomes, undefined);
  });
});

describe("the breaker, on calls", () => {
  /** The second destination lets every call ring. */
  function ringing(): SimNetwork {
    const net = makeNet();
    const second = net.peer(SECOND);
    second.onMessage = (text) => {
      second.inbox.push(text);
      if (text.startsWith("INVITE ")) second.send(responseTo(text, 180, { toTag: "second" }));
    };
    return net;
  }

  /** A call that the first destination does not answer. */
  function silentCall(net: SimNetwork, callId: string): SimCall {
    const call = invite(net, { callId });
    net.run(FR_MS + 20);
    return call;
  }

  it("opens after silent calls; the next ones go to the other destination at once, and a trial closes it", () => {
    const net = ringing();
    silentCall(net, "a");
    silentCall(net, "b");
    assert.deepEqual(states(net), ["open", "closed"]);
    net.peer(FIRST).clear();
    for (const callId of ["c", "d", "e"]) invite(net, { callId });
    net.run(1_000);
    net.peer(FIRST).assertSilent();
    net.run(9_000);
    assert.deepEqual(states(net), ["trials", "closed"]);
    const trial = delivered(net, { callId: "f" });
    invite(net, { callId: "g" });
    net.peer(FIRST).assertSilent();
    trial.respond(180);
    assert.deepEqual(states(net), ["trials", "closed"], "it rings: 503 may still follow");
    trial.respond(200);
    assert.deepEqual(states(net), ["closed", "closed"]);
    delivered(net, { callId: "h" }).respond(486);
  });

  it("a trial that rings on closes it when the time of the trials is up: nobody has to pick up", () => {
    const net = ringing();
    silentCall(net, "a");
    silentCall(net, "b");
    net.run(10_000);
    net.peer(FIRST).clear();
    delivered(net, { callId: "c" }).respond(180);
    net.run(9_900);
    assert.deepEqual(states(net), ["trials", "closed"]);
    net.run(200);
    assert.deepEqual(states(net), ["closed", "closed"]);
  });

  it("a trial that rings and then fails opens it, and goes to the next destination", () => {
    const net = ringing();
    silentCall(net, "a");
    silentCall(net, "b");
    net.run(10_000);
    net.peer(FIRST).clear();
    net.peer(SECOND).clear();
    const trial = delivered(net, { callId: "c" });
    trial.respond(180);
    trial.respond(503);
    net.peer(SECOND).take("INVITE");
    assert.deepEqual(states(net), ["open", "closed"]);
  });

  it("a trial that fails goes to the next destination like any call", () => {
    const net = ringing();
    silentCall(net, "a");
    silentCall(net, "b");
    net.run(10_000);
    net.peer(FIRST).clear();
    net.peer(SECOND).clear();
    const trial = delivered(net, { callId: "c" });
    trial.respond(503);
    net.peer(SECOND).take("INVITE");
    assert.deepEqual(states(net), ["open", "closed"]);
  });

  it("with a script as router it is the same", () => {
    const net = makeNet({
      router: (balancer) =>
        createScriptRouter(
          {
            request(call) {
              if (call.lb.start(1, "pstn")) call.relay();
              else call.reply(503);
            },
            failure(call) {
              if (call.statusIs("408|503") && call.lb.next()) call.relay();
            },
          },
          { balancer, log: { debug() {}, info() {}, warn() {}, error() {} } },
        ),
    });
    silentCall(net, "a");
    silentCall(net, "b");
    assert.deepEqual(states(net), ["open", "closed"]);
  });

  it("all open: calls are refused, and nothing is left behind", () => {
    const net = onlyFirst(makeNet());
    silentCall(net, "a");
    silentCall(net, "b");
    const refused = invite(net, { callId: "c" });
    assert.match(refused.caller.inbox.at(-1) ?? "", /^SIP\/2\.0 503 Service full/);
    net.outcomes?.stop();
    net.finish();
  });

  it("an attempt that its router cut short is no time-out of the destination", () => {
    const net = makeNet({
      router: (balancer): Router => {
        const plain = balancingRouter(balancer);
        const cutShort: unknown[] = [];
        return {
          ...plain,
          request(call: ProxyCall) {
            call.answerWithinMs = 1_000;
            plain.request(call);
          },
          failure(call: ProxyCall) {
            cutShort.push(call.cutShort, call.failureCause, Math.round(call.ageMs / 100));
            call.reply(480, cutShort.join(" "));
          },
        };
      },
    });
    const call = invite(net);
    net.run(1_020);
    assert.match(call.caller.inbox.at(-1) ?? "", /^SIP\/2\.0 480 true timeout 10\r\n/);
    assert.deepEqual(told(net), [0, 0, 0, 0]);
  });
});

describe("Retry-After, on calls", () => {
  const rows: readonly (readonly [header: string, restS: number])[] = [
    ["Retry-After: 12", 12],
    ["Retry-After: 18 (in a meeting);duration=3600", 18],
    ["Retry-After: 3600", 30],
    ["Retry-After: 0", 0],
    ["Retry-After: -5", 0],
    ["Retry-After: soon", 0],
    ["Retry-After: 4294967296", 30],
    ["Retry-After: 99999999999999999999", 30],
    ["Retry-After: -99999999999999999999", 0],
    ["X-Other: 12", 0],
  ];
  for (const [header, restS] of rows) {
    it(`503 with "${header}": rests ${restS} s`, () => {
      const net = makeNet();
      const call = delivered(net);
      call.respond(503, { headers: [header] });
      net.peer(SECOND).take("INVITE");
      const [first] = net.balancer.destinations();
      assert.equal(net.balancer.restsUntilMs(first!), restS === 0 ? 0 : net.wheel.nowMs + restS * 1000);
    });
  }

  it("of another response than 503 it is not for us", () => {
    const net = makeNet();
    for (const status of [404, 413, 480, 486, 500, 600])
      delivered(net, { callId: `c${status}` }).respond(status, { headers: ["Retry-After: 20"] });
    assert.equal(net.outcomes?.counters.retry_after_obeyed, 0);
  });

  it("no call goes there before the time is over", () => {
    const net = makeNet();
    delivered(net).respond(503, { headers: ["Retry-After: 12"] });
    net.peer(FIRST).clear();
    net.run(11_900);
    for (const callId of ["a", "b", "c"]) invite(net, { callId });
    net.peer(FIRST).assertSilent();
    net.run(200);
    delivered(net, { callId: "d" });
  });
});
