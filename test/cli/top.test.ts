import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { runTop, scrolled } from "../../src/cli/top.ts";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { type FakePorts, fakePorts } from "../management/fake-ports.ts";
import { waitFor } from "../support/net.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");
const ENTER = "\u001b[?1049h";
const LEAVE = "\u001b[?25h\u001b[?1049l";

/** `headroom top` in a terminal of its own, which `script` of util-linux makes. */
function inTerminal(url: string, environment: NodeJS.ProcessEnv = {}): { child: ChildProcess; shown(): string } {
  const command = `stty cols 100 rows 12; echo "pid $$."; exec "${process.execPath}" "${MAIN}" top --url ${url} --interval 0.2`;
  const child = spawn("script", ["-qefc", command, "/dev/null"], {
    env: { ...process.env, SHELL: "/bin/sh", TERM: "xterm", LC_ALL: "C.UTF-8", ...environment },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  return { child, shown: () => text };
}

describe("headroom top", () => {
  let ports: FakePorts;
  let server: ManagementServer;
  beforeEach(async () => {
    ports = fakePorts();
    server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
  });
  afterEach(() => server.close());

  const options = { interval: 0.2, once: true, sort: "id" as const, json: false };
  async function run(over: { url?: string; json?: boolean; token?: string } = {}): Promise<{ code: number; out: string; error: string }> {
    const out: string[] = [];
    const error: string[] = [];
    const output = { out: (text: string) => void out.push(text), error: (text: string) => void error.push(text) };
    const code = await runTop({ ...options, url: server.url, ...over }, output);
    return { code, out: out.join("\n"), error: error.join("\n") };
  }

  it("prints one table with --once, without colours and keys", async () => {
    const { code, out } = await run();
    assert.equal(code, 0);
    assert.match(out, /^Headroom {2}[\d:]{8} UTC {2}3 calls, 0 a second, 3 of 3 destinations take calls\n/);
    assert.match(out, /\n 1 sip:127\.0\.0\.21:5080 transcoding +░+ +0\/10 +10 up/);
    assert.doesNotMatch(out, /\u001b|q quit/);
  });

  it("prints the same as one line of JSON", async () => {
    const { out } = await run({ json: true });
    const view = JSON.parse(out);
    assert.deepEqual(Object.keys(view), ["at", "totals", "cluster", "destinations"]);
    assert.equal(view.destinations[1].resources[0].max, 20);
  });

  it("says when nobody answers, or a token is wanted", async () => {
    const guarded = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: ["t"] });
    assert.equal((await run({ url: guarded.url, token: "t" })).code, 0);
    assert.match((await run({ url: guarded.url })).error, /^Cannot run top: the balancer wants a bearer token/);
    await guarded.close();
    assert.match((await run({ url: guarded.url })).error, /^Cannot run top: (nothing listens at|cannot reach)/);
    assert.equal((await run({ url: "x" })).code, 2);
  });

  it("moves in a real terminal, is ordered by keys, and gives the terminal back", async () => {
    const { child, shown } = inTerminal(server.url);
    const exited = once(child, "exit");
    try {
      await waitFor("the table is shown", 20_000, () => shown().includes("transcoding"));
      assert.match(shown(), /\u001b\[\?1049h/);
      assert.match(shown(), /\u001b\[3\dm/);
      ports.balancer.setStatus(2, false, "mi");
      await waitFor("the change is shown", 10_000, () => shown().includes("disabled"));
      const before = shown().length;
      child.stdin?.write("jjl\u001b[B\u001b[B"); // as keys that are held down come
      await waitFor("it is drawn again", 10_000, () => shown().length > before);
      await server.close();
      await waitFor("it says that there is no news", 10_000, () => shown().includes("No news: nothing listens at"));
      child.stdin?.write("q");
      assert.equal((await exited)[0], 0);
      assert.ok(shown().trimEnd().endsWith(LEAVE));
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("gives the terminal back for as long as it is stopped by Ctrl-Z", async () => {
    const { child, shown } = inTerminal(server.url);
    const exited = once(child, "exit");
    try {
      await waitFor("the table is shown", 20_000, () => shown().includes("transcoding"));
      // Nobody here could go on with it, so the system does not stop it: it is back at once.
      child.stdin?.write("\u001a");
      await waitFor("it was away and is back", 10_000, () => shown().split(ENTER).length === 3 && shown().split(LEAVE).length === 2);
      const before = shown().length;
      await waitFor("it goes on", 10_000, () => shown().slice(before).includes("transcoding"));
      child.stdin?.write("q");
      assert.equal((await exited)[0], 0);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("gives the terminal back when it is told to end, and has no colours for somebody who wants none", async () => {
    const { child, shown } = inTerminal(server.url, { NO_COLOR: "1" });
    const exited = once(child, "exit");
    try {
      await waitFor("the table is shown", 20_000, () => shown().includes("transcoding"));
      process.kill(Number(/pid (\d+)\./.exec(shown())?.[1]), "SIGTERM");
      await exited;
      assert.ok(shown().includes(ENTER) && shown().trimEnd().endsWith(LEAVE));
      assert.doesNotMatch(shown(), /\u001b\[\d+m/);
    } finally {
      child.kill("SIGKILL");
    }
  });
});

describe("scrolling", () => {
  const cases: { offset: number; key: string; want: number }[] = [
    { offset: 0, key: "up", want: 0 },
    { offset: 0, key: "down", want: 1 },
    { offset: 15, key: "page-down", want: 20 },
    { offset: 15, key: "page-up", want: 5 },
    { offset: 3, key: "end", want: 20 },
    { offset: 3, key: "home", want: 0 },
    { offset: 99, key: "up", want: 19 },
    { offset: 3, key: "x", want: 3 },
  ];
  for (const { offset, key, want } of cases) {
    it(`${key} from line ${offset} leads to ${want}`, () => assert.equal(scrolled(offset, key, { bodyLines: 30, bodyRows: 10 }), want));
  }
});
