import { H, parseNameAddr, type SipRequest, type SipUri, tryParseSipUri, uriParam } from "../sip/index.ts";
import { type Network, uriPort } from "./core.ts";

/** What the Route headers and the Request-URI of a request say once our own entries are taken out (RFC 3261 §16.4). */
export interface RoutePlan {
  /** The Request-URI after the repair for strict routers. */
  readonly requestUri: string;
  /** Its last Route became the Request-URI. */
  readonly dropLastRoute: boolean;
  /** Route values of ours to remove from the top. */
  readonly popRoutes: number;
  /** URI of the Route that is next; undefined when none is left. */
  readonly nextRoute: string | undefined;
  /** `did` of our Record-Route, when the request carries it. */
  readonly did: string | undefined;
}

const NO_ROUTE_LIMIT = 2; // a call passes us once, with at most two Record-Routes (RFC 5658)

/** @throws SipSyntaxError when a Route cannot be read */
export function planRoute(request: SipRequest, network: Network): RoutePlan {
  const routes = request.indexOf(H.Route) === -1 ? [] : request.list(H.Route).map((value) => parseNameAddr(value).uri);
  let requestUri = request.uri;
  let dropLastRoute = false;
  let did = didOf(requestUri, network);
  // A strict router before us put our Record-Route into the Request-URI and the real target into the last Route.
  if (did !== undefined && routes.length > 0) {
    requestUri = routes.pop()!;
    dropLastRoute = true;
  }
  let popRoutes = 0;
  while (popRoutes < NO_ROUTE_LIMIT && popRoutes < routes.length) {
    const uri = tryParseSipUri(routes[popRoutes]!);
    if (uri === undefined || !isOwnUri(uri, network)) break;
    if (popRoutes > 0 && uriParam(uri, "r2") === undefined) break;
    did ??= uriParam(uri, "did");
    popRoutes++;
    if (uriParam(uri, "r2") === undefined) break;
  }
  return { requestUri, dropLastRoute, popRoutes, nextRoute: routes[popRoutes], did };
}

/** Whether host and port of the URI are ours. */
export function isOwnUri(uri: SipUri, network: Network): boolean {
  return network.isOwn(uri.host, uriPort(uri));
}

function didOf(text: string, network: Network): string | undefined {
  if (!text.includes(";did=")) return undefined;
  const uri = tryParseSipUri(text);
  return uri !== undefined && isOwnUri(uri, network) ? uriParam(uri, "did") : undefined;
}
