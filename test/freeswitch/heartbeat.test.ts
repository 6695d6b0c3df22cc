import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readHeartbeat } from "../../src/freeswitch/heartbeat.ts";
import { parseSessionsPerSecond, parseStatus, parseYesNo } from "../../src/freeswitch/status-reply.ts";
import { readChunks, recordedBytes } from "../support/esl-recordings.ts";

const GOOD = { "Session-Count": "6", "Max-Sessions": "1000", "Idle-CPU": "95.800000", "Core-UUID": "u" };

describe("a heartbeat", () => {
  it("is read", () => {
    assert.deepEqual(readHeartbeat(new Map(Object.entries(GOOD))), {
      heartbeat: { sessionCount: 6, maxSessions: 1000, idleCpuPercent: 95.8, coreUuid: "u" },
    });
  });

  it("may have more sessions than Max-Sessions", () => {
    assert.ok("heartbeat" in readHeartbeat(new Map(Object.entries({ ...GOOD, "Session-Count": "49", "Max-Sessions": "3" }))));
  });

  const fields = ["Session-Count", "Max-Sessions", "Idle-CPU"] as const;
  const bad: { text: string | undefined; fault: string; only?: string }[] = [
    { text: undefined, fault: "missing" },
    { text: "", fault: "missing" },
    { text: "  ", fault: "missing" },
    { text: "many", fault: "not-a-number" },
    { text: "NaN", fault: "not-a-number" },
    { text: "Infinity", fault: "not-a-number" },
    { text: "1e3", fault: "not-a-number" },
    { text: "0x10", fault: "not-a-number" },
    { text: "95,8", fault: "not-a-number" },
    { text: "12 %", fault: "not-a-number" },
    { text: "9".repeat(40), fault: "not-a-number" },
    { text: "-1", fault: "negative" },
    { text: "4294967295", fault: "absurd" },
    { text: "2147483648", fault: "absurd" },
    { text: "0", fault: "absurd", only: "Max-Sessions" },
    { text: "100.1", fault: "absurd", only: "Idle-CPU" },
    { text: "-0.5", fault: "negative", only: "Idle-CPU" },
    { text: "10.5", fault: "not-a-number", only: "Session-Count" },
  ];
  for (const field of fields) {
    for (const { text, fault, only = field } of bad) {
      if (only !== field) continue;
      it(`is not used when ${field} is ${text === undefined ? "missing" : `"${text}"`}: ${fault}`, () => {
        const changed = new Map<string, string>(Object.entries(GOOD));
        if (text === undefined) changed.delete(field);
        else changed.set(field, text);
        assert.deepEqual(readHeartbeat(changed), { fault, field });
      });
    }
  }
});

function bodies(name: string): string[] {
  return readChunks([recordedBytes(name)])
    .filter(({ contentType }) => contentType === "api/response")
    .map(({ body }) => body);
}

describe("answers that were recorded", () => {
  it("api status: ready, and its numbers", () => {
    assert.deepEqual(parseStatus(bodies("04-api-basics")[0] ?? ""), {
      ready: true,
      sessionCount: 0,
      maxSessions: 1000,
      minIdleCpuPercent: 0,
      idleCpuPercent: 95.93,
    });
  });

  it("api status: not ready while paused, max-sessions as they change, the CPU that has to be idle", () => {
    const all = bodies("21-fsctl-pause-maxsessions")
      .filter((body) => body.startsWith("UP "))
      .map(parseStatus);
    assert.deepEqual(
      all.map(({ ready }) => ready),
      [false, true, true, true, true, true],
    );
    assert.deepEqual(
      all.map(({ maxSessions }) => maxSessions),
      [1000, 1000, 1000, 50, 3, 1000],
    );
    assert.deepEqual(
      all.map(({ sessionCount }) => sessionCount),
      [0, 0, 0, 50, 49, 0],
    );
    assert.deepEqual([all[5]?.minIdleCpuPercent, all[5]?.idleCpuPercent], [99.9, 62.63]);
  });

  it("api fsctl sps, pause_check, shutdown_check", () => {
    assert.deepEqual(
      bodies("04-api-basics")
        .map(parseSessionsPerSecond)
        .filter((n) => n !== undefined),
      [1000],
    );
    assert.deepEqual(
      bodies("21-fsctl-pause-maxsessions")
        .map(parseYesNo)
        .filter((yes) => yes !== undefined),
      [true, false, false, true, true, true],
    );
    assert.deepEqual(
      bodies("41-fsctl-shutdown-elegant-status")
        .map(parseYesNo)
        .filter((yes) => yes !== undefined),
      [true, true, false],
    );
  });

  it("say nothing when they are something else", () => {
    for (const text of [
      "",
      "-ERR permission denied",
      "+OK sessions per second: 99999999999",
      "4294967295 session(s) max",
      "0 session(s) max",
    ]) {
      assert.deepEqual([parseStatus(text), parseSessionsPerSecond(text), parseYesNo(text)], [{}, undefined, undefined], text);
    }
  });
});
