import { CLASS, COMMA, CR, GREATER, LESS, PARAM_CHAR, QUOTE, SEMICOLON, SPACE, URI_CHAR } from "./text.ts";

const BACKSLASH = 0x5c;

/** Where {@link scanAddressQuickly} found the tag: `tagStart` is `tagEnd` when there is none. Reused from call to call. */
export class QuickAddress {
  tagStart = 0;
  tagEnd = 0;
}

/**
 * Reads a From or To as nearly all are: an optional name, a SIP URI in angle brackets, and at most one parameter, which is the tag. What it takes is taken by
 * `scanNameAddr`, too, which is to be asked about anything else.
 *
 * @returns the offset behind it, where a CR stands, or -1
 */
export function scanAddressQuickly(raw: string, start: number, into: QuickAddress): number {
  const { length } = raw;
  let at = start;
  let code = raw.charCodeAt(at);
  if (code === QUOTE) {
    do code = raw.charCodeAt(++at);
    while (code >= SPACE && code !== QUOTE && code !== BACKSLASH);
    if (code !== QUOTE) return -1;
    code = raw.charCodeAt(++at);
    if (code === SPACE) code = raw.charCodeAt(++at);
    if (code !== LESS) return -1;
  } else {
    while (code !== LESS) {
      // A character that is not there is no number, and no more than a space.
      if (!(code >= SPACE) || code === SEMICOLON || code === COMMA || code === QUOTE) return -1;
      code = raw.charCodeAt(++at);
    }
  }
  if (!raw.startsWith("sip:", at + 1)) return -1;
  at += 5;
  while (at < length && (CLASS[raw.charCodeAt(at)]! & URI_CHAR) !== 0) at++;
  if (raw.charCodeAt(at) !== GREATER) return -1;
  at++;
  into.tagStart = at;
  into.tagEnd = at;
  if (raw.charCodeAt(at) === CR) return at;
  if (!raw.startsWith(";tag=", at)) return -1;
  at += 5;
  into.tagStart = at;
  while (at < length && (CLASS[raw.charCodeAt(at)]! & PARAM_CHAR) !== 0) at++;
  into.tagEnd = at;
  return at > into.tagStart && raw.charCodeAt(at) === CR ? at : -1;
}
