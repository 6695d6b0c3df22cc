import { tryParseSipUri } from "../sip/index.ts";
import { uriPort } from "./core.ts";
import { transportOf } from "./next-hop.ts";

/** Where a request would go: an address or a host name without brackets, the port filled in, the transport in lower case. */
export interface UriTarget {
  readonly address: string;
  readonly port: number;
  readonly transport: string;
}

const ESCAPE = /%([0-9a-f]{2})/gi;

/**
 * Where a request to this URI would go: its host first, then each `maddr`, which other elements prefer (RFC 3261 §19.1.1). Names and values of parameters
 * are compared without escapes (RFC 3261 §19.1.4), and of several `maddr` each counts: nobody knows which one others take.
 * Nowhere when it is no SIP or SIPS URI: nothing is sent to such a one.
 */
export function uriTargets(text: string): UriTarget[] {
  const uri = tryParseSipUri(text);
  if (uri === undefined) return [];
  const port = uriPort(uri);
  const transport = transportOf(uri);
  const targets = [{ address: uri.host, port, transport }];
  if (uri.params === "") return targets;
  for (const param of uri.params.split(";")) {
    const equals = param.indexOf("=");
    if (equals === -1 || unescaped(param.slice(0, equals)).toLowerCase() !== "maddr") continue;
    const address = withoutBrackets(unescaped(param.slice(equals + 1)).toLowerCase());
    if (address !== "") targets.push({ address, port, transport });
  }
  return targets;
}

function unescaped(text: string): string {
  return text.replace(ESCAPE, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function withoutBrackets(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
