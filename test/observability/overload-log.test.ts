import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_BAN_LINES, OverloadLog, WINDOW_MS } from "../../src/observability/overload-log.ts";
import { FakeClock } from "../support/fake-clock.ts";

function overloadLog() {
  const lines: string[] = [];
  const at = (level: string) => (_fields: object, message: string) => void lines.push(`${level}: ${message}`);
  const clock = new FakeClock();
  const log = new OverloadLog({ debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") }, clock.now);
  return { log, lines, clock };
}

const BAN = { source: "192.0.2.1", ageMs: 61_250, leftMs: 120_000, refused: 7 };

describe("lines about limits", () => {
  it("tell of a ban and of its end", () => {
    const { log, lines } = overloadLog();
    log.ban({ kind: "began", ...BAN });
    log.ban({ kind: "ended", reason: "lifted", ...BAN });
    assert.deepEqual(lines, [
      "warn: source 192.0.2.1 sends too many requests: banned for 120 s at least",
      "info: ban of source 192.0.2.1 has ended after 61.3 s: it was lifted",
    ]);
  });

  it("tell of an overload and of its end", () => {
    const { log, lines } = overloadLog();
    log.overload({ kind: "began", cause: "lag", lagMs: 300, utilization: 1, refused: 0 });
    log.overload({ kind: "ended", cause: "lag", lagMs: 3, utilization: 0.2, refused: 17 });
    assert.deepEqual(lines, [
      "warn: overload: the event loop stands still too long (overload.max_lag); new calls are refused",
      "info: overload is over: 17 requests were refused",
    ]);
  });

  it("are no more than some a minute about bans, and then say how many there were", () => {
    const { log, lines, clock } = overloadLog();
    for (let n = 0; n < 1_000; n++) log.ban({ kind: "began", ...BAN });
    assert.equal(lines.length, MAX_BAN_LINES);
    clock.advance(WINDOW_MS);
    log.ban({ kind: "began", ...BAN });
    assert.equal(lines.at(-2), "warn: 980 more bans began or ended, of which the log says nothing");
    assert.equal(lines.length, MAX_BAN_LINES + 2);
  });
});
