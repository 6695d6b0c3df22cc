import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeStatus, type StatusFacts } from "../../src/health/index.ts";

const WELL: StatusFacts = {
  isEnabled: true,
  isAutoReenable: true,
  isProbed: false,
  lastCode: 0,
  wasDrained: false,
  isDraining: false,
  drainLoad: 0,
  isLeaving: false,
  isWithdrawn: false,
  feedState: "fresh",
  breaker: "closed",
  restS: 0,
  isOverRate: false,
  callsPerSecond: 0,
  factor: 1,
  full: [],
};

describe("the status of a destination", () => {
  const cases: [Partial<StatusFacts>, string, string][] = [
    [{}, "up", ""],
    [{ full: ["pstn", "conf"] }, "up", "No free slot for pstn, conf"],
    [{ factor: 0.25, full: ["pstn"] }, "up", "No free slot for pstn; It starts slowly, with 25 % of its capacity"],
    [{ feedState: "stale" }, "up", "The heartbeats of its FreeSWITCH have stopped"],
    [{ isEnabled: false, isAutoReenable: false }, "disabled", "An operator has disabled it"],
    [{ isEnabled: false, isAutoReenable: false, wasDrained: true }, "disabled", "A drain is over and has disabled it"],
    [{ isEnabled: false }, "disabled", "A route has disabled it, and no probe looks whether it is back"],
    [{ isEnabled: false, isProbed: true }, "probing", "Probes look whether it is back"],
    [{ isEnabled: false, isProbed: true, lastCode: 503 }, "probing", "The last probe ended with 503"],
    [{ isEnabled: false, isProbed: true, lastCode: 408 }, "probing", "The last probe was not answered"],
    [{ isDraining: true, drainLoad: 1 }, "draining", "1 of its load is left, and no new calls come"],
    [{ isDraining: true, drainLoad: 12, breaker: "open" }, "draining", "12 of its load are left, and no new calls come"],
    [{ isLeaving: true }, "withdrawn", "Its registration has ended, and its calls are left to end"],
    [{ isWithdrawn: true, feedState: "paused" }, "withdrawn", "Its FreeSWITCH is paused"],
    [{ isWithdrawn: true }, "withdrawn", "Whoever tells its capacity says that it takes no calls"],
    [{ breaker: "open" }, "breaker", "Too many of its calls failed, and none are sent for a while"],
    [{ breaker: "trials" }, "breaker", "Too many of its calls failed, and trial calls show whether it is well again"],
    [{ restS: 12, isOverRate: true }, "resting", "12 s are left of the rest that it asked for by a 503 with Retry-After"],
    [{ isOverRate: true, callsPerSecond: 5 }, "rate", "It got all 5 calls that it may get within a second"],
  ];
  for (const [state, status, why] of cases) {
    it(`is ${status}: "${why}"`, () => assert.deepEqual(describeStatus({ ...WELL, ...state }), [status, why]));
  }
});
