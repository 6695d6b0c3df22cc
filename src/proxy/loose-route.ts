import {
  bracketHost,
  H,
  isToken,
  parseNameAddr,
  parseSipUri,
  type SipRequest,
  type SipUri,
  tryParseSipUri,
  uriParam,
  withoutUriParams,
} from "../sip/index.ts";
import type { Endpoint, Listener } from "../transaction/index.ts";
import { DEFAULT_PORT, DEFAULT_TLS_PORT, type Network, uriPort } from "./core.ts";
import { textsFor } from "./listener-texts.ts";
import { transportOf } from "./next-hop.ts";
import { mayHaveMParam } from "./uri-look.ts";

/** What the Route headers and the Request-URI of a request say once our own entries are taken out (RFC 3261 §16.4). */
export interface RoutePlan {
  /** The Request-URI after the repair for strict routers, without a `maddr` that has led to us. */
  readonly requestUri: string;
  /** Its last Route became the Request-URI. */
  readonly dropLastRoute: boolean;
  /** Route values of ours to remove from the top. */
  readonly popRoutes: number;
  /** URI of the Route that is next; undefined when none is left. */
  readonly nextRoute: string | undefined;
  /** How many Routes are left, that one included. */
  readonly leftRoutes: number;
  /** `did` of our Record-Route, when the request carries it. */
  readonly did: string | undefined;
}

/** Record-Routes of ours for one pass of a call: two, marked `r2`, when its sides reach us at different addresses (RFC 5658). */
const MAX_OWN_ROUTES = 2;
const DID = ";did=";
const GREATER = 0x3e;

/** @throws SipSyntaxError when a Route cannot be read */
export function planRoute(request: SipRequest, network: Network, source: Endpoint): RoutePlan {
  const { uri } = request;
  if (uri.includes(DID)) return readRoute(request, network, source.listener);
  const at = request.indexOf(H.Route);
  const did = at === -1 ? undefined : ownRoute(request, at, network, source);
  if (at !== -1 && did === undefined) return readRoute(request, network, source.listener);
  const requestUri = withoutOwnMaddr(uri, network, source.listener);
  return { requestUri, dropLastRoute: false, popRoutes: at === -1 ? 0 : 1, nextRoute: undefined, leftRoutes: 0, did };
}

/**
 * The `did` of the only Route, when that is the very text that we give to this side as our Record-Route: nearly each request inside a call has it, and need not be
 * read any further. undefined: it is something else.
 */
function ownRoute(request: SipRequest, at: number, network: Network, { listener, address }: Endpoint): string | undefined {
  const texts = textsFor(listener, address);
  const { raw } = request;
  const start = request.valueStartAt(at);
  if (!raw.startsWith(texts.route, start)) return undefined;
  const didStart = start + texts.route.length;
  const didEnd = request.valueEndAt(at) - 1;
  if (raw.charCodeAt(didEnd) !== GREATER || !isToken(raw, didStart, didEnd) || request.indexOf(H.Route, at + 1) !== -1) return undefined;
  if (texts.ownOf !== network) {
    const uri = tryParseSipUri(texts.routeUri);
    if (uri === undefined || !isOwnUri(uri, network)) return undefined;
    texts.ownOf = network;
  }
  return raw.slice(didStart, didEnd);
}

/** {@link planRoute} of any request. */
export function readRoute(request: SipRequest, network: Network, listener: Listener): RoutePlan {
  const routes = request.indexOf(H.Route) === -1 ? [] : request.list(H.Route).map((value) => parseNameAddr(value).uri);
  let requestUri = request.uri;
  let dropLastRoute = false;
  let did = ownDid(requestUri, network);
  let paired = false;
  let limit = MAX_OWN_ROUTES;
  // A strict router before us put our Record-Route into the Request-URI and the real target into the last Route.
  if (did !== undefined && routes.length > 0) {
    paired = uriParam(parseSipUri(requestUri), "r2") !== undefined;
    limit = paired ? 1 : 0;
    requestUri = routes.pop()!;
    dropLastRoute = true;
  }
  let popRoutes = 0;
  while (popRoutes < limit && popRoutes < routes.length) {
    const uri = tryParseSipUri(routes[popRoutes]!);
    if (uri === undefined || !(isOwnUri(uri, network) || isRouteOfPeer(uri, did, network))) break;
    const isHalf = uriParam(uri, "r2") !== undefined;
    if (paired && !isHalf) break;
    did ??= uriParam(uri, "did");
    popRoutes++;
    if (!isHalf) break;
    paired = true;
  }
  requestUri = withoutOwnMaddr(requestUri, network, listener);
  return { requestUri, dropLastRoute, popRoutes, nextRoute: routes[popRoutes], leftRoutes: routes.length - popRoutes, did };
}

/**
 * A `maddr` that names us, at the port and transport that the request came to, has done its work: it goes, and with it a port that is not the usual
 * one and the transport (RFC 3261 §16.4).
 */
function withoutOwnMaddr(text: string, network: Network, listener: Listener): string {
  if (!mayHaveMParam(text)) return text;
  const uri = tryParseSipUri(text);
  const maddr = uri && uriParam(uri, "maddr");
  if (uri === undefined || maddr === undefined || transportOf(uri) !== listener.transport || uriPort(uri) !== listener.port) return text;
  const host = maddr.startsWith("[") && maddr.endsWith("]") ? maddr.slice(1, -1) : maddr;
  if (!network.isOwn(host.toLowerCase(), listener.port)) return text;
  const { scheme, user, port, params, headers } = uri;
  const isUsual = port === (scheme === "sips" ? DEFAULT_TLS_PORT : DEFAULT_PORT);
  const place = `${bracketHost(uri.host)}${port !== undefined && isUsual ? `:${port}` : ""}`;
  return `${scheme}:${user === undefined ? "" : `${user}@`}${place}${withoutUriParams(params, ["maddr", "transport"])}${headers}`;
}

/** `did` of a URI that stands for us in a route set: one of ours, or of another node of the cluster, whose calls may go on here. */
export function ownDid(text: string, network: Network): string | undefined {
  if (!text.includes(DID)) return undefined;
  const uri = tryParseSipUri(text);
  return uri !== undefined && (isOwnUri(uri, network) || isPeerUri(uri, network)) ? uriParam(uri, "did") : undefined;
}

/** Whether the URI of a Route is that of a strict router, of RFC 2543: it has no `lr` (RFC 3261 §16.6 step 6). */
export function isStrictRouter(uriText: string): boolean {
  const uri = tryParseSipUri(uriText);
  return uri !== undefined && uriParam(uri, "lr") === undefined;
}

/** Whether host and port of the URI are ours. */
export function isOwnUri(uri: SipUri, network: Network): boolean {
  return network.isOwn(uri.host, uriPort(uri));
}

/** A Route of another node is as ours when it names a call, and only that of which the Routes before it are. */
function isRouteOfPeer(uri: SipUri, did: string | undefined, network: Network): boolean {
  const named = uriParam(uri, "did");
  return named !== undefined && (did === undefined || did === named) && isPeerUri(uri, network);
}

function isPeerUri(uri: SipUri, network: Network): boolean {
  return network.isPeer?.(uri.host, uriPort(uri)) ?? false;
}
