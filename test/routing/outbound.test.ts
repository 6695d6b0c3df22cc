import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OutboundSpec } from "../../src/routing/index.ts";
import { createDefaultRouter, routeOutbound } from "../../src/routing/index.ts";
import { FakeCall, FakeLog, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";
import { balancerOf, callFrom, makeRouter, OUTSIDE, REJECT, RULE, row } from "./outbound-support.ts";

describe("routing.outbound: calls that come from a destination", () => {
  it("are counted on it, and go to their Request-URI", () => {
    const balancer = makeBalancer("conf=10", "conf=20");
    const { router, counters } = makeRouter(balancer);
    const call = callFrom(balancer, 1);
    router.request(call);
    assert.deepEqual(call.sent, [{ requestUri: OUTSIDE, destinationUri: undefined, target: undefined, headers: [] }]);
    assert.ok(call.dialogOpened, "the dialog owns the lease");
    assert.deepEqual(loadsOf(balancer, "conf"), [1, 0]);
    assert.equal(counters.outbound_calls, 1);
    call.end();
    assert.deepEqual(loadsOf(balancer, "conf"), [0, 0]);
  });

  it("go to next_hop when there is one, with their Request-URI as it is", () => {
    const balancer = makeBalancer("conf=10");
    const { router } = makeRouter(balancer, { next_hop: "sip:198.51.100.7:5070" });
    const call = callFrom(balancer, 1);
    router.request(call);
    assert.deepEqual(call.sent, [{ requestUri: OUTSIDE, destinationUri: "sip:198.51.100.7:5070", target: undefined, headers: [] }]);
    assert.deepEqual(loadsOf(balancer, "conf"), [1]);
  });

  it("calls from anybody else are balanced as before", () => {
    const balancer = makeBalancer("conf=10", "conf=20");
    const { router, counters } = makeRouter(balancer);
    const call = new FakeCall(balancer);
    router.request(call);
    assert.deepEqual(call.sent[0]?.destinationUri, uriOf(2));
    router.failure(call.failBranch(503));
    assert.deepEqual(call.sent[1]?.destinationUri, uriOf(1), "their failures too");
    assert.deepEqual(loadsOf(balancer, "conf"), [1, 0]);
    assert.equal(counters.outbound_calls, 0);
  });

  it("requests other than INVITE are no calls", () => {
    const balancer = makeBalancer("conf=10");
    const { router } = makeRouter(balancer);
    const call = callFrom(balancer, 1, { method: "MESSAGE" });
    router.request(call);
    assert.deepEqual(call.replies[0]?.status, 404, "no rule names MESSAGE");
    assert.deepEqual(loadsOf(balancer, "conf"), [0]);
    assert.deepEqual([router.handles("INVITE"), router.handles("MESSAGE")], [true, false]);
  });

  for (const uri of ["sip:8000@balancer.example", "tel:+4930123", "urn:service:sos"]) {
    it(`one to ${uri} is counted on its sender, and goes by the rules as well`, () => {
      const balancer = makeBalancer("conf=10", "conf=20");
      const { router, counters } = makeRouter(balancer);
      const call = callFrom(balancer, 1, { uri });
      router.request(call);
      assert.deepEqual(call.sent[0]?.destinationUri, uriOf(2));
      assert.deepEqual(loadsOf(balancer, "conf"), [1, 1]);
      router.failure(call.failBranch(500));
      assert.deepEqual(loadsOf(balancer, "conf"), [1, 0], "a failover gives up the selected side only");
      assert.equal(counters.outbound_calls, 0);
      call.end();
      assert.deepEqual(loadsOf(balancer, "conf"), [0, 0]);
    });
  }

  it("with next_hop these go there as well", () => {
    const balancer = makeBalancer("conf=10");
    const { router } = makeRouter(balancer, { next_hop: "sip:198.51.100.7" });
    const call = callFrom(balancer, 1, { uri: "tel:+4930123" });
    router.request(call);
    assert.equal(call.sent[0]?.destinationUri, "sip:198.51.100.7");
  });

  it("without routing.outbound nothing changes", () => {
    const balancer = makeBalancer("conf=10");
    const inner = createDefaultRouter({ rules: [RULE], reject: REJECT }, { balancer, log: new FakeLog() });
    assert.equal(routeOutbound(inner, null, REJECT, { balancer, log: new FakeLog() }), inner);
    assert.equal(routeOutbound(inner, undefined, REJECT, { balancer, log: new FakeLog() }), inner);
  });
});

describe("routing.outbound: which destination a call comes from", () => {
  const balancer = balancerOf(row(1, 1, "192.0.2.1", "conf=5"), row(2, 2, "192.0.2.2", "conf=5", 5080), row(3, 1, "2001:db8::3", "conf=5"));
  const cases: { name: string; spec: Partial<OutboundSpec>; address: string; port: number; on: number | undefined }[] = [
    { name: "address and port", spec: {}, address: "192.0.2.2", port: 5080, on: 2 },
    { name: "IPv4 on an IPv6 socket", spec: {}, address: "::ffff:192.0.2.1", port: 5060, on: 1 },
    { name: "IPv6 in another spelling", spec: {}, address: "2001:DB8:0::3", port: 5060, on: 3 },
    { name: "another port", spec: {}, address: "192.0.2.2", port: 5060, on: undefined },
    { name: "another port, any_port", spec: { any_port: true }, address: "192.0.2.2", port: 5060, on: 2 },
    { name: "another address, any_port", spec: { any_port: true }, address: "192.0.2.9", port: 5060, on: undefined },
    { name: "its group", spec: { group: 2 }, address: "192.0.2.2", port: 5080, on: 2 },
    { name: "another group", spec: { group: 1 }, address: "192.0.2.2", port: 5080, on: undefined },
    { name: "another group, any_port", spec: { group: 1, any_port: true }, address: "192.0.2.2", port: 5080, on: undefined },
  ];
  for (const { name, spec, address, port, on } of cases) {
    it(`${name}: ${on === undefined ? "none" : `destination ${on}`}`, () => {
      const { router, counters } = makeRouter(balancer, spec);
      const call = new FakeCall(balancer, { address, port, uri: OUTSIDE });
      router.request(call);
      assert.equal(counters.outbound_calls, on === undefined ? 0 : 1);
      const expected = [1, 2, 3].map((id) => (id === on ? 1 : 0));
      if (on !== undefined) assert.deepEqual(loadsOf(balancer, "conf"), expected);
      call.end();
      assert.deepEqual(loadsOf(balancer, "conf"), [0, 0, 0]);
    });
  }

  it("a row with the port comes before one that any_port finds", () => {
    const own = balancerOf(row(1, 1, "192.0.2.1", "conf=5", 5060), row(2, 1, "192.0.2.1", "conf=5", 5080));
    makeRouter(own, { any_port: true }).router.request(callFrom(own, 1, { port: 5080 }));
    assert.deepEqual(loadsOf(own, "conf"), [0, 1]);
  });

  it("of several rows with the address the first that has the resources", () => {
    const own = balancerOf(row(1, 1, "192.0.2.1", "pstn=5"), row(2, 2, "192.0.2.1", "conf=5"), row(3, 3, "192.0.2.1", "conf=5;vm=1"));
    makeRouter(own).router.request(callFrom(own, 1));
    assert.deepEqual(loadsOf(own, "conf"), [0, 1, 0]);
    makeRouter(own, { resources: "conf;vm" }).router.request(callFrom(own, 1));
    assert.deepEqual(loadsOf(own, "conf"), [0, 1, 1]);
    makeRouter(own, { group: 3 }).router.request(callFrom(own, 1));
    assert.deepEqual(loadsOf(own, "conf"), [0, 1, 2]);
  });

  it("one that has no such resource makes as many calls as it likes", () => {
    const own = makeBalancer("pstn=5", "conf=5");
    const { router } = makeRouter(own);
    const call = callFrom(own, 1);
    router.request(call);
    assert.equal(call.sent.length, 1);
    assert.deepEqual(own.profileSize("conf", 1), 1, "counted out of sight, as lb_count_call does");
    call.end();
    assert.deepEqual(own.profileSize("conf", 1), 0);
  });
});

describe("routing.outbound: capacity", () => {
  it("limit false: a call is counted also above capacity, as lb_count_call does; no call is sent there meanwhile", () => {
    const balancer = makeBalancer("conf=1");
    const { router } = makeRouter(balancer, { limit: false });
    const calls = [1, 2, 3].map(() => callFrom(balancer, 1));
    for (const call of calls) router.request(call);
    assert.deepEqual(loadsOf(balancer, "conf"), [3]);
    const inbound = new FakeCall(balancer);
    router.request(inbound);
    assert.deepEqual(inbound.replies, [{ status: 480, reason: "Service full", headers: [] }]);
    for (const call of calls) call.end();
    assert.deepEqual(loadsOf(balancer, "conf"), [0]);
  });

  it("limit: refused with reject.no_capacity when the destination is full, whichever way its calls went", () => {
    const balancer = makeBalancer("conf=2;vm=9");
    const { router, counters, log } = makeRouter(balancer, { resources: "vm;conf" });
    router.request(new FakeCall(balancer));
    router.request(callFrom(balancer, 1));
    const refused = callFrom(balancer, 1);
    router.request(refused);
    assert.deepEqual(refused.replies, [{ status: 480, reason: "Service full", headers: [] }]);
    assert.deepEqual([loadsOf(balancer, "conf"), loadsOf(balancer, "vm")], [[2], [1]]);
    assert.equal(counters.outbound_refused, 1);
    assert.equal(log.lines.at(-1)?.message, "Call from a destination refused: the destination is full");
  });

  it("limit: a slow start does not hold back what the destination itself begins", () => {
    const balancer = makeBalancer("conf=10");
    balancer.setCapacityFactor(1, 0.1);
    const { router } = makeRouter(balancer);
    const calls = Array.from({ length: 11 }, () => callFrom(balancer, 1));
    for (const call of calls) router.request(call);
    assert.deepEqual(
      calls.map(({ sent }) => sent.length),
      [...Array<number>(10).fill(1), 0],
    );
  });

  it("limit: rows that share a pool are full together", () => {
    const balancer = balancerOf(row(1, 1, "192.0.2.1", "conf=2", 5060, "shared=a"), row(2, 2, "192.0.2.1", "conf=2", 5080, "shared=a"));
    const { router } = makeRouter(balancer);
    const calls = [5060, 5080, 5060].map((port) => callFrom(balancer, 1, { port }));
    for (const call of calls) router.request(call);
    assert.deepEqual(
      calls.map(({ sent }) => sent.length),
      [1, 1, 0],
    );
  });

  for (const limit of [false, true]) {
    it(`a resource that nobody has is an error in the log; the call is ${limit ? "refused" : "sent on uncounted"} with limit ${limit}`, () => {
      const balancer = makeBalancer("pstn=5");
      const { router, counters, log } = makeRouter(balancer, { limit });
      const call = callFrom(balancer, 1);
      router.request(call);
      assert.equal(call.sent.length, limit ? 0 : 1);
      assert.deepEqual(call.replies, limit ? [{ status: 500, reason: "Bad resource", headers: [] }] : []);
      assert.equal(counters.outbound_uncounted, 1);
      assert.equal(log.lines[0]?.level, "error");
      const { internal_error } = balancer.counters;
      if (!limit) router.failure(call.failBranch(503));
      assert.equal(balancer.counters.internal_error, internal_error, "nothing is taken back that was not counted");
    });
  }
});

describe("routing.outbound: the next hop fails", () => {
  for (const [status, cause] of [
    [486, "response"],
    [503, "response"],
    [408, "timeout"],
    [503, "transport-error"],
  ] as const) {
    it(`${status} (${cause}): the count is taken back, and the answer is left to the proxy`, () => {
      const balancer = makeBalancer("conf=10", "conf=20");
      const { router, counters } = makeRouter(balancer, { next_hop: "sip:198.51.100.7" });
      const call = callFrom(balancer, 1);
      router.request(call);
      assert.deepEqual(loadsOf(balancer, "conf"), [1, 0]);
      router.failure(call.failBranch(status, cause));
      assert.deepEqual(loadsOf(balancer, "conf"), [0, 0]);
      assert.deepEqual([call.sent.length, call.replies.length], [1, 0]);
      assert.equal(counters.outbound_failed, 1);
      call.end();
      assert.deepEqual(loadsOf(balancer, "conf"), [0, 0], "not taken back a second time");
    });
  }

  it("500 when it cannot be sent there at all", () => {
    const balancer = makeBalancer("conf=10");
    const { router } = makeRouter(balancer, { next_hop: "sip:198.51.100.7" });
    const call = callFrom(balancer, 1);
    call.unusable.add("sip:198.51.100.7");
    router.request(call);
    assert.deepEqual(call.replies, [{ status: 500, reason: "Destination Unreachable", headers: [] }]);
    assert.deepEqual(loadsOf(balancer, "conf"), [0]);
  });

  it("nothing is answered when the caller has cancelled meanwhile", () => {
    const balancer = makeBalancer("conf=10");
    const { router } = makeRouter(balancer);
    const call = callFrom(balancer, 1);
    call.cancelled = true;
    router.request(call);
    assert.deepEqual([call.replies, loadsOf(balancer, "conf")], [[], [0]]);
  });

  it("a reload that took the destination in between leaves nothing behind", () => {
    const balancer = makeBalancer("conf=10");
    const { router } = makeRouter(balancer);
    const call = callFrom(balancer, 1);
    router.request(call);
    balancer.replaceTable([row(2, 1, "192.0.2.2", "conf=5")]);
    router.failure(call.failBranch(503));
    call.end();
    assert.equal(balancer.profileSize("conf"), 0);
  });
});

describe("routing.outbound with deny_targets", () => {
  it("a destination does not reach another one by its address either; next_hop may be one", () => {
    const balancer = makeBalancer("conf=10", "conf=10");
    const call = callFrom(balancer, 1, { uri: "sip:x@192.0.2.2" });
    makeRouter(balancer, {}, ["all"]).router.request(call);
    assert.deepEqual([call.replies[0]?.status, loadsOf(balancer, "conf")], [403, [0, 0]]);
    const other = callFrom(balancer, 1);
    makeRouter(balancer, { next_hop: "sip:192.0.2.2" }, ["all"]).router.request(other);
    assert.deepEqual([other.sent.length, other.exemptUri], [1, other.destinationUri]);
  });
});

describe("routing.outbound: what cannot be used", () => {
  for (const [spec, message] of [
    [{ resources: "" }, /^Cannot use routing\.outbound\.resources "": want different resource names/],
    [{ resources: "conf;conf" }, /^Cannot use routing\.outbound\.resources "conf;conf"/],
    [{ next_hop: "198.51.100.7" }, /^Cannot use routing\.outbound\.next_hop "198\.51\.100\.7": want a SIP URI/],
  ] as const) {
    it(`refuses ${JSON.stringify(spec)}`, () => {
      assert.throws(() => makeRouter(makeBalancer(), spec), { name: "RoutingError", message });
    });
  }
});
