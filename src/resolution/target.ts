import { type Address, canonicalIp } from "../balancer/index.ts";
import { type SipUri, uriParam } from "../sip/index.ts";

export type Transport = Address["transport"];

/** What a URI says of where it leads, before anybody is asked (RFC 3263 §4). */
export interface SipTarget {
  /** Name or address, in lower case, without brackets and final dot. */
  readonly host: string;
  readonly port: number | undefined;
  /** Of the parameter `transport`, in lower case; it may be one that nobody knows. */
  readonly transport: string | undefined;
  /** A sips URI. */
  readonly isSecure: boolean;
}

/** What this version sends over, the most wanted first: each needs a listener of its kind. */
export const SERVED_TRANSPORTS: readonly Transport[] = ["udp", "tcp", "tls"];

const DEFAULT_PORT = 5060;
const DEFAULT_TLS_PORT = 5061;
/** RFC 7118 §5: where a WebSocket URI says no port, that of SIP over the same kind of transport is meant. */
const DEFAULT_PORTS: Readonly<Record<Transport, number>> = {
  udp: DEFAULT_PORT,
  tcp: DEFAULT_PORT,
  tls: DEFAULT_TLS_PORT,
  ws: 80,
  wss: 443,
};
/** What a sips URI makes of a transport: it is always secure (RFC 3261 §26.2.2). */
const SECURED: Readonly<Record<string, Transport>> = { tcp: "tls", tls: "tls", ws: "wss", wss: "wss" };

export function targetOfUri(uri: SipUri): SipTarget {
  const transport = uriParam(uri, "transport")?.toLowerCase();
  return { host: withoutDot(uri.host), port: uri.port, transport, isSecure: uri.scheme === "sips" };
}

/** Targets with the same key lead to the same places. */
export function targetKey({ host, port, transport, isSecure }: SipTarget): string {
  return `${isSecure ? "sips" : "sip"} ${host} ${port ?? ""} ${transport ?? ""}`;
}

/** The transport that the target asks for; undefined when it leaves the choice, as only a name without a port can. */
export function askedTransport({ transport, isSecure }: SipTarget): string | undefined {
  if (transport === undefined) return undefined;
  return isSecure ? (SECURED[transport] ?? `${transport} and security`) : transport;
}

/** RFC 3263 §4.1: the transport when nothing tells it. */
export function fallbackTransport({ isSecure }: SipTarget): Transport {
  return isSecure ? "tls" : "udp";
}

/** Port of a transport when nothing tells it (RFC 3261 §19.1.2). */
export function defaultPort(transport: Transport): number {
  return DEFAULT_PORTS[transport];
}

/** An IPv4 or IPv6 address, as opposed to a name. */
export function isNumeric(host: string): boolean {
  return canonicalIp(host) !== undefined;
}

/** A name of one label is for the machine to find, by its hosts file and search domains; nobody keeps SRV records of it. */
export function isPlainName(host: string): boolean {
  return !host.includes(".") || host.endsWith(".localhost");
}

function withoutDot(host: string): string {
  return host.endsWith(".") ? host.slice(0, -1) : host;
}
