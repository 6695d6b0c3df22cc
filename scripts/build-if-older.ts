/**
 * Compiles the program when a source is newer than what was compiled of it, or nothing was: `npm ci` and `npm start` do so. Sources run as they are, too
 * (`node src/main.ts`), but the compiler of types that Node.js has for that stays in memory, 27 MB. With `--where-possible`, as `npm ci` has it, an installation
 * without what only developers need is let be.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, statSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const SOURCES = ["src", "migrations", "tsconfig.json", "tsconfig.build.json", "package.json", "package-lock.json"];
/** Written last, by the program that compiles. */
const COMPILED = join(ROOT, "dist", "compiled.tsbuildinfo");

function changedMs(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, changedMs(join(path, name))), found.mtimeMs);
}

const isWanted = !process.argv.includes("--where-possible") || changedMs(join(ROOT, "node_modules/typescript")) > 0;
const isOlder = changedMs(COMPILED) < Math.max(...SOURCES.map((source) => changedMs(join(ROOT, source))));
// In an installed package there are no sources.
if (isWanted && isOlder && changedMs(join(ROOT, "src")) > 0) {
  const begunAt = new Date();
  const { status, error } = spawnSync("npm", ["run", "--silent", "build"], { cwd: ROOT, stdio: "inherit" });
  if (status !== 0) {
    process.stderr.write(
      `Cannot compile ${dirname(COMPILED)}${error === undefined ? "" : ` (${error.message})`}: want TypeScript, which "npm ci" installs unless it is told --omit=dev\n`,
    );
    process.exitCode = 1;
  } else utimesSync(COMPILED, begunAt, begunAt); // the compiler leaves it alone where only times are new
}
