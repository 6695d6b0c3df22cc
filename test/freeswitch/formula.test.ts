import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { loadsFromSessions, maxLoadFromSessions } from "../../src/freeswitch/formula.ts";

function figures(idleCpuPercent: number, maxSessions: number, sessionCount: number) {
  return { idleCpuPercent, maxSessions, sessionCount };
}

describe("max_load = (Idle-CPU / 100) * (Max-Sessions - (Session-Count - current_load))", () => {
  const cases: { name: string; idle: number; max: number; sessions: number; load: number; want: number }[] = [
    { name: "the manual's heartbeat, without calls", idle: 78.4, max: 1000, sessions: 0, load: 0, want: 784 },
    { name: "an idle machine", idle: 100, max: 1000, sessions: 0, load: 0, want: 1000 },
    { name: "all sessions are ours", idle: 100, max: 1000, sessions: 300, load: 300, want: 1000 },
    { name: "sessions of others take away", idle: 100, max: 1000, sessions: 300, load: 100, want: 800 },
    { name: "both", idle: 50, max: 1000, sessions: 300, load: 100, want: 400 },
    { name: "the fraction is cut off", idle: 99.9, max: 10, sessions: 0, load: 0, want: 9 },
    { name: "a recorded heartbeat", idle: 95.133333, max: 1000, sessions: 6, load: 6, want: 951 },
    { name: "a recorded heartbeat that rounds to the next in no way", idle: 97.833333, max: 1000, sessions: 0, load: 0, want: 978 },
    { name: "no idle CPU", idle: 0, max: 1000, sessions: 10, load: 10, want: 0 },
    { name: "others have it all", idle: 100, max: 100, sessions: 100, load: 0, want: 0 },
    { name: "others have more than all: not below 0", idle: 100, max: 50, sessions: 150, load: 20, want: 0 },
    { name: "our calls are too young for the heartbeat: not above Max-Sessions", idle: 100, max: 100, sessions: 10, load: 60, want: 100 },
    { name: "too young, and the CPU is busy: to the letter", idle: 47.1, max: 100, sessions: 0, load: 25, want: 58 },
    { name: "one call below Max-Sessions: first branch", idle: 100, max: 100, sessions: 120, load: 99, want: 79 },
    { name: "as many calls as Max-Sessions: second branch", idle: 100, max: 100, sessions: 120, load: 100, want: 100 },
    { name: "more calls than Max-Sessions: second branch", idle: 50, max: 3, sessions: 49, load: 49, want: 1 },
    { name: "Max-Sessions was lowered below the calls", idle: 81.2, max: 3, sessions: 49, load: 49, want: 2 },
    { name: "C's float cuts off below a whole number", idle: 1.3, max: 1000, sessions: 0, load: 0, want: 12 },
    { name: "C's float does not cut off what double would", idle: 29, max: 100, sessions: 0, load: 0, want: 29 },
  ];
  for (const { name, idle, max, sessions, load, want } of cases) {
    it(`${name}: ${want}`, () => assert.equal(maxLoadFromSessions(figures(idle, max, sessions), load), want));
  }

  it("counts in calls where a call is two sessions", () => {
    assert.equal(maxLoadFromSessions(figures(100, 1000, 0), 0, 2), 500);
    assert.equal(maxLoadFromSessions(figures(100, 1000, 200), 100, 2), 500);
    assert.equal(maxLoadFromSessions(figures(100, 1000, 300), 100, 2), 450);
    assert.equal(maxLoadFromSessions(figures(50, 1000, 300), 100, 2), 225);
    assert.equal(maxLoadFromSessions(figures(100, 100, 150), 50, 2), 50);
  });

  it("fits the load table where float rounds up", () => {
    assert.equal(maxLoadFromSessions(figures(100, 2 ** 31 - 1, 0), 0), 2 ** 31 - 1);
  });

  it("never leaves 0 to Max-Sessions", () => {
    const idle = fc.double({ min: 0, max: 100, noNaN: true });
    const limits = fc.integer({ min: 1, max: 2 ** 31 - 1 });
    const counts = fc.integer({ min: -100_000, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(idle, limits, counts, fc.nat(2 ** 31 - 1), (idleCpuPercent, max, sessions, load) => {
        const result = maxLoadFromSessions(figures(idleCpuPercent, max, sessions), load);
        assert.ok(Number.isInteger(result) && result >= 0 && result <= max, `${result} of ${max}`);
      }),
      { numRuns: 5000 },
    );
  });
});

describe("sessions of others as load", () => {
  const cases: { name: string; args: Parameters<typeof loadsFromSessions>; want: ReturnType<typeof loadsFromSessions> }[] = [
    { name: "half of it is theirs", args: [figures(100, 100, 50), 0], want: { maxLoad: 100, foreignLoad: 50 } },
    { name: "all is ours", args: [figures(80, 100, 50), 50], want: { maxLoad: 80, foreignLoad: 0 } },
    { name: "our calls are too young", args: [figures(100, 100, 5), 50], want: { maxLoad: 100, foreignLoad: 0 } },
    { name: "not more than there may be", args: [figures(100, 3, 49), 0], want: { maxLoad: 3, foreignLoad: 3 } },
    {
      name: "in calls of two sessions, half a call counting",
      args: [figures(100, 100, 51), 10, 2],
      want: { maxLoad: 50, foreignLoad: 16 },
    },
  ];
  for (const { name, args, want } of cases) it(name, () => assert.deepEqual(loadsFromSessions(...args), want));
});
