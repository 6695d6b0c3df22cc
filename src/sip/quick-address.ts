import { MESSAGE_BYTES, MESSAGE_WORDS, wordOf } from "./message-bytes.ts";
import { BACKSLASH, CLASS, COMMA, CR, EQUALS, GREATER, LESS, PARAM_CHAR, QUOTE, SEMICOLON, SPACE, URI_CHAR } from "./text.ts";

const bytes = MESSAGE_BYTES;
const words = MESSAGE_WORDS;
const classes = CLASS;
const SIP = wordOf("sip:");
const TAG = wordOf(";tag");

/** Where {@link scanAddressQuickly} found the tag: `tagStart` is `tagEnd` when there is none. Reused from call to call. */
export class QuickAddress {
  tagStart = 0;
  tagEnd = 0;
}

/**
 * Reads a From or To in the bytes of the message as nearly all are: an optional name, a SIP URI in angle brackets, and at most one parameter, which is the tag.
 * What it takes is taken by `scanNameAddr`, too, which is to be asked about anything else.
 *
 * @returns the offset behind it, where a CR stands, or -1
 */
export function scanAddressQuickly(start: number, into: QuickAddress): number {
  let at = start;
  let code = bytes[at]!;
  if (code === QUOTE) {
    do code = bytes[++at]!;
    while (code >= SPACE && code !== QUOTE && code !== BACKSLASH);
    if (code !== QUOTE) return -1;
    code = bytes[++at]!;
    if (code === SPACE) code = bytes[++at]!;
    if (code !== LESS) return -1;
  } else {
    while (code !== LESS) {
      if (code < SPACE || code === SEMICOLON || code === COMMA || code === QUOTE) return -1;
      code = bytes[++at]!;
    }
  }
  if (words.getInt32(at + 1, true) !== SIP) return -1;
  at += 5;
  while ((classes[bytes[at]!]! & URI_CHAR) !== 0) at++;
  if (bytes[at] !== GREATER) return -1;
  at++;
  into.tagStart = at;
  into.tagEnd = at;
  if (bytes[at] === CR) return at;
  if (words.getInt32(at, true) !== TAG || bytes[at + 4] !== EQUALS) return -1;
  at += 5;
  into.tagStart = at;
  while ((classes[bytes[at]!]! & PARAM_CHAR) !== 0) at++;
  into.tagEnd = at;
  return at > into.tagStart && bytes[at] === CR ? at : -1;
}
