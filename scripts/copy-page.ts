/**
 * Puts the files of the dashboard's page beside what was compiled: they are for browsers and run as they are. Part of `npm run build`.
 * `node scripts/copy-page.ts [FOLDER]`, which is `dist` unless it is told.
 */
import { cpSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const PAGE = "src/dashboard/page";

const target = join(resolve(ROOT, process.argv[2] ?? "dist"), PAGE);
rmSync(target, { recursive: true, force: true }); // what is in the sources no more must not be served
cpSync(join(ROOT, PAGE), target, { recursive: true });
