import { quoted, SipSyntaxError } from "./errors.ts";
import { MAX_DELTA_SECONDS } from "./limits.ts";
import { isDigit, scanNumber, skipBlank } from "./text.ts";

/**
 * Parses a Retry-After value such as `120`, `18000;duration=3600` or `120 (in a meeting)`: seconds until the sender may be asked again
 * (RFC 3261 §20.33). The comment and the parameters are passed over. A number larger than 2**32-1 is that number: whoever writes one wants
 * to be left alone for very long, not to be asked at once.
 *
 * @throws {SipSyntaxError} when it does not begin with a number of seconds
 */
export function parseRetryAfter(text: string): number {
  const start = skipBlank(text, 0, text.length);
  let end = start;
  while (end < text.length && isDigit(text.charCodeAt(end))) end++;
  const next = text.charAt(skipBlank(text, end, text.length));
  if (end === start || (next !== "" && next !== ";" && next !== "(")) {
    throw new SipSyntaxError(`Cannot parse Retry-After ${quoted(text)}: want seconds from 0, such as "120"`);
  }
  const seconds = scanNumber(text, start, end, MAX_DELTA_SECONDS);
  return seconds === -1 ? MAX_DELTA_SECONDS : seconds;
}
