import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startBalancer } from "../../src/demo/balancer-process.ts";
import { freeUdpPorts } from "../../src/demo/free-ports.ts";

const START = join(import.meta.dirname, "../../src/attended-start.ts");

describe("the balancer of demo and bench", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "headroom-balancer-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function settings(): Promise<object> {
    const [port] = await freeUdpPorts("127.0.0.1", 1);
    return { sip: { listen: [`udp:127.0.0.1:${port}`] }, load_balancer: { db_url: `sqlite:${join(folder, "headroom.db")}` } };
  }

  it("ends when whoever has started it is gone", { timeout: 60_000 }, async () => {
    const balancer = await startBalancer(folder, await settings());
    await balancer.stop();
    // The same with a process that nobody stops: only its standard input ends.
    const child = spawn(process.execPath, [START, "start", "--config", join(folder, "headroom.yaml")], {
      cwd: folder,
      stdio: ["pipe", "ignore", "pipe"],
    });
    const exited = once(child, "exit");
    try {
      let log = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
      while (!log.includes("headroom is running") && child.exitCode === null) await sleep(20);
      assert.equal(child.exitCode, null, log);
      child.stdin.end();
      assert.deepEqual(await exited, [0, null]);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("is given up with its process when that is asked", { timeout: 60_000 }, async () => {
    const gone = new AbortController();
    gone.abort();
    await assert.rejects(startBalancer(folder, await settings(), gone.signal), /^Error: Cannot start the balancer/);
    assert.match(readFileSync(join(folder, "headroom.yaml"), "utf8"), /listen/);
  });
});
