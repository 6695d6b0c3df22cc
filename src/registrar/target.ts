import { canonicalIp } from "../balancer/index.ts";
import { bracketHost, type SipUri, uriParam } from "../sip/index.ts";
import type { Source } from "./ports.ts";

/** Where a registered server is reached. */
export interface Target {
  /** Without brackets: an IP address as `canonicalIp` spells it, or a name in lower case. */
  readonly host: string;
  readonly port: number;
  readonly transport: string;
}

const DEFAULT_PORT = 5060;
const DEFAULT_TLS_PORT = 5061;

/**
 * Which address becomes the destination. The Contact's, when its host is the address that the request came from: its port is where the
 * server listens, which over TCP the source's is not. Otherwise the server is behind NAT, or lies, and the source address is where it can be
 * reached: nobody can have calls sent to somebody else. An account that trusts its Contacts takes them as they are, names included, but not
 * an address that stands for no server.
 */
export function chooseTarget(
  contact: SipUri,
  source: Source,
  trustContact: boolean,
): { readonly target: Target; readonly natted: boolean } {
  const ip = canonicalIp(contact.host);
  const sourceIp = canonicalIp(source.address) ?? source.address;
  const agrees = ip !== undefined && ip === sourceIp;
  if (agrees || (trustContact && !isNoServer(ip))) {
    const transport = (uriParam(contact, "transport") || "udp").toLowerCase();
    const port = contact.port ?? (transport === "tls" ? DEFAULT_TLS_PORT : DEFAULT_PORT);
    return { target: { host: ip ?? contact.host, port, transport }, natted: false };
  }
  return { target: { host: sourceIp, port: source.port, transport: source.transport }, natted: true };
}

/** Addresses that stand for no server: none, all, and groups (RFC 1122 §3.2.1.3, RFC 5771, RFC 4291 §2.7). */
function isNoServer(ip: string | undefined): boolean {
  if (ip === undefined) return false;
  if (ip.includes(":")) return ip === "0:0:0:0:0:0:0:0" || ip.startsWith("ff");
  const first = Number(ip.slice(0, ip.indexOf(".")));
  return first === 0 || first >= 224;
}

/** The URI of a row. */
export function targetUri({ host, port, transport }: Target): string {
  return `sip:${bracketHost(host)}:${port}${transport === "udp" ? "" : `;transport=${transport}`}`;
}
