import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ALGORITHM_NAMES, algorithmOf, Dispatcher, type DispatchRequest, parseListFile } from "../src/dispatch/index.ts";

/** One number of a benchmark. */
interface Figure {
  name: string;
  unit: string;
  value: number;
}

const DESTINATIONS = [10, 100];
const SET = 1;

/** Steps before measuring, so that the compiler has settled. */
const WARM_UP_MS = 200;
const MEASURE_MS = 60;
const RUNS = 5;
/** Steps between two looks at the clock. */
const BATCH = 1_000;
/** Different keys: a power of 2. */
const KEYS = 1_024;

/** States of the sets: what a pick costs depends on how many of them it has to look at. */
const STATES: readonly (readonly [name: string, isClosed: (position: number) => boolean])[] = [
  ["all active", () => false],
  ["one of two inactive", (position) => position % 2 === 1],
];

/**
 * Picks of the dispatcher by each algorithm: a selection of a call and its release. Every destination has a weight, a limit of calls and calls of others; the
 * addition "bounded" asks of each destination that is looked at whether it has room.
 */
export async function run(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const destinations of DESTINATIONS) {
    for (const [state, isClosed] of STATES) {
      for (const name of ALGORITHM_NAMES) {
        const algorithm = algorithmOf(name)!;
        const step = stepOf(dispatcherOver(destinations, isClosed), algorithm);
        figures.push({ name: `${destinations} destinations, ${state}: ${algorithm} ${name}`, unit: "ns", value: nanosecondsEach(step) });
      }
    }
    for (const name of ["call-id", "round-robin", "weight", "call-load", "rendezvous"]) {
      const step = stepOf(
        dispatcherOver(destinations, () => false),
        algorithmOf(name)!,
        ({ load }) => load < 1_000,
      );
      figures.push({ name: `${destinations} destinations, bounded: ${name}`, unit: "ns", value: nanosecondsEach(step) });
    }
  }
  return figures;
}

function stepOf(dispatcher: Dispatcher, algorithm: number, isFree?: DispatchRequest["isFree"]): () => void {
  let calls = 0;
  const keys = Array.from({ length: KEYS }, (_, i) => `${(i * 2_654_435_761) >>> 0}-${i}@198.51.100.7`);
  const uris = keys.map((key) => ({ user: key, host: "example.com:5070" }));
  const requests = keys.map((key, i): DispatchRequest => {
    const uri = uris[i]!;
    return { keyOf: (name) => (name === 1 || name === 2 || name === 3 ? uri : key), isCall: true, isFree };
  });
  return () => {
    const selection = dispatcher.select(SET, algorithm, requests[calls++ & (KEYS - 1)]!);
    if (typeof selection === "string") throw new Error(`Cannot select by algorithm ${algorithm}: ${selection}`);
    selection.release();
  };
}

function dispatcherOver(destinations: number, isClosed: (position: number) => boolean): Dispatcher {
  let random = 1;
  let nowMs = 0;
  const dispatcher = new Dispatcher(
    {
      nowMs: () => nowMs++,
      below(n) {
        random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
        return Math.floor((random / 2 ** 32) * n);
      },
      parseUri: (uri) => ({ host: uri.slice(4), port: 0, transport: "", address: undefined }),
    },
    { probingMode: 1 },
  );
  const lines = Array.from(
    { length: destinations },
    (_, i) =>
      `${SET} sip:10.0.0.${i} ${isClosed(i) ? 1 : 0} 10 duid=d${i};weight=${1 + (i % 3)};rweight=${1 + (i % 5)};maxload=500;latency=${20 + (i % 7)}`,
  );
  dispatcher.replace(parseListFile(lines.join("\n")).records);
  for (let i = 0; i < destinations * 10; i++) {
    dispatcher.select(SET, 10, { keyOf: () => undefined, isCall: true });
  }
  return dispatcher;
}

/** The best of several runs, in time of the processor: others may use the machine, too. */
function nanosecondsEach(step: () => void): number {
  timed(step, WARM_UP_MS);
  return Math.min(...Array.from({ length: RUNS }, () => timed(step, MEASURE_MS)));
}

function timed(step: () => void, durationMs: number): number {
  const started = process.cpuUsage();
  for (let steps = BATCH; ; steps += BATCH) {
    for (let i = 0; i < BATCH; i++) step();
    const { user, system } = process.cpuUsage(started);
    if (user + system >= durationMs * 1_000) return ((user + system) * 1_000) / steps;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const figures = await run();
  if (values.json) console.log(JSON.stringify(figures, undefined, 2));
  else for (const { name, unit, value } of figures) console.log(`${name.padEnd(64)} ${value.toFixed(0).padStart(8)} ${unit}`);
}
