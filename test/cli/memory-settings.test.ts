import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ensureMemorySettings, type Program } from "../../src/cli/memory-settings.ts";

/** What it has the system run, if anything. */
function begun(over: Partial<Program>): { file: string; args: readonly string[]; env: NodeJS.ProcessEnv } | undefined {
  let run: ReturnType<typeof begun>;
  ensureMemorySettings({
    execPath: "/usr/bin/node",
    execArgv: ["--inspect"],
    argv: ["/usr/bin/node", "/opt/main.js", "start", "--config", "a b.yaml"],
    env: { HOME: "/root" },
    connected: false,
    execve: (file, args, env) => {
      run = { file, args, env };
    },
    ...over,
  });
  return run;
}

describe("memory settings at the start", () => {
  it("begin the program anew with all that it was given, and with what is missing", () => {
    const run = begun({});
    assert.equal(run?.file, "/usr/bin/node");
    assert.deepEqual(run?.args, ["/usr/bin/node", "--inspect", "--max-semi-space-size=8", "/opt/main.js", "start", "--config", "a b.yaml"]);
    assert.deepEqual(run?.env, {
      HOME: "/root",
      MALLOC_ARENA_MAX: "1",
      MALLOC_MMAP_THRESHOLD_: "131072",
      MALLOC_TRIM_THRESHOLD_: "131072",
    });
  });

  it("leave what somebody has set, each by itself", () => {
    const flag = begun({ env: { NODE_OPTIONS: "--max-semi-space-size=32" } });
    assert.ok(!flag?.args.includes("--max-semi-space-size=8"));
    const arena = begun({ execArgv: ["--max-semi-space-size=4"], env: { MALLOC_ARENA_MAX: "" } });
    assert.equal(arena?.env["MALLOC_ARENA_MAX"], "");
    assert.deepEqual(arena?.args.slice(1, 3), ["--max-semi-space-size=4", "/opt/main.js"]);
  });

  it("are looked for once: the program that was begun with them goes on", () => {
    const run = begun({});
    assert.equal(begun({ execArgv: (run?.args ?? []).slice(1, 3), env: run?.env ?? {} }), undefined);
  });

  it("are let be where the system cannot do it, and where another process holds a channel that would be cut", () => {
    let ran = 0;
    const execve = (): number => ran++;
    ensureMemorySettings({ execPath: "node", execArgv: [], argv: ["node", "main.js"], env: {}, connected: false, execve: undefined });
    ensureMemorySettings({ execPath: "node", execArgv: [], argv: ["node", "main.js"], env: {}, connected: true, execve });
    assert.equal(ran, 0);
  });
});
