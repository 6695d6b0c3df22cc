import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer } from "../../src/balancer/index.ts";
import type { DestinationState, DrainChange } from "../../src/health/index.ts";
import { logDrain, logKept } from "../../src/observability/drain-log.ts";
import { row } from "../health/drain-farm.ts";

const AT_MS = Date.UTC(2026, 10, 21, 23, 44, 8);
const balancer = new Balancer({ below: () => 0 });
balancer.replaceTable([row(3)]);
const [destination] = balancer.destinations();

function logged(act: (log: Parameters<typeof logDrain>[1]) => void): [message: string, fields: object][] {
  const lines: [string, object][] = [];
  const info = (fields: object, message: string): void => void lines.push([message, fields]);
  act({ info, warn: assert.fail, error: assert.fail, debug: assert.fail });
  return lines;
}

describe("the log of drains", () => {
  const base = { destination: destination!, load: 12, deadlineMs: 0, bye: false };
  for (const [change, message] of [
    [{ ...base, kind: "started" }, "drain destination 3 <sip:192.0.2.3>: 12 left"],
    [{ ...base, kind: "changed" }, "drain of destination 3 <sip:192.0.2.3> now ends when its calls have ended: 12 left"],
    [{ ...base, kind: "undone" }, "drain of destination 3 <sip:192.0.2.3> is undone"],
    [{ ...base, load: 0, kind: "ended", reason: "idle" }, "destination 3 <sip:192.0.2.3> is drained"],
    [{ ...base, kind: "ended", reason: "deadline" }, "destination 3 <sip:192.0.2.3> is disabled at the deadline of its drain: 12 left"],
  ] as const satisfies readonly (readonly [DrainChange, string])[]) {
    it(`says "${message}"`, () => {
      assert.deepEqual(
        logged((log) => logDrain(change, log)),
        [[message, { id: 3, group: 1, uri: "sip:192.0.2.3", load: change.load }]],
      );
    });
  }

  for (const [bye, message] of [
    [false, "drain of destination 3 <sip:192.0.2.3> now ends at 2026-11-21T23:44:08.000Z: 12 left"],
    [true, "drain of destination 3 <sip:192.0.2.3> now ends at 2026-11-21T23:44:08.000Z with BYE: 12 left"],
  ] as const) {
    it(`says "${message}"`, () => {
      const [line] = logged((log) => logDrain({ ...base, kind: "changed", deadlineMs: AT_MS, bye }, log));
      assert.equal(line?.[0], message);
    });
  }

  it("names the deadline and what comes then", () => {
    const [line] = logged((log) => logDrain({ ...base, kind: "started", deadlineMs: AT_MS, bye: true }, log));
    assert.deepEqual(line?.[1], { id: 3, group: 1, uri: "sip:192.0.2.3", load: 12, deadline: "2026-11-21T23:44:08.000Z", bye: true });
  });
});

describe("the log of what operators decided before", () => {
  const state: DestinationState = {
    id: 3,
    group: 1,
    uri: "sip:192.0.2.3",
    enabled: false,
    autoReenable: false,
    draining: false,
    drainDeadlineMs: 0,
    drainBye: false,
    changedAtMs: AT_MS,
    cause: "mi",
  };
  for (const [over, words] of [
    [{}, "disabled"],
    [{ draining: true }, "disabled and draining"],
    [{ draining: true, enabled: true, autoReenable: true }, "draining"],
  ] as const) {
    it(`says that a destination stays ${words}, and since when`, () => {
      const [line] = logged((log) => logKept(destination!, { ...state, ...over }, log));
      assert.equal(line?.[0], `destination 3 <sip:192.0.2.3> stays ${words}, as it was at 2026-11-21T23:44:08.000Z`);
    });
  }
});
