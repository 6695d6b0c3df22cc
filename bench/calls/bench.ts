import type { Generator } from "./generator.ts";
import { type Load, type Measured, measure } from "./measure.ts";
import type { Options } from "./options.ts";
import { processorUs } from "./processes.ts";
import type { ProxyKind, RunningProxy } from "./proxies.ts";
import type { Table } from "./table.ts";

/** Rate and length of the load that each proxy gets before it is measured: its code is compiled, its memory taken. */
const WARM_UP = { rate: 1_000, seconds: 10, holdMs: 500, settleS: 2 };
export const HOLD_MS = 1_000;

/** What the parts of the bench share. */
export interface Bench {
  readonly options: Options;
  readonly generator: Generator;
  readonly kamailio: ProxyKind;
  readonly headroom: ProxyKind;
  /** Headroom with something else in its configuration. */
  readonly headroomWith: (name: string, more: Record<string, unknown>) => ProxyKind;
  /** Says what goes on. */
  readonly say: (line: string) => void;
  /** Each load with what it took, for the file of results. */
  readonly records: object[];
  /** Each proxy's load before, and its processor time as of then, microseconds. */
  readonly latest: Map<RunningProxy, { record: Measured; usedUs: number }>;
  /** Highest rates that have been found, by the name of the proxy. */
  readonly highest: Map<string, number>;
  /** Takes a finished table. */
  readonly show: (table: Table) => void;
}

/** Starts proxies, warms them up, has something done with them, and stops them. */
export async function withProxies<T>(
  bench: Bench,
  kinds: readonly ProxyKind[],
  use: (proxies: RunningProxy[]) => Promise<T>,
  { destinations = 4, workers = 1 } = {},
): Promise<T> {
  const proxies: RunningProxy[] = [];
  try {
    for (const kind of kinds) {
      const proxy = await kind.start(destinations, workers);
      proxies.push(proxy);
      await measure(proxy, bench.generator, WARM_UP);
    }
    return await use(proxies);
  } finally {
    for (const proxy of proxies) await proxy.stop().catch((error: unknown) => bench.say(String(error)));
  }
}

/** Measures a load, notes it and says it. */
export async function load(bench: Bench, part: string, proxy: RunningProxy, over: Partial<Load> & { rate: number }): Promise<Measured> {
  const { seconds, settleS } = bench.options;
  noteAftermath(bench, proxy);
  const measured: Measured = { part, ...(await measure(proxy, bench.generator, { seconds, settleS, holdMs: HOLD_MS, ...over })) };
  bench.records.push(measured);
  bench.latest.set(proxy, { record: measured, usedUs: processorUs(proxy.pid) });
  const { cpuUs, badPercent, busyPercent, dropped, othersPercent, ringingUs, calls, codes, completed, generatorUs } = measured;
  const refusals = Object.entries(codes).map(([code, count]) => `, ${count} × ${code}`);
  bench.say(
    `${part} ${proxy.name} at ${over.rate}/s: ${cpuUs.toFixed(0)} µs a call, ${completed} of ${calls} completed${refusals.join("")}, ${badPercent.toFixed(2)} % bad, ringing after ${ringingUs.p50}, ${ringingUs.p99}, ${ringingUs.p999} µs; ` +
      `processor: proxy ${busyPercent.toFixed(0)} %, generator ${generatorUs.toFixed(0)} µs a call, others ${othersPercent.toFixed(0)} %; ${dropped} datagrams dropped`,
  );
  return measured;
}

/** What a proxy did from when its latest load was read until now belongs to the calls of that load, but for what it does without any. */
function noteAftermath({ latest }: Bench, proxy: RunningProxy): void {
  const before = latest.get(proxy);
  if (before !== undefined) before.record.laterUs = (processorUs(proxy.pid) - before.usedUs) / Math.max(1, before.record.completed);
}

/** The same load at each of some proxies in turns, round after round: what the machine does meanwhile, it does to all of them. */
export async function rounds(bench: Bench, part: string, proxies: readonly RunningProxy[], rate: number): Promise<Map<string, Measured[]>> {
  const found = new Map<string, Measured[]>(proxies.map(({ name }) => [name, []]));
  for (let round = 0; round < bench.options.rounds; round++)
    for (const proxy of round % 2 === 0 ? proxies : proxies.toReversed())
      found.get(proxy.name)!.push(await load(bench, part, proxy, { rate }));
  return found;
}
