/** Puts the files of the dashboard's page beside what was compiled: they are for browsers and run as they are. Part of `npm run build`. */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const PAGE = "src/dashboard/page";

rmSync(join(ROOT, "dist", PAGE), { recursive: true, force: true });
cpSync(join(ROOT, PAGE), join(ROOT, "dist", PAGE), { recursive: true });
