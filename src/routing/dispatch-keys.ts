import { canonicalIp } from "../balancer/index.ts";
import type { UriKey, UriTarget } from "../dispatch/index.ts";
import { DEFAULT_PORT, DEFAULT_TLS_PORT } from "../proxy/core.ts";
import { askedTransport, targetOfUri } from "../resolution/index.ts";
import { type SipRequest, tryParseSipUri, uriUser } from "../sip/index.ts";
import { splitUri } from "./request-uri.ts";

/** Where the URI of a destination leads, as far as its text says; `undefined` when it is no SIP or SIPS URI. */
export function dispatchTarget(text: string): UriTarget | undefined {
  const uri = tryParseSipUri(text);
  if (uri === undefined) return undefined;
  const transport = askedTransport(targetOfUri(uri)) ?? (uri.scheme === "sips" ? "tls" : "");
  return { host: uri.host, port: uri.port ?? 0, transport, address: canonicalIp(uri.host) };
}

/** Longest header of credentials that is looked at. */
const MAX_CREDENTIALS_LENGTH = 4_096;
const USERNAME = /[\s,]username[ \t]*=[ \t]*(?:"([^"]*)"|([^\s,"]+))/i;

/**
 * What Kamailio hashes of a URI, byte for byte: upper and lower case count, the user is without password and parameters, an IPv6 address has its
 * brackets, and a port stands behind the host when the URI names another than the default one (seen on 5.6.3). `undefined` when it is no SIP, SIPS or tel URI.
 */
export function uriKey(text: string): UriKey | undefined {
  const uri = tryParseSipUri(text);
  if (uri === undefined) return text.slice(0, 4).toLowerCase() === "tel:" ? { user: splitUri(text).user, host: "" } : undefined;
  const { host, port } = writtenHost(text);
  const isDefault = uri.port === undefined || uri.port === (uri.scheme === "sips" ? DEFAULT_TLS_PORT : DEFAULT_PORT);
  return { user: (uriUser(uri) ?? "").split(";", 1)[0]!, host: isDefault ? host : host + port };
}

/** Host and port of a SIP URI as they stand in it: the host in its own case, an IPv6 address with brackets; the port with its colon, "" when there is none. */
export function writtenHost(text: string): { readonly host: string; readonly port: string } {
  const start = text.indexOf("@") + 1 || text.indexOf(":") + 1;
  const [, host = "", port = ""] = /^(\[[^\]]*\]|[^:;?]*)(:\d+)?/.exec(text.slice(start)) ?? [];
  return { host, port };
}

/** User of the credentials of a request, without a domain behind it; `undefined` when there are none. Those for a proxy go first, as in Kamailio. */
export function authUser(request: SipRequest): string | undefined {
  const value = request.header("Proxy-Authorization") ?? request.header("Authorization");
  if (value === undefined || value.length > MAX_CREDENTIALS_LENGTH) return undefined;
  const found = USERNAME.exec(value);
  const user = (found?.[1] ?? found?.[2] ?? "").split("@", 1)[0]?.trim();
  return user === "" ? undefined : user;
}
