import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Balancer } from "../../src/balancer/index.ts";
import type { ProxyCall, Router } from "../../src/proxy/index.ts";
import { balancingRouter, LIFETIME_MS, SimNetwork } from "../support/sim-network.ts";
import type { LinkFaults } from "../support/sim-options.ts";
import { type CalleePlan, type CallerPlan, SimCallee, SimCaller } from "../support/sim-ua.ts";

const RUNS = 200;
const DESTINATIONS = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
/** Ticks of 10 ms. */
const SECOND = 100;

/** One value in so many is drawn from `what`, the others are undefined. */
const oneIn = <T>(howMany: number, what: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: howMany - 1 }, { arbitrary: what, weight: 1 });

const callee: fc.Arbitrary<CalleePlan> = fc.record({
  trying: fc.boolean(),
  ringAfter: oneIn(2, fc.nat(4 * SECOND)),
  answerAfter: fc.oneof(fc.nat(3 * SECOND), fc.nat(8 * SECOND), fc.nat(60 * SECOND), fc.nat(200 * SECOND)),
  status: fc.constantFrom(200, 200, 200, 200, 200, 200, 200, 0, 302, 404, 486, 487, 500, 503, 603),
  forks: fc.constantFrom(1, 1, 1, 2, 3),
  ignoresCancel: fc.constantFrom(false, false, true),
  byeAfter: oneIn(2, fc.integer({ min: 40, max: 60 * SECOND })),
  byeStatus: fc.constantFrom(200, 200, 200, 481, 0),
  diesAfter: oneIn(12, fc.nat(40 * SECOND)),
});

const caller: fc.Arbitrary<CallerPlan> = fc.record({
  cancelAfter: oneIn(4, fc.oneof(fc.nat(SECOND), fc.nat(20 * SECOND))),
  earlyByeAfter: oneIn(8, fc.nat(6 * SECOND)),
  byeAfter: oneIn(2, fc.nat(60 * SECOND)),
  reinviteAfter: oneIn(2, fc.nat(20 * SECOND)),
  acks: fc.constantFrom(true, true, true, true, true, false),
  byeStatus: fc.constantFrom(200, 200, 481, 0),
  diesAfter: oneIn(12, fc.nat(40 * SECOND)),
});

const HANDLINGS = ["plain", "plain", "plain", "slow", "throws", "rejects", "undecided", "stuck", "drops", "refuses"] as const;
type Handling = (typeof HANDLINGS)[number];

const scenario = fc.record({
  seed: fc.nat(),
  faults: fc.record({
    loss: fc.constantFrom(0, 0, 0.05, 0.2, 0.4),
    duplication: fc.constantFrom(0, 0.1, 0.4),
    delayTicks: fc.constantFrom(1, 5, 30, 120),
  }),
  capacity: fc.constantFrom(1, 2, 10),
  calls: fc.array(fc.record({ plan: caller, at: fc.nat(20 * SECOND) }), { minLength: 1, maxLength: 6 }),
  callees: fc.array(fc.array(callee, { minLength: 1, maxLength: 3 }), { minLength: DESTINATIONS.length, maxLength: DESTINATIONS.length }),
  handling: fc.oneof(
    { arbitrary: fc.constant<Handling[]>(["plain"]), weight: 2 },
    { arbitrary: fc.array(fc.constantFrom<Handling>("plain", "plain", "plain", "slow"), { minLength: 1, maxLength: 5 }), weight: 1 },
    { arbitrary: fc.array(fc.constantFrom<Handling>(...HANDLINGS), { minLength: 1, maxLength: 5 }), weight: 1 },
  ),
  unreachable: oneIn(6, fc.constantFrom(...DESTINATIONS)),
  /** Its host says that nobody listens, though all arrives: ICMP of something before, or forged. */
  refusing: oneIn(4, fc.constantFrom(...DESTINATIONS)),
  operatorEndsAt: oneIn(6, fc.nat(30 * SECOND)),
  reloadsAt: oneIn(6, fc.nat(30 * SECOND)),
});

type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

/** A router that treats each of its decisions as the next of `handling` says. */
function unreliableRouter(balancer: Balancer, handling: readonly Handling[], wait: () => Promise<void>): Router {
  const plain = balancingRouter(balancer);
  let turn = 0;
  const decide = (call: ProxyCall, decision: (call: ProxyCall) => void): void | Promise<void> => {
    const how = handling[turn++ % handling.length]!;
    if (how === "slow" || how === "rejects")
      return wait().then(() => {
        decision(call);
        if (how === "rejects") throw new Error("rejected");
      });
    if (how === "refuses") {
      call.reply(480);
      return;
    }
    if (how !== "undecided" && how !== "stuck") decision(call);
    else if (call.failovers === 0) {
      call.openDialog();
      balancer.start(call.load, 1, "pstn");
    }
    if (how === "throws") throw new Error("thrown");
    if (how === "drops") call.drop();
    if (how === "stuck") return new Promise(() => undefined);
  };
  return {
    handles: plain.handles,
    request: (call) => decide(call, (it) => void plain.request(it)),
    failure: (call) => decide(call, (it) => void plain.failure(it)),
  };
}

function build({ seed, faults, capacity, handling, unreachable, refusing }: Scenario): SimNetwork {
  const net: SimNetwork = new SimNetwork({
    seed,
    faults: faults as LinkFaults,
    destinations: DESTINATIONS,
    resources: `pstn=${capacity}`,
    router: (balancer) =>
      unreliableRouter(balancer, handling, () => new Promise((resolve) => net.after(1 + Math.floor(net.random() * 400), resolve))),
  });
  if (unreachable !== undefined) net.unreachable.add(unreachable);
  if (refusing !== undefined) net.refusing.add(refusing);
  return net;
}

async function play(scene: Scenario): Promise<void> {
  const net = build(scene);
  const callees = DESTINATIONS.map((address, i) => new SimCallee(net, net.peer(address), scene.callees[i]!));
  const callers = scene.calls.map(({ plan, at }, i) => {
    const ua = new SimCaller(net, net.peer(`198.51.100.${i + 1}`), plan);
    net.after(at + 1, () => ua.start());
    return ua;
  });
  if (scene.operatorEndsAt !== undefined) {
    net.after(scene.operatorEndsAt + 1, () => {
      for (const dialog of [...net.dialogs.list()]) net.proxy.endDialog(dialog);
    });
  }
  if (scene.reloadsAt !== undefined) {
    const rows = net.rows;
    net.after(scene.reloadsAt + 1, () => net.balancer.replaceTable(rows.slice(1)));
    net.after(scene.reloadsAt + 10 * SECOND, () => net.balancer.replaceTable(rows));
  }
  const handlersWait = scene.handling.some((how) => how === "slow" || how === "rejects" || how === "stuck");
  const pass = async (ms: number, stepMs: number): Promise<void> => (handlersWait ? net.runAsync(ms, stepMs) : net.run(ms));
  for (let step = 0; step < 300; step++) {
    await pass(200, 200);
    net.checkLoads();
  }
  for (let step = 0; step < 20; step++) {
    await pass(30_000, 5_000);
    net.checkLoads();
  }
  await pass(LIFETIME_MS + 60_000, 10_000);
  net.checkNothingLeft();

  if (scene.faults.loss > 0 || scene.unreachable !== undefined) return;
  for (const ua of callers) {
    if (ua.dead) continue;
    assert.ok(ua.finals.length > 0 || scene.handling.includes("drops"), "on a wire that loses nothing every caller gets its final answer");
    if (scene.faults.delayTicks > 5) continue; // the callee's BYE may then overtake its 2xx on the last hop, which the proxy cannot know
    for (const leg of ua.legs) assert.ok(leg.ended || !leg.acked, "no caller is left in a call that the proxy has forgotten");
  }
  for (const ua of callees) {
    if (ua.dead) continue;
    for (const leg of ua.legs) assert.ok(leg.ended, "no destination is left in a call that the proxy has forgotten");
  }
}

describe("any call on any wire", () => {
  it("leaves nothing behind: loads are true at any time and zero at the end, no dialog, transaction, branch or timer stays", async () => {
    await fc.assert(fc.asyncProperty(scenario, play), {
      numRuns: RUNS,
      seed: 3261,
      interruptAfterTimeLimit: 90_000,
      markInterruptAsFailure: true,
    });
  });
});
