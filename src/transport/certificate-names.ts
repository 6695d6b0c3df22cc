import { checkServerIdentity, type PeerCertificate } from "node:tls";

/**
 * Whether a certificate is for this host (RFC 5922 §7.1): its subjectAltName has the SIP URI of the domain, or the DNS name or IP address. A wildcard in a
 * DNS name stands for one label, as on the web: RFC 5922 §7.2 would not have it, but authorities and operators use it.
 *
 * @param host name in lower case, or IP address
 */
export function isNamedBy(certificate: PeerCertificate, host: string): boolean {
  return hasSipUri(certificate.subjectaltname ?? "", host) || checkServerIdentity(host, certificate) === undefined;
}

/** A text with quotes holds names that were made to look like several: none of it is read. */
function hasSipUri(alternatives: string, host: string): boolean {
  if (alternatives.includes('"')) return false;
  return alternatives
    .split(", ")
    .some((entry) => /^uri:sips?:/i.test(entry) && entry.slice(entry.lastIndexOf(":") + 1).toLowerCase() === host);
}
