/**
 * `headroom start` for as long as whoever started it is there: it ends with its standard input, so a process that is killed leaves no balancer behind.
 */
import { ensureMemorySettings } from "./cli/memory-settings.ts";

ensureMemorySettings(process); // first: it begins this file anew
for (const end of ["end", "error", "close"]) process.stdin.on(end, () => process.exit());
process.stdin.resume();
await import("./main.ts");
