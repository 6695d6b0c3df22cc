import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer } from "../../src/balancer/index.ts";
import { createDefaultRouter, type RoutingRuleSpec } from "../../src/routing/index.ts";
import { delivered, invite, type SimCall } from "../support/sim-call.ts";
import { FR_INVITE_MS, FR_MS, SimNetwork, type SimPeer } from "../support/sim-network.ts";
import { headerOf, responseTo, statusOf } from "../support/sip-messages.ts";
import { FakeLog } from "./fake-call.ts";

const FIRST = "203.0.113.1";
const SECOND = "203.0.113.2";
const THIRD = "203.0.113.3";

/** The real proxy with the default route and three destinations, which are tried in the order of their ids. */
function makeNet(spec: Partial<RoutingRuleSpec> = {}, destinations = [FIRST, SECOND, THIRD]): SimNetwork {
  const rule = {
    match: {},
    group: 1,
    resources: "pstn",
    flags: "",
    failover_on: ["408", "5xx"],
    max_failovers: 3,
    disable_on: ["408"],
    ...spec,
  };
  const reject = { no_capacity: 503, no_destination: 503, bad_resource: 500 };
  return new SimNetwork({
    destinations,
    router: (balancer: Balancer) => createDefaultRouter({ rules: [rule], reject }, { balancer, log: new FakeLog() }),
  });
}

function enabled({ balancer }: SimNetwork): boolean[] {
  return balancer.destinations().map((destination) => balancer.isEnabled(destination));
}

function finals(peer: SimPeer): number[] {
  return peer.inbox.map(statusOf).filter((status) => status >= 200);
}

function answer(peer: SimPeer, text: string, status: number, body = ""): void {
  peer.send(responseTo(text, status, { toTag: `t-${peer.address}`, headers: [`Contact: <sip:callee@${peer.sentBy}>`], body }));
}

describe("failover of the default route, on the wire", () => {
  it("408 of a destination goes to the next one; it disables the destination when nothing rang before, as silence does", () => {
    for (const [before, left] of [
      [[], false],
      [[100], false],
      [[180], true],
      [[183, 180], true],
    ] as const) {
      const net = makeNet();
      const call = delivered(net);
      for (const status of before) call.respond(status);
      call.respond(408);
      net.peer(SECOND).take("INVITE");
      assert.deepEqual(enabled(net), [left, true, true], before.join());
    }
  });

  it("a call ends after its twelfth attempt: the destinations that it did not try any more are not blamed", () => {
    const addresses = Array.from({ length: 15 }, (_, i) => `203.0.113.${i + 1}`);
    const net = makeNet({ max_failovers: 100, disable_on: ["transport", "503"] }, addresses);
    const call = invite(net);
    for (const address of addresses.slice(0, 12)) answer(net.peer(address), net.peer(address).take("INVITE"), 500);
    for (const address of addresses.slice(12)) net.peer(address).assertSilent();
    assert.deepEqual(finals(call.caller), [500]);
    assert.ok(enabled(net).every((is) => is));
    net.run(60_000);
    net.checkNothingLeft();
  });

  it("tries the destinations one after the other, each of them once, and carries the load along", () => {
    const net = makeNet();
    const call = delivered(net);
    const loads = [net.loads];
    call.respond(503);
    const second = net.peer(SECOND);
    loads.push(net.loads);
    answer(second, second.take("INVITE"), 500);
    const third = net.peer(THIRD);
    loads.push(net.loads);
    answer(third, third.take("INVITE"), 200);
    assert.deepEqual(loads, [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ]);
    assert.equal(statusOf(call.caller.take(200)), 200);
    net.finish();
  });

  it("a destination that is down fails no call: transport error, silence and 503 in one", () => {
    const net = makeNet();
    net.unreachable.add(FIRST);
    const call = invite(net);
    net.run(20);
    net.peer(SECOND).take("INVITE");
    net.run(FR_MS + 20);
    const third = net.peer(THIRD);
    answer(third, third.take("INVITE"), 200);
    assert.deepEqual(finals(call.caller), [200]);
    assert.deepEqual(enabled(net), [true, false, true], "the silent one is disabled, by default a 408 does that");
  });

  it('"timeout" moves on after silence, and not after a 408 that the destination sends', () => {
    const silent = makeNet({ failover_on: ["timeout"] });
    delivered(silent);
    silent.run(FR_MS + 20);
    silent.peer(SECOND).take("INVITE");
    const told = makeNet({ failover_on: ["timeout"] });
    const call = delivered(told);
    call.respond(408);
    told.peer(SECOND).assertSilent();
    assert.deepEqual(finals(call.caller), [408]);
  });

  it('"transport" moves on after a transport error, and not after a 503', () => {
    const dead = makeNet({ failover_on: ["transport"] });
    dead.unreachable.add(FIRST);
    invite(dead);
    dead.run(20);
    dead.peer(SECOND).take("INVITE");
    const told = makeNet({ failover_on: ["transport"] });
    const call = delivered(told);
    call.respond(503);
    told.peer(SECOND).assertSilent();
    assert.deepEqual(finals(call.caller), [500], "RFC 3261 §16.7 step 6");
  });
});

describe("failover and CANCEL (RFC 3261 §16.10)", () => {
  function onSecond(net: SimNetwork): { call: SimCall; second: SimPeer; attempt: string } {
    const call = delivered(net);
    call.respond(503);
    call.callee.clear();
    const second = net.peer(SECOND);
    return { call, second, attempt: second.take("INVITE") };
  }

  it("in the second attempt: that one is cancelled, the caller gets 487, the third is never asked", () => {
    const net = makeNet();
    const { call, second, attempt } = onSecond(net);
    answer(second, attempt, 180);
    call.caller.clear();
    call.caller.send(call.cancel());
    second.take("CANCEL");
    answer(second, attempt, 487);
    second.take("ACK");
    assert.deepEqual(finals(call.caller).sort(), [200, 487], "200 is that of the CANCEL");
    call.callee.assertSilent();
    net.peer(THIRD).assertSilent();
    assert.deepEqual(net.loads, [0, 0, 0]);
    net.finish();
  });

  it("a 503 that crosses the CANCEL is no reason to go on", () => {
    const net = makeNet();
    const { call, second, attempt } = onSecond(net);
    answer(second, attempt, 180);
    call.caller.clear();
    call.caller.send(call.cancel());
    answer(second, attempt, 503);
    assert.deepEqual(finals(call.caller).sort(), [200, 487]);
    net.peer(THIRD).assertSilent();
    net.finish();
  });

  it("of an attempt that is silent: no CANCEL before a response (§9.1), 487 when it times out, nobody is disabled", () => {
    const net = makeNet();
    const { call, second } = onSecond(net);
    call.caller.send(call.cancel());
    second.assertSilent();
    net.run(FR_MS + 20);
    assert.deepEqual(finals(call.caller).sort(), [200, 487]);
    assert.deepEqual(enabled(net), [true, true, true]);
    net.peer(THIRD).assertSilent();
    net.finish();
  });

  it("after the last failover, when the caller was answered already, it changes nothing", () => {
    const net = makeNet({ max_failovers: 1 });
    const { call, second, attempt } = onSecond(net);
    answer(second, attempt, 503);
    assert.deepEqual(finals(call.caller), [500]);
    call.caller.send(call.cancel());
    assert.deepEqual(finals(call.caller), [500, 200]);
    net.peer(THIRD).assertSilent();
    net.finish();
  });
});

describe("failover and early media", () => {
  it("off: the 503 that follows a 183 goes to the caller", () => {
    const net = makeNet({ early_media_failover: false });
    const call = delivered(net);
    call.answerWith(183);
    call.respond(486);
    assert.deepEqual(finals(call.caller), [486]);
    const again = makeNet({ early_media_failover: false });
    const other = delivered(again);
    other.respond(180, { body: "v=0\r\n" });
    other.respond(503);
    again.peer(SECOND).assertSilent();
    assert.deepEqual(finals(other.caller), [500]);
    again.finish();
  });

  it("off: ringing without media goes on", () => {
    const net = makeNet({ early_media_failover: false });
    const call = delivered(net);
    call.answerWith(180);
    call.respond(503);
    net.peer(SECOND).take("INVITE");
  });

  it("on: the caller gets another early dialog, with another tag", () => {
    const net = makeNet();
    const call = delivered(net);
    const first = call.answerWith(183);
    call.respond(503);
    const second = net.peer(SECOND);
    const attempt = second.take("INVITE");
    answer(second, attempt, 183);
    assert.notEqual(headerOf(call.caller.take(183), "To"), headerOf(first, "To"));
    answer(second, attempt, 200);
    assert.equal(statusOf(call.caller.take(200)), 200);
    assert.deepEqual(net.loads, [0, 1, 0]);
  });
});

describe("failover_budget, on the wire", () => {
  it("ends the wait for an attempt that does not answer; the destination is not disabled for that", () => {
    const net = makeNet({ failover_budget: 7 });
    const call = delivered(net);
    net.run(FR_MS + 20);
    net.peer(SECOND).take("INVITE");
    net.run(7_000 - FR_MS - 50);
    assert.deepEqual(finals(call.caller), []);
    net.run(80);
    assert.deepEqual(finals(call.caller), [408]);
    net.peer(THIRD).assertSilent();
    assert.deepEqual(enabled(net), [false, true, true]);
    net.finish();
  });

  it("lets an attempt ring on that has answered in time", () => {
    const net = makeNet({ failover_budget: 7 });
    const call = delivered(net);
    net.run(FR_MS + 20);
    const second = net.peer(SECOND);
    const attempt = second.take("INVITE");
    answer(second, attempt, 180);
    net.run(60_000);
    answer(second, attempt, 200);
    assert.equal(statusOf(call.caller.take(200)), 200);
  });

  it("a destination that says 100 and nothing more in all of fr_inv_timeout is disabled: it had its time", () => {
    const net = makeNet({ failover_budget: 7 });
    const call = delivered(net);
    call.respond(503);
    const second = net.peer(SECOND);
    answer(second, second.take("INVITE"), 100);
    net.run(FR_INVITE_MS + 20);
    assert.deepEqual(enabled(net), [true, false, true]);
  });

  it("an attempt that was cut short and answers after all: the caller was told 408, so the answer is acknowledged and hung up", () => {
    const net = makeNet({ failover_budget: 7 });
    const call = delivered(net);
    net.run(FR_MS + 20);
    const second = net.peer(SECOND);
    const attempt = second.take("INVITE");
    net.run(2_000);
    assert.deepEqual(finals(call.caller), [408]);
    second.clear();
    answer(second, attempt, 200);
    second.take("ACK");
    second.take("BYE");
    assert.deepEqual(net.loads, [0, 0, 0]);
    net.finish();
  });

  it("an attempt with time enough has fr_timeout and no more", () => {
    const net = makeNet({ failover_budget: 60 });
    const call = delivered(net);
    call.respond(503);
    net.peer(SECOND).take("INVITE");
    net.run(FR_MS + 20);
    net.peer(THIRD).take("INVITE");
    assert.deepEqual(enabled(net), [true, false, true]);
  });
});
