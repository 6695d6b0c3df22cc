import {
  H,
  nameAddrParam,
  parseExpires,
  parseNameAddr,
  type SipRequest,
  SipSyntaxError,
  type SipUri,
  tryParseSipUri,
  uriScheme,
} from "../sip/index.ts";
import { MALFORMED_EXPIRES_S, MAX_CONTACT_CHARS, MAX_CONTACTS } from "./limits.ts";
import { type RegistrarReply, reply } from "./reply.ts";

/** One Contact of a REGISTER. */
export interface ContactRequest {
  /** The URI as it stands: the answer repeats it, so that the client knows its own. */
  readonly text: string;
  readonly uri: SipUri;
  /** Seconds that it is to last, as the account allows; 0 takes it away. */
  readonly expiresS: number;
}

/** What a REGISTER asks for: to be told, to take everything away, or to bind and take away Contacts. */
export type ContactRequests =
  | { readonly kind: "query" }
  | { readonly kind: "all" }
  | { readonly kind: "contacts"; readonly contacts: readonly ContactRequest[] }
  | { readonly kind: "refused"; readonly reply: RegistrarReply };

export interface ExpiresRange {
  readonly minExpiresS: number;
  readonly maxExpiresS: number;
}

/**
 * Reads the Contacts of a REGISTER and how long each is to last (RFC 3261 §10.3, steps 6 and 7): its `expires` parameter, else the Expires
 * header, else as long as it may. What is too long is shortened, what is too brief is answered 423. `q` is of no concern here.
 */
export function readContacts(request: SipRequest, range: ExpiresRange): ContactRequests {
  const values = request.list(H.Contact);
  if (values.length === 0) return { kind: "query" };
  const header = request.value(H.Expires);
  const headerS = header === undefined ? undefined : secondsOf(header);
  if (values.includes("*")) {
    const isAlone = values.length === 1 && headerS === 0;
    return isAlone ? { kind: "all" } : refused(400, "Bad Contact: * wants Expires 0 and no other Contact");
  }
  if (values.length > MAX_CONTACTS) return refused(400, "Too Many Contacts");
  const contacts: ContactRequest[] = [];
  for (const value of values) {
    const contact = readContact(value, headerS, range);
    if ("status" in contact) return { kind: "refused", reply: contact };
    contacts.push(contact);
  }
  return { kind: "contacts", contacts };
}

function readContact(
  value: string,
  headerS: number | undefined,
  { minExpiresS, maxExpiresS }: ExpiresRange,
): ContactRequest | RegistrarReply {
  try {
    const contact = parseNameAddr(value);
    if (contact.uri.length > MAX_CONTACT_CHARS) return reply(400, "Bad Contact: too long");
    if (uriScheme(contact.uri) !== "sip") return reply(416, "Unsupported URI Scheme");
    const uri = tryParseSipUri(contact.uri);
    if (uri === undefined) return reply(400, "Bad Contact");
    const own = nameAddrParam(contact, "expires");
    const wantedS = own === undefined ? (headerS ?? maxExpiresS) : secondsOf(own);
    if (wantedS > 0 && wantedS < minExpiresS) return reply(423, "Interval Too Brief", ["Min-Expires", String(minExpiresS)]);
    return { text: contact.uri, uri, expiresS: Math.min(wantedS, maxExpiresS) };
  } catch (error) {
    if (error instanceof SipSyntaxError) return reply(400, "Bad Contact");
    throw error;
  }
}

/** "Malformed values SHOULD be treated as equivalent to 3600" (RFC 3261 §10.2.1.1). */
function secondsOf(text: string): number {
  try {
    return parseExpires(text);
  } catch (error) {
    if (error instanceof SipSyntaxError) return MALFORMED_EXPIRES_S;
    throw error;
  }
}

function refused(status: number, reason: string): ContactRequests {
  return { kind: "refused", reply: reply(status, reason) };
}
