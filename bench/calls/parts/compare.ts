import { type Bench, rounds, withProxies } from "../bench.ts";
import type { Measured } from "../measure.ts";
import type { RunningProxy } from "../proxies.ts";
import { ratio, shown, spread } from "../statistics.ts";

const HEAD = ["Proxy", "µs a call", "share", "later", "p50 µs", "p99 µs", "p99.9 µs", "bad %", "others %"];
const DESTINATIONS = [10, 1_000, 10_000];
const DIALOGS = 10_000;
const HOLD_RATE = 1_000;

function row(first: readonly string[], name: string, measured: readonly Measured[], others: readonly Measured[]): string[] {
  const cpu = (list: readonly Measured[]): number[] => list.map(({ cpuUs }) => cpuUs);
  return [
    ...first,
    name,
    spread(cpu(measured)),
    others === measured ? "" : shown(ratio(cpu(measured), cpu(others))),
    spread(measured.flatMap(({ laterUs }) => laterUs ?? [])),
    spread(measured.map(({ ringingUs }) => ringingUs.p50)),
    spread(measured.map(({ ringingUs }) => ringingUs.p99)),
    spread(measured.map(({ ringingUs }) => ringingUs.p999)),
    spread(measured.map(({ badPercent }) => badPercent)),
    spread(measured.map(({ othersPercent }) => othersPercent)),
  ];
}

/** Rows of what was measured in turns; the share is that of the last of the proxies. */
function rowsOf(first: readonly string[], found: ReadonlyMap<string, Measured[]>): string[][] {
  const others = [...found.values()].at(-1) ?? [];
  return [...found].map(([name, measured]) => row(first, name, measured, others));
}

const both = ({ headroom, kamailio }: Bench): Bench["headroom"][] => [headroom, kamailio];

/** Processor time a call and post-dial delay, at each rate. */
export async function cpu(bench: Bench): Promise<void> {
  const rows = await withProxies(bench, both(bench), async (proxies) => {
    const found: string[][] = [];
    for (const rate of bench.options.rates) found.push(...rowsOf([String(rate)], await rounds(bench, "cpu", proxies, rate)));
    return found;
  });
  bench.show({ title: "Processor time a call, and post-dial delay", head: ["Calls/s", ...HEAD], rows });
}

/** The same with few and with many destinations. */
export async function destinations(bench: Bench): Promise<void> {
  const rows: string[][] = [];
  for (const count of DESTINATIONS) {
    const found = await withProxies(bench, both(bench), (proxies) => rounds(bench, `${count} destinations,`, proxies, bench.options.rate), {
      destinations: count,
    });
    rows.push(...rowsOf([shown(count)], found));
  }
  bench.show({ title: `Destinations, at ${bench.options.rate} calls/s`, head: ["Destinations", ...HEAD], rows });
}

/** The same without and with ongoing calls. */
export async function dialogs(bench: Bench): Promise<void> {
  const rows = await withProxies(bench, both(bench), async (proxies) => {
    const none = rowsOf(["0"], await rounds(bench, "no dialogs,", proxies, bench.options.rate));
    const held = [];
    for (const proxy of proxies) held.push(await bench.generator.hold(proxy, { rate: HOLD_RATE, calls: DIALOGS }));
    bench.say(`held: ${held.map(({ up }) => up).join(", ")}`);
    const many = rowsOf([shown(DIALOGS)], await rounds(bench, `${DIALOGS} dialogs,`, proxies, bench.options.rate));
    for (const batch of held) await bench.generator.hangUp(batch, HOLD_RATE);
    return [...none, ...many];
  });
  bench.show({ title: `Ongoing calls, at ${bench.options.rate} calls/s`, head: ["Ongoing", ...HEAD], rows });
}

/** Headroom with dialogs written down, as it does by default, and without. */
export async function persistence(bench: Bench): Promise<void> {
  const kinds = [bench.headroom, bench.headroomWith("Headroom, persistence off", { dialog: { persistence: "off" } })];
  const found = await withProxies(bench, kinds, (proxies) => rounds(bench, "persistence,", proxies, bench.options.rate));
  bench.show({
    title: `Persistence of dialogs, at ${bench.options.rate} calls/s`,
    head: ["Calls/s", ...HEAD],
    rows: rowsOf([String(bench.options.rate)], found),
  });
}

/** One worker and two of each: the price of a call, where the generator leaves no processor for two that are busy. */
export async function workers(bench: Bench): Promise<void> {
  const rows: string[][] = [];
  for (const rate of bench.options.rates.filter((each) => each >= 1_000)) {
    for (const count of [1, 2]) {
      const found = await withProxies(bench, both(bench), (proxies: RunningProxy[]) => rounds(bench, `${count} workers,`, proxies, rate), {
        workers: count,
      });
      rows.push(...rowsOf([String(rate), String(count)], found));
    }
  }
  bench.show({ title: "Workers", head: ["Calls/s", "Workers", ...HEAD], rows });
}
