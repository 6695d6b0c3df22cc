/**
 * Loaded into a program before its own modules (`node --import`): shifts its wall clock by what a file says, in milliseconds, read at the start and at each
 * SIGUSR1. The file is named by what stands behind the name of this module: `clock-shift.ts?file=NAME`. Monotonic clocks (`performance.now()`, timers) go on as they are, as they do when somebody sets the time.
 */
import { readFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const file = new URL(import.meta.url).searchParams.get("file");
const RealDate = Date;
let shiftMs = 0;

function read(): void {
  try {
    const number = Number(readFileSync(file ?? "", "utf8"));
    shiftMs = Number.isFinite(number) ? number : 0;
  } catch {
    shiftMs = 0; // nobody has shifted it yet
  }
}

class ShiftedDate extends RealDate {
  constructor(...parts: [] | [number | string | Date]) {
    if (parts.length === 0) super(RealDate.now() + shiftMs);
    else super(...parts);
  }

  static override now(): number {
    return RealDate.now() + shiftMs;
  }
}

if (file !== null) {
  read();
  globalThis.Date = ShiftedDate as DateConstructor;
  if (isMainThread) process.on("SIGUSR1", read);
}
