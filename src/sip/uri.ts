import type { SipUri } from "./address.ts";
import { quoted, SipSyntaxError } from "./errors.ts";
import { HostSpan, scanHost } from "./host.ts";
import { MAX_PORT } from "./limits.ts";
import { paramValue } from "./params.ts";
import { parseUriQuickly } from "./quick-uri.ts";
import { COLON, equalsIgnoreCase, isClass, QUESTION, SEMICOLON, scanNumber, URI_CHAR } from "./text.ts";

export type { SipUri };

const hostSpan = /* @__PURE__ */ new HostSpan();

/**
 * Parses a SIP or SIPS URI such as `sip:alice@[2001:db8::1]:5060;lr`.
 *
 * @throws {SipSyntaxError} when it is another scheme, or not as RFC 3261 §19.1.1 wants it
 */
export function parseSipUri(text: string): SipUri {
  const uri = tryParseSipUri(text);
  if (uri === undefined) throw new SipSyntaxError(`Cannot parse SIP URI ${quoted(text)}: want a URI such as "sip:user@host:5060;lr"`);
  return uri;
}

/** {@link parseSipUri}, with undefined for what cannot be parsed. */
export function tryParseSipUri(text: string): SipUri | undefined {
  return parseUriQuickly(text) ?? parseUriGenerally(text);
}

/** {@link tryParseSipUri} without its quick form: the two agree in everything, and this one takes all. */
export function parseUriGenerally(text: string): SipUri | undefined {
  const end = text.length;
  const colon = text.indexOf(":");
  const secure = colon === 4 && equalsIgnoreCase(text, 0, 4, "sips");
  if (!secure && !(colon === 3 && equalsIgnoreCase(text, 0, 3, "sip"))) return undefined;
  let at = colon + 1;
  if (!isUriText(text, at, end)) return undefined;
  let user: string | undefined;
  // A user part may hold ";" and "?" unescaped, and nothing behind it may hold "@": the first "@" ends it wherever it stands.
  const atSign = text.indexOf("@", at);
  if (atSign !== -1) {
    if (atSign === at || text.charCodeAt(at) === COLON) return undefined;
    user = text.slice(at, atSign);
    at = atSign + 1;
  }
  if (!scanHost(text, at, end, hostSpan)) return undefined;
  const rawHost = text.slice(hostSpan.start, hostSpan.end);
  const host = hostSpan.hasUpper ? rawHost.toLowerCase() : rawHost;
  at = hostSpan.after;
  let port: number | undefined;
  if (text.charCodeAt(at) === COLON) {
    const portStart = ++at;
    while (at < end && text.charCodeAt(at) !== SEMICOLON && text.charCodeAt(at) !== QUESTION) at++;
    port = scanNumber(text, portStart, at, MAX_PORT);
    if (port <= 0) return undefined;
  }
  let params = "";
  let headers = "";
  if (at < end) {
    const question = text.indexOf("?", at);
    const paramsEnd = question === -1 ? end : question;
    if (at < paramsEnd && text.charCodeAt(at) !== SEMICOLON) return undefined;
    params = text.slice(at, paramsEnd);
    headers = text.slice(paramsEnd);
    if (params.includes("@") || params.includes(",")) return undefined;
  }
  return { scheme: secure ? "sips" : "sip", user, host, port, params, headers };
}

/** True when the range may be a URI, or part of one: not empty, no white space, control characters, double quotes or angle brackets. */
export function isUriText(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (!isClass(text, at, URI_CHAR)) return false;
  return start < end;
}

/** Offset of the colon behind a scheme (RFC 3261 §25.1: a letter, then letters, digits, `+`, `-`, `.`), or -1. */
export function schemeEnd(text: string, start: number, end: number): number {
  if (text.startsWith("sip:", start) && start + 4 <= end) return start + 3;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    const letter = code | 0x20;
    if (letter >= 0x61 && letter <= 0x7a) continue;
    if (at === start) return -1;
    if (code === COLON) return at;
    if ((code < 0x30 || code > 0x39) && code !== 0x2b && code !== 0x2d && code !== 0x2e) return -1;
  }
  return -1;
}

/** Scheme of any URI in lower case, such as `sip` or `tel`; "" when there is none. */
export function uriScheme(text: string): string {
  const colon = schemeEnd(text, 0, text.length);
  return colon === -1 ? "" : text.slice(0, colon).toLowerCase();
}

/**
 * A URI parameter by its name, in any case: its value, "" for one without a value such as `lr`, undefined when there is none.
 *
 * @param uri a parsed URI, or the raw parameters of one, such as `;lr;did=x`
 */
export function uriParam(uri: SipUri | string, name: string): string | undefined {
  return paramValue(typeof uri === "string" ? uri : uri.params, name);
}

/**
 * The URI as it may stand in a Request-URI: without headers and `method`, which must not come from there into the request either
 * (RFC 3261 §19.1.1 table 1, §16.6 step 2, RFC 4475 §3.1.2.11). What is no SIP URI stays as it is.
 */
export function asRequestUri(text: string): string {
  if (!text.includes("?") && !text.includes(";")) return text;
  const uri = tryParseSipUri(text);
  if (uri === undefined) return text;
  const { params, headers } = uri;
  const bare = headers === "" ? text : text.slice(0, -headers.length);
  if (params === "" || uriParam(params, "method") === undefined) return bare;
  return bare.slice(0, -params.length) + withoutUriParams(params, ["method"]);
}

/** Parameters of a URI, as they stand with the first semicolon, without those of these names in lower case. */
export function withoutUriParams(params: string, names: readonly string[]): string {
  const kept = params.split(";").filter((param) => !names.includes(nameOf(param)));
  return kept.join(";");
}

function nameOf(param: string): string {
  const equals = param.indexOf("=");
  return (equals === -1 ? param : param.slice(0, equals)).trim().toLowerCase();
}

/** The user part without its password (RFC 3261 §19.1.1); undefined when the URI has no user. Escapes stay. */
export function uriUser(uri: SipUri): string | undefined {
  const colon = uri.user?.indexOf(":") ?? -1;
  return colon === -1 ? uri.user : uri.user?.slice(0, colon);
}
