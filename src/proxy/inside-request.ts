import type { CalleeLeg, Dialog } from "../dialog/index.ts";
import { buildRequest, parseNameAddr } from "../sip/index.ts";
import type { ClientUser, Endpoint } from "../transaction/index.ts";
import { makeBranch } from "./branch-id.ts";
import type { ProxyCore } from "./core.ts";
import { callerFlow } from "./flow.ts";
import { viaValue } from "./forward.ts";
import { isStrictRouter } from "./loose-route.ts";
import { nextHop } from "./next-hop.ts";
import { mayReach } from "./target-guard.ts";

const NO_FINGERPRINT = "000000";
const MAX_FORWARDS = 70;
/** RFC 3261 §8.1.1.5. A side that has used the last number cannot be followed: the BYE is then refused, but it ends the call for us. */
const MAX_CSEQ = 2 ** 31 - 1;

/** A call that we end ourselves has ended, whatever the peers say to our BYE. */
const IGNORE: ClientUser = { response() {}, timeout() {}, transportError() {} };

/** One request inside a dialog, in the name of one side. */
export interface Inside {
  readonly from: string;
  readonly to: string;
  readonly cseq: number;
  readonly contact: string;
  readonly routes: readonly string[];
  /** Where the peer was last seen: used when its Contact names no address that we can reach, or one that it may not have us reach. */
  readonly fallback: Endpoint;
}

/** What is sent inside a dialog, and who is told what becomes of it: nobody without `user`. An ACK has no answer. */
export interface InsideRequest {
  readonly method: "ACK" | "BYE" | "OPTIONS" | "INVITE";
  readonly inside: Inside;
  readonly headers?: readonly (readonly [string, string])[];
  /** Of a re-INVITE: Contact URI and session description of the side in whose name it is sent, so that it changes neither. */
  readonly session?: { readonly contact: string; readonly body: string } | undefined;
  readonly user?: ClientUser;
  /** How long an answer is waited for, in milliseconds; `fr_timeout` unless given. */
  readonly timeoutMs?: number;
  /** Is told when it could not be sent, and `user` will not be. */
  readonly failed?: () => void;
  /** Is told what is about to be sent. */
  readonly sent?: (text: string) => void;
}

/** As if from the caller. @param target where it goes when the leg names no address that can be used */
export function towardsCallee(dialog: Dialog, leg: CalleeLeg, cseq: number, target: Endpoint | undefined = dialog.calleeEndpoint): Inside {
  return {
    from: dialog.fromValue,
    to: withTag(dialog.toValue, leg.tag),
    cseq,
    contact: leg.contact,
    routes: leg.routeSet,
    fallback: target ?? dialog.callerEndpoint,
  };
}

/** As if from that callee. */
export function towardsCaller(dialog: Dialog, leg: CalleeLeg, cseq: number): Inside {
  return {
    from: withTag(dialog.toValue, leg.tag),
    to: dialog.fromValue,
    cseq,
    contact: dialog.callerContact,
    routes: dialog.callerRouteSet,
    fallback: callerFlow(dialog),
  };
}

function withTag(value: string, tag: string): string {
  return tag === "" ? value : `${value};tag=${tag}`;
}

/** Sends one request inside a call, by its route set (RFC 3261 §12.2.1.1). */
export function sendInside(core: ProxyCore, dialog: Dialog, request: InsideRequest): void {
  const { method, inside, headers = [], user = IGNORE } = request;
  const { fallback } = inside;
  const host = fallback.address.includes(":") ? `[${fallback.address}]` : fallback.address;
  const contact = inside.contact || `sip:${host}:${fallback.port}`;
  const first = inside.routes[0];
  const hop = first === undefined ? contact : routeUriOf(first);
  // A strict router wants itself in the Request-URI, and the target in the last Route (RFC 3261 §12.2.1.1).
  const strict = first !== undefined && isStrictRouter(hop);
  const uri = strict ? hop : contact;
  const routes = strict ? [...inside.routes.slice(1), `<${contact}>`] : inside.routes;
  const found = nextHop(core.network, hop, fallback);
  if (found instanceof Promise) found.then((target) => transmit(target ?? fallback)).catch(() => request.failed?.());
  else transmit(found ?? fallback);

  function transmit(wanted: Endpoint): void {
    const target = mayReach(core, dialog, { target: wanted, peer: fallback, isOfPeer: true }) ? wanted : fallback;
    const branch = makeBranch(NO_FINGERPRINT, core.layer.chance.token());
    const text = buildRequest({
      method,
      uri,
      via: viaValue(target, branch),
      from: inside.from,
      to: inside.to,
      callId: dialog.callId,
      cseq: Math.min(inside.cseq, MAX_CSEQ),
      maxForwards: MAX_FORWARDS,
      routes,
      headers,
      ...(request.session && { contact: `<${request.session.contact}>`, body: request.session.body, contentType: "application/sdp" }),
    });
    request.sent?.(text);
    if (method === "ACK") core.layer.wire.send(text, target);
    else core.layer.send({ method, text, branch, target, timeoutMs: request.timeoutMs ?? core.timeouts.frMs }, user);
  }
}

/** URI of a Route value; empty when it cannot be read. */
export function routeUriOf(route: string): string {
  try {
    return parseNameAddr(route).uri;
  } catch {
    return "";
  }
}
