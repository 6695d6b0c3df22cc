import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupAlert } from "../../src/health/index.ts";
import { logAlert } from "../../src/observability/alert-log.ts";

describe("the log of alerts", () => {
  const low = { kind: "low-headroom", group: 1, resource: "pstn", free: 19, capacity: 100, freePercent: 19 } as const;
  const none = { kind: "none-available", group: 2, failedOpen: false, rows: 3 } as const;
  for (const [alert, line] of [
    [{ ...none, state: "raised" }, "warn group 2 has no destination that gets calls"],
    [{ ...none, state: "raised", rows: 0 }, "warn group 2 has no destination: none is in the table"],
    [
      { ...none, state: "raised", failedOpen: true },
      "warn group 2 has no destination that is up: it fails open, calls go to those that are down",
    ],
    [{ ...none, state: "recovered" }, "info group 2 has a destination that gets calls again"],
    [{ ...none, state: "gone", rows: 0 }, "info group 2 has no destination, and no rule wants one any more"],
    [{ ...low, state: "raised" }, 'warn group 1 is low on "pstn": 19 of 100 calls are free (19 %)'],
    [{ ...low, state: "recovered" }, 'info group 1 has enough of "pstn" again: 19 of 100 calls are free (19 %)'],
    [{ ...low, state: "gone" }, 'info group 1 has no capacity for "pstn" any more'],
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
