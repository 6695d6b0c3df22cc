import type { BlacklistTarget } from "../health/index.ts";
import { uriPort } from "../proxy/core.ts";
import { transportOf } from "../proxy/next-hop.ts";
import { tryParseSipUri, uriParam } from "../sip/index.ts";

/**
 * Where a request to this URI would go: its host, and its `maddr`, which other elements prefer (RFC 3261 §19.1.1).
 * Nowhere when it is no SIP or SIPS URI: nothing is sent to such a one.
 */
export function uriTargets(text: string): BlacklistTarget[] {
  const uri = tryParseSipUri(text);
  if (uri === undefined) return [];
  const port = uriPort(uri);
  const transport = transportOf(uri);
  const maddr = uriParam(uri, "maddr");
  const hosts = maddr === undefined || maddr === "" ? [uri.host] : [uri.host, maddr.toLowerCase()];
  return hosts.map((host) => ({ host, port, transport }));
}
