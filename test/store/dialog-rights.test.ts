import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DialogFile } from "../../src/store/dialog-file.ts";

/** Nobody: root may do everything. */
const OTHER_USER = "65534";
const SCRIPT = join(import.meta.dirname, "dialog-rights.ts");

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-rights-"));
  file = join(folder, "headroom.db.calls");
  const made = new DialogFile(file, 0);
  made.write({ saved: [["1.a", "one"]], removed: [] });
  made.close();
});

afterEach(() => {
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true });
});

function asUser(): { told: string[]; found: unknown; fault: string } {
  const command = [process.execPath, SCRIPT, `sqlite:${join(folder, "headroom.db")}`];
  const isRoot = process.getuid?.() === 0;
  const [program = "", ...rest] = isRoot
    ? ["setpriv", "--reuid", OTHER_USER, "--regid", OTHER_USER, "--clear-groups", ...command]
    : command;
  return JSON.parse(execFileSync(program, rest, { encoding: "utf8" })) as ReturnType<typeof asUser>;
}

describe("a file of calls of another user", () => {
  it("that may be read has its calls, and the log says why nothing is written", () => {
    chmodSync(file, 0o444);
    for (const rights of [0o777, 0o555]) {
      chmodSync(folder, rights);
      const { told, found, fault } = asUser();
      assert.deepEqual(found, [["1.a", "one"]]);
      assert.match(told.join(), /Calls are not written down, which is tried again.*this user may not write it$/);
      assert.match(fault, /this user may not write it$/);
    }
  });

  it("is not written by one who cannot keep others out of it", () => {
    chmodSync(folder, 0o777);
    chmodSync(file, 0o666);
    writeFileSync(`${file}-lock`, "");
    chmodSync(`${file}-lock`, 0o444);
    const { told, found, fault } = asUser();
    assert.deepEqual(found, [["1.a", "one"]]);
    assert.match(told.join(), /Calls are not written down, which is tried again.*this user may not write ".*calls-lock"$/);
    assert.match(fault, /this user may not write ".*calls-lock"$/);
  });

  it("that may not be read stops the start with a sentence", () => {
    chmodSync(folder, 0o777);
    chmodSync(file, 0o000);
    const { told, found, fault } = asUser();
    assert.deepEqual([told, found], [[], undefined]);
    assert.match(fault, /headroom.db.calls": the file cannot be opened$/);
  });
});
