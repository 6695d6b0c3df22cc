import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupAlert } from "../../src/health/index.ts";
import { logAlert } from "../../src/observability/alert-log.ts";

describe("the log of alerts", () => {
  const low = { kind: "low-headroom", group: 1, resource: "pstn", free: 19, capacity: 100, freePercent: 19 } as const;
  for (const [alert, line] of [
    [{ kind: "none-available", group: 2, raised: true }, "warn group 2 has no destination that gets calls"],
    [{ kind: "none-available", group: 2, raised: false }, "info group 2 has a destination that gets calls again"],
    [{ ...low, raised: true }, 'warn group 1 is low on "pstn": 19 of 100 calls are free (19 %)'],
    [{ ...low, raised: false }, 'info group 1 has enough of "pstn" again: 19 of 100 calls are free (19 %)'],
  ] as const satisfies readonly (readonly [GroupAlert, string])[]) {
    it(`says "${line}"`, () => {
      const lines: string[] = [];
      logAlert(alert, {
        debug: assert.fail,
        info: (_fields: object, message: string) => void lines.push(`info ${message}`),
        warn: (_fields: object, message: string) => void lines.push(`warn ${message}`),
        error: assert.fail,
      });
      assert.deepEqual(lines, [line]);
    });
  }
});
