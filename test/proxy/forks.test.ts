import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Dispatcher, parseListFile, printFlags } from "../../src/dispatch/index.ts";
import { createDefaultRouter, dispatchTarget, NodeTargets, type RoutingRuleSpec } from "../../src/routing/index.ts";
import { settled } from "../support/settled.ts";
import { SimNetwork } from "../support/sim-network.ts";
import { headersOf, request, responseTo, statusOf } from "../support/sip-messages.ts";

const FIRST = "203.0.113.1";
const SECOND = "203.0.113.2";
const LIST = [`1 sip:${FIRST} 0 9`, `1 sip:${SECOND} 0 5`, `2 sip:${SECOND}`].join("\n");

/** The simulated proxy with one rule over the sets of {@link LIST}, whose destinations are its rows, too. */
function bench(dispatch: Partial<NonNullable<RoutingRuleSpec["dispatch"]>>, { resources = "pstn", denies = false } = {}) {
  const dispatcher = new Dispatcher({ below: () => 0, nowMs: () => 0, parseUri: dispatchTarget });
  dispatcher.replace(parseListFile(LIST).records);
  const full = { set: 1, algorithm: "12", limit: 0, domain: false, mark: "ip", ...dispatch };
  const spec = { match: {}, group: 1, resources, flags: "", failover_on: ["408", "5xx"], max_failovers: 3, disable_on: ["5xx"] };
  const net = new SimNetwork({
    router: (balancer) => {
      const nodes = new NodeTargets(balancer, {});
      const dispatching = {
        ...{ dispatcher, hashKey: undefined, keepsDestination: false },
        rowOf: (uri: string) => nodes.find(uri)?.destination,
        socketOf: () => undefined,
        isSocketOf: () => false,
        reload: async () => undefined,
      };
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      const rules = [{ ...spec, dispatch: full }];
      const reject = { no_capacity: 486, no_destination: 504, bad_resource: 500 };
      const router = createDefaultRouter({ rules, reject }, { balancer, log, dispatching });
      if (!denies) return router;
      return {
        ...router,
        handles: () => true,
        request: (call) => {
          call.guard = { accepts: () => false };
          return router.request(call);
        },
      };
    },
  });
  const caller = net.peer("198.51.100.1");
  const flags = () => dispatcher.set(1)!.destinations.map((destination) => printFlags(destination.flags));
  async function call(headers: readonly string[] = []): Promise<string> {
    const invite = request({ uri: "sip:1000@192.0.2.1", sentBy: caller.sentBy, headers });
    caller.send(invite);
    await settled();
    return invite;
  }
  return { net, caller, call, flags, one: net.peer(FIRST), two: net.peer(SECOND) };
}

const breadth = (text: string) => headersOf(text, "Max-Breadth");

describe("a request that goes to several at once", () => {
  it("is counted at the row of who accepts it, and shares its Max-Breadth out (RFC 5393 §5.3.3)", async () => {
    const { net, caller, call, one, two } = bench({});
    await call();
    const [first, second] = [one.take("INVITE"), two.take("INVITE")];
    assert.deepEqual([breadth(first), breadth(second), net.loads], [["30"], ["30"], [1, 0]]);
    two.send(responseTo(second, 200, { toTag: "t2", headers: [`Contact: <sip:callee@${two.sentBy}>`] }));
    await settled();
    assert.equal(statusOf(caller.take(200)), 200);
    assert.deepEqual(net.loads, [0, 1]);
    one.send(responseTo(first, 487, { toTag: "t1" }));
  });

  it("is counted nowhere when nobody accepts, and no destination is marked for the failure of another", async () => {
    const { net, caller, call, flags, one, two } = bench({});
    await call();
    const [first, second] = [one.take("INVITE"), two.take("INVITE")];
    one.send(responseTo(first, 486, { toTag: "t1" }));
    two.send(responseTo(second, 503, { toTag: "t2" }));
    await settled();
    caller.take(486);
    assert.deepEqual(
      [flags(), net.loads],
      [
        ["AX", "AX"],
        [0, 0],
      ],
    );
  });

  it("goes to one after the other when its Max-Breadth allows no more, and who it went to alone is marked", async () => {
    const { caller, call, flags, one, two } = bench({});
    await call(["Max-Breadth: 1"]);
    const first = one.take("INVITE");
    two.assertSilent();
    one.send(responseTo(first, 503, { toTag: "t1" }));
    await settled();
    const second = two.take("INVITE");
    assert.deepEqual([breadth(first), breadth(second), flags()], [["1"], ["1"], ["IP", "AX"]]);
    two.send(responseTo(second, 486, { toTag: "t2" }));
    await settled();
    caller.take(486);
  });

  it("goes on to the next set when all of the first have failed", async () => {
    const { call, one, two } = bench({ routes: "1=12;2=8" }, { resources: "" });
    await call();
    const [first, second] = [one.take("INVITE"), two.take("INVITE")];
    two.assertSilent();
    one.send(responseTo(first, 503, { toTag: "t1" }));
    two.send(responseTo(second, 503, { toTag: "t2" }));
    await settled();
    two.take("ACK");
    assert.deepEqual(breadth(two.take("INVITE")), ["60"]);
  });
});

describe("a Request-URI with the host of a destination", () => {
  it("leads there whatever is kept from callers, and on failover to the next one", async () => {
    const { call, one, two } = bench({ algorithm: "8", domain: true }, { resources: "", denies: true });
    await call();
    const first = one.take("INVITE");
    assert.match(first, new RegExp(`^INVITE sip:1000@${FIRST} `));
    one.send(responseTo(first, 503, { toTag: "t1" }));
    await settled();
    assert.match(one.take("ACK"), new RegExp(`^ACK sip:1000@${FIRST} `));
    assert.match(two.take("INVITE"), new RegExp(`^INVITE sip:1000@${SECOND} `));
  });
});
