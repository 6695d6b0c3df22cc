import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { onProcessExit } from "../support/cleanup.ts";
import { waitFor } from "../support/net.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");

interface Demo {
  readonly child: ChildProcess;
  /** Where it may put its files. */
  readonly folder: string;
  output(): string;
  /** Waits for its end. @returns its exit code */
  end(): Promise<number | null>;
}

function startDemo(t: TestContext, seconds: number, ...options: string[]): Demo {
  const folder = mkdtempSync(join(tmpdir(), "headroom-test-demo-"));
  const child = spawn(process.execPath, [MAIN, "demo", "--seconds", String(seconds), ...options], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const closed = once(child, "close");
  const forget = onProcessExit(() => child.kill("SIGTERM"));
  t.after(() => {
    child.kill("SIGKILL");
    forget();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    child,
    folder,
    output: () => output,
    async end() {
      await closed;
      return child.exitCode;
    },
  };
}

/** Processes whose command line names `word`. */
function processesNaming(word: string): string[] {
  return globSync("/proc/[0-9]*/cmdline").filter((file) => {
    try {
      return readFileSync(file, "latin1").includes(word);
    } catch {
      return false; // it has ended in the meantime
    }
  });
}

describe("headroom demo", () => {
  it("tells its story, brings every load back to zero, and leaves no process and no file", async (t) => {
    const demo = startDemo(t, 8);
    await waitFor("it has started", 60_000, () => demo.output().includes("media-4 "));
    assert.equal(processesNaming(demo.folder).length, 1, "the balancer runs in the demo's folder");
    assert.equal(await demo.end(), 0, demo.output());
    const output = demo.output();
    assert.match(output, /media-4 \d+\/40 dead/);
    assert.match(output, /, [1-9]\d* by failover/);
    assert.match(output, /, [1-9]\d* refused while all were full; no server ever had more calls than it can serve; every load is 0\n$/);
    assert.deepEqual(readdirSync(demo.folder), []);
    assert.deepEqual(processesNaming(demo.folder), []);
  });

  it("with --freeswitch shows capacities that follow heartbeats, a pause among them", async (t) => {
    const demo = startDemo(t, 12, "--freeswitch");
    assert.equal(await demo.end(), 0, demo.output());
    const output = demo.output();
    const capacities = [...output.matchAll(/media-4 \d+\/(\d+) idle CPU \d+ %/g)].map(([, max]) => Number(max));
    assert.ok(Math.max(...capacities) > 25 && Math.min(...capacities) < 16, capacities.join(" "));
    assert.match(output, /media-3 \d+\/\d+ idle CPU \d+ %, paused/);
    assert.match(output, / 0 failed\n/);
    assert.match(output, /no server ever had more calls than it can serve; every load is 0\n$/);
    assert.deepEqual(readdirSync(demo.folder), []);
    assert.deepEqual(processesNaming(demo.folder), []);
  });

  // Starting takes most of the time of these, and they have nothing in common.
  describe("that does not go to its end", { concurrency: 2 }, () => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      it(`ends early at ${signal}, and leaves no process and no file`, async (t) => {
        const demo = startDemo(t, 60);
        await waitFor("calls are up", 60_000, () => /[1-9]\d* up/.test(demo.output()));
        demo.child.kill(signal);
        assert.equal(await demo.end(), 0, demo.output());
        assert.deepEqual(readdirSync(demo.folder), []);
        assert.deepEqual(processesNaming(demo.folder), []);
      });
    }

    it("ends when its reader goes away", async (t) => {
      const demo = startDemo(t, 60);
      await waitFor("calls are up", 60_000, () => /[1-9]\d* up/.test(demo.output()));
      demo.child.stdout?.destroy();
      await demo.end();
      assert.deepEqual(readdirSync(demo.folder), []);
      assert.deepEqual(processesNaming(demo.folder), []);
    });

    for (const seconds of ["4", "3601", "1.5", "ten", "-1"]) {
      it(`refuses --seconds ${seconds} with exit code 2`, async () => {
        const child = spawn(process.execPath, [MAIN, "demo", "--seconds", seconds], { stdio: ["ignore", "ignore", "pipe"] });
        let complaint = "";
        child.stderr.setEncoding("utf8").on("data", (text: string) => {
          complaint += text;
        });
        await once(child, "close");
        assert.equal(child.exitCode, 2, complaint);
        assert.match(complaint, /whole number from 5 to 3600/);
      });
    }
  });
});
