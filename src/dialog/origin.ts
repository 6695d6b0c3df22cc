import { H, parseNameAddr, type SipMessage, type SipRequest } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import { MAX_ROUTE_SET, NO_ROUTES } from "./leg.ts";

/** What the INVITE of a call says of it. */
export interface DialogOrigin {
  readonly callId: string;
  readonly fromTag: string;
  readonly fromUri: string;
  readonly toUri: string;
  readonly fromValue: string;
  readonly toValue: string;
  readonly callerEndpoint: Endpoint;
  readonly callerContact: string;
  readonly callerRouteSet: readonly string[];
  readonly callerCseq: number;
}

/** What an INVITE says of the call that it opens. */
export function originOf(invite: SipRequest, source: Endpoint): DialogOrigin {
  const { outgoing } = source.listener;
  return {
    callId: invite.callId,
    fromTag: invite.fromTag,
    fromUri: invite.from.uri,
    toUri: invite.to.uri,
    fromValue: invite.value(H.From) ?? "",
    toValue: invite.value(H.To) ?? "",
    callerEndpoint: outgoing === undefined ? source : { ...source, listener: outgoing },
    callerContact: contactUri(invite),
    callerRouteSet: invite.indexOf(H.RecordRoute) === -1 ? NO_ROUTES : invite.list(H.RecordRoute).slice(0, MAX_ROUTE_SET),
    callerCseq: invite.cseqNumber,
  };
}

/** URI of the first Contact; empty when there is none that can be read. */
export function contactUri(message: SipMessage): string {
  const value = message.value(H.Contact);
  if (value === undefined || value === "*") return "";
  const first = value.includes(",") ? (message.list(H.Contact)[0] ?? "") : value;
  try {
    return parseNameAddr(first).uri;
  } catch {
    return ""; // the peer is then reached where it was last seen
  }
}

/** Whether the Contact is that URI in angle brackets and nothing else: a 2xx mostly says what the 180 has said, and is not parsed again. */
export function saysContact(message: SipMessage, uri: string): boolean {
  const value = message.value(H.Contact);
  if (value === undefined || uri === "" || value.length !== uri.length + 2 || uri.includes(",")) return false;
  return value.startsWith("<") && value.endsWith(">") && value.startsWith(uri, 1);
}
