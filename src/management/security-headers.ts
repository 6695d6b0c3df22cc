/**
 * Headers of every answer (OWASP Secure Headers). An answer of data is no page: it loads nothing, stands in no frame, is kept nowhere. A page sets its own
 * Content-Security-Policy, {@link PAGE_POLICY}. There is no Strict-Transport-Security: it would hold for all ports of the host, not for this one alone.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "cache-control": "no-store",
};

/** Content-Security-Policy of a page of ours: scripts, styles, pictures and connections of its own origin, nothing inline, no form that goes elsewhere. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
