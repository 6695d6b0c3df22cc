import { closeSync } from "node:fs";

/**
 * Closes what a thread has opened by system calls, of which Node.js does not know.
 *
 * @param bits one for each descriptor; all are 0 afterwards
 */
export function closeLeft(bits: Int32Array): void {
  for (let word = 0; word < bits.length; word++) {
    for (let left = Atomics.exchange(bits, word, 0), bit = 0; left !== 0; left >>>= 1, bit++) {
      if ((left & 1) === 1) closeIfOpen(word * 32 + bit);
    }
  }
}

/** The thread may have ended between closing it and saying so. */
function closeIfOpen(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBADF") throw error;
  }
}
