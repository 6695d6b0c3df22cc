import type { Destination } from "../balancer/index.ts";
import { type SipUri, tryParseSipUri, uriParam } from "../sip/index.ts";
import type { Endpoint, Listener } from "../transaction/index.ts";
import { type Network, uriPort } from "./core.ts";

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

/** The first address of a destination that can be reached from a listener. */
export function endpointOf(network: Network, { addresses }: Destination, preferred: Listener): Endpoint | undefined {
  for (const { ip, port, transport } of addresses) {
    const endpoint = network.endpoint(ip, port, transport, preferred);
    if (endpoint !== undefined) return endpoint;
  }
  return undefined;
}

/** Where a request to this URI goes; undefined when it cannot be sent. A promise only when a name must be looked up. */
export function nextHop(network: Network, uriText: string, preferred: Listener): Endpoint | undefined | Promise<Endpoint | undefined> {
  const uri = tryParseSipUri(uriText);
  if (uri === undefined) return undefined;
  const transport = transportOf(uri);
  const port = uriPort(uri);
  if (isAddress(uri.host)) return network.endpoint(uri.host, port, transport, preferred);
  const found = network.resolve(uri.host);
  if (found instanceof Promise) {
    return found.then(
      (address) => (address === undefined ? undefined : network.endpoint(address, port, transport, preferred)),
      () => undefined,
    );
  }
  return found === undefined ? undefined : network.endpoint(found, port, transport, preferred);
}
