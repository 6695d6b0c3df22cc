import { setTimeout as sleep } from "node:timers/promises";
import { type Bench, load, withProxies } from "../bench.ts";
import { HighestRate } from "../highest-rate.ts";
import { overloadFigure } from "../overload-figure.ts";
import type { ProxyKind, RunningProxy } from "../proxies.ts";
import { shown, spread } from "../statistics.ts";

/** Share of bad calls below which a rate counts as held, percent. */
const HELD_PERCENT = 0.1;
const STEP = 1_000;
/** Calls are shorter here, so that there are fewer of them at a time. */
const SHORT_HOLD_MS = 500;
/** A proxy that was driven over its limit gets some time before the next try. */
const REST_MS = 3_000;
const OVERLOAD = 1.5;
/** How long too much, and then half of the maximum, is offered. */
const [HIGH_S, LOW_S] = [10, 12];
/** Post-dial delay that counts as well again: this many times the p99 at half of the maximum, before. */
const WELL_SHARE = 3;
const MIN_WELL_US = 20_000;

/** One more chance: a moment in which the machine did something else is not the limit of the proxy. */
async function holds(bench: Bench, proxy: RunningProxy, rate: number): Promise<boolean> {
  for (let attempt = 0; attempt < 2; attempt++) {
    const { badPercent } = await load(bench, "max", proxy, { rate, holdMs: SHORT_HOLD_MS });
    if (badPercent < HELD_PERCENT) return true;
    await sleep(REST_MS);
  }
  return false;
}

async function highestOf(bench: Bench, kind: ProxyKind): Promise<number> {
  return withProxies(bench, [kind], async ([proxy]) => {
    const search = new HighestRate(bench.highest.get(kind.name) ?? bench.options.start, STEP);
    for (let rate = search.next; rate !== undefined; rate = search.next) search.took(await holds(bench, proxy!, rate));
    return search.held;
  });
}

/** The highest rate that each of them holds, with a fresh proxy for each search. */
export async function max(bench: Bench): Promise<void> {
  const kinds = [bench.headroom, bench.kamailio];
  const found = new Map<string, number[]>(kinds.map(({ name }) => [name, []]));
  for (let round = 0; round < Math.min(2, bench.options.rounds); round++)
    for (const kind of kinds) {
      const highest = await highestOf(bench, kind);
      bench.say(`${kind.name} holds ${highest} calls/s`);
      found.get(kind.name)!.push(highest);
      bench.highest.set(kind.name, highest);
    }
  bench.records.push({ part: "max", highest: Object.fromEntries(found) });
  bench.show({
    title: `Highest rate with less than ${HELD_PERCENT} % bad calls in ${bench.options.seconds} s`,
    head: ["Proxy", "calls/s"],
    rows: [...found].map(([name, rates]) => [name, spread(rates)]),
  });
}

async function overloaded(bench: Bench, kind: ProxyKind, highest: number): Promise<string[]> {
  return withProxies(bench, [kind], async ([proxy]) => {
    const half = Math.round(highest / 2);
    const before = await load(bench, "overload, before,", proxy!, { rate: half, seconds: 5, holdMs: SHORT_HOLD_MS });
    const wellUs = Math.max(MIN_WELL_US, WELL_SHARE * before.ringingUs.p99);
    const high = Math.round(highest * OVERLOAD);
    const batch = await bench.generator.run(proxy!, SHORT_HOLD_MS, [
      { rate: high, calls: high * HIGH_S },
      { rate: half, calls: half * LOW_S },
    ]);
    const { completedPerSecond, recoveryS } = overloadFigure(batch.series, HIGH_S, SHORT_HOLD_MS / 1000, wellUs);
    const again = batch.repeatedInvites + batch.repeatedByes + batch.repeatedAnswers;
    bench.records.push({ part: "overload", proxy: kind.name, highest, offered: high, wellUs, completedPerSecond, recoveryS, ...batch });
    return [
      kind.name,
      shown(highest),
      shown(high),
      shown(completedPerSecond),
      `${shown((100 * completedPerSecond) / highest)} %`,
      shown(again / batch.calls),
      shown(batch.codes["503"] ?? 0),
      Number.isFinite(recoveryS) ? shown(recoveryS) : "never",
    ];
  });
}

/** Half as much again as a proxy holds, from callers that repeat what is not answered, and then half of what it holds. */
export async function overload(bench: Bench): Promise<void> {
  const rows: string[][] = [];
  for (const kind of [bench.headroom, bench.kamailio]) {
    const highest = bench.highest.get(kind.name) ?? (await highestOf(bench, kind));
    bench.highest.set(kind.name, highest);
    const row = await overloaded(bench, kind, highest);
    bench.say(row.join(", "));
    rows.push(row);
  }
  bench.show({
    title: `Overload: ${OVERLOAD} times the highest rate for ${HIGH_S} s, then half of it`,
    head: ["Proxy", "highest rate", "offered/s", "completed/s", "of the highest", "sent again a call", "503", "well again after s"],
    rows,
  });
}
