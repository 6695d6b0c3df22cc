import type { DialogMatch } from "../dialog/index.ts";
import { H, type SipRequest, type SipUri, tryParseSipUri } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import { type ProxyCore, uriPort } from "./core.ts";
import { callerFlow } from "./flow.ts";
import { routeUriOf } from "./inside-request.ts";
import { uriTransport } from "./listener-texts.ts";
import { isOwnUri, isStrictRouter, type RoutePlan } from "./loose-route.ts";
import { type Hops, nextHop, nextHopsInDialog } from "./next-hop.ts";
import { isGuarded, mayName } from "./target-guard.ts";
import { namesPlace } from "./uri-look.ts";

/** Where an in-dialog request goes and how it is changed, but for the branch. */
export interface InDialogPlan {
  /** URI of the next hop. */
  readonly hop: string;
  readonly requestUri: string;
  readonly popRoutes: number;
  readonly appendRoute: string | undefined;
  readonly pushRoutes: readonly string[];
  /** Where the peer was last seen: for a hop that cannot be reached. */
  readonly fallback: Endpoint;
  /** The peer itself asked for this hop; false: the sender of the request wrote another one, or nothing is kept from the parties of this call. */
  readonly isOfPeer: boolean;
  /** Its sender wrote a target into it that is kept from callers: it must not be sent. */
  readonly isDenied: boolean;
}

/** What we know of the side that a request is for. */
interface Peer {
  readonly contact: string;
  readonly routes: readonly string[];
  readonly endpoint: Endpoint;
}

const NONE: readonly never[] = [];

/**
 * RFC 3261 §16.5 and §16.6 step 6 for a request inside a dialog. A party of the call decides by Route and Request-URI where its request goes.
 * Anybody else who knows the tags reaches the other side of the call and nothing more: the remote target and the route set that we saw take the
 * place of what it wrote, so that a dialog is no open relay. The same serves peers that address us because they lost the Contact or the routes.
 * So does a caller's BYE, which frees a slot: it must reach the destination that holds the call, wherever it is addressed.
 * Whether the hop may be reached is for `mayReach` to say, once it has an address.
 */
export function planInDialog(core: ProxyCore, request: SipRequest, source: Endpoint, match: DialogMatch, route: RoutePlan): InDialogPlan {
  const quick = quickPlan(core, request, source, match, route);
  if (quick !== undefined) return quick;
  const peer = peerOf(core, request, source, match);
  const wanted = route.nextRoute ?? route.requestUri;
  if (isFromParty(source, match) && !freesSlot(request, match)) {
    if (isUsable(core, wanted)) {
      const isOfPeer = isGuarded(core, match.dialog) && namesPeer(wanted, peer);
      return asAsked(route, wanted, peer.endpoint, isOfPeer, !isAllowed(core, request, match, route, peer));
    }
  } else if (leadsTo(core, wanted, peer) && isAllowed(core, request, match, route, peer))
    return asAsked(route, wanted, peer.endpoint, true, false);
  const popRoutes = route.popRoutes + route.leftRoutes;
  const first = peer.routes[0];
  const hop = first === undefined ? peer.contact : routeUriOf(first);
  const fallback = peer.endpoint;
  const [isOfPeer, isDenied] = [true, false];
  if (first !== undefined && isStrictRouter(hop))
    return { hop, requestUri: hop, popRoutes, appendRoute: peer.contact, pushRoutes: peer.routes.slice(1), fallback, isOfPeer, isDenied };
  return { hop, requestUri: peer.contact, popRoutes, appendRoute: undefined, pushRoutes: peer.routes, fallback, isOfPeer, isDenied };
}

/**
 * {@link planInDialog} for a request of a party that names nothing but the place where the other one was seen last, when nothing is kept from either: nearly each
 * one does. A BYE of the caller names the Contact of the callee, too.
 */
function quickPlan(core: ProxyCore, request: SipRequest, source: Endpoint, match: DialogMatch, route: RoutePlan): InDialogPlan | undefined {
  const { dialog, direction } = match;
  if (route.leftRoutes > 0 || !isFromParty(source, match) || isGuarded(core, dialog)) return undefined;
  const { requestUri } = route;
  const place = direction === "downstream" ? (dialog.calleeEndpoint ?? source) : callerFlow(dialog);
  if (!namesPlace(requestUri, place) || core.network.isOwn(place.address, place.port)) return undefined;
  const isOfPeer = freesSlot(request, match);
  if (isOfPeer) {
    const leg = dialog.findLeg(request.toTag);
    if (leg === undefined || leg.contact !== requestUri || leg.routeSet.length > 0) return undefined;
  }
  return asAsked(route, requestUri, place, isOfPeer, false);
}

/** The endpoint of a plan: the peer's last known place when its hop cannot be reached. */
export function targetOf(core: ProxyCore, plan: InDialogPlan): Endpoint | Promise<Endpoint> {
  const found = nextHop(core.network, plan.hop, plan.fallback);
  return found instanceof Promise ? found.then((target) => target ?? plan.fallback) : (found ?? plan.fallback);
}

/** Where a request of a plan may go, at least one place, in the order in which they are tried: the peer's last known place when its hop cannot be reached. */
export function targetsOf(core: ProxyCore, plan: InDialogPlan): Hops {
  const found = nextHopsInDialog(core.network, plan.hop, plan.fallback);
  return found instanceof Promise ? found.then((hops) => orFallback(hops, plan)) : orFallback(found, plan);
}

function orFallback(hops: readonly Endpoint[], plan: InDialogPlan): readonly Endpoint[] {
  return hops.length > 0 ? hops : [plan.fallback];
}

/** Whether nothing that the request says of its way, as it stands, is kept from callers. */
function isAllowed(core: ProxyCore, request: SipRequest, { dialog }: DialogMatch, route: RoutePlan, peer: Peer): boolean {
  if (!isGuarded(core, dialog)) return true;
  const { nextRoute, requestUri, popRoutes, leftRoutes } = route;
  const further = leftRoutes > 1 ? request.list(H.Route).slice(popRoutes + 1, popRoutes + leftRoutes) : NONE;
  return mayName(core, dialog, {
    hop: nextRoute ?? requestUri,
    beyond: nextRoute === undefined ? NONE : [requestUri, ...further.map(routeUriOf)],
    ofPeer: [peer.contact, ...peer.routes.map(routeUriOf)],
    peer: peer.endpoint,
  });
}

function asAsked(route: RoutePlan, hop: string, fallback: Endpoint, isOfPeer: boolean, isDenied: boolean): InDialogPlan {
  const { requestUri, popRoutes, nextRoute } = route;
  if (nextRoute === undefined || !isStrictRouter(nextRoute))
    return { hop, requestUri, popRoutes, appendRoute: undefined, pushRoutes: NONE, fallback, isOfPeer, isDenied };
  // The next hop is a strict router: it wants itself in the Request-URI, and the target in the last Route.
  return { hop, requestUri: nextRoute, popRoutes: popRoutes + 1, appendRoute: requestUri, pushRoutes: NONE, fallback, isOfPeer, isDenied };
}

function peerOf(core: ProxyCore, request: SipRequest, source: Endpoint, { dialog, direction }: DialogMatch): Peer {
  const leg = direction === "downstream" ? dialog.findLeg(request.toTag) : undefined;
  const endpoint = direction === "downstream" ? (dialog.calleeEndpoint ?? source) : callerFlow(dialog);
  const known = direction === "downstream" ? (leg?.contact ?? "") : dialog.callerContact;
  const routes = direction === "downstream" ? (leg?.routeSet ?? NONE) : dialog.callerRouteSet;
  const uri = known === "" ? undefined : tryParseSipUri(known);
  // A Contact that is ours would bring the request back to us.
  const contact = known === "" || (uri !== undefined && isOwnUri(uri, core.network)) ? endpointUri(endpoint) : known;
  return { contact, routes, endpoint };
}

function isFromParty(source: Endpoint, { dialog, direction }: DialogMatch): boolean {
  const party = direction === "downstream" ? dialog.callerEndpoint : dialog.calleeEndpoint;
  return party?.address === source.address;
}

function freesSlot({ method }: SipRequest, { direction }: DialogMatch): boolean {
  return method === "BYE" && direction === "downstream";
}

/** Whether a request may go there at all: not back to us. */
function isUsable(core: ProxyCore, wanted: string): boolean {
  const uri = tryParseSipUri(wanted);
  return uri !== undefined && !isOwnUri(uri, core.network);
}

function leadsTo(core: ProxyCore, wanted: string, peer: Peer): boolean {
  const first = peer.routes[0];
  if (first !== undefined) return routeUriOf(first) === wanted && wanted !== "";
  return wanted === peer.contact || (isUsable(core, wanted) && namesPeer(wanted, { ...peer, routes: NONE }));
}

/** Whether host and port are those of the peer's nearest route, of its Contact, or of the place where it was last seen. */
function namesPeer(wanted: string, { routes, contact, endpoint }: Peer): boolean {
  const uri = tryParseSipUri(wanted);
  if (uri === undefined) return false;
  if (uri.host === endpoint.address && uriPort(uri) === endpoint.port) return true;
  return isSameHop(uri, contact) || (routes[0] !== undefined && isSameHop(uri, routeUriOf(routes[0])));
}

function isSameHop(uri: SipUri, other: string): boolean {
  const known = tryParseSipUri(other);
  return known !== undefined && known.host === uri.host && uriPort(known) === uriPort(uri);
}

function endpointUri({ address, port, transport }: Endpoint): string {
  return `sip:${address.includes(":") ? `[${address}]` : address}:${port}${transport === "udp" ? "" : `;transport=${uriTransport(transport)}`}`;
}
