import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { type DistributorFile, MAX_DISTRIBUTOR_LENGTH, parseDistributorXml } from "./distributor-xml.ts";
import { ConfigError } from "./errors.ts";

/** UTF-8 takes up to 3 bytes for what JavaScript counts as one character. */
const MAX_BYTES = 3 * MAX_DISTRIBUTOR_LENGTH;

/**
 * Reads a `distributor.conf.xml`.
 *
 * @throws {ConfigError} when the file cannot be read, is too large, or is not what {@link parseDistributorXml} takes
 */
export function readDistributorFile(file: string): DistributorFile {
  return parseDistributorXml(readText(file), file);
}

function readText(file: string): string {
  let descriptor: number | undefined;
  try {
    // A pipe that nobody writes would hold everything up.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) throw problemWith(file, "this is no regular file, want FreeSWITCH's distributor.conf.xml");
    return new TextDecoder("utf-8", { fatal: true }).decode(readBounded(descriptor, file));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw problemWith(file, "there is no such file, want FreeSWITCH's distributor.conf.xml", cause);
    if (code === "EACCES") throw problemWith(file, "the file may not be read by this user, want it readable", cause);
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") throw problemWith(file, "the file is not UTF-8 text, want XML in UTF-8", cause);
    throw problemWith(file, `the file cannot be read: ${message}`, cause);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readBounded(descriptor: number, file: string): Uint8Array {
  const buffer = Buffer.alloc(Math.min(fstatSync(descriptor).size, MAX_BYTES) + 1);
  let length = 0;
  while (length < buffer.length) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (count === 0) return buffer.subarray(0, length);
    length += count;
  }
  throw problemWith(
    file,
    length > MAX_BYTES
      ? `the file has more than ${MAX_BYTES} bytes, want at most that many`
      : "the file grew while it was read, want it complete",
  );
}

function problemWith(file: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError([{ file, line: undefined, column: undefined, message }], { cause });
}
