import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { MAX_HOOK_OUTPUT, TagHooks } from "../../../src/cluster/members/tag-hooks.ts";
import { type LogLine, listLog, REAL_CLOCK } from "../../support/member-node.ts";
import { waitFor } from "../../support/net.ts";

describe("commands for sharing tags", () => {
  let folder = "";
  let lines: LogLine[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "headroom-hooks-"));
    lines = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function hooks(onActive: string | null, onBackup: string | null, after = REAL_CLOCK.after): TagHooks {
    return new TagHooks({ onActive, onBackup, clusterId: 7, nodeId: 3, log: listLog(lines), clock: { ...REAL_CLOCK, after } });
  }
  const change = (state: "active" | "backup", epoch = 1, tag = "vip") => ({ tag, state, epoch, reason: "" });
  const written = (): string => readFileSync(join(folder, "out"), "utf8");

  it("they are told what it is about, as a shell runs them", async () => {
    const about = hooks(
      `echo "$HEADROOM_TAG $HEADROOM_CLUSTER $HEADROOM_STATE $HEADROOM_EPOCH $HEADROOM_NODE" > ${folder}/out; echo done`,
      null,
    );
    about.changed(change("active", 4));
    about.changed(change("backup", 4));
    await about.close();
    assert.equal(written(), "vip 7 active 4 3\n");
    assert.deepEqual([about.counters.hooks_run, about.counters.hooks_failed], [1, 0]);
    assert.deepEqual(
      lines.map(({ level, fields }) => [level, (fields as { output: string }).output, (fields as { exitCode: number }).exitCode]),
      [["info", "done", 0]],
    );
  });

  it("a command that no process can be made for is logged, and holds up neither the next one nor a stop", async () => {
    const about = hooks("echo a\0b", `echo later > ${folder}/out`);
    about.changed(change("active"));
    about.changed(change("backup"));
    await about.close();
    assert.equal(written(), "later\n");
    assert.deepEqual([about.counters.hooks_run, about.counters.hooks_failed], [2, 1]);
    assert.deepEqual(
      lines.map(({ level, message }) => [level, message]),
      [
        ["error", "Command for a sharing tag cannot be started"],
        ["info", "Command for a sharing tag has ended"],
      ],
    );
  });

  it("a tag's name is text, not a part of the command", async () => {
    const about = hooks(`printf %s "$HEADROOM_TAG" > ${folder}/out`, null);
    about.changed(change("active", 1, `$(touch ${folder}/bad); x`));
    await about.close();
    assert.equal(written(), `$(touch ${folder}/bad); x`);
  });

  it("one at a time for a tag; of those that wait the latest is run", async () => {
    const command = `echo "$HEADROOM_STATE $HEADROOM_EPOCH" >> ${folder}/out; sleep 0.1`;
    const about = hooks(command, command);
    for (const [epoch, state] of (["active", "backup", "active", "backup"] as const).entries()) about.changed(change(state, epoch));
    await about.close();
    assert.equal(written(), "active 0\nbackup 3\n");
  });

  it("a command that fails, or is none, is logged with what it said", async () => {
    const about = hooks("echo no such address >&2; exit 3", "/no/such/command");
    about.changed(change("active"));
    await about.close();
    about.changed(change("backup"));
    await about.close();
    assert.equal(about.counters.hooks_failed, 2);
    const [first, second] = lines.map(({ level, fields }) => ({ level, ...(fields as { output: string; exitCode: number }) }));
    assert.deepEqual([first?.level, first?.exitCode, first?.output], ["error", 3, "no such address"]);
    assert.deepEqual([second?.level, second?.exitCode], ["error", 127]);
  });

  it("a command that takes too long is killed with what it started, and the next one runs", async () => {
    const due: (() => void)[] = [];
    const about = hooks(`sleep 100 & echo $! > ${folder}/out; wait`, `echo over >> ${folder}/out`, (ms, run) => {
      if (ms >= 10_000) due.push(run);
      return ms >= 10_000 ? () => {} : REAL_CLOCK.after(ms, run);
    });
    about.changed(change("active"));
    await waitFor("it to run", 5000, () => {
      try {
        return written().endsWith("\n");
      } catch {
        return false;
      }
    });
    about.changed(change("backup"));
    due[0]?.();
    await about.close();
    const [pid, over] = written().split("\n");
    assert.equal(over, "over");
    await waitFor("the child to be gone", 5000, () => isGone(Number(pid)));
    assert.deepEqual([about.counters.hooks_killed, about.counters.hooks_run], [1, 2]);
  });

  it("a command that leaves something behind that keeps its output open is over all the same", async () => {
    const about = hooks(`sleep 100 & echo $! > ${folder}/out`, null);
    about.changed(change("active"));
    await about.close();
    process.kill(Number(written()), "SIGKILL");
  });

  it("no more of its output is kept than can be logged", async () => {
    const about = hooks("head -c 1000000 /dev/zero | tr '\\0' x; echo end", null);
    about.changed(change("active"));
    await about.close();
    const { output } = lines[0]!.fields as { output: string };
    assert.ok(output.length <= MAX_HOOK_OUTPUT && output.endsWith("xend"));
  });
});

function isGone(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}
