import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Balancer, type BalancerOptions, CallLoad, type DestinationRow, Looks } from "../src/balancer/index.ts";

/** One number of a benchmark. */
interface Figure {
  name: string;
  unit: string;
  value: number;
}

const DESTINATIONS = [10, 100, 1_000, 10_000];

/** What rows may say to the balancer, and what the others are compared with. */
const VARIANTS: readonly (readonly [name: string, attrs: (row: number) => string | undefined])[] = [
  ["no options", () => undefined],
  ["two tiers and two weights", (row) => `priority=${row % 2};weight=${1 + (row % 2)}`],
  ["pools of two", (row) => `shared=pool${row >> 1}`],
  ["a limit of calls a second", () => "cps=10000"],
];

/** Farms with an index and without: destinations, what it is called, attributes of a row, and whether all are down and used all the same. */
const COMPARED: readonly (readonly [
  destinations: number,
  variant: string,
  attrs: (row: number) => string | undefined,
  failOpen: boolean,
])[] = [
  ...[10, 50, 100, 200, 400, 1_000, 10_000].map((destinations) => [destinations, "", () => undefined, false] as const),
  [10_000, " in two tiers, two weights", (row) => `priority=${row % 2};weight=${1 + (row % 2)}`, false],
  [10_000, " in pools of two", (row) => `shared=p${row >> 1}`, false],
  [10_000, " in pools of 100", (row) => `shared=p${Math.trunc(row / 100)}`, false],
  [10_000, " in one pool (the index stands aside)", () => "shared=p", false],
  [10_000, " with cps=1", () => "cps=1", false],
  [10_000, " all down, failing open", () => undefined, true],
];

const ROUNDS = 5;

/** Steps before measuring, so that the compiler has settled. */
const WARM_UP_MS = 300;
const MEASURE_MS = 700;
const HEAP_PICKS = 1_000_000;

/**
 * Picks of the balancer over tables of several sizes, two resources a destination and one asked for, with every destination half full.
 * "start and release" is a whole call; "pick" is a start of a call that has a pick already (its slot is freed and the largest is chosen anew);
 * "new call" adds what a call allocates for itself. The variants add what rows say in their attributes. Heap growth is measured over a million picks without a collection in between.
 */
export async function run(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const destinations of DESTINATIONS) {
    const balancer = balancerOver(destinations);
    const call = newCall();
    const pick = () => balancer.start(call, 1, "transcoding");
    const both = () => {
      balancer.start(call, 1, "transcoding");
      balancer.release(call);
    };
    const relative = () => balancer.start(call, 1, "transcoding;conference", "rs");
    const fresh = () => {
      const own = newCall();
      balancer.start(own, 1, "transcoding");
      balancer.release(own);
    };
    const name = `${destinations} destinations`;
    const pickNs = nanosecondsEach(pick);
    figures.push({ name: `${name}: pick`, unit: "ns", value: pickNs });
    figures.push({ name: `${name}: picks`, unit: "1/s", value: 1e9 / pickNs });
    figures.push({ name: `${name}: start and release`, unit: "ns", value: nanosecondsEach(both) });
    figures.push({ name: `${name}: start and release of a new call`, unit: "ns", value: nanosecondsEach(fresh) });
    figures.push({ name: `${name}: pick over two resources, flags rs`, unit: "ns", value: nanosecondsEach(relative) });
    if (destinations <= 100 || destinations >= 10_000) {
      figures.push({ name: `${name}: heap growth per pick`, unit: "bytes", value: heapBytesEach(pick) });
      figures.push({ name: `${name}: heap growth per start and release`, unit: "bytes", value: heapBytesEach(both) });
    }
  }
  figures.push(...scanBesideIndex());
  for (const [variant, looks] of [
    ["decisions forgotten", undefined],
    ["explain.calls: 1000", new Looks(1_000, Date.now)],
  ] as const) {
    const balancer = balancerOver(10, undefined, looks);
    let calls = 0;
    const fresh = () => {
      const own = newCall();
      own.callId = `${calls++}@198.51.100.7`;
      balancer.start(own, 1, "transcoding");
      balancer.release(own);
    };
    figures.push({ name: `10 destinations, ${variant}: start and release of a new call`, unit: "ns", value: nanosecondsEach(fresh) });
  }
  for (const [variant, attrs] of VARIANTS) {
    const balancer = balancerOver(10, attrs);
    const call = newCall();
    const pick = () => balancer.start(call, 1, "transcoding");
    figures.push({ name: `10 destinations with ${variant}: pick`, unit: "ns", value: nanosecondsEach(pick) });
    figures.push({ name: `10 destinations with ${variant}: heap growth per pick`, unit: "bytes", value: heapBytesEach(pick) });
  }
  return figures;
}

/** Farms of several kinds, each with an index and without, in turns: whole calls, that is the end of one of many and the start of another. */
function scanBesideIndex(): Figure[] {
  return COMPARED.flatMap(([destinations, variant, attrs, failOpen]) => {
    const farms = [Number.POSITIVE_INFINITY, 1].map((indexFrom) => {
      const calls: CallLoad[] = [];
      const balancer = balancerOver(destinations, attrs, undefined, { indexFrom, failOpen }, calls);
      if (failOpen) for (const { id } of balancer.destinations()) balancer.setStatus(id, false, "probe");
      let next = 0;
      const step = () => {
        const call = calls[next]!;
        next = (next + 7_919) % calls.length;
        balancer.release(call);
        balancer.start(call, 1, "transcoding");
      };
      return { step, times: [] as number[] };
    });
    for (let round = 0; round < ROUNDS; round++) for (const { step, times } of farms) times.push(nanosecondsEach(step, 60));
    const [scan, index] = farms.map(({ times }) => times.sort((a, b) => a - b)[ROUNDS >> 1]!);
    const name = `${destinations} destinations${variant}: end and start of one of many calls`;
    return [
      { name: `${name}, looking at each`, unit: "ns", value: scan! },
      { name: `${name}, by an index`, unit: "ns", value: index! },
    ];
  });
}

function balancerOver(
  destinations: number,
  attrs: (row: number) => string | undefined = () => undefined,
  looks?: Looks,
  options: Partial<BalancerOptions> = {},
  calls: CallLoad[] = [],
): Balancer {
  let random = 1;
  let nowMs = 0;
  const balancer = new Balancer({
    ...options,
    ...(looks && { looks }),
    nowMs: () => nowMs++,
    below(n) {
      random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((random / 2 ** 32) * n);
    },
  });
  const rows = Array.from({ length: destinations }, (_, i): DestinationRow => {
    const ip = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    const resources = [
      { name: "transcoding", capacity: 20 + (i % 7) },
      { name: "conference", capacity: 30 },
    ];
    const addresses = [{ ip, port: 5060, transport: "udp" as const }];
    const uri = `sip:${ip}:5060`;
    return { id: i + 1, group: 1, uri, resources, probeMode: 0, attrs: attrs(i), description: undefined, addresses };
  });
  balancer.replaceTable(rows);
  for (let i = 0; i < destinations * 10; i++) {
    const call = newCall();
    balancer.start(call, 1, "transcoding;conference");
    calls.push(call);
  }
  return balancer;
}

/** One with a dialog, as those of a proxy have: the others stand in a list of their own, which the reuse of a call object makes long. */
function newCall(): CallLoad {
  const call = new CallLoad();
  call.opened = true;
  return call;
}

/** Time of this thread's processor, so that other programs matter less. */
function nanosecondsEach(step: () => void, measureMs = MEASURE_MS): number {
  const batch = repeatFor(step, Math.min(WARM_UP_MS, measureMs)).steps;
  const { steps, elapsedNs } = repeatFor(step, measureMs, Math.max(1, Math.min(10_000, batch >> 4)));
  return elapsedNs / steps;
}

function repeatFor(step: () => void, durationMs: number, batch = 1): { steps: number; elapsedNs: number } {
  const started = processorNs();
  let steps = 0;
  let elapsedNs = 0;
  while (elapsedNs < durationMs * 1e6) {
    for (let i = 0; i < batch; i++) step();
    steps += batch;
    elapsedNs = processorNs() - started;
  }
  return { steps, elapsedNs };
}

function processorNs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) * 1_000;
}

/** The smallest of several runs: a collection in the middle makes growth look smaller than nothing, other work makes it look larger. */
function heapBytesEach(step: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < HEAP_PICKS; i++) step();
    const growth = process.memoryUsage().heapUsed - before;
    if (growth >= 0) best = Math.min(best, growth);
  }
  return best / HEAP_PICKS;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const figures = await run();
  if (values.json) console.log(JSON.stringify(figures, undefined, 2));
  else
    for (const { name, unit, value } of figures) console.log(`${name.padEnd(64)} ${value.toFixed(value < 1 ? 4 : 0).padStart(12)} ${unit}`);
}
