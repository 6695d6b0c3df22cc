import { quoted, SipSyntaxError } from "./errors.ts";
import { MAX_MAX_BREADTH } from "./limits.ts";
import { scanNumber, skipBlank, trimEnd } from "./text.ts";

/**
 * Parses a Max-Breadth value: how many branches of a request may be under way at a time (RFC 5393 §5.2).
 *
 * @throws {SipSyntaxError} when it is not a number from 0 to {@link MAX_MAX_BREADTH}
 */
export function parseMaxBreadth(text: string): number {
  const end = trimEnd(text, 0, text.length);
  const branches = scanNumber(text, skipBlank(text, 0, end), end, MAX_MAX_BREADTH);
  if (branches === -1) throw new SipSyntaxError(`Cannot parse Max-Breadth ${quoted(text)}: want a number from 0 to ${MAX_MAX_BREADTH}`);
  return branches;
}
