import type { Entry } from "./destination.ts";
import type { EntrySet } from "./destination-set.ts";

/** Keeps the ratio of few ms precise in whole numbers. */
const RATIO_FACTOR = 16;

/**
 * Sets the relative weight of a destination that has just been measured, and has `cc=1`, to its `weight` less the ms of its congestion. When all of a set
 * have `cc=1` and none has weight left, the weights of all become the ratio of their congestions. Source: Kamailio, `ds_update_latency`.
 *
 * As there, a destination without `weight` takes no part, and with `weight` the attribute `rweight` counts only until the first measurement. Kamailio
 * uses the new weight only when all of the set have `cc=1`, or at the next change of a state; here at once.
 */
export function adjustRelativeWeights({ destinations }: EntrySet, measured: Entry): void {
  const { congestionControl, weight } = measured.attributes;
  if (!congestionControl || weight === 0) return;
  measured.setRelativeWeight(weightLeft(measured));
  if (!destinations.every(({ attributes }) => attributes.congestionControl)) return;
  const weighted = destinations.filter(({ attributes }) => attributes.weight > 0);
  if (weighted.length < 2 || weighted.some((entry) => weightLeft(entry) > 0)) return;
  const totalMs = weighted.reduce((sum, { latency }) => sum + latency.congestionMs, 0);
  for (const entry of destinations) entry.setRelativeWeight(Math.trunc((totalMs * RATIO_FACTOR) / Math.max(1, entry.latency.congestionMs)));
}

function weightLeft({ attributes, latency }: Entry): number {
  return Math.max(0, attributes.weight - latency.congestionMs);
}
