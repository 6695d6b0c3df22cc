import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CapacityModel } from "../../src/freeswitch/capacity-model.ts";
import { type CapacitySettings, OPENSIPS_CAPACITY } from "../../src/freeswitch/capacity-settings.ts";
import type { Heartbeat } from "../../src/freeswitch/heartbeat.ts";

const S = 1000;

function beat(changes: Partial<Heartbeat> = {}): Heartbeat {
  return { sessionCount: 0, maxSessions: 1000, idleCpuPercent: 100, coreUuid: "a", ...changes };
}

function modelWith(settings: Partial<CapacitySettings> = {}): CapacityModel {
  return new CapacityModel({ ...OPENSIPS_CAPACITY, ...settings });
}

/** The capacity of the only resource, whose calls are all that we have there. */
function maxLoad(model: CapacityModel, calls: number, nowMs = 0): number {
  return model.capacity(calls, { nowMs, ownCalls: calls }).maxLoad;
}

describe("capacity from heartbeats", () => {
  it("is initial_freeswitch_load until the first heartbeat has come, however long that takes", () => {
    const model = modelWith({ initialLoad: 200, staleHeartbeats: 3, staleAction: "disable" });
    assert.equal(model.freshness(0), "initial");
    for (const nowMs of [0, S, 20 * S, 24 * 3600 * S]) assert.equal(maxLoad(model, 5, nowMs), 200);
    model.heartbeat(beat({ idleCpuPercent: 50 }), { nowMs: 0, ownCalls: 0 });
    assert.equal(maxLoad(model, 0), 500);
    assert.equal(model.freshness(0), "fresh");
  });

  it("follows the formula with the calls of now, as OpenSIPS does each second, but never above Max-Sessions", () => {
    const model = modelWith();
    model.heartbeat(beat({ sessionCount: 300, idleCpuPercent: 50 }), { nowMs: 0, ownCalls: 100 });
    assert.equal(maxLoad(model, 100), 400);
    assert.equal(maxLoad(model, 150), 425);
    assert.equal(maxLoad(model, 400), 550);
    assert.equal(maxLoad(model, 1000), 500);
  });

  it("calls that a reload counts otherwise say nothing of the sessions of a call", () => {
    const model = modelWith({ sessionsPerCall: "measured" });
    for (let n = 0; n <= 12; n++) model.heartbeat(beat({ sessionCount: n * 20 }), { nowMs: n * 20_000, ownCalls: n * 10 });
    assert.equal(model.sessionsPerCall, 2);
    model.recounted(-120);
    model.heartbeat(beat({ sessionCount: 240 }), { nowMs: 260_000, ownCalls: 0 });
    assert.equal(model.sessionsPerCall, 2);
  });

  it("takes the calls of another row to the same server for sessions of others", () => {
    const model = modelWith();
    model.heartbeat(beat({ sessionCount: 30 }), { nowMs: 0, ownCalls: 30 });
    assert.equal(model.capacity(10, { nowMs: 0, ownCalls: 30 }).maxLoad, 980);
    assert.equal(model.capacity(20, { nowMs: 0, ownCalls: 30 }).maxLoad, 990);
  });

  it("changes with max-sessions as soon as a status shows it", () => {
    const model = modelWith();
    model.heartbeat(beat(), { nowMs: 0, ownCalls: 0 });
    model.status({ ready: true, maxSessions: 50 });
    assert.equal(maxLoad(model, 0), 50);
    model.status({ ready: true });
    assert.equal(maxLoad(model, 0), 50);
  });

  it("leaves sessions free that are reserved", () => {
    const model = modelWith({ reservedSessions: 100 });
    model.heartbeat(beat({ sessionCount: 100 }), { nowMs: 0, ownCalls: 0 });
    assert.equal(maxLoad(model, 0), 800);
  });
});

describe("stale statistics", () => {
  const cases: { action: "keep" | "shrink" | "disable"; at: [seconds: number, want: number][] }[] = [
    {
      action: "keep",
      at: [
        [60, 1000],
        [61, 1000],
        [3600, 1000],
      ],
    },
    {
      action: "shrink",
      at: [
        [60, 1000],
        [61, 500],
        [80, 500],
        [81, 250],
        [101, 125],
        [3600, 0],
      ],
    },
    {
      action: "disable",
      at: [
        [60, 1000],
        [61, 7],
        [3600, 7],
      ],
    },
  ];
  for (const { action, at } of cases) {
    it(`older than three heartbeats: ${action}`, () => {
      const model = modelWith({ staleHeartbeats: 3, staleAction: action });
      model.heartbeat(beat({ sessionCount: 7 }), { nowMs: 0, ownCalls: 7 });
      for (const [seconds, want] of at) assert.equal(maxLoad(model, 7, seconds * S), want, `after ${seconds} s`);
      assert.equal(model.freshness(60 * S), "fresh");
      assert.equal(model.freshness(61 * S), "stale");
      assert.equal(model.withdrawal(61 * S), action === "disable" ? "stale" : undefined);
      model.heartbeat(beat({ sessionCount: 7 }), { nowMs: 3600 * S, ownCalls: 7 });
      assert.equal(maxLoad(model, 7, 3600 * S), 1000);
    });
  }

  it("are never stale with 0", () => {
    const model = modelWith({ staleAction: "disable" });
    model.heartbeat(beat(), { nowMs: 0, ownCalls: 0 });
    assert.equal(model.freshness(1e9), "fresh");
  });

  it("are told by the interval that the heartbeats have, whatever gap stands out", () => {
    const model = modelWith({ staleHeartbeats: 3, staleAction: "disable" });
    let nowMs = 0;
    for (const gap of [0, 1000, 1500, 500, 8000, 1000]) {
      nowMs += gap;
      model.heartbeat(beat(), { nowMs, ownCalls: 0 });
    }
    assert.equal(model.freshness(nowMs + 3000), "fresh");
    assert.equal(model.freshness(nowMs + 3001), "stale");
  });

  it("do not take the time without a connection for an interval", () => {
    const model = modelWith({ staleHeartbeats: 3, staleAction: "disable" });
    for (let n = 0; n < 6; n++) model.heartbeat(beat(), { nowMs: n * S, ownCalls: 0 });
    for (let n = 1; n < 6; n++) {
      model.disconnected();
      model.heartbeat(beat(), { nowMs: n * 100 * S, ownCalls: 0 });
    }
    assert.equal(model.freshness(503 * S + 1), "stale");
  });
});

describe("sessions per call", () => {
  it("configured as 2 halves what there is in calls", () => {
    const model = modelWith({ sessionsPerCall: 2 });
    model.heartbeat(beat({ sessionCount: 200 }), { nowMs: 0, ownCalls: 100 });
    assert.equal(maxLoad(model, 100), 500);
  });

  const measured = [
    { name: "1 where a call is a session", perCall: 1, foreign: () => 0 },
    { name: "2 where calls are bridged", perCall: 2, foreign: () => 0 },
    { name: "2 beside steady calls of others", perCall: 2, foreign: () => 300 },
    { name: "2 beside calls of others that come and go on their own", perCall: 2, foreign: (n: number) => 100 + (n % 4 < 2 ? 3 : 0) },
  ];
  for (const { name, perCall, foreign } of measured) {
    it(`is measured as ${name}`, () => {
      const model = modelWith({ sessionsPerCall: "measured" });
      assert.equal(model.sessionsPerCall, 1);
      for (let n = 0; n < 60; n++) {
        const ownCalls = 20 + 10 * ((n * 7) % 5);
        model.heartbeat(beat({ sessionCount: ownCalls * perCall + foreign(n) }), { nowMs: n * 20 * S, ownCalls });
      }
      assert.ok(Math.abs(model.sessionsPerCall - perCall) < 0.1, String(model.sessionsPerCall));
    });
  }

  it("is not learnt from a start that took all sessions away", () => {
    const model = modelWith({ sessionsPerCall: "measured" });
    for (let n = 0; n < 10; n++) model.heartbeat(beat({ sessionCount: n * 5 }), { nowMs: n * S, ownCalls: n * 5 });
    model.heartbeat(beat({ sessionCount: 0, coreUuid: "b" }), { nowMs: 11 * S, ownCalls: 44 });
    assert.equal(model.sessionsPerCall, 1);
  });
});

describe("between two heartbeats", () => {
  it("our new calls count as sessions, and cost CPU as if Max-Sessions of them made the machine busy", () => {
    const model = modelWith({ predict: true });
    model.heartbeat(beat(), { nowMs: 0, ownCalls: 0 });
    assert.deepEqual(
      [0, 100, 250, 500].map((calls) => maxLoad(model, calls) - calls),
      [1000, 800, 500, 0],
    );
  });

  it("the cost is the measured one when there are sessions to measure it at", () => {
    const model = modelWith({ predict: true });
    model.heartbeat(beat({ sessionCount: 100, idleCpuPercent: 50 }), { nowMs: 0, ownCalls: 100 });
    assert.equal(maxLoad(model, 100), 500);
    assert.equal(maxLoad(model, 150), 250);
    assert.equal(maxLoad(model, 200), 0);
    assert.equal(maxLoad(model, 300), 0);
  });

  it("calls that end give back their sessions, not more", () => {
    const model = modelWith({ predict: true });
    model.heartbeat(beat({ sessionCount: 300, idleCpuPercent: 50 }), { nowMs: 0, ownCalls: 100 });
    assert.equal(maxLoad(model, 100), 400);
    assert.equal(maxLoad(model, 40), 400);
  });

  it("at the heartbeat itself it is the formula", () => {
    for (const [sessionCount, calls] of [
      [0, 0],
      [30, 30],
      [300, 100],
      [10, 60],
    ] as const) {
      const [plain, predicting] = [modelWith(), modelWith({ predict: true })];
      for (const model of [plain, predicting]) model.heartbeat(beat({ sessionCount, idleCpuPercent: 73.3 }), { nowMs: 0, ownCalls: calls });
      assert.equal(maxLoad(predicting, calls), maxLoad(plain, calls));
    }
  });

  it("one idle server does not get everything: three of them share what comes", () => {
    const models = [modelWith({ predict: true }), modelWith({ predict: true }), modelWith({ predict: true })];
    const calls = [0, 90, 90];
    for (const [i, model] of models.entries())
      model.heartbeat(beat({ maxSessions: 300, sessionCount: calls[i]!, idleCpuPercent: 100 - calls[i]! / 3 }), {
        nowMs: 0,
        ownCalls: calls[i]!,
      });
    for (let n = 0; n < 90; n++) {
      const slots = models.map((model, i) => maxLoad(model, calls[i]!) - calls[i]!);
      calls[slots.indexOf(Math.max(...slots))]!++;
    }
    assert.deepEqual(
      calls.map((n) => Math.round(n / 10) * 10),
      [90, 90, 90],
    );
  });
});

describe("sessions per second", () => {
  const settings = { obeySessionsPerSecond: true };
  it("N admits N-1 calls in any second, and the slot is 0 until the next may go", () => {
    const model = modelWith(settings);
    model.heartbeat(beat(), { nowMs: 0, ownCalls: 0 });
    model.sessionsPerSecond = 3;
    assert.equal(model.callsPerSecond, 2);
    model.callPlaced(0);
    assert.equal(maxLoad(model, 1, 400), 1000);
    model.callPlaced(400);
    assert.equal(maxLoad(model, 2, 400), 2);
    assert.equal(model.openAtMs(400), 1000);
    assert.equal(maxLoad(model, 2, 999), 2);
    assert.equal(maxLoad(model, 2, 1000), 1000);
    model.callPlaced(1000);
    assert.equal(model.openAtMs(1000), 1400);
  });

  const limits: { sps: number; perCall: number; want: number }[] = [
    { sps: 30, perCall: 1, want: 29 },
    { sps: 30, perCall: 2, want: 14 },
    { sps: 2, perCall: 2, want: 1 },
    { sps: 1, perCall: 1, want: 0 },
    { sps: 0, perCall: 1, want: 0 },
  ];
  for (const { sps, perCall, want } of limits) {
    it(`${sps} with ${perCall} sessions a call admits ${want} calls`, () => {
      const model = modelWith({ ...settings, sessionsPerCall: perCall });
      model.sessionsPerSecond = sps;
      assert.equal(model.callsPerSecond, want);
      if (want === 0) assert.equal(model.openAtMs(5), Number.POSITIVE_INFINITY);
    });
  }

  it("is left alone when it is unknown, or not to be obeyed", () => {
    const unknown = modelWith(settings);
    const off = modelWith();
    off.sessionsPerSecond = 2;
    for (const model of [unknown, off]) {
      for (let n = 0; n < 100; n++) model.callPlaced(0);
      assert.deepEqual([model.callsPerSecond, model.openAtMs(0), maxLoad(model, 100)], [undefined, 0, 1000]);
    }
  });
});

describe("several proxies", () => {
  it("sessions of others count as load, so that what is free in percent is what is free of the server", () => {
    const model = modelWith({ foreignLoad: "load" });
    model.heartbeat(beat({ maxSessions: 100, sessionCount: 60 }), { nowMs: 0, ownCalls: 10 });
    assert.deepEqual(model.capacity(10, { nowMs: 0, ownCalls: 10 }), { maxLoad: 100, foreignLoad: 50 });
    model.status({ ready: false });
    assert.deepEqual(model.capacity(10, { nowMs: 0, ownCalls: 10 }), { maxLoad: 60, foreignLoad: 50 });
  });
});

describe("smoothing of Idle-CPU", () => {
  it("keeps the configured share of what was, and begins anew with a new FreeSWITCH", () => {
    const model = modelWith({ idleCpuSmoothing: 0.75 });
    const beats = [100, 0, 0].map((idleCpuPercent) => beat({ idleCpuPercent }));
    const seen = [...beats, beat({ idleCpuPercent: 20, coreUuid: "b" })].map((heartbeat, n) => {
      model.heartbeat(heartbeat, { nowMs: n, ownCalls: 0 });
      return maxLoad(model, 0);
    });
    assert.deepEqual(seen, [1000, 750, 562, 200]);
  });
});

describe("a FreeSWITCH that withdraws", () => {
  it("drains while it is paused, fully or for what comes in, and comes back by itself", () => {
    const model = modelWith();
    model.heartbeat(beat({ sessionCount: 5 }), { nowMs: 0, ownCalls: 5 });
    for (const [status, inbound] of [
      [{ ready: false }, false],
      [{ ready: true }, true],
    ] as const) {
      model.status(status, inbound);
      assert.deepEqual([model.withdrawal(0), maxLoad(model, 5)], ["paused", 5]);
      model.heartbeat(beat({ sessionCount: 5 }), { nowMs: S, ownCalls: 5 });
      assert.equal(model.withdrawal(S), "paused", "a heartbeat says nothing of a pause");
      model.status({ ready: true }, false);
      assert.deepEqual([model.withdrawal(S), maxLoad(model, 5)], [undefined, 1000]);
    }
  });

  it("drains while it is leaving, and comes back when it is not, or is another one", () => {
    const model = modelWith();
    model.heartbeat(beat(), { nowMs: 0, ownCalls: 0 });
    model.leaving = true;
    model.heartbeat(beat({ sessionCount: 3 }), { nowMs: 0, ownCalls: 3 });
    assert.deepEqual([model.withdrawal(0), maxLoad(model, 3)], ["leaving", 3]);
    model.leaving = false;
    assert.equal(model.withdrawal(0), undefined);
    model.leaving = true;
    model.heartbeat(beat({ coreUuid: "b" }), { nowMs: 0, ownCalls: 0 });
    assert.equal(model.withdrawal(0), undefined);
  });

  it("drains while it refuses calls for want of idle CPU", () => {
    const model = modelWith();
    model.heartbeat(beat(), { nowMs: 0, ownCalls: 0 });
    model.status({ ready: true, minIdleCpuPercent: 99.9, idleCpuPercent: 62.63 });
    assert.deepEqual([model.withdrawal(0), maxLoad(model, 3)], ["idle-cpu", 3]);
    model.status({ ready: true, minIdleCpuPercent: 0, idleCpuPercent: 62.63 });
    assert.equal(model.withdrawal(0), undefined);
  });
});

describe("503 Maximum Calls In Progress", () => {
  it("leaves room for no more calls than there are, until the next heartbeat", () => {
    const model = modelWith();
    model.heartbeat(beat({ sessionCount: 40 }), { nowMs: 0, ownCalls: 40 });
    model.refusedForLackOfRoom({ nowMs: S, ownCalls: 49 });
    assert.equal(maxLoad(model, 49, S), 49);
    assert.equal(maxLoad(model, 47, 2 * S), 49, "two ended: two may come");
    assert.equal(model.withdrawal(S), undefined);
    model.heartbeat(beat({ sessionCount: 47 }), { nowMs: 3 * S, ownCalls: 47 });
    assert.equal(maxLoad(model, 47, 3 * S), 1000);
  });

  it("the lowest of several counts; without a heartbeat it holds for the time of two", () => {
    const model = modelWith();
    model.refusedForLackOfRoom({ nowMs: 0, ownCalls: 30 });
    model.refusedForLackOfRoom({ nowMs: 0, ownCalls: 40 });
    assert.equal(maxLoad(model, 20, 39 * S), 30);
    assert.equal(maxLoad(model, 20, 40 * S), 1000);
  });
});
