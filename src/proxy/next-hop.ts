import type { Address, Destination } from "../balancer/index.ts";
import { targetOfUri } from "../resolution/index.ts";
import { type SipUri, tryParseSipUri, uriParam } from "../sip/index.ts";
import type { Endpoint, Listener } from "../transaction/index.ts";
import { type Network, uriPort } from "./core.ts";
import { isReachedByFlow } from "./flow.ts";
import { namesPlace } from "./uri-look.ts";

/** Transport of a URI (RFC 3263 §4.1, without NAPTR): its parameter, TLS for sips, else UDP. */
export function transportOf(uri: SipUri): string {
  return (uriParam(uri, "transport") ?? (uri.scheme === "sips" ? "tls" : "udp")).toLowerCase();
}

/** An IPv4 or IPv6 address, as opposed to a name. */
export function isAddress(host: string): boolean {
  if (host.includes(":")) return true;
  for (let i = 0; i < host.length; i++) {
    const c = host.charCodeAt(i);
    if (c !== 46 && (c < 48 || c > 57)) return false;
  }
  return host.length > 0;
}

/** Where a request may go, the most wanted place first; empty when it can go nowhere. */
export type Hops = readonly Endpoint[] | Promise<readonly Endpoint[]>;

const NOWHERE: readonly Endpoint[] = [];

/** The addresses of a destination that can be reached from a listener, in the order in which one request tries them. */
export function endpointsOf(network: Network, { addresses, uri }: Destination, preferred: Listener): readonly Endpoint[] {
  return reachable(network, network.order?.(addresses) ?? addresses, preferred, nameOf(tryParseSipUri(uri)));
}

/**
 * Where a request to this URI may go, in the order in which the places are tried (RFC 3263 §4); empty when it cannot be sent. A promise only when a name
 * must be looked up; it never rejects.
 */
export function nextHops(network: Network, uriText: string, preferred: Listener): Hops {
  const uri = tryParseSipUri(uriText);
  if (uri === undefined) return NOWHERE;
  if (isAddress(uri.host)) {
    const endpoint = network.endpoint(uri.host, uriPort(uri), transportOf(uri), preferred);
    return endpoint === undefined ? NOWHERE : [endpoint];
  }
  const found = network.locate(targetOfUri(uri));
  if (!(found instanceof Promise)) return reachable(network, found, preferred, nameOf(uri));
  return found.then(
    (addresses) => reachable(network, addresses, preferred, nameOf(uri)),
    () => NOWHERE,
  );
}

/**
 * Where a request inside a dialog may go, in the order in which the places are tried: the flow of the other side alone when it is only reached by that, else
 * where the other side was last seen, when its name still leads there, then the other places. The servers behind one name need not know of each other's calls.
 */
export function nextHopsInDialog(network: Network, uriText: string, seen: Endpoint): Hops {
  const there = placeSeen(network, uriText, seen);
  if (there !== undefined) return [there];
  if (isReachedByFlow(uriText, seen)) return [seen];
  const found = nextHops(network, uriText, seen.listener);
  return found instanceof Promise ? found.then((hops) => nearestFirst(hops, seen)) : nearestFirst(found, seen);
}

/** The first of {@link nextHopsInDialog}: for what is sent once and waits for no answer. */
export function nextHop(network: Network, uriText: string, seen: Endpoint): Endpoint | undefined | Promise<Endpoint | undefined> {
  const there = placeSeen(network, uriText, seen);
  if (there !== undefined) return there;
  const found = nextHopsInDialog(network, uriText, seen);
  return found instanceof Promise ? found.then(([first]) => first) : found[0];
}

/** The only place of {@link nextHopsInDialog}, for a URI that says nothing but where the other side was seen, over UDP: it need not be read. */
function placeSeen(network: Network, uriText: string, seen: Endpoint): Endpoint | undefined {
  if (seen.connection !== undefined || !namesPlace(uriText, seen)) return undefined;
  return network.endpoint(seen.address, seen.port, seen.transport, seen.listener);
}

function nearestFirst(hops: readonly Endpoint[], seen: Endpoint): readonly Endpoint[] {
  const isThere = ({ address, port, transport }: Endpoint): boolean =>
    address === seen.address && port === seen.port && transport === seen.transport;
  const there = seen.connection === undefined && hops.length === 1 ? undefined : hops.find(isThere);
  if (there === undefined) return hops;
  // A client over a stream is reached on its own connection: it takes no other.
  return seen.connection === undefined ? [there, ...hops.filter((hop) => hop !== there)] : [seen];
}

function reachable(network: Network, addresses: readonly Address[], preferred: Listener, name: string | undefined): readonly Endpoint[] {
  const endpoints: Endpoint[] = [];
  for (const { ip, port, transport } of addresses) {
    const endpoint = network.endpoint(ip, port, transport, preferred);
    if (endpoint !== undefined) endpoints.push(name === undefined ? endpoint : { ...endpoint, name });
  }
  return endpoints;
}

/** One address of a destination, through a listener of its transport; undefined when there is none. */
export function endpointAt(network: Pick<Network, "endpoint">, { ip, port, transport }: Address, uri: string): Endpoint | undefined {
  const endpoint = network.endpoint(ip, port, transport);
  const name = nameOf(tryParseSipUri(uri));
  return endpoint === undefined || name === undefined ? endpoint : { ...endpoint, name };
}

/** Whether what is sent there is encrypted on its way. */
export function isSecure({ transport }: Pick<Endpoint, "transport">): boolean {
  return transport === "tls" || transport === "wss";
}

/** Host of the URI when it is a name, as certificates have it. */
function nameOf(uri: SipUri | undefined): string | undefined {
  return uri === undefined || isAddress(uri.host) ? undefined : withoutDot(uri.host);
}

function withoutDot(host: string): string {
  return host.endsWith(".") ? host.slice(0, -1) : host;
}
