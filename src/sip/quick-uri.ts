import type { NameAddr, SipUri } from "./address.ts";
import { MAX_HOST_BYTES, MAX_PORT } from "./limits.ts";
import { MESSAGE_BYTES, MESSAGE_WORDS, takeBytes, wordOf } from "./message-bytes.ts";
import { AT, CLASS, COLON, COMMA, GREATER, HOST_CHAR, LESS, SEMICOLON, URI_CHAR } from "./text.ts";

const bytes = MESSAGE_BYTES;
const words = MESSAGE_WORDS;
const classes = CLASS;
const SIP = wordOf("sip:");
const DOT = 0x2e;
const HYPHEN = 0x2d;
const QUESTION = 0x3f;

/**
 * Parses a URI as nearly all are: `sip:` in small letters, any user, a host in small letters or an IPv4 address, no headers. Undefined for any other, about which the
 * general parser is to be asked; of what is taken here that one makes the same. Must not be called while a message is parsed: it writes over its bytes.
 */
export function parseUriQuickly(text: string): SipUri | undefined {
  if (!takeBytes(text) || words.getInt32(0, true) !== SIP) return undefined;
  let at = 4;
  let user: string | undefined;
  const atSign = text.indexOf("@");
  if (atSign !== -1) {
    if (atSign === 4 || bytes[4] === COLON) return undefined;
    while ((classes[bytes[at]!]! & URI_CHAR) !== 0 && at < atSign) at++;
    if (at !== atSign) return undefined;
    user = text.slice(4, at);
    at++;
  }
  const hostStart = at;
  if (bytes[at] === DOT || bytes[at] === HYPHEN) return undefined;
  while ((classes[bytes[at]!]! & HOST_CHAR) !== 0) at++;
  const hostEnd = at;
  if (hostEnd === hostStart || hostEnd - hostStart > MAX_HOST_BYTES) return undefined;
  let port: number | undefined;
  if (bytes[at] === COLON) {
    at++;
    port = 0;
    for (let digit = bytes[at]! - 0x30; digit >= 0 && digit <= 9 && port <= MAX_PORT; digit = bytes[at]! - 0x30) {
      port = port * 10 + digit;
      at++;
    }
    if (port === 0 || port > MAX_PORT) return undefined;
  }
  const paramsStart = at;
  if (bytes[at] === SEMICOLON) {
    for (let code = bytes[at]!; (classes[code]! & URI_CHAR) !== 0; code = bytes[++at]!) {
      if (code === AT || code === COMMA || code === QUESTION) return undefined;
    }
  }
  if (at !== text.length) return undefined;
  return { scheme: "sip", user, host: text.slice(hostStart, hostEnd), port, params: text.slice(paramsStart), headers: "" };
}

/**
 * Parses a Contact, Route or Record-Route value as nearly all are: a SIP URI in angle brackets and nothing else, or one without brackets and parameters.
 * As of {@link parseUriQuickly}, undefined for any other.
 */
export function parseNameAddrQuickly(text: string): NameAddr | undefined {
  if (!takeBytes(text)) return undefined;
  const { length } = text;
  if (bytes[0] === LESS) {
    if (words.getInt32(1, true) !== SIP) return undefined;
    let at = 5;
    while ((classes[bytes[at]!]! & URI_CHAR) !== 0) at++;
    return bytes[at] === GREATER && at + 1 === length ? { displayName: "", uri: text.slice(1, at), params: "" } : undefined;
  }
  if (words.getInt32(0, true) !== SIP) return undefined;
  let at = 4;
  for (let code = bytes[at]!; (classes[code]! & URI_CHAR) !== 0 && code !== SEMICOLON && code !== COMMA; code = bytes[at]!) at++;
  return at === length ? { displayName: "", uri: text, params: "" } : undefined;
}
