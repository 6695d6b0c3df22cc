import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";

const MODULE = pathToFileURL(join(import.meta.dirname, "clock-shift.ts")).href;
const HOUR_MS = 3_600_000;
/** Longer than a start takes, ms. */
const MOMENT_MS = 60_000;
const PROGRAM = "process.stdout.write(JSON.stringify([Date.now(), new Date().getTime(), new Date(5).getTime(), performance.now()]))";

describe("a shifted clock", () => {
  it("shows another time of day, and leaves times that are given and monotonic clocks alone", () => {
    const folder = mkdtempSync(join(tmpdir(), "headroom-clock-"));
    try {
      const file = join(folder, "shift");
      writeFileSync(file, String(-HOUR_MS));
      const text = execFileSync(process.execPath, ["--import", `${MODULE}?file=${encodeURIComponent(file)}`, "-e", PROGRAM], {
        encoding: "utf8",
      });
      const [now = 0, made = 0, given, passed = 0] = JSON.parse(text) as number[];
      for (const shown of [now, made]) assert.ok(Math.abs(shown + HOUR_MS - Date.now()) < MOMENT_MS);
      assert.equal(given, 5);
      assert.ok(passed >= 0 && passed < MOMENT_MS);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
