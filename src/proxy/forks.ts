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
