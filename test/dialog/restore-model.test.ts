import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Dialog, type DialogSnapshot, endpointsOf, snapshotOf } from "../../src/dialog/index.ts";
import { delivered } from "../support/sim-call.ts";
import { LIFETIME_MS, SimNetwork } from "../support/sim-network.ts";

const RUNS = 300;
const CALLS = 4;
const WALL_MS = 1_700_000_000_000;
const LIMITS = { early: 120_000, linger: 5_000, putOff: 5_000 };

/** A call in each state that a node may leave behind. */
const RECORDS: readonly DialogSnapshot[] = (() => {
  const net = new SimNetwork({ tokens: "old" });
  const call = delivered(net);
  const records = [snapshotOf(net.onlyDialog)];
  call.answerWith(180);
  records.push(snapshotOf(net.onlyDialog));
  call.answerWith(200);
  records.push(snapshotOf(net.onlyDialog));
  call.caller.send(call.fromCaller("ACK", 1));
  records.push(snapshotOf(net.onlyDialog));
  return records;
})();

const which = fc.nat(CALLS - 1);
const step = fc.oneof(
  fc.record({
    kind: fc.constant("restore" as const),
    which,
    state: fc.constantFrom(1, 2, 3, 4),
    leftMs: fc.constantFrom(-60_000, 0, 3_000, 90_000),
  }),
  fc.record({ kind: fc.constantFrom("surrender" as const, "end" as const, "acknowledge" as const), which }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(10, 2_000, 5_100, 70_000, 121_000) }),
  fc.record({ kind: fc.constant("allow" as const), isAllowed: fc.boolean() }),
);

/** What one call is, said as simply as possible. */
interface Modelled {
  state: number;
  /** When something ends by itself: the call, or the time in which its name is kept. */
  dueMs: number;
  isPutOff: boolean;
}

class Model {
  readonly calls = new Map<number, Modelled>();
  nowMs = 0;
  isAllowed = true;
  readonly counters = { restored: 0, surrendered: 0, expired: 0, failed: 0 };

  advance(ms: number): void {
    this.nowMs += ms;
    for (let again = true; again; ) {
      again = false;
      for (const [key, call] of this.calls) {
        if (call.dueMs > this.nowMs) continue;
        again = true;
        if (call.state === 5) this.calls.delete(key);
        else if (call.state < 3) {
          this.counters.failed++;
          this.calls.delete(key);
        } else if (!this.isAllowed && !call.isPutOff) {
          call.isPutOff = true;
          call.dueMs += LIMITS.putOff;
        } else {
          this.counters.expired++;
          call.state = 5;
          call.dueMs += LIMITS.linger;
        }
      }
    }
  }

  count(...states: number[]): number {
    return [...this.calls.values()].filter(({ state }) => states.includes(state)).length;
  }
}

describe("calls that come from other nodes, go there and end, in any order", () => {
  it("are counted as a model counts them, after each step", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const net = new SimNetwork();
        const model = new Model();
        const dialogs = new Map<number, Dialog>();
        net.dialogs.mayExpire = () => model.isAllowed;
        net.dialogs.onExpired = undefined;
        net.dialogs.onUnanswered = undefined;
        for (const act of steps) {
          if (act.kind === "allow") model.isAllowed = act.isAllowed;
          else if (act.kind === "wait") {
            model.advance(act.ms);
            net.run(act.ms);
          } else perform(net, model, dialogs, act);
          check(net, model);
        }
        model.isAllowed = true;
        model.advance(LIFETIME_MS);
        net.run(LIFETIME_MS);
        check(net, model);
        net.checkNothingLeft();
      }),
      { numRuns: RUNS },
    );
  });
});

function perform(
  net: SimNetwork,
  model: Model,
  dialogs: Map<number, Dialog>,
  act: Extract<typeof step extends fc.Arbitrary<infer Step> ? Step : never, { which: number }>,
): void {
  const known = model.calls.get(act.which);
  if (act.kind === "restore") {
    const base = RECORDS[act.state - 1]!;
    const isUp = act.state >= 3;
    const nowMs = net.wheel.nowMs;
    const snapshot = { ...base, did: `call${act.which}`, expiresAtMs: isUp ? WALL_MS + nowMs + act.leftMs : 0 };
    const dialog = net.dialogs.restore(snapshot, endpointsOf(snapshot, [net.listener4])!);
    assert.equal(dialog === undefined, known !== undefined, "a call is restored unless it is known");
    if (dialog === undefined) return;
    dialogs.set(act.which, dialog);
    net.balancer.adopt(dialog.load, [{ key: net.balancer.destinations()[act.which % 2]!.key, resource: "pstn", picked: true }]);
    model.counters.restored++;
    const dueMs = model.nowMs + (isUp ? Math.max(act.leftMs, 10) : LIMITS.early);
    model.calls.set(act.which, { state: act.state, dueMs, isPutOff: false });
    return;
  }
  const dialog = dialogs.get(act.which);
  if (dialog === undefined) return;
  const isAlive = known !== undefined && known.state < 5;
  if (act.kind === "surrender") {
    assert.equal(net.dialogs.surrender(dialog), isAlive);
    if (!isAlive) return;
    model.counters.surrendered++;
    model.calls.delete(act.which);
  } else if (act.kind === "acknowledge") {
    net.dialogs.acknowledged(dialog);
    if (known?.state === 3) known.state = 4;
  } else {
    net.dialogs.end(dialog, "MI Termination");
    if (!isAlive) return;
    if (known.state < 3) {
      model.counters.failed++;
      model.calls.delete(act.which);
    } else Object.assign(known, { state: 5, dueMs: model.nowMs + LIMITS.linger });
  }
}

function check(net: SimNetwork, model: Model): void {
  const { counters } = net.dialogs;
  assert.deepEqual(
    {
      early: counters.early_dialogs,
      active: counters.active_dialogs,
      ongoing: net.dialogs.size,
      load: net.loads.reduce((sum, load) => sum + load, 0),
      restored: counters.restored_dialogs,
      surrendered: counters.surrendered_dialogs,
      expired: counters.expired_dialogs,
      failed: counters.failed_dialogs,
      timers: net.wheel.pending,
    },
    {
      early: model.count(2),
      active: model.count(3, 4),
      ongoing: model.count(1, 2, 3, 4),
      load: model.count(1, 2, 3, 4),
      ...model.counters,
      timers: model.calls.size,
    },
  );
  net.checkLoads();
}
