import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { openDialogStore } from "../src/store/index.ts";
import { CALLS_A_SECOND, createFarm, type Farm, QUIET } from "./farm.ts";

interface Figure {
  name: string;
  unit: string;
  value: number;
}

/** How long calls last, seconds: 0 is over at once, as a generator of calls makes them. */
const LIVES_S = [0, 1, 10];
const ROUNDS = 7;
const CALLS_A_ROUND = 12_000;
/** Calls that come in the time of the event loop that a write takes a turn of: as over a network at the rate that is simulated, not all of a batch at once. */
const CALLS_A_TURN = 5;
/** The thread that puts logs into the file works on when a round is over. */
const REST_MS = 150;

/**
 * What writing calls down adds to a call, with a real file in a temporary directory and its thread: processor time of the whole process. A proxy that writes
 * and one that does not take turns; the middle of the rounds counts.
 */
export async function run(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const lifeS of LIVES_S) {
    const { extra, off, inside } = await compare(lifeS * CALLS_A_SECOND);
    const name = lifeS === 0 ? "dialog.persistence, calls that are over at once" : `dialog.persistence, calls of ${lifeS} s`;
    figures.push({ name: `${name}: more time a call`, unit: "µs", value: extra });
    figures.push({ name: `${name}: share of the time inside the proxy`, unit: "%", value: (extra / inside) * 100 });
    figures.push({ name: `${name}: the call without, peers included`, unit: "µs", value: off });
  }
  return figures;
}

async function compare(held: number): Promise<{ extra: number; off: number; inside: number }> {
  const folder = mkdtempSync(join(tmpdir(), "headroom-bench-"));
  try {
    const options = { forceEmpty: false, wallMs: Date.now, log: QUIET };
    const store = await openDialogStore(`sqlite:${join(folder, "bench.db")}`, options);
    if (store === undefined) throw new Error("Cannot measure what persistence costs: want a file for calls");
    const farms: readonly [on: Farm, off: Farm] = [createFarm({ store }), createFarm()];
    for (const farm of farms) farm.enable(true);
    const spent: [on: number[], off: number[], inside: number[]] = [[], [], []];
    for (let round = -1; round < ROUNDS; round++) {
      for (let turn = 0; turn < 2; turn++) {
        const which = (round + 1 + turn) % 2;
        const { microseconds, insideMicroseconds } = await timed(farms[which]!, (round + 1) * CALLS_A_ROUND, held);
        if (round < 0) continue;
        spent[which]!.push(microseconds);
        if (which === 1) spent[2].push(insideMicroseconds);
      }
    }
    for (const farm of farms) await farm.finish();
    const [on, off, inside] = spent.map((values) => middle(values)) as [number, number, number];
    return { extra: on - off, off, inside };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function timed(farm: Farm, first: number, held: number): Promise<{ microseconds: number; insideMicroseconds: number }> {
  farm.insideMs = 0;
  const startMs = performance.now();
  const before = process.cpuUsage();
  for (let i = first; i < first + CALLS_A_ROUND; i++) {
    if (held === 0) farm.call(i);
    else farm.callHeld(i, held);
    if (i % CALLS_A_TURN === CALLS_A_TURN - 1) await setImmediate();
  }
  const elapsedMs = performance.now() - startMs;
  await sleep(REST_MS);
  const { user, system } = process.cpuUsage(before);
  const microseconds = (user + system) / CALLS_A_ROUND;
  return { microseconds, insideMicroseconds: (microseconds * farm.insideMs) / elapsedMs };
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

if (import.meta.main) {
  for (const { name, value, unit } of await run()) console.log(`${name}: ${value.toFixed(2)} ${unit}`);
}
