import assert from "node:assert/strict";

/** Most that one message may take, all included that follows from it at once. */
export const MAX_MS = 10;
/** The collector of garbage and the compiler take their time within some message, but not within the same one again and again. */
const ATTEMPTS = 20;

/** Milliseconds of the processor, of this thread alone: what other programs of the machine do is not in it. */
export function processorMs(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}

/** Keeps the longest time, and looks closer at each that is over {@link MAX_MS}. */
export class Slowest {
  /** As it was measured the first time. */
  ms = 0;
  /** How many took longer than {@link MAX_MS} once, and then no more. */
  lookedAt = 0;

  /**
   * @param again does the same from the beginning and answers its milliseconds
   * @throws AssertionError when it takes too long every time
   */
  note(ms: number, again: () => number, where: () => string): void {
    this.ms = Math.max(this.ms, ms);
    if (ms <= MAX_MS) return;
    this.lookedAt++;
    let least = ms;
    for (let i = 0; i < ATTEMPTS && least > MAX_MS; i++) least = Math.min(least, again());
    assert.ok(least <= MAX_MS, `it takes ${least.toFixed(1)} ms; ${where()}`);
  }
}
