import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { waitFor } from "../support/net.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

describe("headroom bench", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "headroom-bench-test-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("measures a rate with processes of its own, and leaves nothing behind", { timeout: 60_000 }, async () => {
    const args = [MAIN, "bench", "--seconds", "10", "--calls-per-second", "40", "--json"];
    // A machine that is busy with other tests may be late; that is what the figures say then.
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, TMPDIR: folder } }).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    assert.equal(stderr, "");
    const figures = JSON.parse(stdout);
    assert.equal(figures.steps.length, 1);
    const [step] = figures.steps;
    assert.ok(step.callsPerSecond > 20 && step.callsPerSecond < 60, stdout);
    assert.ok(step.answered > 20, stdout);
    assert.equal(step.refused, 0, stdout);
    assert.ok(step.p50Ms > 0 && step.p99Ms >= step.p50Ms, stdout);
    assert.ok(step.cpuMicroseconds > 50 && step.memoryMb > 50 && step.balancerShare > 0, stdout);
    assert.ok(figures.meaning.length > 0);
    assert.deepEqual(readdirSync(folder), []);
  });

  it("ends at Ctrl-C, with its processes and its folder", { timeout: 60_000 }, async () => {
    const child = spawn(process.execPath, [MAIN, "bench"], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    try {
      await waitFor("its folder is there", 20_000, () => readdirSync(folder).length > 0);
      child.kill("SIGINT");
      await exited;
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
