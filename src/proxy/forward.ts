import { asRequestUri, DEFAULT_MAX_BREADTH, H, MessageEdit, type SipMessage, type SipRequest, uriScheme } from "../sip/index.ts";
import { type Endpoint, type Listener, stampVia } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import { textsFor } from "./listener-texts.ts";
import type { RoutePlan } from "./loose-route.ts";
import { isSecure } from "./next-hop.ts";
import { quickForward } from "./quick-forward.ts";

/** How a request is changed on its way (RFC 3261 §16.6). */
export interface ForwardPlan {
  readonly branch: string;
  readonly target: Endpoint;
  /** New Request-URI; undefined leaves it. */
  readonly requestUri: string | undefined;
  /** Route values of ours on top, to be removed. */
  readonly popRoutes: number;
  /** The last Route became the Request-URI: remove it there (RFC 3261 §16.4). */
  readonly dropLastRoute: boolean;
  /** Route to add at the end: the Request-URI before a strict router (RFC 3261 §16.6 step 6). */
  readonly appendRoute: string | undefined;
  readonly pushRoutes: readonly string[];
  /** Value for Max-Forwards when the request has none. */
  readonly defaultMaxForwards: number;
  /** `did` to record-route with; undefined: do not stay in the path. */
  readonly did: string | undefined;
  /** It has one way to go: nobody forks it. Others get a Max-Breadth when they have none; one that came stays while we wait for one branch at a time (RFC 5393 §5.3). */
  readonly isInDialog?: boolean;
  /** The part of the Max-Breadth that this branch has, as there are others at the same time. */
  readonly maxBreadth?: number | undefined;
  readonly addHeaders: readonly (readonly [string, string])[];
  readonly removeHeaders: readonly string[];
}

const NONE: readonly never[] = [];

/** A request on its way, written anew for each target. What nearly all requests leave as it is may be set afterwards. */
export class Forwarding implements ForwardPlan {
  readonly branch: string;
  target: Endpoint;
  readonly requestUri: string;
  popRoutes: number;
  readonly dropLastRoute: boolean;
  appendRoute: string | undefined = undefined;
  pushRoutes: readonly string[] = NONE;
  readonly defaultMaxForwards: number;
  did: string | undefined = undefined;
  isInDialog = false;
  maxBreadth: number | undefined = undefined;
  addHeaders: readonly (readonly [string, string])[] = NONE;
  removeHeaders: readonly string[] = NONE;
  readonly #request: SipRequest;
  readonly #source: Endpoint;

  constructor(
    core: Pick<ProxyCore, "defaultMaxForwards">,
    request: SipRequest,
    source: Endpoint,
    target: Endpoint,
    branch: string,
    requestUri: string,
    route: Pick<RoutePlan, "popRoutes" | "dropLastRoute">,
  ) {
    this.#request = request;
    this.#source = source;
    this.target = target;
    this.branch = branch;
    this.requestUri = requestUri;
    this.popRoutes = route.popRoutes;
    this.dropLastRoute = route.dropLastRoute;
    this.defaultMaxForwards = core.defaultMaxForwards;
  }

  write(): string {
    return forwardedRequest(this.#request, this.#source, this);
  }
}

/** Text of the request as it leaves us. */
export function forwardedRequest(request: SipRequest, source: Endpoint, plan: ForwardPlan): string {
  return quickForward(request, source, plan) ?? editedRequest(request, source, plan);
}

/** {@link forwardedRequest}, for any plan and any spelling of a request. */
export function editedRequest(request: SipRequest, source: Endpoint, plan: ForwardPlan): string {
  const edit = new MessageEdit(request);
  const { target } = plan;
  const uri = asRequestUri(plan.requestUri ?? request.uri);
  if (uri !== request.uri) edit.setRequestUri(uri);
  const stamp = stampVia(request.topVia, source);
  if (stamp !== "") edit.markTopVia(stamp);
  edit.prependVia(viaValue(target, plan.branch));
  if (plan.popRoutes > 0) edit.removeTopRoutes(plan.popRoutes);
  if (plan.dropLastRoute) edit.removeLastRoute();
  for (let i = plan.pushRoutes.length - 1; i >= 0; i--) edit.prependRoute(plan.pushRoutes[i]!);
  if (plan.appendRoute !== undefined) edit.appendRoute(`<${plan.appendRoute}>`);
  if (plan.did !== undefined) edit.prependRecordRoute(recordRoute(source, target.insteadOf ?? target, plan.did, uriScheme(uri) === "sips"));
  if (target.transport !== "udp") addLength(edit, request);
  const hops = request.maxForwards;
  edit.setMaxForwards(hops === undefined ? plan.defaultMaxForwards : hops - 1);
  if (plan.maxBreadth !== undefined) edit.removeHeader("Max-Breadth").addHeader("Max-Breadth", String(plan.maxBreadth));
  else if (!plan.isInDialog && request.indexOf(H.MaxBreadth) === -1) edit.addHeader("Max-Breadth", String(DEFAULT_MAX_BREADTH));
  for (const name of plan.removeHeaders) edit.removeHeader(name);
  for (const [name, value] of plan.addHeaders) edit.addHeader(name, value);
  return edit.toString();
}

/**
 * Datagrams and WebSocket messages may come without their length; in a stream it must be said (RFC 3261 §18.3, RFC 7118 §5). It must be said once: a peer that reads
 * two of them, be they the same, may well close the connection that other calls use.
 */
export function addLength(edit: MessageEdit, message: SipMessage): void {
  const first = message.indexOf(H.ContentLength);
  if (first !== -1 && message.indexOf(H.ContentLength, first + 1) === -1) return;
  edit.removeHeader("Content-Length").addHeader("Content-Length", String(message.body.length));
}

/** Our Via for a message to `target`. */
export function viaValue(target: Endpoint, branch: string): string {
  const texts = textsFor(target.listener, target.address);
  if (texts.transport === target.transport) return texts.via + branch;
  return `SIP/2.0/${target.transport.toUpperCase()} ${texts.sentBy};branch=${branch}`;
}

/**
 * Our Record-Route. When the caller and the destination reach us at different addresses there are two of them,
 * so that each side sees an address that it can use (RFC 5658 §4); `r2=on` says that the next one is ours too.
 *
 * @param sips the Request-URI is a SIPS URI: so are these, and a caller that came without TLS comes by it from now on (RFC 3261 §16.6 step 4)
 */
function recordRoute(source: Endpoint, target: Endpoint, did: string, sips: boolean): string {
  const inside = routeUri(target.listener, target.address, sips);
  const outside = routeUri(
    sips && !isSecure(source) ? target.listener : (source.listener.outgoing ?? source.listener),
    source.address,
    sips,
  );
  if (inside === outside) return `<${inside};lr;did=${did}>`;
  return `<${inside};lr;did=${did};r2=on>, <${outside};lr;did=${did};r2=on>`;
}

function routeUri(listener: Listener, remoteAddress: string, sips: boolean): string {
  const { sentBy, routeUri } = textsFor(listener, remoteAddress);
  if (!sips) return routeUri;
  return listener.transport === "wss" ? `sips:${sentBy};transport=ws` : `sips:${sentBy}`;
}
