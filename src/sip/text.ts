/**
 * Character-level scanning that all the header decoders share. Text is latin1: one character is one byte.
 * Ranges are `[start, end)` offsets, so that nothing is copied before it is asked for.
 */
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const SLASH = 0x2f;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const LESS = 0x3c;
export const EQUALS = 0x3d;
export const GREATER = 0x3e;
export const QUESTION = 0x3f;
export const AT = 0x40;
export const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

export { CLOSE_BRACKET, OPEN_BRACKET };

/** In {@link CLASS}: may stand in a token (RFC 3261 §25.1): alphanum and `-.!%*_+`'~`. */
export const TOKEN_CHAR = 1;
/** In {@link CLASS}: may stand in a URI; all but white space, control characters, double quotes and angle brackets. */
export const URI_CHAR = 2;
/** In {@link CLASS}: may stand in the name, or in a value without quotes, of a parameter; as in a URI, but no comma, semicolon or equals sign. */
export const PARAM_CHAR = 4;

/** In {@link CLASS}: a comma, a double quote or an opening angle bracket, the three that matter when a list is split. */
export const LIST_CHAR = 8;
/** In {@link CLASS}: may stand in a host name or IPv4 address that is in small letters. */
export const HOST_CHAR = 16;

/** What each byte may be part of: one look instead of several comparisons. Bytes above 0x7e are UTF-8, and let through as RFC 3261 §7 asks. */
export const CLASS = /* @__PURE__ */ classTable();

function classTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (let code = SPACE + 1; code < 256; code++) {
    const char = String.fromCharCode(code);
    if (code === 0x7f || '"<>'.includes(char)) continue;
    table[code] = ",;=".includes(char) ? URI_CHAR : URI_CHAR | PARAM_CHAR;
  }
  for (const char of "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-.!%*_+`'~") table[char.charCodeAt(0)]! |= TOKEN_CHAR;
  for (const char of "0123456789abcdefghijklmnopqrstuvwxyz.-_") table[char.charCodeAt(0)]! |= HOST_CHAR;
  for (const char of ',"<') table[char.charCodeAt(0)]! |= LIST_CHAR;
  return table;
}

/** True when the character at `at` has this bit in {@link CLASS}; false behind the end of the text. */
export function isClass(text: string, at: number, bit: number): boolean {
  return (CLASS[text.charCodeAt(at)]! & bit) !== 0;
}

/** Space, tab, or the CR and LF that a folded header still has inside. */
export function isBlank(code: number): boolean {
  return code <= SPACE && (code === SPACE || code === TAB || code === CR || code === LF);
}

export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Offset of the first character at or after `at` that is not white space. */
export function skipBlank(text: string, at: number, end: number): number {
  while (at < end && isBlank(text.charCodeAt(at))) at++;
  return at;
}

/** Offset after the last character before `end` that is not white space. */
export function trimEnd(text: string, start: number, end: number): number {
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return end;
}

/** True when the range is one or more token characters and nothing else. */
export function isToken(text: string, start = 0, end = text.length): boolean {
  if (start >= end) return false;
  for (let at = start; at < end; at++) if (!isClass(text, at, TOKEN_CHAR)) return false;
  return true;
}

/** True when `text` cannot stand in one line of a message: it has a CR, an LF or a NUL. */
export function hasLineEnd(text: string): boolean {
  return text.includes("\n") || text.includes("\r") || text.includes("\0");
}

/** Compares a range with `lower`, which has letters in lower case only; ASCII case does not matter. */
export function equalsIgnoreCase(text: string, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let at = 0; at < lower.length; at++) {
    let code = text.charCodeAt(start + at);
    if (code >= 0x41 && code <= 0x5a) code |= 0x20;
    if (code !== lower.charCodeAt(at)) return false;
  }
  return true;
}

/** The non-negative number that a range of digits spells, or -1 when it is empty, has anything else in it, or is above `max`. */
export function scanNumber(text: string, start: number, end: number, max: number): number {
  if (start >= end) return -1;
  let number = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (!isDigit(code)) return -1;
    number = number * 10 + (code - 0x30);
    if (number > max) return -1;
  }
  return number;
}

/** `open` stands on a double quote; answers the offset after its partner, a backslash hiding the character behind it, or -1 when there is none. */
export function skipQuoted(text: string, open: number, end: number): number {
  for (let at = open + 1; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) at++;
  }
  return -1;
}

/** What a quoted-string stands for: without its quotes and with each `\x` as `x`. `text` without quotes comes back as it is. */
export function unquote(text: string): string {
  if (text.length < 2 || text.charCodeAt(0) !== QUOTE || text.charCodeAt(text.length - 1) !== QUOTE) return text;
  let from = 1;
  const end = text.length - 1;
  let at = text.indexOf("\\", from);
  if (at === -1 || at >= end) return text.slice(from, end);
  let out = "";
  while (at !== -1 && at < end - 1) {
    out += text.slice(from, at);
    from = at + 1;
    at = text.indexOf("\\", from + 1);
  }
  return out + text.slice(from, end);
}

/** End of the list value that starts at `start`: the first comma outside quotes and angle brackets, or `end` (RFC 3261 §7.3.1). */
export function listValueEnd(text: string, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    if (!isClass(text, at, LIST_CHAR)) continue;
    const code = text.charCodeAt(at);
    if (code === COMMA) return at;
    if (code === QUOTE) {
      const after = skipQuoted(text, at, end);
      if (after === -1) return end;
      at = after - 1;
    } else {
      const close = text.indexOf(">", at);
      if (close === -1 || close >= end) return end;
      at = close;
    }
  }
  return end;
}

/** Adds each value of a comma-separated list to `into`, trimmed; empty ones are passed over. */
export function splitList(text: string, into: string[]): string[] {
  const end = text.length;
  if (!text.includes(",")) {
    const start = skipBlank(text, 0, end);
    if (start < end) into.push(text.slice(start, trimEnd(text, start, end)));
    return into;
  }
  for (let at = 0; at < end; ) {
    const stop = listValueEnd(text, at, end);
    const start = skipBlank(text, at, stop);
    if (start < stop) into.push(text.slice(start, trimEnd(text, start, stop)));
    at = stop + 1;
  }
  return into;
}

/** A folded value on one line: each line end with the white space around it becomes one space (RFC 3261 §7.3.1). */
export function unfold(text: string): string {
  let lf = text.indexOf("\n");
  if (lf === -1) return text;
  let out = "";
  let from = 0;
  while (lf !== -1) {
    out += `${text.slice(from, trimEnd(text, from, lf))} `;
    from = skipBlank(text, lf, text.length);
    lf = text.indexOf("\n", from);
  }
  return out + text.slice(from);
}
