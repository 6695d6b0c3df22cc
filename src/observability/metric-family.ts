import { type Metric, Registry } from "prom-client";
import type { DelayTally } from "../proxy/index.ts";

const MS_A_SECOND = 1_000;

/** One value of a metric, and which of its values that is. */
export interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  /** Where it is not that of the family, as in a histogram. */
  readonly metricName?: string;
}

/** A metric as Prometheus knows it, with all of its values at one moment. */
export interface MetricFamily {
  readonly name: string;
  /** One sentence. */
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly values: readonly Sample[];
}

/** Media type of what {@link printFamilies} answers: the text format of Prometheus, version 0.0.4. */
export const METRICS_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

/**
 * Prints metrics in the text format of Prometheus.
 *
 * The registry of prom-client is given what was counted elsewhere, rather than metrics of its own that calls would have to set: those look their labels up by a
 * text that is put together for each value.
 */
export async function printFamilies(families: readonly MetricFamily[]): Promise<string> {
  const registry = new Registry();
  for (const family of families) {
    const source: { readonly name: string; get(): Promise<MetricFamily> } = { name: family.name, get: async () => family };
    registry.registerMetric(source as unknown as Metric);
  }
  return await registry.metrics();
}

export function gauge(name: string, help: string, values: number | readonly Sample[]): MetricFamily {
  return { name, help, type: "gauge", values: samplesOf(values) };
}

/** @param name ends with `_total` */
export function counter(name: string, help: string, values: number | readonly Sample[]): MetricFamily {
  return { name, help, type: "counter", values: samplesOf(values) };
}

/** @param name ends with `_seconds` */
export function histogram(name: string, help: string, { boundsMs, counts, sumMs }: DelayTally): MetricFamily {
  const values: Sample[] = [];
  let total = 0;
  for (let bucket = 0; bucket < counts.length; bucket++) {
    total += counts[bucket]!;
    const bound = boundsMs[bucket];
    values.push({ metricName: `${name}_bucket`, labels: { le: bound === undefined ? "+Inf" : bound / MS_A_SECOND }, value: total });
  }
  values.push({ metricName: `${name}_sum`, labels: {}, value: sumMs / MS_A_SECOND });
  values.push({ metricName: `${name}_count`, labels: {}, value: total });
  return { name, help, type: "histogram", values };
}

function samplesOf(values: number | readonly Sample[]): readonly Sample[] {
  return typeof values === "number" ? [{ value: values, labels: {} }] : values;
}
