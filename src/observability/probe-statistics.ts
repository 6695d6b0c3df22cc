import type { ProbeFigures } from "../health/index.ts";

/** Destinations whose latency is told as statistics: enough for a farm, few enough for an answer to `get_statistics all`. */
export const MAX_LATENCY_DESTINATIONS = 1_000;
const MICROSECONDS_A_MS = 1_000;

/** What the statistics read of probing. */
export interface ProbeStatisticsSource {
  /** Plain counters. */
  readonly counters: object;
  figures(): readonly ProbeFigures[];
}

/** Statistics of group `probing`: its counters, and the latency of each destination by its id, in whole microseconds. */
export function probeStatistics(source: ProbeStatisticsSource): Record<string, number> {
  const statistics: Record<string, number> = { ...source.counters };
  for (const { id, latency } of source.figures().slice(0, MAX_LATENCY_DESTINATIONS)) {
    statistics[`latency_last_${id}`] = microseconds(latency.last);
    statistics[`latency_average_${id}`] = microseconds(latency.average);
    statistics[`latency_ewma_${id}`] = microseconds(latency.ewma);
    statistics[`latency_max_${id}`] = microseconds(latency.max);
    statistics[`timeouts_${id}`] = latency.timeouts;
  }
  return statistics;
}

function microseconds(ms: number): number {
  return Math.round(ms * MICROSECONDS_A_MS);
}
