import { COMMA, LESS, QUOTE, SEMICOLON, SPACE } from "./text.ts";

const LETTER_R = 0x72;
/** As a bit, it tells a small letter from a capital one. */
const SMALL = 0x20;

/** {@link endOfRport}: the Via has no `rport`, and no `received`. */
export const NO_RPORT = -1;
/** {@link endOfRport}: the Via has something that must be read in full. */
export const UNUSUAL_VIA = -2;

/**
 * Where the value of `rport` goes in the text of a Via: behind the parameter of that name, which has none yet. {@link NO_RPORT}, or {@link UNUSUAL_VIA} when there
 * are several values, quotes, white space among the parameters, line ends, a `received`, or a `rport` with a value or in another spelling.
 */
export function endOfRport(raw: string, start: number, end: number): number {
  let found = NO_RPORT;
  let hasParams = false;
  for (let at = start; at < end; at++) {
    const code = raw.charCodeAt(at);
    if (code === SEMICOLON) {
      hasParams = true;
      if ((raw.charCodeAt(at + 1) | SMALL) !== LETTER_R) continue;
      const after = at + ";rport".length;
      if (found !== NO_RPORT || after > end || !raw.startsWith(";rport", at)) return UNUSUAL_VIA;
      if (after < end && raw.charCodeAt(after) !== SEMICOLON) return UNUSUAL_VIA;
      found = after;
    } else if (code === COMMA || code === QUOTE || code === LESS || code < SPACE || (hasParams && code === SPACE)) return UNUSUAL_VIA;
  }
  return found;
}
