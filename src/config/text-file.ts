import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { ConfigError } from "./errors.ts";

/**
 * Reads a text file in UTF-8.
 *
 * @param wanted what the file is to be, for the messages
 * @throws {ConfigError} when it cannot be read, is no regular file or is too large
 */
export function readTextFile(file: string, wanted: string, maxBytes: number): string {
  let descriptor: number | undefined;
  try {
    // A pipe that nobody writes would hold everything up.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) throw problemWith(file, `this is no regular file, want ${wanted}`);
    return new TextDecoder("utf-8", { fatal: true }).decode(readBounded(descriptor, file, maxBytes));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw problemWith(file, `there is no such file, want ${wanted}`, cause);
    if (code === "EACCES") throw problemWith(file, "the file may not be read by this user, want it readable", cause);
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") throw problemWith(file, "the file is not UTF-8 text, want it in UTF-8", cause);
    throw problemWith(file, `the file cannot be read: ${message}`, cause);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readBounded(descriptor: number, file: string, maxBytes: number): Uint8Array {
  const { size } = fstatSync(descriptor);
  if (size > maxBytes) throw tooLarge(file, maxBytes);
  const buffer = Buffer.alloc(size + 1);
  let length = 0;
  while (length < buffer.length) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (count === 0) return buffer.subarray(0, length);
    length += count;
  }
  if (length > maxBytes) throw tooLarge(file, maxBytes);
  throw problemWith(file, "the file grew while it was read, want it complete");
}

function tooLarge(file: string, maxBytes: number): ConfigError {
  return problemWith(file, `the file has more than ${maxBytes} bytes, want at most that many`);
}

function problemWith(file: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError([{ file, line: undefined, column: undefined, message }], { cause });
}
