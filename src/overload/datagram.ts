import { MAX_LINE_BYTES } from "../sip/index.ts";

/** What a datagram is, by its first line. All but the first two are junk: no answer can be made of it. */
export const DatagramKind = {
  Request: 0,
  Response: 1,
  /** Line ends alone: a keep-alive (RFC 5626 §3.5.1). */
  Empty: 2,
  /** Begins with a byte that no SIP message begins with: STUN, RTP, DTLS, noise. */
  Binary: 3,
  /** A first line that does not end with a SIP version. */
  Text: 4,
  /** No end of the first line, or none within the longest that is taken. */
  Endless: 5,
} as const;
export type DatagramKind = (typeof DatagramKind)[keyof typeof DatagramKind];

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const S = 83;
const UPPER = 0xdf;
const VERSION_LENGTH = 7;
const SLASH = 47;

/**
 * Looks at the first line of a datagram and at no more than that, so that what is no SIP costs neither a string nor a parser. It lets pass all that the parser
 * might answer, but for a request line beyond {@link MAX_LINE_BYTES}.
 *
 * @param start where the datagram begins, and `length` where it ends: it may stand among others
 */
export function datagramKind(bytes: Uint8Array, start = 0, length = bytes.length): DatagramKind {
  while (start < length && (bytes[start] === CR || bytes[start] === LF)) start++;
  if (start === length) return DatagramKind.Empty;
  const first = bytes[start]!;
  if (first <= SPACE || first > 126) return DatagramKind.Binary;
  if (isSipSlash(bytes, start, length)) return DatagramKind.Response;
  const limit = Math.min(length, start + MAX_LINE_BYTES + 2);
  let lf = start;
  while (lf < limit && bytes[lf] !== LF) lf++;
  if (lf === limit) return DatagramKind.Endless;
  let end = lf;
  while (end > start && (bytes[end - 1] === CR || bytes[end - 1] === SPACE || bytes[end - 1] === TAB)) end--;
  let version = end - VERSION_LENGTH;
  if (version <= start || bytes[version - 1] !== SPACE || !isSipSlash(bytes, version, length)) {
    version = end;
    while (version > start && bytes[version - 1] !== SPACE) version--;
    if (version === start || !isSipSlash(bytes, version, length)) return DatagramKind.Text;
  }
  return DatagramKind.Request;
}

/** Whether `SIP/` in any case stands there, within the datagram that ends at `length`. */
function isSipSlash(bytes: Uint8Array, at: number, length: number): boolean {
  if (at + 4 > length) return false;
  return (bytes[at]! & UPPER) === S && (bytes[at + 1]! & UPPER) === 73 && (bytes[at + 2]! & UPPER) === 80 && bytes[at + 3] === SLASH;
}
