import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Balancer } from "../../src/balancer/index.ts";
import { FakeCall, type FakeCallOptions, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";
import { balancerOf, callFrom, makeRouter, OUTSIDE, row } from "./outbound-support.ts";

const OWN = "sip:8000@balancer.example";

describe("routing.outbound: a destination that is taken out of use", () => {
  const cases: { name: string; act: (balancer: Balancer) => void; refused: boolean }[] = [
    { name: "is being drained", act: (balancer) => balancer.setDraining(1, true), refused: true },
    { name: "was disabled by an operator", act: (balancer) => balancer.setStatus(1, false, "mi"), refused: true },
    { name: "was disabled by the end of a drain", act: (balancer) => balancer.setStatus(1, false, "drain"), refused: true },
    { name: "is down by a probe", act: (balancer) => balancer.setStatus(1, false, "probe"), refused: false },
    { name: "was disabled by a script", act: (balancer) => balancer.setStatus(1, false, "script"), refused: false },
    { name: "has an open breaker", act: (balancer) => balancer.setBreaker(1, "open"), refused: false },
  ];
  for (const { name, act, refused } of cases) {
    for (const while_draining of ["refuse", "accept"] as const) {
      const isRefused = refused && while_draining === "refuse";
      it(`one that ${name} ${isRefused ? "begins no call" : "makes its calls"} with ${while_draining}`, () => {
        const balancer = makeBalancer("conf=5");
        act(balancer);
        const { router, counters, log } = makeRouter(balancer, { while_draining });
        const call = callFrom(balancer, 1);
        router.request(call);
        assert.deepEqual(call.replies, isRefused ? [{ status: 503, reason: "Destination out of use", headers: [] }] : []);
        assert.deepEqual([call.sent.length, loadsOf(balancer, "conf")], isRefused ? [0, [0]] : [1, [1]]);
        assert.equal(counters.outbound_refused_draining, isRefused ? 1 : 0);
        if (isRefused) assert.equal(log.lines.at(-1)?.message, "Call from a destination refused: the destination is taken out of use");
      });
    }
  }

  it("begins no call to this proxy either, and its calls that are up go on", () => {
    const balancer = makeBalancer("conf=5", "conf=5");
    const { router } = makeRouter(balancer);
    const before = callFrom(balancer, 1);
    router.request(before);
    balancer.setDraining(1, true);
    const call = callFrom(balancer, 1, { uri: OWN });
    router.request(call);
    assert.deepEqual([call.replies[0]?.status, loadsOf(balancer, "conf")], [503, [1, 0]]);
    before.end();
    assert.deepEqual(loadsOf(balancer, "conf"), [0, 0]);
  });

  it("counts on another of its rows that is in use", () => {
    const rows = [1, 2, 3].map((id) => row(id, id, "192.0.2.1", id === 1 ? "conf=5" : "conf=5;vm=1"));
    const balancer = balancerOf(...rows);
    const { router } = makeRouter(balancer);
    for (const [drained, loads] of [
      [1, [0, 1, 0]],
      [2, [0, 1, 1]],
      [3, [0, 1, 1]],
    ] as const) {
      balancer.setDraining(drained, true);
      router.request(callFrom(balancer, 1));
      assert.deepEqual(loadsOf(balancer, "conf"), loads);
    }
    balancer.setDraining(3, false);
    makeRouter(balancer, { group: 1 }).router.request(callFrom(balancer, 1));
    assert.deepEqual(loadsOf(balancer, "conf"), [0, 1, 1], "with a group its row alone decides");
  });
});

describe("routing.outbound: which of several rows makes a call", () => {
  interface Sketch {
    readonly group: number;
    readonly host: number;
    readonly port: number;
    readonly resources: string;
    readonly drained: boolean;
  }

  /** The rule, row by row: the first row of each group counts its calls; the first group has it that can and is in use, else one that can. */
  function expectedId(sketches: readonly Sketch[], port: number): number | undefined {
    const rows = sketches
      .map((sketch, i) => ({ ...sketch, id: i + 1 }))
      .filter((one) => one.host === 1 && (port === 0 || one.port === port));
    const firsts = rows.filter(({ group }, i) => rows.findIndex((other) => other.group === group) === i);
    const able = firsts.filter(({ resources }) => resources.includes("conf"));
    return (able.find(({ drained }) => !drained) ?? able[0] ?? firsts[0])?.id;
  }

  const sketch = fc.record({
    group: fc.integer({ min: 1, max: 4 }),
    host: fc.constantFrom(1, 1, 1, 2),
    port: fc.constantFrom(5060, 5060, 5080),
    resources: fc.constantFrom("conf=5", "conf=5;vm=1", "vm=5"),
    drained: fc.boolean(),
  });

  it("is found by the address alone, and is the same as a look at every row would find", () => {
    fc.assert(
      fc.property(fc.array(sketch, { maxLength: 8 }), fc.boolean(), (sketches, any_port) => {
        const rows = sketches.map(({ group, host, port, resources }, i) => row(i + 1, group, `192.0.2.${host}`, resources, port));
        const balancer = balancerOf(...rows, row(99, 9, "192.0.2.9", "conf=5;vm=5"));
        for (const [i, { drained }] of sketches.entries()) balancer.setDraining(i + 1, drained);
        const { router, counters, log } = makeRouter(balancer, { any_port });
        balancer.destinations = () => assert.fail("the whole table was asked for");
        const own = expectedId(sketches, 5060);
        const expected = own ?? (any_port ? expectedId(sketches, 0) : undefined);
        const call = callFrom(balancer, 1);
        router.request(call);
        const isDrained = expected !== undefined && sketches[expected - 1]!.drained;
        assert.equal(counters.outbound_calls, expected === undefined || isDrained ? 0 : 1);
        if (expected === undefined) return;
        if (isDrained) assert.equal(log.lines.at(-1)?.fields["destination"], expected);
        else assert.equal(balancer.profileSize("conf", expected), 1);
      }),
      { numRuns: 500 },
    );
  });
});

describe("routing.outbound: a call for this proxy", () => {
  const picks = (balancer: Balancer, spec: object, options: FakeCallOptions = {}) => {
    const call = callFrom(balancer, 1, { uri: OWN, ...options });
    const { router } = makeRouter(balancer, spec);
    router.request(call);
    return [call.sent[0]?.destinationUri, call.replies[0]?.status];
  };

  it("is not sent to where it comes from, however much is free there", () => {
    assert.deepEqual(picks(makeBalancer("conf=50", "conf=5"), {}), [uriOf(2), undefined]);
    assert.deepEqual(picks(makeBalancer("conf=50"), {}), [undefined, 503]);
  });

  it("is with back_to_sender", () => {
    assert.deepEqual(picks(makeBalancer("conf=50", "conf=5"), { back_to_sender: true }), [uriOf(1), undefined]);
  });

  it("passes over every row with the address of its sender, in whatever group it counts", () => {
    const rows = [row(1, 2, "192.0.2.1", "conf=9"), row(2, 1, "192.0.2.1", "conf=9"), row(3, 1, "192.0.2.1", "conf=5", 5080)];
    assert.deepEqual(picks(balancerOf(...rows), {}), ["sip:192.0.2.1:5080", undefined]);
    assert.deepEqual(picks(balancerOf(...rows), { any_port: true }, { port: 40_000 }), ["sip:192.0.2.1:5080", undefined]);
    assert.deepEqual(picks(balancerOf(...rows.slice(0, 2)), {}), [undefined, 503]);
  });

  it("fails over to others only", () => {
    const balancer = makeBalancer("conf=50", "conf=5", "conf=4");
    const { router } = makeRouter(balancer);
    const call = callFrom(balancer, 1, { uri: OWN });
    router.request(call);
    router.failure(call.failBranch(500));
    router.failure(call.failBranch(500));
    assert.deepEqual(
      call.sent.map(({ destinationUri }) => destinationUri),
      [uriOf(2), uriOf(3)],
    );
  });
});

/** One server in two groups, whose second row lacks a resource; and one by itself with two rows at its address. */
function farm(sizes: readonly number[]): Balancer {
  const [a = 0, b = 0, c = 0] = sizes;
  return balancerOf(
    row(1, 1, "192.0.2.1", `conf=${a};vm=${b}`, 5060, "shared=p"),
    row(2, 2, "192.0.2.2", `conf=${a}`, 5060, "shared=p"),
    row(3, 1, "192.0.2.3", `conf=${c}`),
    row(4, 2, "192.0.2.3", `conf=${b};vm=${c}`),
  );
}

describe("both directions together", () => {
  const id = fc.integer({ min: 1, max: 4 });
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("inbound" as const) }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("outbound" as const), uri: fc.constantFrom(OUTSIDE, OUTSIDE, OWN), id }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("ended" as const), failed: fc.boolean(), at: fc.nat(50) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("share" as const), id, factor: fc.constantFrom(0, 0.3, 0.7, 1) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("drain" as const), id, on: fc.boolean() }) },
  );
  const size = fc.integer({ min: 0, max: 4 });

  for (const resources of ["conf", "conf;vm"]) {
    it(`never exceed the capacity of a destination or a pool with ${resources}, and leave nothing counted when they are over`, () => {
      let refused = 0;
      fc.assert(
        fc.property(
          fc.array(step, { minLength: 20, maxLength: 120, size: "max" }),
          fc.array(size, { minLength: 3, maxLength: 3 }),
          fc.boolean(),
          (steps, sizes, back_to_sender) => {
            const balancer = farm(sizes);
            const { router, counters } = makeRouter(balancer, { resources, back_to_sender });
            const calls: FakeCall[] = [];
            for (const step of steps) {
              if (step.kind === "share") balancer.setCapacityFactor(step.id, step.factor);
              else if (step.kind === "drain") balancer.setDraining(step.id, step.on);
              else if (step.kind === "ended") {
                const call = calls[step.at % Math.max(1, calls.length)];
                if (call === undefined) continue;
                if (step.failed) router.failure(call.failBranch(500));
                else calls.splice(calls.indexOf(call), 1)[0]?.end();
              } else {
                const call = step.kind === "outbound" ? callFrom(balancer, step.id, { uri: step.uri }) : new FakeCall(balancer);
                router.request(call);
                calls.push(call);
              }
              for (const destination of balancer.destinations()) {
                for (const { name, cell } of destination.resources) {
                  const load = balancer.load(cell);
                  assert.ok(load <= balancer.capacity(cell), `${name} of destination ${destination.id}: ${load}`);
                }
              }
              assert.deepEqual(balancer.recount(calls.map(({ load }) => load)), []);
            }
            for (const call of calls) call.end();
            assert.deepEqual([balancer.profileSize("conf") ?? 0, balancer.profileSize("vm") ?? 0], [0, 0]);
            refused += counters.outbound_refused;
          },
        ),
        { numRuns: 200 },
      );
      assert.ok(refused > 100, `${refused} calls met a full destination`);
    });
  }
});
