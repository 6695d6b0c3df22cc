import { quoted, SipSyntaxError } from "./errors.ts";
import { MAX_CSEQ } from "./limits.ts";
import { isDigit, isToken, scanNumber, skipBlank, trimEnd } from "./text.ts";

/** CSeq (RFC 3261 §20.16). */
export interface CSeq {
  readonly number: number;
  readonly method: string;
}

/** Where {@link scanCSeq} found the parts. Reused from call to call. */
export class CSeqSpan {
  number = 0;
  methodStart = 0;
  methodEnd = 0;
}

/** Finds the parts of the CSeq in `[start, end)`, which must be trimmed: false when it is not well formed or its number too large. */
export function scanCSeq(text: string, start: number, end: number, span: CSeqSpan): boolean {
  let at = start;
  while (at < end && isDigit(text.charCodeAt(at))) at++;
  span.number = scanNumber(text, start, at, MAX_CSEQ);
  span.methodStart = skipBlank(text, at, end);
  span.methodEnd = end;
  return span.number !== -1 && span.methodStart > at && isToken(text, span.methodStart, end);
}

const parsed = /* @__PURE__ */ new CSeqSpan();

/**
 * Parses a CSeq value such as `4711 INVITE`.
 *
 * @throws {SipSyntaxError} when it is not a number and a method, or the number is 2**31 or more
 */
export function parseCSeq(text: string): CSeq {
  const end = trimEnd(text, 0, text.length);
  if (!scanCSeq(text, skipBlank(text, 0, end), end, parsed)) {
    throw new SipSyntaxError(`Cannot parse CSeq ${quoted(text)}: want a number up to ${MAX_CSEQ} and a method, such as "1 INVITE"`);
  }
  return { number: parsed.number, method: text.slice(parsed.methodStart, parsed.methodEnd) };
}
