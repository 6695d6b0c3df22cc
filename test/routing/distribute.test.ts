import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, type CapacityFeed, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import { Distributor } from "../../src/distributor/index.ts";
import { type DistributePorts, distributedNode, nextDistribution, startDistribution } from "../../src/routing/distribute.ts";
import { type Distribution, NodeTargets } from "../../src/routing/node-targets.ts";
import { FakeCall, FakeLog, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";

const GATEWAY = "sip:gw.example.net;transport=udp";

/** Lists such as `{ l: "1 2 gw" }`, each node with weight 1; `gw` is a gateway that is no destination. */
function makePorts(
  balancer: Balancer,
  lists: Readonly<Record<string, string>>,
  nodes: Readonly<Record<string, string>> = { gw: GATEWAY },
): DistributePorts & { readonly distribution: Distribution } {
  const targets = new NodeTargets(balancer, nodes);
  const specs = Object.entries(lists).map(([name, text]) => ({
    name,
    nodes: text.split(" ").map((node) => ({ name: node, weight: 1 })),
  }));
  const distributor = new Distributor({ isUsable: (node) => targets.isUsable(node) }, specs);
  return { balancer, log: new FakeLog(), distribution: { distributor, nodes: targets } };
}

function rowOf(id: number, resources: string): DestinationRow {
  const nothing = { probeMode: 0, attrs: undefined, description: undefined } as const;
  const addresses = [{ ip: `192.0.2.${id}`, port: 5060, transport: "udp" }] as const;
  return { id, group: 1, uri: uriOf(id), resources: parseResources(resources), ...nothing, addresses };
}

describe("distributing calls", () => {
  it("sends each call to the next node, a destination with its resolved address or a gateway by its URI", () => {
    const balancer = makeBalancer("pstn=10", "pstn=10");
    const ports = makePorts(balancer, { l: "1 gw 2" });
    const sent = [1, 2, 3, 4].map(() => {
      const call = new FakeCall(balancer);
      assert.equal(startDistribution(ports, call, "L"), 1);
      call.relay();
      const [{ requestUri, destinationUri, target } = {}] = call.sent;
      assert.equal(requestUri, "sip:1000@balancer.example", "the Request-URI stays");
      return [distributedNode(call), destinationUri, target];
    });
    const first = ["1", uriOf(1), 1];
    assert.deepEqual(sent, [first, ["gw", GATEWAY, undefined], ["2", uriOf(2), 2], first]);
    assert.deepEqual(loadsOf(balancer, "pstn"), [0, 0], "counted nowhere unless that is asked for");
  });

  it("passes over a destination whose feeds allow no call at the moment, also with a call that uses none of its resources", () => {
    const balancer = makeBalancer("pstn=10", "pstn=10");
    const feed: CapacityFeed = { key: "fs", equals: () => true };
    const fed = { ...rowOf(1, "pstn=10"), resources: [{ name: "pstn", capacity: 10, feed }] };
    balancer.replaceTable([fed, rowOf(2, "pstn=10")]);
    const ports = makePorts(balancer, { l: "1 2" });
    const cell = balancer.destination(1)!.resources[0]!.cell;
    const nodes = [0, 5, 0].map((capacity) => {
      balancer.feed(cell, capacity, 0);
      const call = new FakeCall(balancer);
      startDistribution(ports, call, "l");
      return distributedNode(call);
    });
    assert.deepEqual(nodes, ["2", "1", "2"]);
  });

  it("counts a call for those of its resources that the destination has, until it ends or goes on", () => {
    const balancer = makeBalancer("pstn=10;fax=1", "pstn=10");
    const ports = makePorts(balancer, { l: "1 2 gw" });
    const call = new FakeCall(balancer);
    assert.equal(startDistribution(ports, call, "l", { resources: "pstn;fax" }), 1);
    assert.deepEqual(
      [loadsOf(balancer, "pstn"), loadsOf(balancer, "fax")],
      [
        [1, 0],
        [1, 0],
      ],
    );
    assert.equal(nextDistribution(ports, call), 1);
    assert.deepEqual(
      [loadsOf(balancer, "pstn"), loadsOf(balancer, "fax")],
      [
        [0, 1],
        [0, 0],
      ],
    );
    assert.equal(call.load.destination?.id, 2);
    assert.equal(nextDistribution(ports, call), 1);
    assert.deepEqual([loadsOf(balancer, "pstn"), call.load.destination], [[0, 0], undefined]);
    assert.equal(startDistribution(ports, call, "l", { resources: "pstn" }), 1);
    call.end();
    assert.deepEqual(loadsOf(balancer, "pstn"), [0, 0]);
  });

  it("sends to a gateway after a destination by its URI alone, whatever is denied to callers", () => {
    const balancer = makeBalancer("pstn=10");
    const ports = makePorts(balancer, { l: "1 gw" });
    const call = new FakeCall(balancer);
    call.guard = { accepts: () => false };
    startDistribution(ports, call, "l");
    call.relay();
    assert.equal(call.exemptUri, undefined, "a destination is not asked for");
    nextDistribution(ports, call);
    call.relay();
    assert.deepEqual(
      call.sent.map(({ destinationUri, target }) => [destinationUri, target]),
      [
        [uriOf(1), 1],
        [GATEWAY, undefined],
      ],
    );
    assert.equal(call.exemptUri, GATEWAY);
    assert.notEqual(call.guard, undefined, "other targets are asked for from now on");
  });

  it("gives back what lb_start counted", () => {
    const balancer = makeBalancer("pstn=10", "pstn=20");
    const call = new FakeCall(balancer);
    call.openDialog();
    assert.equal(balancer.start(call.load, 1, "pstn"), 1);
    startDistribution(makePorts(balancer, { l: "1" }), call, "l", { resources: "pstn" });
    assert.deepEqual(loadsOf(balancer, "pstn"), [1, 0]);
  });

  it("goes to no node twice on failover, and ends with -3", () => {
    const balancer = makeBalancer("pstn=10", "pstn=10", "pstn=10");
    const ports = makePorts(balancer, { l: "1 2 3" });
    const call = new FakeCall(balancer);
    assert.equal(startDistribution(ports, call, "l", { exceptions: ["2"], resources: "pstn" }), 1);
    const nodes = [distributedNode(call)];
    assert.equal(nextDistribution(ports, call), 1);
    nodes.push(distributedNode(call));
    assert.deepEqual(nodes, ["1", "3"]);
    assert.equal(nextDistribution(ports, call), -3);
    assert.deepEqual([distributedNode(call), call.load.destination, loadsOf(balancer, "pstn")], [undefined, undefined, [0, 0, 0]]);
    assert.equal(call.destinationUri, uriOf(3), "keeps its old value");
  });

  it("passes over what is disabled, drained, at rest, unknown, or full of what the call needs", () => {
    const balancer = makeBalancer("pstn=10", "pstn=10", "pstn=1");
    const ports = makePorts(balancer, { l: "1 2 3 99 nowhere" });
    balancer.setStatus(1, false, "probe");
    balancer.setDraining(2, true);
    const calls = [1, 2].map(() => new FakeCall(balancer));
    const codes = calls.map((call) => startDistribution(ports, call, "l", { resources: "pstn" }));
    assert.deepEqual(
      [codes, calls.map(distributedNode)],
      [
        [1, -2],
        ["3", undefined],
      ],
    );
    balancer.setStatus(3, false, "mi");
    assert.equal(startDistribution(ports, new FakeCall(balancer), "l", { resources: "pstn" }), -3);
    balancer.setStatus(1, true, "probe");
    const call = new FakeCall(balancer);
    assert.deepEqual([startDistribution(ports, call, "l"), distributedNode(call)], [1, "1"]);
  });

  it("goes to no destination twice, whatever names it has", () => {
    const balancer = makeBalancer("pstn=10", "pstn=10");
    const ports = makePorts(balancer, { l: "1 one 2" }, { one: uriOf(1) });
    const call = new FakeCall(balancer);
    assert.deepEqual([startDistribution(ports, call, "l"), nextDistribution(ports, call)], [1, 1]);
    assert.deepEqual([distributedNode(call), nextDistribution(ports, call)], ["2", -3]);
  });

  it("passes over the destinations that the call comes from, and says -3 when there is no other", () => {
    const balancer = makeBalancer("pstn=10", "pstn=10");
    const ports = makePorts(balancer, { l: "1 2", m: "1" });
    const call = new FakeCall(balancer);
    call.openDialog();
    call.load.passedOver = [balancer.destination(1)!.key];
    assert.deepEqual([startDistribution(ports, call, "l"), distributedNode(call)], [1, "2"]);
    assert.equal(startDistribution(ports, call, "m", { resources: "pstn" }), -3);
  });

  it("takes a slow start and calls a second for what they are: less room", () => {
    const balancer = new Balancer({ below: () => 0, nowMs: () => 1000, maxCallsPerSecond: 2 });
    balancer.replaceTable([rowOf(1, "pstn=10")]);
    balancer.setCapacityFactor(1, 0.1);
    const ports = makePorts(balancer, { l: "1" });
    const codes = [1, 2].map(() => startDistribution(ports, new FakeCall(balancer), "l", { resources: "pstn" }));
    assert.deepEqual(codes, [1, -2], "one call of ten is open");
    assert.equal(startDistribution(ports, new FakeCall(balancer), "l"), 1);
    assert.equal(startDistribution(ports, new FakeCall(balancer), "l"), -2, "two calls within the second");
  });

  it("answers -4 without a distributor", () => {
    const balancer = makeBalancer("pstn=10");
    const call = new FakeCall(balancer);
    const ports = { balancer, log: new FakeLog() };
    assert.deepEqual([startDistribution(ports, call, "l"), nextDistribution(ports, call)], [-4, -1]);
  });

  it("answers -4 for an unknown list and -1 for ill-formed resources or a call that is over, and changes nothing then", () => {
    const balancer = makeBalancer("pstn=10");
    const ports = makePorts(balancer, { l: "1" });
    const call = new FakeCall(balancer);
    assert.equal(nextDistribution(ports, call), -1);
    assert.equal(startDistribution(ports, call, "m"), -4);
    assert.equal(startDistribution(ports, call, "l", { resources: "a;;b" }), -1);
    assert.deepEqual([call.dialogOpened, call.destinationUri, call.variables.size], [false, undefined, 0]);
    startDistribution(ports, call, "l", { resources: "pstn" });
    assert.equal(startDistribution(ports, call, "m"), -4);
    assert.deepEqual([distributedNode(call), loadsOf(balancer, "pstn")], ["1", [1]]);
    call.end();
    assert.deepEqual([startDistribution(ports, call, "l", { resources: "pstn" }), nextDistribution(ports, call)], [-1, -1]);
    const cancelled = new FakeCall(balancer);
    cancelled.cancelled = true;
    assert.equal(startDistribution(ports, cancelled, "l", { resources: "pstn" }), -1);
    assert.deepEqual(loadsOf(balancer, "pstn"), [0]);
    assert.equal(ports.distribution.distributor.counters.no_list, 2);
  });

  it("ends with -3 when a reload took the list, and goes on with a list that a reload changed", () => {
    const balancer = makeBalancer("pstn=10", "pstn=10");
    const ports = makePorts(balancer, { l: "1" });
    const call = new FakeCall(balancer);
    startDistribution(ports, call, "l");
    ports.distribution.distributor.reload([{ name: "l", nodes: ["1", "2"].map((name) => ({ name, weight: 1 })) }]);
    assert.deepEqual([nextDistribution(ports, call), distributedNode(call)], [1, "2"]);
    ports.distribution.distributor.reload([{ name: "m", nodes: [] }]);
    assert.deepEqual([nextDistribution(ports, call), distributedNode(call)], [-3, undefined]);
  });
});

describe("what a node stands for", () => {
  const balancer = makeBalancer("pstn=1", "pstn=1", [2, "pstn=1"]);
  const targets = new NodeTargets(balancer, {
    a: "2",
    b: "SIP:192.0.2.1:5060",
    c: "sip:192.0.2.3",
    d: "99",
    e: "sip:192.0.2.3;transport=tcp",
    "7": "3",
  });
  const cases: { name: string; want: number | string | undefined }[] = [
    { name: "a", want: 2 },
    { name: "b", want: 1 },
    { name: "c", want: 3 },
    { name: "d", want: undefined },
    { name: "e", want: undefined },
    { name: "7", want: 3 },
    { name: "2", want: 2 },
    { name: "99", want: undefined },
    { name: "sip:192.0.2.2:5060;lr", want: 2 },
    { name: "sip:192.0.2.2:5061", want: "sip:192.0.2.2:5061" },
    { name: "sip:gw.example.net", want: "sip:gw.example.net" },
    { name: "sip:gw.example.net;transport=TCP", want: undefined },
    { name: "sips:gw.example.net", want: undefined },
    { name: "978fefdd-45cd-4457-8ecd-5d82eaea3b12", want: undefined },
    { name: "__proto__", want: undefined },
    { name: "", want: undefined },
  ];
  for (const { name, want } of cases) {
    it(`"${name}" is ${want === undefined ? "nothing" : typeof want === "number" ? `destination ${want}` : want}`, () => {
      const target = targets.find(name);
      assert.equal(target?.destination?.id ?? (target && "uri" in target ? target.uri : undefined), want);
      assert.equal(targets.isUsable(name), want !== undefined);
    });
  }

  it("is looked for again when the table is replaced", () => {
    const small = makeBalancer("pstn=1");
    const found = new NodeTargets(small, {});
    assert.equal(found.isUsable("1"), true);
    small.replaceTable([]);
    assert.equal(found.isUsable("1"), false);
  });
});
