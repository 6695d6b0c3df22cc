import { MAX_HOST_BYTES } from "./limits.ts";
import { CLOSE_BRACKET, COLON, isDigit, OPEN_BRACKET } from "./text.ts";

/** Longest text of an IPv6 address: eight groups of four, or six and an IPv4 address. */
const MAX_IPV6_CHARACTERS = 45;

const DOT = 0x2e;
const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;

/**
 * Where {@link scanHost} found a host. Reused from call to call.
 * `start`, `end` are without the brackets of an IPv6 reference; `after` is behind them.
 */
export class HostSpan {
  start = 0;
  end = 0;
  after = 0;
  /** True when a letter is in upper case. */
  hasUpper = false;
}

function isHex(code: number): boolean {
  return isDigit(code) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66);
}

/**
 * Finds the host that starts at `at` (RFC 3261 §25.1 host): a name, an IPv4 address, or an IPv6 address in brackets. False when there is none.
 * Underscores are let through, as names with them are in use; an address is not checked group by group (RFC 5118 §4.10 asks to be liberal).
 */
export function scanHost(text: string, at: number, end: number, span: HostSpan): boolean {
  span.hasUpper = false;
  if (text.charCodeAt(at) === OPEN_BRACKET) return scanIpv6Reference(text, at, end, span);
  span.start = at;
  for (; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x61 && code <= 0x7a) continue;
    if (isDigit(code) || code === DOT || code === HYPHEN || code === UNDERSCORE) continue;
    if (code < 0x41 || code > 0x5a) break;
    span.hasUpper = true;
  }
  span.end = at;
  span.after = at;
  const first = text.charCodeAt(span.start);
  return at > span.start && at - span.start <= MAX_HOST_BYTES && first !== DOT && first !== HYPHEN;
}

function scanIpv6Reference(text: string, open: number, end: number, span: HostSpan): boolean {
  let colons = 0;
  let at = open + 1;
  for (; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === CLOSE_BRACKET) break;
    if (code === COLON) colons++;
    else if (!isHex(code) && code !== DOT) return false;
    if (code >= 0x41 && code <= 0x46) span.hasUpper = true;
  }
  span.start = open + 1;
  span.end = at;
  span.after = at + 1;
  return at < end && colons >= 2 && at - open - 1 <= MAX_IPV6_CHARACTERS;
}

/** `host` as it stands in a URI or a Via: an IPv6 address gets its brackets. */
export function bracketHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
