/**
 * Whether a call costs the same whatever there is beside it, and whether a day of traffic leaves anything: `npm run bench:flat -- [--day CALLS] [--only ongoing|destinations|day]`.
 *
 * In memory, without sockets, with the ring of messages, explanations and events as by default; calls are written down nowhere. Told are the processor time of a
 * call beside 100, 10,000, 50,000 and again 100 ongoing ones, the heap that each of those takes (what the simulated peers remember of it is part of that),
 * the time with 10, 1,000 and 10,000 destinations, and the heap before and after a simulated day. Ends with 1 when that has grown.
 */
import { setImmediate } from "node:timers/promises";
import { parseArgs } from "node:util";
import { collectGarbage } from "../src/server/collect-garbage.ts";
import { middle, timed } from "./call.ts";
import { createFarm, type Farm } from "./farm.ts";

const BY_DEFAULT = { explain: true, events: true, tracing: "{ ring_size: 8 }" };
const WARM_UP_CALLS = 20_000;
const ONGOING = [100, 10_000, 50_000, 100];
const DESTINATIONS = [10, 1_000, 10_000];
const ROUNDS = 9;
const CALLS_A_ROUND = 4_000;
/** Longer than any timer of a transaction. */
const REST_MS = 70_000;
const DAY_MS = 86_400_000;
const HELD_MS = 180_000;
/** Both for what the engine itself keeps, code and shapes: a byte a call would be half of it. */
const MAX_GROWTH_BYTES = 1_000_000;
const CALLS_A_TURN = 100;

function createWarmFarm(destinations: number): Farm {
  const farm = createFarm({ ...BY_DEFAULT, destinations });
  farm.enable(true);
  return farm;
}

/** Heap in use after a collection, bytes. */
async function heap(): Promise<number> {
  collectGarbage("regular");
  await setImmediate();
  collectGarbage("regular");
  return process.memoryUsage().heapUsed;
}

function say(what: string, value: string): void {
  process.stdout.write(`${what.padEnd(48)} ${value}\n`);
}

/** @returns median of several rounds, µs */
async function costOf(farm: Farm, first: number): Promise<{ whole: number; inside: number; next: number }> {
  const whole: number[] = [];
  const inside: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { microseconds, insideMicroseconds } = await timed(farm, first + round * CALLS_A_ROUND, CALLS_A_ROUND);
    whole.push(microseconds);
    inside.push(insideMicroseconds);
  }
  return { whole: middle(whole), inside: middle(inside), next: first + ROUNDS * CALLS_A_ROUND };
}

async function besideOngoing(): Promise<void> {
  const farm = createWarmFarm(DESTINATIONS[0]!);
  await timed(farm, 0, WARM_UP_CALLS);
  farm.pass(REST_MS);
  const empty = await heap();
  const ongoing: number[] = [];
  let made = WARM_UP_CALLS;
  for (const wanted of ONGOING) {
    while (ongoing.length > wanted) {
      farm.end(ongoing.pop()!);
      farm.pass(1);
    }
    while (ongoing.length < wanted) {
      farm.begin(made);
      ongoing.push(made++);
      farm.pass(1);
      if (made % CALLS_A_TURN === 0) await setImmediate();
    }
    farm.pass(REST_MS);
    const bytes = ((await heap()) - empty) / wanted;
    const { whole, inside, next } = await costOf(farm, made);
    made = next;
    farm.pass(REST_MS);
    say(
      `a call beside ${wanted}`,
      `${inside.toFixed(1)} µs inside, ${whole.toFixed(1)} with the peers; heap ${bytes.toFixed(0)} bytes each`,
    );
  }
  await farm.finish();
}

async function besideDestinations(): Promise<void> {
  const farms = DESTINATIONS.map((count) => ({ count, farm: createWarmFarm(count), inside: [] as number[], made: 0 }));
  for (let round = -2; round < ROUNDS; round++) {
    for (const each of farms) {
      const { insideMicroseconds } = await timed(each.farm, each.made, CALLS_A_ROUND);
      each.made += CALLS_A_ROUND;
      if (round >= 0) each.inside.push(insideMicroseconds);
    }
  }
  for (const { count, inside } of farms) say(`a call, ${count} destinations`, `${middle(inside).toFixed(1)} µs inside`);
  for (const { farm } of farms) await farm.finish();
}

/** @returns whether the heap is as it was */
async function day(calls: number): Promise<boolean> {
  const farm = createWarmFarm(DESTINATIONS[0]!);
  const stepMs = DAY_MS / calls;
  const held = Math.max(1, Math.trunc(HELD_MS / stepMs));
  let made = 0;
  const traffic = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++, made++) {
      farm.begin(made);
      if (i >= held) farm.end(made - held);
      farm.pass(stepMs);
      if (i % CALLS_A_TURN === 0) await setImmediate();
    }
    for (let i = made - Math.min(held, count); i < made; i++) farm.end(i);
    farm.pass(REST_MS);
    if (farm.transactions > 0) throw new Error(`Cannot trust the figure: ${farm.transactions} transactions are left after all timers`);
    return heap();
  };
  const before = await traffic(WARM_UP_CALLS);
  const after = await traffic(calls);
  const text = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;
  say(
    `heap before and after a day of ${calls} calls`,
    `${text(before)}, ${text(after)}, ${((after - before) / calls).toFixed(2)} bytes a call`,
  );
  await farm.finish();
  return after - before < MAX_GROWTH_BYTES;
}

const { values } = parseArgs({ options: { day: { type: "string" }, only: { type: "string" } } });
const dayCalls = Number(values.day ?? "500000");
if (!Number.isInteger(dayCalls) || dayCalls < 1_000) throw new Error(`Cannot use --day "${values.day}": want a whole number from 1000`);
const only = values.only;
if (only === undefined || only === "ongoing") await besideOngoing();
if (only === undefined || only === "destinations") await besideDestinations();
if (only === undefined || only === "day") process.exitCode = (await day(dayCalls)) ? 0 : 1;
