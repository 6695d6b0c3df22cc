import { closeSync, fchmodSync, fstatSync, openSync, writeFileSync } from "node:fs";
import { ImportError } from "./destination-file.ts";

/** Read and written by its owner alone. */
const OWNER_ONLY = 0o600;

/**
 * Writes a file that nobody else may read: it may hold passwords.
 *
 * @param replaces whether one that is there already may be replaced
 * @throws {ImportError} when it cannot be written
 */
export function writeNewFile(file: string, text: string, replaces: boolean): void {
  try {
    const descriptor = openSync(file, replaces ? "w" : "wx", OWNER_ONLY);
    try {
      // One that was there before has the rights that it had. A pipe or a device is none of ours.
      if (fstatSync(descriptor).isFile()) fchmodSync(descriptor, OWNER_ONLY);
      writeFileSync(descriptor, text);
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === "EEXIST";
    const reason = isThere ? "it is there already, want another name or --force" : (cause as Error).message;
    throw new ImportError([`Cannot write ${file}: ${reason}`], { cause });
  }
}
