import { quoted, SipSyntaxError } from "./errors.ts";
import { MAX_MAX_FORWARDS } from "./limits.ts";
import { scanNumber, skipBlank, trimEnd } from "./text.ts";

/**
 * Parses a Max-Forwards value: how many more hops a request may take, 0 to 255 (RFC 3261 §20.22).
 *
 * @throws {SipSyntaxError} when it is not such a number
 */
export function parseMaxForwards(text: string): number {
  const end = trimEnd(text, 0, text.length);
  const hops = scanNumber(text, skipBlank(text, 0, end), end, MAX_MAX_FORWARDS);
  if (hops === -1) throw new SipSyntaxError(`Cannot parse Max-Forwards ${quoted(text)}: want a number from 0 to ${MAX_MAX_FORWARDS}`);
  return hops;
}
