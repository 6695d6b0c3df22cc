import { H, type HeaderId, type SipRequest } from "../sip/index.ts";
import { MAGIC_COOKIE } from "../transaction/index.ts";
import { DEFAULT_PORT, type Network } from "./core.ts";

const SEED = 0x811c9dc5;
const PRIME = 0x9e3779b1;
/** Where the mark of a branch of ours ends: behind the cookie and the fingerprint. */
const DOT_AT = MAGIC_COOKIE.length + 6;
const DOT = 0x2e;
/** Of what cannot be another one in a request that comes back, the end is enough. */
const END_CHARACTERS = 4;
const DIGITS = Array.from("0123456789abcdefghijklmnopqrstuv", (digit) => digit.charCodeAt(0));

/** Mixes a range of characters into a hash, four at a step, and how many they are. */
function mixed(hash: number, text: string, start: number, end: number): number {
  let h = hash ^ (end - start);
  let at = start;
  for (; at + 3 < end; at += 4) {
    const four = text.charCodeAt(at) | (text.charCodeAt(at + 1) << 8) | (text.charCodeAt(at + 2) << 16) | (text.charCodeAt(at + 3) << 24);
    h = Math.imul(h ^ four, PRIME);
    h ^= h >>> 15;
  }
  let rest = 0;
  for (; at < end; at++) rest = (rest << 8) | text.charCodeAt(at);
  h = Math.imul(h ^ rest, PRIME);
  return h ^ (h >>> 13);
}

/** Mixes the length of a text and its end into a hash. */
function mixedEnd(hash: number, text: string): number {
  const { length } = text;
  return mixed(hash ^ (length << 16), text, Math.max(0, length - END_CHARACTERS), length);
}

/** Mixes each line of a header into a hash, as it stands. */
function mixedLines(hash: number, request: SipRequest, id: HeaderId): number {
  let h = hash;
  for (let i = request.indexOf(id); i !== -1; i = request.indexOf(id, i + 1))
    h = mixed(h ^ (id << 24), request.raw, request.valueStartAt(i), request.valueEndAt(i));
  return h;
}

/**
 * Fingerprint of all that decides where a request goes (RFC 3261 §16.6 step 8): a request that comes back with the same one is in a loop, one that comes back
 * changed is a spiral. Six digits of base 32. It is compared with what stands in a Via of the very same request, so that Call-ID, tags and CSeq number cannot
 * differ there: they are told by their ends, as each character costs some nanoseconds.
 */
export function loopFingerprint(request: SipRequest): string {
  const { raw } = request;
  const uriStart = request.method.length + 1;
  let h = mixed(SEED, raw, uriStart, uriStart + request.uri.length);
  h = mixedEnd(h, request.callId);
  h = mixedEnd(h, request.fromTag);
  h = mixedEnd(h, request.toTag);
  h = Math.imul(h ^ request.cseqNumber, PRIME);
  h = mixedLines(h, request, H.Route);
  h = mixedLines(h, request, H.ProxyRequire);
  h = mixedLines(h, request, H.ProxyAuthorization);
  h ^= h >>> 16;
  return String.fromCharCode(
    DIGITS[h & 31]!,
    DIGITS[(h >>> 5) & 31]!,
    DIGITS[(h >>> 10) & 31]!,
    DIGITS[(h >>> 15) & 31]!,
    DIGITS[(h >>> 20) & 31]!,
    DIGITS[(h >>> 25) & 31]!,
  );
}

/** Branch of our Via: the loop fingerprint, and a token that nobody can guess. */
export function makeBranch(fingerprint: string, token: string): string {
  return `${MAGIC_COOKIE}${fingerprint}.${token}`;
}

/** Whether a request may have been here before, seen at a glance: some Via of it could be ours. Nearly none could, and needs no fingerprint. */
export function mayBeBack(request: SipRequest): boolean {
  const first = request.indexOf(H.Via);
  if (request.indexOf(H.Via, first + 1) !== -1) return true;
  const comma = request.raw.indexOf(",", request.valueStartAt(first));
  return (comma !== -1 && comma < request.valueEndAt(first)) || request.topVia.branch.charCodeAt(DOT_AT) === DOT;
}

/** RFC 3261 §16.3 step 4: a Via of ours below the top one whose branch has the fingerprint that this request has now. */
export function isLoop(request: SipRequest, fingerprint: string, network: Network): boolean {
  const mark = `branch=${MAGIC_COOKIE}${fingerprint}.`;
  if (!request.raw.includes(mark, request.valueStartAt(request.indexOf(H.Via)))) return false;
  for (const value of request.list(H.Via)) {
    if (!value.includes(mark)) continue;
    const sentBy = sentByOf(value);
    if (sentBy !== undefined && network.isOwn(sentBy.host, sentBy.port)) return true;
  }
  return false;
}

/** Host and port of a Via value, without decoding its parameters. */
function sentByOf(value: string): { host: string; port: number } | undefined {
  const end = value.indexOf(";");
  const head = (end === -1 ? value : value.slice(0, end)).trim();
  const space = head.lastIndexOf(" ");
  if (space === -1) return undefined;
  const text = head.slice(space + 1).toLowerCase();
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    const port = text.slice(close + 2);
    return { host: text.slice(1, close), port: port === "" ? DEFAULT_PORT : Number(port) };
  }
  const colon = text.indexOf(":");
  return colon === -1 ? { host: text, port: DEFAULT_PORT } : { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}
