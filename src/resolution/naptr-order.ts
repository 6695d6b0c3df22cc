import type { NaptrRecord } from "./ports.ts";
import type { SipTarget, Transport } from "./target.ts";

/** A way that a NAPTR record offers: ask for the SRV records of `name`. */
export interface NaptrWay {
  readonly transport: Transport;
  readonly name: string;
}

/** RFC 3263 §4.1, and RFC 7118 §5.2 for WebSocket. SCTP is nothing that we know. */
const SERVICES: Readonly<Record<string, Transport>> = {
  "sip+d2u": "udp",
  "sip+d2t": "tcp",
  "sips+d2t": "tls",
  "sip+d2w": "ws",
  "sips+d2w": "wss",
};
const SIP_SERVICE = /^sips?\+d2/i;

/**
 * What the NAPTR records of a name offer (RFC 3263 §4.1), the most wanted first.
 *
 * Records of other services, such as ENUM, are passed over. A sips URI takes secure ones only.
 *
 * @param served transports that we have
 * @returns `ways` in the order of the records; `others` are the services of SIP that we cannot take
 */
export function naptrWays(
  records: readonly NaptrRecord[],
  { isSecure }: Pick<SipTarget, "isSecure">,
  served: readonly Transport[],
): { readonly ways: readonly NaptrWay[]; readonly others: readonly string[] } {
  const ways: NaptrWay[] = [];
  const others = new Set<string>();
  for (const { flags, service, replacement } of sortNaptr(records)) {
    if (!SIP_SERVICE.test(service)) continue;
    const transport = SERVICES[service.toLowerCase()];
    const isFit = !isSecure || transport === "tls" || transport === "wss";
    // "s" alone is defined for SIP: an SRV record comes next, by the replacement, not by a regular expression.
    const isUsable = flags.toLowerCase() === "s" && replacement !== "";
    if (transport !== undefined && served.includes(transport) && isFit && isUsable) ways.push({ transport, name: replacement });
    else others.add(service.toUpperCase());
  }
  return { ways, others: [...others] };
}

function sortNaptr(records: readonly NaptrRecord[]): NaptrRecord[] {
  return [...records].sort((a, b) => a.order - b.order || a.preference - b.preference);
}
