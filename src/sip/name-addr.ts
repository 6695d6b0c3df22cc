import type { NameAddr } from "./address.ts";
import { quoted, SipSyntaxError } from "./errors.ts";
import { nextParam, ParamCursor, paramIs, paramValue } from "./params.ts";
import { parseNameAddrQuickly } from "./quick-uri.ts";
import { COMMA, GREATER, isBlank, isClass, LESS, QUOTE, SEMICOLON, skipBlank, skipQuoted, trimEnd, URI_CHAR, unquote } from "./text.ts";
import { isUriText, schemeEnd } from "./uri.ts";

export type { NameAddr };

/** Where {@link scanNameAddr} found the parts. Reused from call to call; all are offsets. */
export class NameAddrSpan {
  nameStart = 0;
  nameEnd = 0;
  uriStart = 0;
  uriEnd = 0;
  paramsStart = 0;
  /** Value of the first `tag` parameter; -1 when there is none. */
  tagStart = -1;
  tagEnd = -1;
}

const cursor = /* @__PURE__ */ new ParamCursor();

/**
 * Finds the parts of one name-addr or addr-spec in `[start, end)`, which must be trimmed: false when it is not well formed.
 * Without angle brackets "all parameters after the URI are header parameters, not URI parameters" (RFC 3261 §20).
 */
export function scanNameAddr(text: string, start: number, end: number, span: NameAddrSpan): boolean {
  let at = start;
  span.nameStart = start;
  span.nameEnd = start;
  let bracketed = false;
  if (text.charCodeAt(at) === QUOTE) {
    at = skipQuoted(text, at, end);
    if (at === -1) return false;
    span.nameEnd = at;
    at = skipBlank(text, at, end);
    if (text.charCodeAt(at) !== LESS || at >= end) return false;
    bracketed = true;
  } else {
    for (; at < end; at++) {
      const code = text.charCodeAt(at);
      if (code === LESS) {
        bracketed = true;
        span.nameEnd = trimEnd(text, start, at);
        break;
      }
      if (code === SEMICOLON || code === COMMA || code === QUOTE) break;
    }
  }
  if (bracketed) {
    const uriStart = at + 1;
    at = uriStart;
    while (at < end && isClass(text, at, URI_CHAR)) at++;
    if (at >= end || text.charCodeAt(at) !== GREATER) return false;
    span.uriStart = uriStart;
    span.uriEnd = at;
    at++;
  } else {
    span.uriStart = start;
    span.uriEnd = trimEnd(text, start, at);
    if (!isUriText(text, start, span.uriEnd)) return false;
  }
  if (schemeEnd(text, span.uriStart, span.uriEnd) === -1) return false;
  return scanParams(text, skipBlank(text, at, end), end, span);
}

function scanParams(text: string, at: number, end: number, span: NameAddrSpan): boolean {
  span.paramsStart = at;
  span.tagStart = -1;
  span.tagEnd = -1;
  cursor.start(at);
  while (nextParam(text, end, cursor)) {
    if (span.tagStart !== -1 || !paramIs(text, cursor, "tag")) continue;
    span.tagStart = cursor.valueStart === -1 ? cursor.nameEnd : cursor.valueStart;
    span.tagEnd = cursor.valueStart === -1 ? cursor.nameEnd : cursor.valueEnd;
  }
  return cursor.at >= end && !cursor.malformed;
}

const parsed = /* @__PURE__ */ new NameAddrSpan();

/**
 * Parses one name-addr or addr-spec with its header parameters, such as `"A. Bell" <sip:bell@example.com>;tag=1`.
 *
 * @throws {SipSyntaxError} when it is not well formed; the `*` of a Contact is no name-addr either
 */
export function parseNameAddr(text: string): NameAddr {
  return parseNameAddrQuickly(text) ?? parseNameAddrGenerally(text);
}

/** {@link parseNameAddr} without its quick form: the two agree in everything, and this one takes all. */
export function parseNameAddrGenerally(text: string): NameAddr {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  end = trimEnd(text, start, end);
  if (!scanNameAddr(text, start, end, parsed)) {
    throw new SipSyntaxError(`Cannot parse address ${quoted(text)}: want a value such as "Bob" <sip:bob@example.com>;tag=1`);
  }
  return {
    displayName: unquote(text.slice(parsed.nameStart, parsed.nameEnd)),
    uri: text.slice(parsed.uriStart, parsed.uriEnd),
    params: text.slice(parsed.paramsStart, end),
  };
}

/** A header parameter by its name, in any case: its value without quotes, "" for one without a value, undefined when there is none. */
export function nameAddrParam(addr: NameAddr, name: string): string | undefined {
  return paramValue(addr.params, name);
}
