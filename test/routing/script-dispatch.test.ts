import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Dispatcher, parseListFile } from "../../src/dispatch/index.ts";
import { type Call, createScriptRouter, dispatchTarget, type RouteModule, RoutingError } from "../../src/routing/index.ts";
import { loadScript } from "../../src/script-loader.ts";
import { FakeCall, FakeLog, makeBalancer } from "./fake-call.ts";

const LIST = ["1 sip:10.0.0.1 0 9 duid=a", "1 sip:10.0.0.2 8 5", "1 sip:10.0.0.3 1 1"].join("\n");

/** A route module, or one with this handler, over the sets of {@link LIST}. */
function bench(module: ((call: Call) => void) | RouteModule, keepsDestination = false) {
  const balancer = makeBalancer("pstn=1");
  const dispatcher = new Dispatcher({ below: () => 0, nowMs: () => 0, parseUri: dispatchTarget });
  assert.deepEqual(dispatcher.replace(parseListFile(LIST).records).problems, []);
  const dispatching = {
    ...{ dispatcher, keepsDestination, hashKey: undefined },
    rowOf: () => undefined,
    socketOf: () => undefined,
    isSocketOf: () => false,
    reload: async () => undefined,
  };
  const router = createScriptRouter(typeof module === "function" ? { request: module } : module, {
    balancer,
    log: new FakeLog(),
    dispatching,
  });
  const call = new FakeCall(balancer);
  return { dispatcher, router, call, run: () => router.request(call) };
}

describe("call.ds", () => {
  it("replaces a destination that the script has set, and with force_dst 0 fails instead, but for the Request-URI", () => {
    for (const keeps of [false, true]) {
      const seen: unknown[] = [];
      const { run } = bench((call) => {
        call.destinationUri = "sip:192.0.2.1";
        seen.push(call.ds.selectDst(1, 8), call.ds.code, call.ds.failure, call.destinationUri, call.ds.selectDomain(1, 8), call.ds.failure);
      }, keeps);
      run();
      const first = keeps ? [false, -1, "has-destination", "sip:192.0.2.1"] : [true, 1, undefined, "sip:10.0.0.1"];
      assert.deepEqual(seen, [...first, true, undefined]);
    }
  });

  it("counts a call no longer where it was selected once the balancer has sent it elsewhere", () => {
    const seen: unknown[] = [];
    const { dispatcher, run } = bench((call) => {
      seen.push(call.ds.selectDst(1, 10), dispatcher.countedCalls, call.lb.start(1, "pstn"), dispatcher.countedCalls);
    });
    run();
    assert.deepEqual(seen, [true, 1, true, 0]);
  });

  it("leaves sets and sockets alone once the script says itself where the call goes", () => {
    const { call, run } = bench(({ ds }) => void ds.selectDst(1, "parallel"));
    run();
    assert.equal(call.forkTo?.length, 1);
    const other = bench((made) => {
      made.ds.selectDst(1, "parallel");
      made.destinationUri = "sip:192.0.2.9";
    });
    other.run();
    assert.deepEqual([other.call.forkTo, other.call.destinationUri], [[], "sip:192.0.2.9"]);
  });

  it("finds nobody by a URI that is none of SIP, as callers write what they like", () => {
    const seen: unknown[] = [];
    const { run } = bench(({ ds }) => {
      for (const uri of ["tel:+4930", "sip:", "\u0000", "urn:service:sos"]) seen.push(ds.isFromList(1, 3, uri), ds.code);
      seen.push(ds.isFromList(1, 3, "sip:10.0.0.1:9")?.uri);
    });
    run();
    assert.deepEqual(seen, [...Array.from({ length: 4 }, () => [undefined, -1]).flat(), "sip:10.0.0.1"]);
  });

  it("leaves a Request-URI alone that has no place for a host, and sends it to the destination all the same", () => {
    for (const [uri, ...wanted] of [
      ["urn:service:sos", "urn:service:sos", "sip:10.0.0.1"],
      ["tel:+4930;phone-context=x", "sip:+4930@10.0.0.1", undefined],
      ["sips:host", "sips:10.0.0.1", undefined],
    ] as const) {
      const { call, run } = bench(({ ds }) => void ds.selectDomain(1, 8));
      call.requestUri = uri;
      run();
      assert.deepEqual([call.requestUri, call.destinationUri], wanted, uri);
    }
  });

  it("reports the state of a destination by its URI", () => {
    const seen: unknown[] = [];
    const { run } = bench(({ ds }) => {
      seen.push(
        ds.markAddr("ip", 1, "SIP:10.0.0.1"),
        ds.destinations(1).map(({ flags }) => flags),
      );
      seen.push(ds.markAddr("ip", 1, "sip:10.0.0.9"), ds.code, ds.markAddr("d", 77, "sip:10.0.0.1"));
      assert.throws(() => ds.markAddr("x", 1, "sip:10.0.0.1"), RoutingError);
    });
    run();
    assert.deepEqual(seen, [true, ["IP", "AP", "IX"], false, -1, false]);
  });

  it("tells the destinations of a set, none of one that is not there", () => {
    const seen: unknown[] = [];
    const { run } = bench(({ ds }) => {
      seen.push(
        ds.destinations(1).map(({ uri, isActive }) => [uri, isActive]),
        ds.destinations(2),
        ds.destinations(1)[0]?.attr("DUID"),
      );
    });
    run();
    const uris = ["sip:10.0.0.1", "sip:10.0.0.2", "sip:10.0.0.3"];
    assert.deepEqual(seen, [uris.map((uri, i) => [uri, i < 2]), [], "a"]);
  });

  it("takes over what a destination says of its load, for algorithm 64, and nothing old", () => {
    const seen: unknown[] = [];
    const picked: unknown[] = [];
    const { run } = bench(({ ds }) => {
      seen.push(ds.ocSetAttrs(1, "sip:10.0.0.1", 100, 10_000, 1), ds.ocSetAttrs(1, "sip:10.0.0.1", 0, 10_000, 1));
      seen.push(ds.ocSetAttrs(7, "sip:10.0.0.1", 1, 1, 1), ds.ocSetAttrs(1, "sip:10.0.0.9", 1, 1, 1));
      assert.throws(() => ds.ocSetAttrs(1, "sip:10.0.0.1", 1, 1, Number.NaN), RoutingError);
      for (let i = 0; i < 3; i++) picked.push(ds.select(1, 64) && ds.destination?.uri);
    });
    run();
    assert.deepEqual(seen, [true, false, false, false]);
    assert.deepEqual(picked, Array(3).fill("sip:10.0.0.2"));
  });

  it("is used by an example: turns, a state, the next one", async () => {
    const { call, dispatcher, router } = bench(await loadScript(new URL("../../examples/dispatcher.ts", import.meta.url).pathname));
    router.request(call);
    router.failure(call.failBranch(408, "timeout"));
    assert.deepEqual(
      call.sent.map(({ destinationUri }) => destinationUri),
      ["sip:10.0.0.1", "sip:10.0.0.2"],
    );
    assert.deepEqual(
      dispatcher.set(1)?.destinations.map(({ flags }) => flags),
      [9, 8, 1],
    );
    router.failure(call.failBranch(486));
    assert.equal(call.sent.length, 2);
  });
});
