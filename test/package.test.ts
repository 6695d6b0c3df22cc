import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";

const ROOT = resolve(import.meta.dirname, "..");

interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly gypfile?: boolean;
}

function textOf(name: string): string {
  return readFileSync(join(ROOT, name), "utf8");
}

const lockText = textOf("package-lock.json");
const { packages } = JSON.parse(lockText) as { packages: Record<string, LockEntry> };

describe("package-lock.json", () => {
  it("names no server to download from: every user's own registry serves it", () => {
    assert.doesNotMatch(lockText, /"resolved": "http/);
    assert.match(textOf(".npmrc"), /^omit-lockfile-registry-resolved=true$/m);
  });

  it("pins every package by version and checksum", () => {
    const entries = Object.entries(packages).filter(([path]) => path !== "");
    assert.ok(entries.length > 0);
    for (const [path, { version, integrity }] of entries) {
      assert.ok(version !== undefined, `${path} has no version`);
      assert.match(integrity ?? "", /^sha512-/, `${path} has no checksum`);
    }
  });

  // Without the entry npm takes its binding.gyp for a wish to compile, whatever allowScripts says. The package ships a binary that is ready.
  it("keeps npm from compiling better-sqlite3", () => {
    assert.equal(packages["node_modules/better-sqlite3"]?.gypfile, false);
  });

  it("agrees with package.json about what is wanted", () => {
    const manifest = JSON.parse(textOf("package.json")) as Record<string, unknown>;
    const root = packages[""] as Record<string, unknown>;
    for (const key of ["name", "version", "dependencies", "devDependencies", "engines"]) assert.deepEqual(root[key], manifest[key], key);
  });
});

describe("the package", () => {
  const { scripts, files, dependencies } = JSON.parse(textOf("package.json")) as {
    scripts: Record<string, string>;
    files: string[];
    dependencies: Record<string, string>;
  };

  it("has the page of the dashboard beside the compiled program, and the library that draws its charts", () => {
    assert.match(scripts["build"]!, /^tsc .* && node scripts\/copy-page\.ts$/);
    assert.ok(files.includes("dist"));
    assert.ok("uplot" in dependencies, "it is read when the program starts");
    const folder = mkdtempSync(join(tmpdir(), "headroom-dist-"));
    const page = join(folder, "src/dashboard/page");
    try {
      mkdirSync(page, { recursive: true });
      writeFileSync(join(page, "gone.js"), "");
      execFileSync(process.execPath, [join(ROOT, "scripts/copy-page.ts"), folder]);
      assert.deepEqual(readdirSync(page).sort(), readdirSync(join(ROOT, "src/dashboard/page")).sort());
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
