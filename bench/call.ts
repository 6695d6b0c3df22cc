import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { createFarm, type Farm, type FarmOptions } from "./farm.ts";
import { run as persistence } from "./persistence.ts";

interface Figure {
  name: string;
  unit: string;
  value: number;
}

const WARM_UP_CALLS = 10_000;
const CALLS = 30_000;
const ROUNDS = 101;
/** Enough for the young generation of the heap to be collected in each round. */
const CALLS_A_ROUND = 400;
/** After so many calls, less than what comes at once over a network, sockets and what was put off have their turn. */
const CALLS_A_TURN = 10;

/** What is compared with having nothing of it. The first is a check of the measurement: it should find nothing. */
function variants(hepPort: number): readonly (readonly [name: string, options: FarmOptions])[] {
  return [
    ["nothing", {}],
    ["explain.calls: 1000", { explain: true }],
    ["events and their history", { events: true }],
    ["tracing.ring_size: 16", { tracing: "{ ring_size: 16 }" }],
    ["tracing.hep_url over UDP", { tracing: `{ ring_size: 0, hep_url: "udp:127.0.0.1:${hepPort}" }` }],
    ["tracing.opentelemetry", { spans: true }],
  ];
}

export async function run(): Promise<Figure[]> {
  const plain = createFarm();
  for (let i = 0; i < WARM_UP_CALLS; i++) plain.call(i);
  const all = await timed(plain, WARM_UP_CALLS, CALLS);
  await plain.finish();
  const hepServer = createSocket("udp4").bind(0, "127.0.0.1");
  await once(hepServer, "listening");
  const figures: Figure[] = [
    { name: "complete call through the proxy in memory (peers included)", unit: "µs", value: all.microseconds },
    { name: "of which inside the proxy", unit: "µs", value: all.insideMicroseconds },
    { name: "complete calls a second", unit: "1/s", value: 1e6 / all.microseconds },
  ];
  for (const [name, options] of variants(hepServer.address().port)) {
    const { extraMicroseconds, share } = await compare(options);
    figures.push({ name: `${name}: more time a call`, unit: "µs", value: extraMicroseconds });
    figures.push({ name: `${name}: share of the time inside the proxy`, unit: "%", value: share * 100 });
  }
  hepServer.close();
  figures.push(...(await persistence()));
  return figures;
}

/**
 * How much longer a call takes with something switched on. It is switched on and off in one proxy, in short rounds, so that what else the machine and
 * the heap do hits both; the middle of the rounds' differences counts, so that what hits one round only does not.
 *
 * @returns `share` is that of the time inside the proxy
 */
async function compare(options: FarmOptions): Promise<{ extraMicroseconds: number; share: number }> {
  const farm = createFarm(options);
  let made = 0;
  const round = (on: boolean, count: number): ReturnType<typeof timed> => {
    farm.enable(on);
    made += count;
    return timed(farm, made - count, count);
  };
  for (let i = 0; i < WARM_UP_CALLS; i += CALLS_A_ROUND) await round(i % (2 * CALLS_A_ROUND) === 0, CALLS_A_ROUND);
  const extra: number[] = [];
  const inside: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    // Whoever comes second finds a warmer machine: they take turns in that, too.
    const first = await round(i % 2 === 0, CALLS_A_ROUND);
    const second = await round(i % 2 !== 0, CALLS_A_ROUND);
    const [on, off] = i % 2 === 0 ? [first, second] : [second, first];
    extra.push(on.microseconds - off.microseconds);
    inside.push(off.insideMicroseconds);
  }
  await farm.finish();
  const extraMicroseconds = middle(extra);
  return { extraMicroseconds, share: extraMicroseconds / middle(inside) };
}

/** The one in the middle. */
export function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/**
 * Processor time a call, as on a shared machine the clock tells of others, too; collections of garbage that fall into it are part of it. What is spent
 * inside the proxy is that time in proportion to the clock: asking for processor time at each message would take longer than the message.
 */
export async function timed(farm: Farm, first: number, count: number): Promise<{ microseconds: number; insideMicroseconds: number }> {
  farm.insideMs = 0;
  const startMs = performance.now();
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) {
    farm.call(first + i);
    if (i % CALLS_A_TURN === CALLS_A_TURN - 1) await setImmediate();
  }
  const { user, system } = process.cpuUsage(before);
  const elapsedMs = performance.now() - startMs;
  const microseconds = (user + system) / count;
  return { microseconds, insideMicroseconds: (microseconds * farm.insideMs) / elapsedMs };
}

if (import.meta.main) {
  for (const { name, value, unit } of await run()) console.log(`${name}: ${value.toFixed(2)} ${unit}`);
}
