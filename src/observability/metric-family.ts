import { setImmediate } from "node:timers/promises";
import { type Metric, Registry } from "prom-client";
import type { DelayTally } from "../proxy/index.ts";

const MS_A_SECOND = 1_000;
/** Values that are printed in one go: a millisecond. */
const VALUES_A_TURN = 100;

/** One value of a metric, and which of its values that is. */
export interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  /** Where it is not that of the family, as in a histogram. */
  readonly metricName?: string;
}

/** A metric as Prometheus knows it, with all of its values. */
export interface MetricFamily {
  readonly name: string;
  /** One sentence. */
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** May be read when they are printed, some at a time. Read once. */
  readonly values: Iterable<Sample>;
}

/** Media type of what {@link printFamilies} answers: the text format of Prometheus, version 0.0.4. */
export const METRICS_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

/**
 * Prints metrics in the text format of Prometheus, some at a time: messages have their turn between them.
 *
 * The registry of prom-client is given what was counted elsewhere, rather than metrics of its own that calls would have to set: those look their labels up by a
 * text that is put together for each value.
 */
export async function printFamilies(families: readonly MetricFamily[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  let untilTurn = VALUES_A_TURN;
  for (const family of families) {
    let isFirst = true;
    let slice: Sample[] = [];
    const print = async (): Promise<void> => {
      parts.push(Buffer.from(`${await printSlice({ ...family, values: slice }, isFirst)}\n`));
      [slice, isFirst] = [[], false];
    };
    for (const sample of family.values) {
      slice.push(sample);
      if (--untilTurn > 0) continue;
      await print();
      await setImmediate();
      untilTurn = VALUES_A_TURN;
    }
    if (isFirst || slice.length > 0) await print();
  }
  return Buffer.concat(parts);
}

/** @param isFirst its HELP and TYPE are wanted */
async function printSlice(family: MetricFamily, isFirst: boolean): Promise<string> {
  const registry = new Registry();
  const source: { readonly name: string; get(): Promise<MetricFamily> } = { name: family.name, get: async () => family };
  registry.registerMetric(source as unknown as Metric);
  const text = await registry.getSingleMetricAsString(family.name);
  return isFirst ? text : text.slice(text.indexOf("\n# TYPE ") + 1).replace(/^.*\n/, "");
}

export function gauge(name: string, help: string, values: number | Iterable<Sample>): MetricFamily {
  return { name, help, type: "gauge", values: samplesOf(values) };
}

/** @param name ends with `_total` */
export function counter(name: string, help: string, values: number | Iterable<Sample>): MetricFamily {
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

function samplesOf(values: number | Iterable<Sample>): Iterable<Sample> {
  return typeof values === "number" ? [{ value: values, labels: {} }] : values;
}
