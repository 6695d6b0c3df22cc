const FIRST_BEYOND_ASCII = 0x80;
/** The replacement of a line break or another control character in a value: what unfolding puts there too (RFC 3261 §7.3.1). */
const SPACE = " ";

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

/**
 * The text that the bytes of a SIP message mean: SIP is UTF-8 (RFC 3261 §7), messages are held as one character a byte.
 * Bytes that are no UTF-8 are given as they stand (ISO 8859-1).
 */
export function decodeText(bytes: string): string {
  if (isAscii(bytes)) return bytes;
  const octets = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) octets[i] = bytes.charCodeAt(i);
  try {
    return strictUtf8.decode(octets);
  } catch {
    return bytes;
  }
}

/** The bytes of a text in UTF-8, one character a byte: the inverse of `decodeText`. */
export function encodeText(text: string): string {
  if (isAscii(text)) return text;
  let bytes = "";
  for (const octet of utf8.encode(text)) bytes += String.fromCharCode(octet);
  return bytes;
}

/** A header value or reason phrase as it may go on the wire: encoded, and on one line whatever the script put in. */
export function encodeLine(text: string): string {
  let line = "";
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (!isControl(text.charCodeAt(i))) continue;
    line += text.slice(start, i) + SPACE;
    start = i + 1;
  }
  return encodeText(start === 0 ? text : line + text.slice(start)).trim();
}

/** Whether a text holds spaces or control characters, which no URI may (RFC 3261 §25.1). */
export function holdsSpaceOrControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f) return true;
  }
  return false;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) >= FIRST_BEYOND_ASCII) return false;
  }
  return true;
}

/** Tab aside, which a header value may hold. */
function isControl(code: number): boolean {
  return (code < 0x20 && code !== 0x09) || code === 0x7f;
}
