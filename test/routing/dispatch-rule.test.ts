import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Balancer, CallLoad } from "../../src/balancer/index.ts";
import { Balancer as RealBalancer } from "../../src/balancer/index.ts";
import { Dispatcher, parseListFile, printFlags } from "../../src/dispatch/index.ts";
import type { Router } from "../../src/proxy/ports.ts";
import {
  compileExpression,
  createDefaultRouter,
  dispatchTarget,
  NodeTargets,
  RoutingError,
  type RoutingRuleSpec,
} from "../../src/routing/index.ts";
import { FakeCall, type FakeCallOptions, FakeLog, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";

const REJECT = { no_capacity: 486, no_destination: 504, bad_resource: 500 };
type Dispatch = NonNullable<RoutingRuleSpec["dispatch"]>;

const LIST = [
  `1 ${uriOf(1)} 0 9 duid=one;maxload=1`,
  `1 ${uriOf(2)} 0 5`,
  "1 sip:gw.example.net 0 1",
  "2 sip:192.0.2.77 1 0",
  "3 sip:host.example.net:5080;transport=tcp",
].join("\n");

/** Destinations 1 and 2 of set 1 are rows of the table of destinations, too; the last one is none. */
function bench(dispatch: Partial<Dispatch>, spec: Partial<RoutingRuleSpec> = {}) {
  const balancer = makeBalancer("pstn=1", "pstn=1");
  const dispatcher = new Dispatcher({ below: () => 0, nowMs: () => 0, parseUri: dispatchTarget });
  dispatcher.replace(parseListFile(LIST).records);
  const nodes = new NodeTargets(balancer, {});
  const log = new FakeLog();
  const hashKey = compileExpression("$hdr(X-Key)");
  assert.ok(typeof hashKey !== "string");
  const dispatching = {
    ...{ dispatcher, hashKey, keepsDestination: false },
    rowOf: (uri: string) => nodes.find(uri)?.destination,
    socketOf: () => undefined,
    isSocketOf: () => false,
    reload: async () => undefined,
  };
  const full: Dispatch = { set: 1, algorithm: "8", limit: 0, domain: false, mark: "ip", ...dispatch };
  const defaults = { match: {}, group: 1, resources: "", flags: "", failover_on: ["408", "5xx"], max_failovers: 3, disable_on: ["408"] };
  const rules = [{ ...defaults, dispatch: full, ...spec }];
  const router = createDefaultRouter({ rules, reject: REJECT }, { balancer, log, dispatching });
  return { balancer, dispatcher, router, log };
}

/** A call, with the dispatcher told of its end as the program does. */
class Call extends FakeCall {
  readonly #dispatcher: Dispatcher;

  constructor(balancer: Balancer, dispatcher: Dispatcher, options: FakeCallOptions = {}) {
    super(balancer, options);
    this.#dispatcher = dispatcher;
  }

  override end(): void {
    super.end();
    this.#dispatcher.release(this.load);
  }
}

function start(
  { balancer, dispatcher, router }: { balancer: Balancer; dispatcher: Dispatcher; router: Router },
  options: FakeCallOptions = {},
): Call {
  const call = new Call(balancer, dispatcher, options);
  router.request(call);
  return call;
}

const targetsOf = (call: FakeCall) => call.sent.map(({ destinationUri }) => destinationUri);
const loads = (dispatcher: Dispatcher) => dispatcher.set(1)?.destinations.map(({ load }) => load);
const marks = (dispatcher: Dispatcher) => dispatcher.set(1)?.destinations.map(({ flags }) => printFlags(flags));

describe("a rule with dispatch", () => {
  it("goes through the set as its algorithm says, and refuses with the best answer when all have failed", () => {
    const b = bench({});
    const call = start(b);
    for (let i = 0; i < 3; i++) b.router.failure(call.failBranch(503));
    assert.deepEqual(targetsOf(call), [uriOf(1), uriOf(2), "sip:gw.example.net"]);
    assert.deepEqual([call.replies, loadsOf(b.balancer, "pstn")], [[], [0, 0]]);
  });

  it("goes to no more destinations than its limit, and than max_failovers", () => {
    for (const [dispatch, spec] of [
      [{ limit: 2 }, {}],
      [{}, { max_failovers: 1 }],
    ] as const) {
      const b = bench(dispatch, spec);
      const call = start(b);
      for (let i = 0; i < 3; i++) b.router.failure(call.failBranch(503));
      assert.equal(call.sent.length, 2);
    }
  });

  it("reports a destination that disable_on names, and not one that was not blamed", () => {
    const b = bench({ mark: "ip" });
    const call = start(b);
    b.router.failure(call.failBranch(503));
    b.router.failure(call.failBranch(408, "timeout"));
    assert.deepEqual(
      b.dispatcher.set(1)?.destinations.map(({ flags }) => printFlags(flags)),
      ["AX", "IP", "AX"],
    );
    assert.ok(b.log.lines.some(({ message }) => message === "Destination of the dispatcher marked after a failed call"));
    assert.deepEqual(targetsOf(start(b))[0], uriOf(1));
  });

  it("counts with algorithm 10 until the call ends, and passes over what is full", () => {
    const b = bench({ algorithm: "call-load" });
    const [first, second] = [start(b), start(b)];
    assert.deepEqual([targetsOf(first), targetsOf(second), loads(b.dispatcher)], [[uriOf(1)], [uriOf(2)], [1, 1, 0]]);
    b.router.failure(second.failBranch(500));
    assert.deepEqual(loads(b.dispatcher), [1, 0, 1]);
    first.end();
    second.end();
    assert.deepEqual(loads(b.dispatcher), [0, 0, 0]);
  });

  it("bounded by resources passes over rows that are full, disabled or the sender, and counts there", () => {
    const b = bench({}, { resources: "pstn" });
    const [first, second, third] = [start(b), start(b), start(b)];
    assert.deepEqual([first, second, third].flatMap(targetsOf), [uriOf(1), uriOf(2), "sip:gw.example.net"]);
    assert.deepEqual(loadsOf(b.balancer, "pstn"), [1, 1]);
    first.end();
    b.balancer.setStatus(1, false, "mi");
    assert.deepEqual(targetsOf(start(b)), ["sip:gw.example.net"]);
    b.balancer.setStatus(1, true, "mi");
    const failing = start(b);
    b.router.failure(failing.failBranch(503));
    assert.deepEqual(targetsOf(failing), [uriOf(1), "sip:gw.example.net"]);
    assert.deepEqual(loadsOf(b.balancer, "pstn"), [0, 1]);
  });

  it("is told apart when it has nothing: no such set, none active, all full, no key", () => {
    const cases = [
      [{ set: 9 }, {}, 500, "No such set"],
      [{ set: 2 }, {}, 504, "No destination available"],
      [{ routes: "9=4;2=4" }, {}, 504, "No destination available"],
      [{ algorithm: "7", key: " " }, {}, 500, "Load balancing failed"],
    ] as const;
    for (const [dispatch, spec, status, reason] of cases) {
      const [reply] = start(bench(dispatch, spec)).replies;
      assert.deepEqual([reply?.status, reply?.reason], [status, reason], JSON.stringify(dispatch));
    }
  });

  it("hashes what the rule or the configuration says, each key to one destination", () => {
    for (const dispatch of [{ algorithm: "7" }, { algorithm: "7", key: "$hdr(X-Key)" }, { algorithm: "rendezvous", key: "$hdr(X-Key)" }]) {
      const b = bench(dispatch);
      const of = (key: string) => {
        const call = start(b, { headers: [`X-Key: ${key}`] });
        call.end();
        return targetsOf(call)[0];
      };
      const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
      assert.deepEqual(keys.map(of), keys.map(of), JSON.stringify(dispatch));
      assert.ok(new Set(keys.map(of)).size > 1);
    }
  });

  it("goes on in its set, whatever max_failovers says, where the cluster has no room at a destination", () => {
    const b = bench({}, { resources: "pstn", max_failovers: 0 });
    const call = start(b);
    for (let i = 0; i < 3; i++) b.router.failure(call.failBranch(503, "capacity"));
    assert.deepEqual(targetsOf(call), [uriOf(1), uriOf(2), "sip:gw.example.net"]);
    assert.deepEqual(
      [call.replies.map(({ status }) => status), loadsOf(b.balancer, "pstn"), marks(b.dispatcher)],
      [[486], [0, 0], ["AX", "AX", "AX"]],
    );
  });

  it("writes the host of the destination into the Request-URI when it says domain", () => {
    const call = start(bench({ set: 3, domain: true }));
    assert.deepEqual(call.sent[0]?.requestUri, "sip:1000@host.example.net:5080;transport=tcp");
    assert.equal(call.sent[0]?.destinationUri, undefined);
  });

  it("sends to all of the set at once with algorithm 12, and not again", () => {
    const b = bench({ algorithm: "12" });
    const call = new Call(b.balancer, b.dispatcher);
    b.router.request(call);
    assert.deepEqual([targetsOf(call), call.forkTo.map(({ uri }) => uri)], [[uriOf(1)], [uriOf(2), "sip:gw.example.net"]]);
    b.router.failure(call.failBranch(503));
    assert.equal(call.sent.length, 1);
  });

  const bad: [dispatch: Partial<Dispatch>, wanted: RegExp][] = [
    [{ algorithm: "fastest" }, /dispatch\.algorithm "fastest": want a number or a name/],
    [{ algorithm: "77" }, /dispatch\.algorithm "77"/],
    [{ routes: "1=" }, /dispatch\.routes "1="/],
    [{ key: "$constructor" }, /dispatch\.key "\$constructor": want pseudo-variables that are known here/],
    [{ key: "$nothing" }, /dispatch\.key "\$nothing": want pseudo-variables that are known here/],
    [{ mark: "x" }, /dispatch\.mark "x": want a, i, t or d/],
  ];
  for (const [dispatch, wanted] of bad) {
    it(`refuses ${JSON.stringify(dispatch)} with a sentence`, () => {
      assert.throws(
        () => bench(dispatch),
        (error) => error instanceof RoutingError && wanted.test(error.message),
      );
    });
  }
});

describe("who counts beside the balancer", () => {
  it("is told of the end of each call, and its counts are among what a call holds", () => {
    const told: unknown[] = [];
    const lease = { key: "ds 1#a", resource: "", picked: true };
    const balancer = new RealBalancer({
      below: () => 0,
      beside: {
        held: () => [lease],
        adopt: (_call: CallLoad, held) => held.filter(({ key }) => key.startsWith("ds ")).length,
        release: (call: CallLoad) => void told.push(call),
      },
    });
    const { load } = new FakeCall(balancer);
    assert.deepEqual(balancer.held(load), [lease]);
    assert.equal(balancer.adopt(load, [lease]), 1, "the balancer leaves what is not its own");
    balancer.release(load);
    assert.deepEqual(told, [load]);
  });
});
