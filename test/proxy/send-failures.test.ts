import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LINE_EVERY_MS, MAX_LINES, SendFailures } from "../../src/proxy/send-failures.ts";

function bench() {
  const clock = { nowMs: 0 };
  const lines: string[] = [];
  const failures = new SendFailures(
    { warn: (fields, message) => lines.push(`${(fields as { target: string }).target} ${message}`) },
    () => clock.nowMs,
  );
  return { clock, lines, failures, take: () => lines.splice(0) };
}

describe("SendFailures", () => {
  it("says once a second of a target that requests to it fail, and how many did since the last line", () => {
    const { clock, failures, take } = bench();
    for (let i = 0; i < 50; i++) failures.note("a:1", "refused", "nobody listens");
    assert.deepEqual(take(), ["a:1 nobody listens"]);
    clock.nowMs = LINE_EVERY_MS - 1;
    failures.note("a:1", "refused", "nobody listens");
    failures.note("b:1", "refused", "nobody listens");
    assert.deepEqual(take(), ["b:1 nobody listens"]);
    clock.nowMs = LINE_EVERY_MS;
    failures.note("a:1", "refused", "nobody listens");
    assert.deepEqual(take(), ["a:1 nobody listens; 50 more to it failed since the last such line"]);
    clock.nowMs = 10 * LINE_EVERY_MS;
    failures.note("a:1", "refused", "nobody listens");
    assert.deepEqual(take(), ["a:1 nobody listens"]);
  });

  it(`says so of ${MAX_LINES} targets a second, and of the others how many failed`, () => {
    const { clock, failures, take } = bench();
    for (let i = 0; i < 3 * MAX_LINES; i++) failures.note(`a:${i}`, "refused", "nobody listens");
    for (let i = 0; i < 5; i++) failures.note("a:0", "refused", "nobody listens");
    assert.equal(take().length, MAX_LINES);
    clock.nowMs = LINE_EVERY_MS;
    failures.note("b:1", "refused", "nobody listens");
    failures.note("a:1", "refused", "nobody listens");
    assert.deepEqual(take(), [
      `b:1 nobody listens; ${2 * MAX_LINES + 5} to other targets failed since the last such line`,
      "a:1 nobody listens",
    ]);
  });
});
