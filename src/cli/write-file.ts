import { closeSync, openSync, writeSync } from "node:fs";
import { ImportError } from "./destination-file.ts";

/**
 * Writes a file that nobody else may read: it may hold passwords.
 *
 * @param replaces whether one that is there already may be replaced
 * @throws {ImportError} when it cannot be written
 */
export function writeNewFile(file: string, text: string, replaces: boolean): void {
  try {
    const descriptor = openSync(file, replaces ? "w" : "wx", 0o600);
    try {
      writeSync(descriptor, text);
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === "EEXIST";
    const reason = isThere ? "it is there already, want another name or --force" : (cause as Error).message;
    throw new ImportError([`Cannot write ${file}: ${reason}`], { cause });
  }
}
