import { quoted, SipSyntaxError } from "./errors.ts";
import { MAX_DELTA_SECONDS } from "./limits.ts";
import { scanNumber, skipBlank, trimEnd } from "./text.ts";

/**
 * Parses an Expires or Min-Expires value: seconds from now (RFC 3261 §20.19, §20.23).
 *
 * @throws {SipSyntaxError} when it is not a number of seconds
 */
export function parseExpires(text: string): number {
  const end = trimEnd(text, 0, text.length);
  const seconds = scanNumber(text, skipBlank(text, 0, end), end, MAX_DELTA_SECONDS);
  if (seconds === -1) throw new SipSyntaxError(`Cannot parse Expires ${quoted(text)}: want seconds from 0 to ${MAX_DELTA_SECONDS}`);
  return seconds;
}
