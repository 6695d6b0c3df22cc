import { quoted, SipSyntaxError } from "./errors.ts";
import { MAX_MESSAGE_BYTES } from "./limits.ts";
import { scanNumber, skipBlank, trimEnd } from "./text.ts";

/**
 * Parses a Content-Length value: the size of the body in bytes (RFC 3261 §20.14).
 *
 * @throws {SipSyntaxError} when it is not a number, or larger than any message taken
 */
export function parseContentLength(text: string): number {
  const end = trimEnd(text, 0, text.length);
  const bytes = scanNumber(text, skipBlank(text, 0, end), end, MAX_MESSAGE_BYTES);
  if (bytes === -1) throw new SipSyntaxError(`Cannot parse Content-Length ${quoted(text)}: want a number from 0 to ${MAX_MESSAGE_BYTES}`);
  return bytes;
}
