import { buildRequest } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";

/** What one probe is made of. */
export interface ProbeParts {
  readonly method: string;
  /** URI of the destination: Request-URI and To (OpenSIPS `lb_prober.c`). */
  readonly uri: string;
  /** From URI. */
  readonly from: string;
  readonly transport: Endpoint["transport"];
  /** host:port of the sending socket. */
  readonly sentBy: string;
  readonly branch: string;
  /** Tag of From, and Call-ID. */
  readonly token: string;
  readonly userAgent: string;
}

/** Text of a probe. `rport` asks for the reply where the probe came from, also through NAT (RFC 3581). */
export function probeMessage({ method, uri, from, transport, sentBy, branch, token, userAgent }: ProbeParts): string {
  // "An Accept header field SHOULD be included" in OPTIONS (RFC 3261 §11.1).
  const accept: readonly (readonly [string, string])[] = method === "OPTIONS" ? [["Accept", "application/sdp"]] : [];
  return buildRequest({
    method,
    uri,
    via: `SIP/2.0/${transport.toUpperCase()} ${sentBy};rport;branch=${branch}`,
    from: `<${from}>;tag=${token}`,
    to: `<${uri}>`,
    callId: token,
    cseq: 1,
    headers: [...accept, ["User-Agent", userAgent]],
  });
}
