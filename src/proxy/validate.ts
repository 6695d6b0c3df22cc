import { H, isToken, parseMaxBreadth, type SipRequest, SipSyntaxError, uriScheme } from "../sip/index.ts";
import { isLoop, loopFingerprint, mayBeBack } from "./branch-id.ts";
import type { ProxyCore } from "./core.ts";

/** Why a request is not processed: the answer that it gets (RFC 3261 §16.3). */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly headers?: readonly (readonly [string, string])[];
}

/** Schemes whose requests can be routed: the first two by their host, a telephone number by the balancer's choice. */
const SCHEMES = new Set(["sip", "sips", "tel", "urn"]);

/** RFC 3261 §16.3, steps 2 to 5. */
export function validate(request: SipRequest, core: ProxyCore): Refusal | undefined {
  if (!request.uri.startsWith("sip:") && !SCHEMES.has(uriScheme(request.uri))) return { status: 416, reason: "Unsupported URI Scheme" };
  // These may be for us, and then they go no further (RFC 3261 §16.3 step 3).
  const mayEndHere = request.method === "OPTIONS" || (request.method === "REGISTER" && core.registrar !== undefined);
  const exhausted = mayEndHere ? undefined : checkLimits(request, core);
  if (exhausted !== undefined) return exhausted;
  if (mayBeBack(request) && isLoop(request, loopFingerprint(request), core.network)) {
    core.counters.loops++;
    return { status: 482, reason: "Loop Detected" };
  }
  if (request.indexOf(H.ProxyRequire) !== -1) {
    // No extension of the proxy is supported that a request could require.
    return {
      status: 420,
      reason: "Bad Extension",
      headers: [
        [
          "Unsupported",
          request
            .list(H.ProxyRequire)
            .filter((tag) => isToken(tag))
            .join(", "),
        ],
      ],
    };
  }
  return undefined;
}

/** Whether a request may go on at all: hops and branches are left (RFC 3261 §16.3 step 3, RFC 5393 §5.3). Not asked for what ends here. */
export function checkLimits(request: SipRequest, core: ProxyCore): Refusal | undefined {
  if (request.maxForwards === 0) {
    core.counters.too_many_hops++;
    return { status: 483, reason: "Too Many Hops" };
  }
  const breadth = request.value(H.MaxBreadth);
  if (breadth === undefined) return undefined;
  try {
    return parseMaxBreadth(breadth) === 0 ? { status: 440, reason: "Max-Breadth Exceeded" } : undefined;
  } catch (error) {
    if (!(error instanceof SipSyntaxError)) throw error;
    return { status: 400, reason: "Bad Max-Breadth" };
  }
}
