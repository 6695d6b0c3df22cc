import type { Balancer, CallLoad, Destination } from "../balancer/index.ts";
import { DEFAULT_MAX_BREADTH, H, parseMaxBreadth, type SipRequest } from "../sip/index.ts";
import type { Endpoint, Listener } from "../transaction/index.ts";
import type { Network } from "./core.ts";
import { type Hops, nextHops } from "./next-hop.ts";
import type { ForkTarget } from "./ports.ts";

/** A place of a fork that can be reached. */
export interface Fork {
  readonly target: ForkTarget;
  /** The most wanted first; at least one. */
  readonly places: readonly Endpoint[];
}

export const NO_FORKS: readonly ForkTarget[] = [];

/** Where a request that goes to several places at once may go: those of its first target, and the others that can be reached. Never rejects. */
export async function resolveForks(
  network: Network,
  first: Hops,
  others: readonly ForkTarget[],
  usual: Listener,
): Promise<{ readonly targets: readonly Endpoint[]; readonly forks: readonly Fork[] }> {
  const found = others.map(async (target) => ({ target, places: await nextHops(network, target.uri, target.sendFrom ?? usual) }));
  const [targets, forks] = await Promise.all([first, Promise.all(found)]);
  return { targets, forks: forks.filter(({ places }) => places.length > 0) };
}

/** How many branches of a request may be under way at a time (RFC 5393 §5.3.3). @throws {SipSyntaxError} for a value that no request has which was let in */
export function breadthOf(request: SipRequest): number {
  const text = request.value(H.MaxBreadth);
  return text === undefined ? DEFAULT_MAX_BREADTH : parseMaxBreadth(text);
}

/** Counts a call where it went, and no longer where it was thought to go. @param destination `undefined`: it is counted nowhere */
export function countAt(balancer: Balancer, load: CallLoad, destination: Destination | undefined, cells: readonly number[]): void {
  if (load.destination === destination) return;
  if (destination === undefined) balancer.reset(load);
  else balancer.moveTo(load, destination, cells);
}
