import { isToken } from "./text.ts";

/** Header fields that have a number of their own, so that finding one is comparing integers. Everything else is `Other` and is found by name. */
export const H = {
  Other: 0,
  Via: 1,
  From: 2,
  To: 3,
  CallId: 4,
  CSeq: 5,
  MaxForwards: 6,
  Contact: 7,
  Route: 8,
  RecordRoute: 9,
  ContentLength: 10,
  ContentType: 11,
  ProxyRequire: 12,
  Require: 13,
  Supported: 14,
  Timestamp: 15,
  Expires: 16,
  RetryAfter: 17,
  Reason: 18,
  UserAgent: 19,
  Server: 20,
  SessionExpires: 21,
  Event: 22,
  Allow: 23,
  Accept: 24,
  Unsupported: 25,
  Warning: 26,
  Date: 27,
  Subject: 28,
  Organization: 29,
  Path: 30,
  ServiceRoute: 31,
  ReferTo: 32,
  ReferredBy: 33,
  Replaces: 34,
  RAck: 35,
  RSeq: 36,
  MinSe: 37,
  MinExpires: 38,
  Authorization: 39,
  ProxyAuthorization: 40,
  WwwAuthenticate: 41,
  ProxyAuthenticate: 42,
  PAssertedIdentity: 43,
  PPreferredIdentity: 44,
  Privacy: 45,
  Diversion: 46,
  HistoryInfo: 47,
  SubscriptionState: 48,
  AllowEvents: 49,
  ContentEncoding: 50,
  ContentDisposition: 51,
  Identity: 52,
  IdentityInfo: 53,
  AcceptContact: 54,
  RejectContact: 55,
  RequestDisposition: 56,
  CallInfo: 57,
  MaxBreadth: 58,
} as const;

export type HeaderId = (typeof H)[keyof typeof H];

/** `[id, name as the RFC spells it, compact form]`; compact forms from the IANA registry of SIP header fields. */
const KNOWN: readonly (readonly [HeaderId, string, string?])[] = [
  [H.Via, "Via", "v"],
  [H.From, "From", "f"],
  [H.To, "To", "t"],
  [H.CallId, "Call-ID", "i"],
  [H.CSeq, "CSeq"],
  [H.MaxForwards, "Max-Forwards"],
  [H.Contact, "Contact", "m"],
  [H.Route, "Route"],
  [H.RecordRoute, "Record-Route"],
  [H.ContentLength, "Content-Length", "l"],
  [H.ContentType, "Content-Type", "c"],
  [H.ProxyRequire, "Proxy-Require"],
  [H.Require, "Require"],
  [H.Supported, "Supported", "k"],
  [H.Timestamp, "Timestamp"],
  [H.Expires, "Expires"],
  [H.RetryAfter, "Retry-After"],
  [H.Reason, "Reason"],
  [H.UserAgent, "User-Agent"],
  [H.Server, "Server"],
  [H.SessionExpires, "Session-Expires", "x"],
  [H.Event, "Event", "o"],
  [H.Allow, "Allow"],
  [H.Accept, "Accept"],
  [H.Unsupported, "Unsupported"],
  [H.Warning, "Warning"],
  [H.Date, "Date"],
  [H.Subject, "Subject", "s"],
  [H.Organization, "Organization"],
  [H.Path, "Path"],
  [H.ServiceRoute, "Service-Route"],
  [H.ReferTo, "Refer-To", "r"],
  [H.ReferredBy, "Referred-By", "b"],
  [H.Replaces, "Replaces"],
  [H.RAck, "RAck"],
  [H.RSeq, "RSeq"],
  [H.MinSe, "Min-SE"],
  [H.MinExpires, "Min-Expires"],
  [H.Authorization, "Authorization"],
  [H.ProxyAuthorization, "Proxy-Authorization"],
  [H.WwwAuthenticate, "WWW-Authenticate"],
  [H.ProxyAuthenticate, "Proxy-Authenticate"],
  [H.PAssertedIdentity, "P-Asserted-Identity"],
  [H.PPreferredIdentity, "P-Preferred-Identity"],
  [H.Privacy, "Privacy"],
  [H.Diversion, "Diversion"],
  [H.HistoryInfo, "History-Info"],
  [H.SubscriptionState, "Subscription-State"],
  [H.AllowEvents, "Allow-Events", "u"],
  [H.ContentEncoding, "Content-Encoding", "e"],
  [H.ContentDisposition, "Content-Disposition"],
  [H.Identity, "Identity", "y"],
  [H.IdentityInfo, "Identity-Info", "n"],
  [H.AcceptContact, "Accept-Contact", "a"],
  [H.RejectContact, "Reject-Contact", "j"],
  [H.RequestDisposition, "Request-Disposition", "d"],
  [H.CallInfo, "Call-Info"],
  [H.MaxBreadth, "Max-Breadth"],
];

/** Longer names than this are not known ones. */
const MAX_KNOWN_NAME = 31;

const names: string[] = [""];
/** Compact forms by letter, `a` first. */
const compact: HeaderId[] = new Array<HeaderId>(26).fill(H.Other);
/** First id whose name has this length and first letter, then the next with the same by `chain`. */
const buckets = new Uint8Array((MAX_KNOWN_NAME + 1) << 5);
const chain = new Uint8Array(KNOWN.length + 1);
/** The names in lower case, one after the other, and where each begins. */
const letters = new Uint8Array(KNOWN.reduce((sum, [, name]) => sum + name.length, 0));
const lettersAt = new Uint16Array(KNOWN.length + 1);

/** For names spelled as in {@link KNOWN}: the first id by the first two letters, the next by its chain, and the name with its colon. */
const spelled = new Uint8Array(1 << 10);
const spelledChain = new Uint8Array(KNOWN.length + 1);
const withColon: string[] = [""];

function spelledKey(first: number, second: number): number {
  return ((first & 31) << 5) | (second & 31);
}

function bucketOf(length: number, firstCode: number): number {
  return (length << 5) | (firstCode & 31);
}

let filled = 0;
for (const [id, name, short] of KNOWN) {
  names[id] = name;
  if (short !== undefined) compact[short.charCodeAt(0) - 0x61] = id;
  const bucket = bucketOf(name.length, name.charCodeAt(0));
  chain[id] = buckets[bucket]!;
  buckets[bucket] = id;
  withColon[id] = `${name}:`;
  const key = spelledKey(name.charCodeAt(0), name.charCodeAt(1));
  let last = spelled[key]!;
  if (last === 0) spelled[key] = id;
  else {
    // The table lists the frequent names first: they are to be tried first.
    while (spelledChain[last] !== 0) last = spelledChain[last]!;
    spelledChain[last] = id;
  }
  lettersAt[id] = filled;
  for (const char of name.toLowerCase()) letters[filled++] = char.charCodeAt(0);
}

/** The id of the header whose name is the range of `text`, which must be a token; `H.Other` for a name without a number. */
export function headerIdOf(text: string, start: number, end: number): HeaderId {
  const length = end - start;
  const first = text.charCodeAt(start);
  if (length === 1) {
    const letter = (first | 0x20) - 0x61;
    return letter >= 0 && letter < 26 ? compact[letter]! : H.Other;
  }
  if (length > MAX_KNOWN_NAME) return H.Other;
  for (let id = buckets[bucketOf(length, first)]!; id !== 0; id = chain[id]!) {
    const base = lettersAt[id]!;
    let at = 0;
    // A token character that becomes a letter or a hyphen by setting bit 5 is that letter, in either case, or the hyphen.
    while (at < length && (text.charCodeAt(start + at) | 0x20) === letters[base + at]) at++;
    if (at === length) return id as HeaderId;
  }
  return H.Other;
}

/**
 * The id of the header whose line starts at `start`, when its name is spelled just as its RFC does and the colon follows at once, as nearly
 * every line has it: `H.Other` for anything else, known or not. Its colon stands at `start + headerName(id).length`.
 */
export function headerIdAsSpelled(text: string, start: number): HeaderId {
  for (let id = spelled[spelledKey(text.charCodeAt(start), text.charCodeAt(start + 1))]!; id !== 0; id = spelledChain[id]!) {
    if (text.startsWith(withColon[id]!, start)) return id as HeaderId;
  }
  return H.Other;
}

/** The id of a header by its name, in any case, long or compact; `H.Other` when the name has none or is not a token. */
export function headerId(name: string): HeaderId {
  return isToken(name) ? headerIdOf(name, 0, name.length) : H.Other;
}

/** The name of a header as its RFC spells it; "" for `H.Other`. */
export function headerName(id: HeaderId): string {
  return names[id]!;
}
