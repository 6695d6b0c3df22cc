/**
 * Kamailio's hash over one or two texts (`ds_get_hash`): words of four bytes, their sum folded. Bytes from 0x80 count as negative numbers, as its
 * `char` is signed on the machines that Debian's package is for.
 *
 * @param first,second one character a byte
 * @returns 1 to 2**32 - 1
 */
export function kamailioHash(first: string, second = ""): number {
  const sum = (wordsOf(first) + wordsOf(second)) | 0;
  const hash = (sum + (sum >>> 11) + (sum >>> 13) + (sum >>> 23)) >>> 0;
  return hash === 0 ? 1 : hash;
}

/** Sum of the words of a text, modulo 2**32. */
function wordsOf(text: string): number {
  const { length } = text;
  const whole = length - (length % 4);
  let sum = 0;
  for (let at = 0; at < whole; at += 4) {
    const word = ((byteAt(text, at) << 24) + (byteAt(text, at + 1) << 16) + (byteAt(text, at + 2) << 8) + byteAt(text, at + 3)) | 0;
    sum = (sum + (word ^ (word >>> 3))) | 0;
  }
  let rest = 0;
  for (let at = whole; at < length; at++) rest = ((rest << 8) + byteAt(text, at)) | 0;
  return (sum + (rest ^ (rest >>> 3))) | 0;
}

function byteAt(text: string, at: number): number {
  return (text.charCodeAt(at) << 24) >> 24;
}

/** Spreads the bits of a 32-bit number over all of them: two that differ in one bit end far apart (finalizer of MurmurHash3, public domain). */
export function mix(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** A hash of 32 bits over one or two texts, one that spreads alike texts, as Kamailio's does not (FNV-1a, then {@link mix}). */
export function textHash(first: string, second = ""): number {
  return mix(fnv(second, fnv(first, 0x811c9dc5)));
}

function fnv(text: string, start: number): number {
  let hash = start;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return Math.imul(hash, 0x01000193); // "ab" and "c" are not "a" and "bc"
}

/** What Kamailio hashes of a URI: the user, and host and port as they stand in it. */
export interface UriKey {
  /** Without password; "" when there is none. */
  readonly user: string;
  /** In the URI's own spelling, an IPv6 address with its brackets; behind it `:port` when the URI names one other than 5060, for `sips` 5061. */
  readonly host: string;
}
