import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DialogState } from "../../src/dialog/index.ts";
import type { PeerCall } from "../../src/overload/index.ts";
import { CEILING_QUIET_MS, MAX_REFUSED_CALLS } from "../../src/overload/limits.ts";
import { STANDING_MS } from "../../src/overload/queue-watch.ts";
import { RefusedCalls } from "../../src/overload/refused-calls.ts";
import { limits, parsed, SETTINGS } from "./fixtures.ts";

const A = "192.0.2.1";
const LAGGING = { lagMs: 900, utilization: 1, repeatedShare: 0 };
const CALM = { lagMs: 0, utilization: 0, repeatedShare: 0 };

function callOf(caller: string, callee: string): { -readonly [K in keyof PeerCall]: PeerCall[K] } {
  return { state: DialogState.Unconfirmed, callerEndpoint: { address: caller }, calleeEndpoint: { address: callee }, peers: undefined };
}

describe("the ceiling of new calls", () => {
  it("takes as many within any second, and tells of its begin and end once", () => {
    const { overload, clock, changes } = limits({ newCallsPerSecond: 5 });
    let taken = 0;
    for (let n = 0; n < 300; n++) {
      if (overload.refusalS(parsed()) === 0) taken++;
      overload.sweep();
      clock.advance(10);
    }
    assert.equal(taken, 15);
    clock.advance(CEILING_QUIET_MS);
    overload.sweep();
    assert.deepEqual(
      changes.map(({ kind, cause, refused }) => [kind, cause, refused]),
      [
        ["began", "calls", 0],
        ["ended", "calls", 285],
      ],
    );
    assert.deepEqual([overload.counts.calls_refused_rate, overload.counts.overloads], [285, 1]);
  });

  it("does not count requests other than INVITE", () => {
    const { overload } = limits({ newCallsPerSecond: 1 });
    for (let n = 0; n < 10; n++) assert.equal(overload.refusalS(parsed({ method: "MESSAGE" })), 0);
    assert.equal(overload.refusalS(parsed()), 0);
  });

  it("refuses the copy of a refused INVITE, and takes the caller's next try", () => {
    const { overload, clock } = limits({ newCallsPerSecond: 1 });
    overload.refusalS(parsed());
    const parts = { callId: "again", branch: "z9hG4bKa" };
    assert.equal(overload.refusalS(parsed(parts)), SETTINGS.retryAfterS);
    clock.advance(5_000);
    assert.equal(overload.refusalS(parsed(parts)), SETTINGS.retryAfterS);
    assert.equal(overload.refusalS(parsed({ ...parts, branch: "z9hG4bKb", cseq: 2 })), 0);
    assert.equal(overload.counts.calls_refused_copies, 1);
  });
});

describe("the queue of a socket", () => {
  it("has new calls refused while it stands, and tells of it once", () => {
    const { overload, clock, changes } = limits();
    const queue = overload.watchQueue();
    overload.watchQueue().look(0.1);
    for (let n = 0; n < 3; n++) {
      queue.look(0.6);
      assert.equal(overload.refusalS(parsed({ callId: `early ${n}` })), 0);
      clock.advance(STANDING_MS);
      queue.look(0.6);
      assert.equal(overload.refusalS(parsed({ callId: `call ${n}` })), SETTINGS.retryAfterS);
      assert.equal(overload.counters["overloaded"], 1);
      queue.look(0);
      overload.sweep();
      assert.equal(overload.refusalS(parsed({ callId: `late ${n}` })), 0);
    }
    clock.advance(CEILING_QUIET_MS);
    overload.sweep();
    assert.deepEqual(
      changes.map(({ kind, cause, refused }) => [kind, cause, refused]),
      [
        ["began", "backlog", 0],
        ["ended", "backlog", 3],
      ],
    );
    assert.deepEqual([overload.counts.calls_refused_backlog, overload.counters["overloaded"]], [3, 0]);
  });

  it("is not looked at any more when the limit is taken away", () => {
    const { overload, clock } = limits();
    const queue = overload.watchQueue();
    queue.look(1);
    clock.advance(STANDING_MS);
    queue.look(1);
    overload.use({ ...SETTINGS, maxBacklog: 0 });
    assert.equal(overload.refusalS(parsed()), 0);
  });
});

describe("an event loop that does not keep up", () => {
  it("has new calls refused until it does, with the figures told", () => {
    const { overload, changes } = limits();
    overload.sample(LAGGING);
    assert.equal(overload.refusalS(parsed()), 0);
    overload.sample(LAGGING);
    assert.equal(overload.refusalS(parsed()), SETTINGS.retryAfterS);
    assert.equal(overload.refusalS(parsed({ method: "MESSAGE" })), SETTINGS.retryAfterS);
    assert.equal(overload.counters["overloaded"], 1);
    for (let n = 0; n < 4; n++) overload.sample(CALM);
    assert.equal(overload.refusalS(parsed()), 0);
    assert.deepEqual(changes, [
      { kind: "began", cause: "lag", lagMs: 900, utilization: 1, refused: 0 },
      { kind: "ended", cause: "lag", lagMs: 0, utilization: 0, refused: 2 },
    ]);
    assert.equal(overload.counters["overloaded"], 0);
  });
});

describe("who is turned away outside of calls", () => {
  it("is a scanner, in silence or with 403, unless it is exempt", () => {
    const scan = parsed({ headers: ["User-Agent: friendly-scanner"] });
    assert.equal(limits().overload.screen(scan, A), "silence");
    assert.equal(limits({ scannerAnswer: "forbid" }).overload.screen(scan, A), "forbid");
    assert.equal(limits({}, { isExempt: () => true }).overload.screen(scan, A), undefined);
    assert.equal(limits().overload.screen(parsed(), A), undefined);
  });

  it("is a banned source, whose calls that are up go on", () => {
    const { overload } = limits();
    const call = callOf(A, "203.0.113.1");
    call.state = DialogState.ConfirmedNoAck;
    overload.callChanged(call);
    call.state = DialogState.Confirmed;
    overload.callChanged(call);
    let passed = 0;
    for (let n = 0; n < 100; n++) if (overload.screen(parsed(), A) === undefined && overload.admitRequest(A)) passed++;
    assert.equal(passed, 21, "10, 10 more for the call, and the one that begins the ban");
    assert.equal(overload.admitRequest(A), true);
    assert.equal(overload.admitConnection(A), true);
    assert.equal(overload.screen(parsed(), A), "silence");
    call.state = DialogState.Deleted;
    overload.callChanged(call);
    assert.equal(overload.admitRequest(A), false);
    assert.equal(overload.admitConnection(A), false);
  });

  it("is nobody for a call that only rings: anybody can make one", () => {
    const { overload } = limits();
    const call = callOf(A, "203.0.113.1");
    call.state = DialogState.Early;
    overload.callChanged(call);
    for (let n = 0; n < 11; n++) overload.admitRequest(A);
    assert.equal(overload.admitRequest(A), false);
  });
});

describe("new settings", () => {
  it("hold from the next message on", () => {
    const { overload } = limits();
    for (let n = 0; n < 11; n++) overload.admitRequest(A);
    overload.use({ ...SETTINGS, rate: { ...SETTINGS.rate, density: 0 }, newCallsPerSecond: 1, scanners: ["probe"], retryAfterS: 3 });
    assert.equal(overload.admitRequest(A), true);
    assert.equal(overload.screen(parsed({ headers: ["User-Agent: a probe"] }), A), "silence");
    assert.deepEqual([overload.refusalS(parsed()), overload.refusalS(parsed())], [0, 3]);
  });
});

describe("refused calls that are remembered", () => {
  it("are forgotten after a while, and never become more than twice the bound", () => {
    const refused = new RefusedCalls(100, 32_000);
    refused.add("a", 0);
    assert.equal(refused.has("a", 31_999), true);
    assert.equal(refused.has("a", 40_000), true);
    assert.equal(refused.has("a", 120_000), false);
    for (let n = 0; n < 10_000; n++) refused.add(`call ${n}`, 120_000);
    assert.ok(refused.size <= 200);
    assert.equal(refused.has("call 9999", 120_000), true);
  });

  it("with a key that is too long are not remembered, and memory stays bounded", () => {
    const { overload } = limits({ newCallsPerSecond: 1 });
    overload.refusalS(parsed());
    const long = { callId: "x".repeat(4_000) };
    const again = parsed(long);
    overload.refusalS(again);
    overload.refusalS(again);
    assert.equal(overload.counts.calls_refused_copies, 0);
    assert.ok(MAX_REFUSED_CALLS < 100_000);
  });
});
