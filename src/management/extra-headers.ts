import { invalidParams } from "./jsonrpc.ts";
import { MAX_EXTRA_HEADERS, MAX_EXTRA_HEADERS_LENGTH } from "./limits.ts";

/** Headers that make the request what it is (RFC 3261 §8.1.1, §12.2.1.1, §20.14) and their compact forms: a second one would spoil it. */
const RESERVED = new Set(
  "via v from f to t call-id i cseq max-forwards route record-route contact m content-length l content-type c content-encoding e".split(
    " ",
  ),
);
/** A header name is a token (RFC 3261 §25.1). */
const HEADER_LINE = /^([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*:[ \t]*([^\0-\x08\x0a-\x1f\x7f]*)$/;

/**
 * Reads header lines that a client wants in a request of ours.
 *
 * @param text lines that end with CRLF or LF, the last one perhaps without
 * @throws MiError -32602 that names the line
 */
export function readExtraHeaders(text: string): readonly (readonly [string, string])[] {
  if (text.length > MAX_EXTRA_HEADERS_LENGTH) {
    throw invalidParams(`Cannot add extra_hdrs of ${text.length} characters: at most ${MAX_EXTRA_HEADERS_LENGTH} are accepted`);
  }
  const lines = text.split(/\r?\n/).filter((line) => line !== "");
  if (lines.length > MAX_EXTRA_HEADERS)
    throw invalidParams(`Cannot add ${lines.length} extra_hdrs: at most ${MAX_EXTRA_HEADERS} are accepted`);
  return lines.map((line) => {
    const [, name, value] = HEADER_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw invalidParams(`Cannot add extra_hdrs line "${line}": want a header such as "Reason: Q.850;cause=16"`);
    if (RESERVED.has(name.toLowerCase())) throw invalidParams(`Cannot add extra_hdrs line "${line}": ${name} is set by the dialog`);
    return [name, value.trimEnd()] as const;
  });
}
