import { Statistics, type StatisticsSources } from "../observability/statistics.ts";
import type { Watch } from "./watch.ts";

export interface StatisticsParts extends Omit<StatisticsSources, "transport" | "probing" | "outcomes" | "uptimeS"> {
  readonly listeners: { readonly counters: object };
  readonly watch: Watch;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
}

/** The statistics of all parts of the program: what is made anew now and then is looked up when it is asked for. */
export function collectStatistics({ listeners, watch, startedAtMs, ...parts }: StatisticsParts): Statistics {
  return new Statistics({
    ...parts,
    get transport() {
      return listeners.counters;
    },
    get probing() {
      return watch.probing;
    },
    outcomes: watch.outcomes?.counters,
    uptimeS: () => Math.trunc((Date.now() - startedAtMs) / 1000),
  });
}
