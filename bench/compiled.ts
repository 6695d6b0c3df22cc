import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onProcessExit } from "../test/support/cleanup.ts";

const ROOT = resolve(import.meta.dirname, "..");

/** The program as it is published, in a folder of its own. */
export function compiled(): { main: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "headroom-bench-"));
  const clear = (): void => rmSync(folder, { recursive: true, force: true });
  const forget = onProcessExit(clear);
  execFileSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json", "--outDir", folder], { cwd: ROOT });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  copyFileSync(join(ROOT, "package.json"), join(folder, "package.json"));
  return {
    main: join(folder, "src/main.js"),
    remove() {
      clear();
      forget();
    },
  };
}
