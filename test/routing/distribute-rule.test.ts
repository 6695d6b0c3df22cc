import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer } from "../../src/balancer/index.ts";
import { Distributor } from "../../src/distributor/index.ts";
import type { Router } from "../../src/proxy/ports.ts";
import { createDefaultRouter, NodeTargets, RoutingError, type RoutingRuleSpec } from "../../src/routing/index.ts";
import { FakeCall, FakeLog, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";

const REJECT = { no_capacity: 486, no_destination: 504, bad_resource: 500 };
const GATEWAY = "sip:gw.example.net";

function rule(spec: Partial<RoutingRuleSpec>): RoutingRuleSpec {
  const defaults = { match: {}, group: 1, resources: "", flags: "", failover_on: ["408", "5xx"], max_failovers: 3, disable_on: ["408"] };
  return { ...defaults, ...spec };
}

/** A router with this one rule, and a list `l` of these nodes, each with weight 1. */
function routerOf(
  balancer: Balancer,
  spec: Partial<RoutingRuleSpec>,
  nodes: string,
): { router: Router; log: FakeLog; distributor: Distributor } {
  const targets = new NodeTargets(balancer, { gw: GATEWAY });
  const list = { name: "l", nodes: nodes.split(" ").map((name) => ({ name, weight: 1 })) };
  const distributor = new Distributor({ isUsable: (node) => targets.isUsable(node) }, [list]);
  const log = new FakeLog();
  const ports = { balancer, log, distribution: { distributor, nodes: targets } };
  return { router: createDefaultRouter({ rules: [rule(spec)], reject: REJECT }, ports), log, distributor };
}

function targetsOf(call: FakeCall): (string | undefined)[] {
  return call.sent.map(({ destinationUri }) => destinationUri);
}

describe("a rule with distribute", () => {
  it("gives calls to the nodes in turn, counted nowhere", () => {
    const balancer = makeBalancer("pstn=10", "pstn=99");
    const { router } = routerOf(balancer, { distribute: "L" }, "1 gw 2");
    const calls = [1, 2, 3, 4].map(() => new FakeCall(balancer));
    for (const call of calls) router.request(call);
    assert.deepEqual(calls.flatMap(targetsOf), [uriOf(1), GATEWAY, uriOf(2), uriOf(1)]);
    assert.deepEqual(loadsOf(balancer, "pstn"), [0, 0]);
  });

  it("counts the resources that it names, and refuses as -2 when all that have them are full", () => {
    const balancer = makeBalancer("pstn=1", "fax=1");
    const { router } = routerOf(balancer, { distribute: "l", resources: "pstn" }, "1");
    const [first, second] = [new FakeCall(balancer), new FakeCall(balancer)];
    router.request(first);
    router.request(second);
    assert.deepEqual([loadsOf(balancer, "pstn")[0], second.replies[0]?.status, second.replies[0]?.reason], [1, 486, "Service full"]);
    first.end();
    assert.equal(loadsOf(balancer, "pstn")[0], 0);
  });

  it("fails over to nodes that the call has not had, and disables a destination that disable_on names", () => {
    const balancer = makeBalancer("pstn=10", "pstn=10");
    const { router, log } = routerOf(balancer, { distribute: "l", resources: "pstn" }, "1 gw 2");
    const call = new FakeCall(balancer);
    router.request(call);
    router.failure(call.failBranch(408, "timeout"));
    router.failure(call.failBranch(408, "timeout"));
    assert.deepEqual(targetsOf(call), [uriOf(1), GATEWAY, uriOf(2)]);
    assert.deepEqual(
      [1, 2].map((id) => balancer.isEnabled(balancer.destination(id)!)),
      [false, true],
    );
    assert.deepEqual(
      log.lines.filter(({ message }) => message === "Call goes to the next destination").map(({ fields }) => fields["node"]),
      ["gw", "2"],
    );
    router.failure(call.failBranch(503));
    assert.deepEqual([call.sent.length, call.replies, loadsOf(balancer, "pstn")], [3, [], [0, 0]], "the best response goes to the caller");
  });

  it("goes on at once when a node cannot be sent to", () => {
    const balancer = makeBalancer("pstn=10");
    const { router } = routerOf(balancer, { distribute: "l" }, "gw 1");
    const call = new FakeCall(balancer);
    call.unusable.add(GATEWAY);
    router.request(call);
    assert.deepEqual(targetsOf(call), [uriOf(1)]);
  });

  it("refuses as -3 when no node can be used, and as -4 when a reload has taken the list", () => {
    const balancer = makeBalancer("pstn=10");
    const { router, distributor, log } = routerOf(balancer, { distribute: "l" }, "1 nowhere");
    balancer.setStatus(1, false, "mi");
    const call = new FakeCall(balancer);
    router.request(call);
    distributor.reload([{ name: "m", nodes: [] }]);
    const late = new FakeCall(balancer);
    router.request(late);
    assert.deepEqual(
      [call, late].map(({ replies }) => [replies[0]?.status, replies[0]?.reason]),
      [
        [504, "No destination available"],
        [500, "No such list"],
      ],
    );
    assert.equal(log.lines.at(-1)?.message, "Call refused: the distributor has no such list");
    assert.equal(log.lines.at(-1)?.fields["list"], "l");
  });

  it("takes no ill-formed resources", () => {
    assert.throws(() => routerOf(makeBalancer(), { distribute: "l", resources: "a;;b" }, "1"), RoutingError);
  });
});
