import { canonicalIp } from "../balancer/index.ts";
import { tryParseSipUri, uriParam } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import type { Network } from "./core.ts";

/** How long a place that takes nothing over TCP is not tried again, ms: less than it takes an operator to wonder, and few calls pay for it. */
export const REFUSED_MS = 300_000;
/** Places that are remembered; beyond that all are forgotten. */
const MAX_REFUSED = 10_000;

export interface LargeRequestsPorts {
  readonly network: Pick<Network, "endpoint">;
  /** Requests with more bytes are large; 0: none is. */
  readonly limitBytes: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
}

/**
 * Requests that are too large for a datagram go over TCP (RFC 3261 §18.1.1), unless the URI of their next hop asks for UDP, or nobody takes them there:
 * then they go over UDP after all, and the place is not asked again for a while.
 */
export class LargeRequests {
  readonly #ports: LargeRequestsPorts;
  /** Until when places are not tried, ms. */
  readonly #refused = new Map<string, number>();

  constructor(ports: LargeRequestsPorts) {
    this.#ports = ports;
  }

  /**
   * The place over TCP for a request that would go to `target` over UDP; undefined when it stays.
   *
   * @param uri of the next hop
   */
  placeFor(text: string, target: Endpoint, uri: string): Endpoint | undefined {
    const { network, limitBytes, nowMs } = this.#ports;
    if (limitBytes === 0 || text.length <= limitBytes || target.transport !== "udp") return undefined;
    const parsed = tryParseSipUri(uri);
    if (parsed === undefined || uriParam(parsed, "transport") !== undefined) return undefined;
    const until = this.#refused.get(keyOf(target));
    if (until !== undefined && nowMs() < until) return undefined;
    const { address, port, listener } = target;
    const place = network.endpoint(address, port, "tcp", listener);
    return place && { ...place, insteadOf: target };
  }

  /** Nobody took a request at a place of {@link placeFor}. */
  refused({ insteadOf }: Endpoint): void {
    if (insteadOf === undefined) return;
    if (this.#refused.size >= MAX_REFUSED) this.#refused.clear();
    this.#refused.set(keyOf(insteadOf), this.#ports.nowMs() + REFUSED_MS);
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${canonicalIp(address) ?? address} ${port}`;
}
