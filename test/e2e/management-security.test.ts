import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { onProcessExit } from "../support/cleanup.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
const FILES = join(import.meta.dirname, "../fixtures/tls");
const ADDRESS = "127.0.29.41";
const PATIENCE_MS = 30_000;
const run = promisify(execFile);

describe("management over HTTPS with tokens, on the running program", () => {
  let folder: string;
  let url: string;
  let child: ChildProcess;
  let newPid: number | undefined;
  let log = "";
  let forget: () => void;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "headroom-management-"));
    const port = await freeTcpPort("127.0.0.1");
    url = `https://127.0.0.1:${port}/mi`;
    for (const name of ["proxy.pem", "proxy.key"]) copyFileSync(join(FILES, name), join(folder, name));
    writeFileSync(
      join(folder, "headroom.yaml"),
      `sip: { listen: ["udp:${ADDRESS}:${await freeUdpPort(ADDRESS)}"], stop_timeout: 1, restart_timeout: 3 }
load_balancer: { db_url: "sqlite:${join(folder, "headroom.db")}", probing_interval: 0 }
mi_http:
  listen: 127.0.0.1:${port}
  auth: { tokens: [{ name: anna, token: token-of-anna, role: operator }, { name: wall, token: token-of-wall }] }
  tls: { certificate: proxy.pem, private_key: proxy.key }
`,
    );
    child = spawn(process.execPath, ["--max-semi-space-size=8", MAIN, "start"], {
      cwd: folder,
      env: { ...process.env, MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "131072" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text: string) => (log += text));
    forget = onProcessExit(() => {
      child.kill("SIGKILL");
      if (newPid !== undefined) process.kill(newPid, "SIGKILL");
    });
    await waitFor("it answers", PATIENCE_MS, async () => (await mi("token-of-wall", "version")).code === 0).catch((error: unknown) =>
      assert.fail(`${String(error)}\n${log}`),
    );
  });

  after(async () => {
    const exited = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
    if (newPid !== undefined) process.kill(newPid, "SIGTERM");
    child.kill("SIGTERM");
    await exited;
    if (newPid !== undefined) await waitFor("the new process has ended", 10_000, () => !isThere(newPid!));
    forget();
    rmSync(folder, { recursive: true });
  });

  async function mi(token: string, ...words: string[]): Promise<{ code: number; text: string }> {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(FILES, "ca.pem"), HEADROOM_MI_TOKEN: token };
    const args = [MAIN, "mi", "--json", "--url", url, ...words];
    return run(process.execPath, args, { env, cwd: folder }).then(
      ({ stdout }) => ({ code: 0, text: stdout }),
      ({ code, stderr }: { code: number; stderr: string }) => ({ code, text: stderr }),
    );
  }

  it("is open to the command line with a token, by its role", async () => {
    assert.deepEqual(await mi("token-of-anna", "lb_reload"), { code: 0, text: '"OK"\n' });
    const { code, text } = await mi("token-of-wall", "lb_reload");
    assert.equal(code, 1);
    assert.match(text, /Forbidden \(403\): Cannot run load_balancer:reload as viewer "wall"/);
    assert.match((await mi("token-of-nobody", "version")).text, /wants another bearer token/);
  });

  it("tells viewers who has changed what", async () => {
    const { text } = await mi("token-of-wall", "audit_log");
    const { Changes } = JSON.parse(text) as { Changes: { by: string; outcome: string }[] };
    assert.deepEqual(
      Changes.map(({ by, outcome }) => [by, outcome]),
      [
        ["anna", "done"],
        ["wall", "forbidden"],
      ],
    );
    assert.doesNotMatch(log, /token-of/);
  });

  it("keeps its certificate when a reload finds one that is of no use, and says so", async () => {
    writeFileSync(join(folder, "proxy.pem"), "nonsense");
    child.kill("SIGHUP");
    await waitFor("the log says so", 5_000, () => /cannot read the certificate of management again/.test(log));
    assert.equal((await mi("token-of-wall", "version")).code, 0);
    copyFileSync(join(FILES, "proxy.pem"), join(folder, "proxy.pem"));
  });

  it("is taken over by a new process, which knows tokens and certificate", async () => {
    const { code, text } = await mi("token-of-anna", "restart");
    assert.equal(code, 0, `${text}\n${log}`);
    newPid = (JSON.parse(text) as { pid: number }).pid;
    await waitFor("the former process has ended", PATIENCE_MS, () => child.exitCode !== null);
    assert.equal((await mi("token-of-wall", "version")).code, 0);
    assert.equal((await mi("token-of-wall", "lb_reload")).code, 1);
    assert.equal((await mi("token-of-anna", "lb_reload")).code, 0);
  });
});

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
