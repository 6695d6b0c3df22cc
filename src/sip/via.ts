import { quoted, SipSyntaxError } from "./errors.ts";
import { HostSpan, scanHost } from "./host.ts";
import { MAX_PORT } from "./limits.ts";
import { nextParam, ParamCursor, paramIs, paramValue } from "./params.ts";
import {
  CLOSE_BRACKET,
  COLON,
  COMMA,
  equalsIgnoreCase,
  isBlank,
  isClass,
  isDigit,
  listValueEnd,
  OPEN_BRACKET,
  SLASH,
  scanNumber,
  skipBlank,
  TOKEN_CHAR,
  trimEnd,
  unquote,
} from "./text.ts";

/** One Via value (RFC 3261 §20.42). */
export interface Via {
  /** In upper case, such as `UDP`. */
  readonly transport: string;
  /** In lower case; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** "" when there is none, as RFC 2543 elements send it. */
  readonly branch: string;
  /** Address without brackets; undefined when there is none. */
  readonly received: string | undefined;
  /** Filled-in rport (RFC 3581); undefined when it is absent or without a value. */
  readonly rport: number | undefined;
  /** True when there is an rport parameter, filled in or not. */
  readonly hasRport: boolean;
  /** `host:port` or `host` as it stands, brackets included, in lower case. */
  readonly sentBy: string;
  /** As they stand, with the first semicolon; "" when there are none. */
  readonly params: string;
}

/** A branch that begins so was made by an RFC 3261 element and is unique (§8.1.1.7). */
export const BRANCH_COOKIE = "z9hG4bK";

const hostSpan = /* @__PURE__ */ new HostSpan();
const cursor = /* @__PURE__ */ new ParamCursor();

/**
 * Decodes the Via value that starts at `start` and ends at `end` or at a comma: undefined when it is not well formed.
 * White space may stand around the slashes, the colon and the parameters, as in `SIP / 2.0 / UDP first.example.com: 4000;ttl=16`.
 */
export function decodeVia(text: string, start: number, end: number): Via | undefined {
  let at = start;
  let transport: string;
  if (text.startsWith("SIP/2.0/UDP ", start)) {
    transport = "UDP";
    at += 12;
  } else {
    if (!equalsIgnoreCase(text, at, at + 3, "sip")) return undefined;
    at = skipSlash(text, at + 3, end);
    if (at === -1 || !text.startsWith("2.0", at)) return undefined;
    at = skipSlash(text, at + 3, end);
    if (at === -1) return undefined;
    const transportStart = at;
    while (at < end && isClass(text, at, TOKEN_CHAR)) at++;
    if (at === transportStart || !isBlank(text.charCodeAt(at))) return undefined;
    transport = text.slice(transportStart, at).toUpperCase();
  }
  at = skipBlank(text, at, end);
  if (!scanHost(text, at, end, hostSpan)) return undefined;
  const sentByStart = at;
  const { hasUpper } = hostSpan;
  const host = lowered(text.slice(hostSpan.start, hostSpan.end), hasUpper);
  at = hostSpan.after;
  let sentByEnd = at;
  let port: number | undefined;
  let spaced = false;
  const colon = skipBlank(text, at, end);
  if (colon < end && text.charCodeAt(colon) === COLON) {
    const portStart = skipBlank(text, colon + 1, end);
    spaced = portStart !== at + 1;
    at = portStart;
    while (at < end && isDigit(text.charCodeAt(at))) at++;
    port = scanNumber(text, portStart, at, MAX_PORT);
    if (port <= 0) return undefined;
    sentByEnd = at;
  }
  const sentBy = spaced
    ? `${text.slice(sentByStart, hostSpan.after).toLowerCase()}:${port}`
    : lowered(text.slice(sentByStart, sentByEnd), hasUpper);
  return decodeParams(text, skipBlank(text, at, end), end, {
    transport,
    host,
    port,
    sentBy,
  });
}

function decodeParams(
  text: string,
  start: number,
  end: number,
  head: Pick<Via, "transport" | "host" | "port" | "sentBy">,
): Via | undefined {
  let branch: string | undefined;
  let received: string | undefined;
  let rport: number | undefined;
  let hasRport = false;
  cursor.start(start);
  while (nextParam(text, end, cursor)) {
    switch (cursor.nameEnd - cursor.nameStart) {
      case 5:
        if (hasRport || !paramIs(text, cursor, "rport")) break;
        hasRport = true;
        if (cursor.valueStart === -1) break;
        rport = scanNumber(text, cursor.valueStart, cursor.valueEnd, MAX_PORT);
        if (rport <= 0) return undefined;
        break;
      case 6:
        if (branch !== undefined || cursor.valueStart === -1 || !paramIs(text, cursor, "branch")) break;
        branch = text.slice(cursor.valueStart, cursor.valueEnd);
        break;
      case 8:
        if (received !== undefined || cursor.valueStart === -1 || !paramIs(text, cursor, "received")) break;
        received = withoutBrackets(unquote(text.slice(cursor.valueStart, cursor.valueEnd)));
        break;
    }
  }
  if (cursor.malformed) return undefined;
  return {
    transport: head.transport,
    host: head.host,
    port: head.port,
    branch: branch ?? "",
    received,
    rport,
    hasRport,
    sentBy: head.sentBy,
    params: text.slice(start, trimEnd(text, start, cursor.at)),
  };
}

function skipSlash(text: string, at: number, end: number): number {
  at = skipBlank(text, at, end);
  return at < end && text.charCodeAt(at) === SLASH ? skipBlank(text, at + 1, end) : -1;
}

function lowered(text: string, hasUpper: boolean): string {
  return hasUpper ? text.toLowerCase() : text;
}

/** Both spellings of an IPv6 address are in use here (RFC 5118 §4.5). */
function withoutBrackets(address: string): string {
  const wrapped = address.charCodeAt(0) === OPEN_BRACKET && address.charCodeAt(address.length - 1) === CLOSE_BRACKET;
  return wrapped ? address.slice(1, -1) : address;
}

/** Whether something that cannot be a Via stands behind a comma: it would be sent back in each answer (RFC 4475 §3.1.2.1). Empty values are passed over. */
export function hasStrayValue(text: string, start: number, end: number): boolean {
  const comma = text.indexOf(",", start);
  if (comma === -1 || comma >= end) return false;
  for (let at = listValueEnd(text, start, end) + 1; at < end; at = listValueEnd(text, at, end) + 1) {
    const first = skipBlank(text, at, end);
    if (first < end && text.charCodeAt(first) !== COMMA && !equalsIgnoreCase(text, first, first + 3, "sip")) return true;
  }
  return false;
}

/**
 * Parses one Via value.
 *
 * @throws {SipSyntaxError} when it is not well formed, or more than one value
 */
export function parseVia(text: string): Via {
  const end = trimEnd(text, 0, text.length);
  const via = decodeVia(text, skipBlank(text, 0, end), end);
  if (via === undefined || (cursor.at < end && text.charCodeAt(cursor.at) === COMMA)) {
    throw new SipSyntaxError(`Cannot parse Via ${quoted(text)}: want one value such as "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"`);
  }
  return via;
}

/** A Via parameter by its name, in any case: its value without quotes, "" for one without a value, undefined when there is none. */
export function viaParam(via: Via, name: string): string | undefined {
  return paramValue(via.params, name);
}
