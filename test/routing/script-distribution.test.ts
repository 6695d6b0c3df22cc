import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Distributor } from "../../src/distributor/index.ts";
import { type Call, createScriptRouter, NodeTargets, RoutingError } from "../../src/routing/index.ts";
import { parseMessage, SipResponse } from "../../src/sip/index.ts";
import { FakeCall, FakeLog, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";

type Handlers = Partial<Record<"request" | "failure" | "reply", (call: Call) => void>>;

/** A farm of three destinations and a route module with these handlers. */
function bench(handlers: Handlers) {
  const balancer = makeBalancer("pstn=1", "pstn=10", "pstn=10");
  const nodes = new NodeTargets(balancer, { gw: "sip:gw.example.net" });
  const lists = [{ name: "carriers", nodes: ["1", "2", "gw"].map((name) => ({ name, weight: 1 })) }];
  const distributor = new Distributor({ isUsable: (node) => nodes.isUsable(node) }, lists);
  const log = new FakeLog();
  const router = createScriptRouter({ request() {}, ...handlers }, { balancer, log, distribution: { distributor, nodes } });
  return { balancer, router, log };
}

describe("call.distribute() and call.distributeNext()", () => {
  it("go through the nodes of a list, with what the call counts", () => {
    const seen: unknown[] = [];
    const note = (call: Call, done: boolean): void => {
      seen.push([done, call.distributeCode, call.distributedNode, call.destination?.id, call.destinationUri]);
      if (done) call.relay();
    };
    const { router, balancer } = bench({
      request: (call) => note(call, call.distribute("Carriers", { exceptions: ["2"], resources: "pstn" })),
      failure: (call) => note(call, call.distributeNext()),
    });
    const call = new FakeCall(balancer);
    router.request(call);
    assert.deepEqual(loadsOf(balancer, "pstn"), [1, 0, 0]);
    router.failure(call.failBranch(503));
    assert.deepEqual(loadsOf(balancer, "pstn"), [0, 0, 0]);
    router.failure(call.failBranch(503));
    assert.deepEqual(seen, [
      [true, 1, "1", 1, uriOf(1)],
      [true, 1, "gw", undefined, "sip:gw.example.net"],
      [false, -3, undefined, undefined, "sip:gw.example.net"],
    ]);
  });

  it("say why not: no such list, nothing before, ill-formed resources, all full", () => {
    const codes: unknown[] = [];
    const { router, balancer } = bench({
      request(call) {
        codes.push(call.distributeCode);
        for (const run of [
          () => call.distributeNext(),
          () => call.distribute("nosuch"),
          () => call.distribute("carriers", { resources: "a;;b" }),
          () => call.distribute("carriers", { resources: "pstn", exceptions: ["2", "gw"] }),
        ])
          codes.push(run(), call.distributeCode);
      },
    });
    router.request(new FakeCall(balancer));
    assert.deepEqual(codes, [0, false, -1, false, -4, false, -1, true, 1]);
    codes.length = 0;
    router.request(new FakeCall(balancer));
    assert.deepEqual(codes.slice(-2), [false, -2]);
  });

  it("have no effect in reply(), and none once the call is decided, cancelled or its handler has ended", () => {
    const ringing = parseMessage(
      "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n",
    );
    assert.ok(ringing instanceof SipResponse);
    let kept: Call | undefined;
    const results: boolean[] = [];
    const { router, balancer, log } = bench({
      request(call) {
        kept = call;
        call.distribute("carriers", { resources: "pstn" });
        call.relay();
        results.push(call.distribute("carriers"), call.distributeNext());
      },
      failure: (call) => void results.push(call.distributeNext()),
      reply: (call) => void results.push(call.distribute("carriers"), call.distributeNext()),
    });
    const call = new FakeCall(balancer);
    router.request(call);
    router.reply?.(call, ringing);
    results.push(kept?.distribute("carriers") ?? true);
    call.cancelled = true;
    router.failure(call.failBranch(487));
    assert.deepEqual([results, kept?.distributedNode], [Array(6).fill(false), "1"]);
    assert.deepEqual(loadsOf(balancer, "pstn"), [1, 0, 0]);
    assert.equal(log.lines.filter(({ level }) => level === "error").length, 3);
  });

  for (const [what, args] of [
    ["a list that is no text", [7]],
    ["exceptions that are no list", ["carriers", { exceptions: "1" }]],
    ["an exception that is no text", ["carriers", { exceptions: [1] }]],
    ["resources that are no text", ["carriers", { resources: ["pstn"] }]],
  ] as const) {
    it(`throw for ${what}`, () => {
      const { router, balancer } = bench({ request: (call) => void Reflect.apply(call.distribute, call, args) });
      assert.throws(() => router.request(new FakeCall(balancer)), RoutingError);
    });
  }

  it("leave every name in call.vars to the script", () => {
    const { router, balancer } = bench({
      request(call) {
        for (const name of ["distribution", "distributor", "session"]) call.vars.set(name, 1);
        call.distribute("carriers");
        assert.deepEqual([...call.vars.values()], [1, 1, 1]);
        assert.ok(call.distributeNext());
      },
    });
    router.request(new FakeCall(balancer));
  });
});
