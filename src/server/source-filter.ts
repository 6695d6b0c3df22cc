import type { Balancer } from "../balancer/index.ts";
import { compileCidr, parseIp } from "../routing/index.ts";
import type { Endpoint } from "../transaction/index.ts";

/** `sip.allow`: who may send initial requests. Destinations always may. */
export function sourceFilter(allow: readonly string[], balancer: Balancer): (source: Endpoint) => boolean {
  if (allow.length === 0) return () => true;
  const blocks = allow.map((text) => compileCidr(text));
  return ({ address }) => {
    const words = parseIp(address);
    if (words !== undefined && blocks.some((contains) => contains(words))) return true;
    return balancer.isDestination(address, 0) !== undefined;
  };
}
