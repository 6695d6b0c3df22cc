import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";

const SOURCES = resolve(import.meta.dirname, "../../src");
/** Where calls are dealt with: what is logged there is about a call, or stands below. */
const FOLDERS = ["proxy", "routing", "dialog", "transaction"];
/** Lines of the log that are about no single call, by how their message begins. */
const OF_NO_CALL: Readonly<Record<string, string>> = {
  "proxy/send-failures.ts": "message + alsoFailed", // failures of many calls, told together
  "proxy/pinger.ts": "(fields, ", // an outage, of all calls that go there
  "routing/script-dispatch.ts": "dispatcher sets stay as they were",
};

/** A call of a log, from its bracket to the one that closes it. */
function loggedIn(file: string): string[] {
  const text = readFileSync(join(SOURCES, file), "utf8");
  return [...text.matchAll(/\blog\.(?:trace|debug|info|warn|error|fatal)\(/g)].map(({ index, 0: begin }) => {
    let depth = 1;
    let at = index + begin.length;
    for (; depth > 0 && at < text.length; at++) depth += text[at] === "(" ? 1 : text[at] === ")" ? -1 : 0;
    return text.slice(index, at);
  });
}

/** Whether a log line has a Call-ID: among its fields, or in the fields that were put together before. */
function namesCall(line: string, file: string): boolean {
  if (/\bcallId\b|\bwithCallId\(/.test(line)) return true;
  const [, variable = ""] = /^log\.\w+\((\w+),/.exec(line) ?? [];
  if (variable === "") return false;
  const text = readFileSync(join(SOURCES, file), "utf8");
  return [...text.matchAll(new RegExp(`const ${variable} = \\{[^;]*;`, "g"))].some(([value]) => value.includes("callId"));
}

describe("a line of the log that is about a call", () => {
  const files = FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: SOURCES }));

  it("is looked for where there are such lines", () => {
    assert.ok(files.flatMap(loggedIn).length > 25);
  });

  for (const file of files) {
    const lines = loggedIn(file);
    if (lines.length === 0) continue;
    it(`has its Call-ID: ${file}`, () => {
      const without = lines.filter((line) => !namesCall(line, file) && !line.includes(OF_NO_CALL[file] ?? "\0"));
      assert.deepEqual(without, []);
    });
  }
});
