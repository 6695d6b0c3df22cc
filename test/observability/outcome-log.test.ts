import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BreakerChange, BreakerPhase } from "../../src/health/index.ts";
import { logBreaker, logRest } from "../../src/observability/outcome-log.ts";
import { FakeLog, makeBalancer } from "../routing/fake-call.ts";

const destination = makeBalancer("pstn=1").destination(1)!;

describe("the log of breakers and rests", () => {
  const rows: readonly (readonly [before: BreakerPhase, phase: BreakerPhase, level: string, message: string])[] = [
    ["closed", "open", "warn", "breaker of destination 1 <sip:192.0.2.1:5060> opened: 7 of its last 12 calls failed"],
    ["open", "trials", "info", "breaker of destination 1 <sip:192.0.2.1:5060> lets trial calls through"],
    ["trials", "open", "warn", "breaker of destination 1 <sip:192.0.2.1:5060> opened again: a trial call failed"],
    ["trials", "closed", "info", "breaker of destination 1 <sip:192.0.2.1:5060> closed: its trial calls succeeded"],
  ];
  for (const [before, phase, level, message] of rows) {
    it(`${before} → ${phase}`, () => {
      const log = new FakeLog();
      const change: BreakerChange = { destination, before, phase, calls: 12, failures: 7 };
      logBreaker(change, log);
      const fields = { id: 1, group: 1, uri: "sip:192.0.2.1:5060", phase, calls: 12, failures: 7 };
      assert.deepEqual(log.lines, [{ level, fields, message }]);
    });
  }

  it("what an operator ends", () => {
    const log = new FakeLog();
    logBreaker({ destination, before: "open", phase: "closed", calls: 0, failures: 0, cause: "mi" }, log);
    logRest(destination, 0, log);
    assert.deepEqual(
      log.lines.map(({ message }) => message),
      [
        "breaker of destination 1 <sip:192.0.2.1:5060> closed: an operator enables its destination",
        "rest of destination 1 <sip:192.0.2.1:5060> ended: an operator enables it",
      ],
    );
  });

  it("a rest", () => {
    const log = new FakeLog();
    logRest(destination, 2_500, log);
    assert.equal(log.lines[0]?.message, "destination 1 <sip:192.0.2.1:5060> asked for rest with Retry-After: no calls for 2.5 s");
  });
});
