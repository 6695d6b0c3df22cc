import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";

const DOC = readFileSync("docs/conformance.md", "utf8");

describe("docs/conformance.md", () => {
  const named = [...DOC.matchAll(/`(test\/[^`]+\.test\.ts)` "([^"]+)"/g)].map(([, file = "", name = ""]) => ({ file, name }));

  it("names a test for each line of RFC 3261 §16", () => {
    const lines = DOC.split("\n").filter((line) => line.startsWith("| §16."));
    assert.ok(lines.length > 40, `${lines.length} lines`);
    for (const line of lines) assert.match(line, /`test\/[^`]+\.test\.ts` "[^"]+"/, line);
  });

  it("names tests that there are", () => {
    assert.ok(named.length > 50, `${named.length} tests`);
    for (const { file, name } of named) {
      assert.ok(existsSync(file), `there is ${file}`);
      const text = readFileSync(file, "utf8");
      assert.ok(text.includes(`it("${name}"`) || text.includes(`it(\`${name}\``), `${file} has a test "${name}"`);
    }
  });
});
