import type { SipRequest } from "../sip/index.ts";

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * To tag of an answer that leaves no state behind. It is the same each time the request comes: "To header tags MUST be generated for
 * responses in a stateless manner" (RFC 3261 §8.2.7).
 *
 * @param base makes the tag unique in the world: a token that is drawn once
 */
export function statelessTag(base: string, request: SipRequest): string {
  const text = `${request.callId} ${request.fromTag} ${request.cseqNumber} ${request.topVia.branch}`;
  let hash = FNV_OFFSET;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  return `${base}.${(hash >>> 0).toString(16)}`;
}
