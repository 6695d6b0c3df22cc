/**
 * What ongoing calls cost: `npm run bench:dialogs -- [--dialogs N] [--rate N] [--passing N] [--source] [--inspect] [--node=OPTION]`.
 *
 * The program, compiled as it is published (`--source`: as TypeScript), gets calls over UDP on loopback from messages as long as those of usual phones, and
 * holds them: 100, then 100,000. It keeps calls in its file as it does by default. Told are resident memory as the system says it, without anything being
 * done for it, and the processor time and the set-up time of calls that begin and end meanwhile. At last the program is killed and started again. Linux only.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Headroom, startHeadroom } from "../test/support/headroom.ts";
import { HeldCalls } from "../test/support/held-calls.ts";
import { memoryAfterCollection, residentBytes } from "../test/support/inspected-memory.ts";
import { waitFor } from "../test/support/net.ts";
import { compiled } from "./compiled.ts";

const PROXY = "127.0.23.2";
const CALLERS = ["127.0.23.11", "127.0.23.12", "127.0.23.13", "127.0.23.14"];
const CALLEES = ["127.0.23.21", "127.0.23.22", "127.0.23.23", "127.0.23.24"];
const FEW = 100;
const WARM_UP_CALLS = 6_000;
const PASSING_ROUNDS = 5;
const PASSING_RATE = 300;
/** Timers B, F, H, J and M last 32 s (RFC 3261 §17, RFC 6026). */
const REST_MS = 45_000;
const MANAGEMENT_TIMEOUT_MS = 60_000;
/** Of the clock in /proc/PID/stat: `USER_HZ` is 100 wherever Node.js runs. */
const MS_A_TICK = 10;

const CONFIG = `
tm: { fr_timeout: 5 }
routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] }
`;

interface Passing {
  readonly cpuMicroseconds: number;
  readonly setupMs: number;
}

const startedMs = performance.now();

function say(what: string, value = ""): void {
  process.stdout.write(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(5)} s  ${what.padEnd(58)} ${value}\n`);
}

function numberOf(name: string, text: string, max: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= 1 && number <= max)) throw new Error(`Cannot use --${name} "${text}": want a whole number from 1 to ${max}`);
  return number;
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** Processor time of all threads of a process, ms. */
function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * MS_A_TICK;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.trunc(values.length / 2)] ?? Number.NaN;
}

/** Calls that begin and end, beside those that are held. The middle of some rounds: a collection of garbage is part of one of them. */
async function passing(headroom: Headroom, calls: HeldCalls, count: number): Promise<Passing> {
  const rounds: Passing[] = [];
  for (let i = 0; i < PASSING_ROUNDS; i++) {
    calls.setupMs.length = 0;
    const beganMs = processorMs(headroom.pid);
    await calls.pass(count, PASSING_RATE);
    rounds.push({ cpuMicroseconds: ((processorMs(headroom.pid) - beganMs) * 1000) / count, setupMs: median(calls.setupMs) });
  }
  say(`  rounds: ${rounds.map(({ cpuMicroseconds, setupMs }) => `${cpuMicroseconds.toFixed(0)} µs, ${setupMs.toFixed(2)} ms`).join("; ")}`);
  return { cpuMicroseconds: median(rounds.map((round) => round.cpuMicroseconds)), setupMs: median(rounds.map((round) => round.setupMs)) };
}

async function statistic(headroom: Headroom, name: string): Promise<number> {
  return ((await headroom.mi("get_statistics", [[name]])) as Record<string, number>)[name] ?? Number.NaN;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      dialogs: { type: "string" },
      rate: { type: "string" },
      passing: { type: "string" },
      source: { type: "boolean" },
      inspect: { type: "boolean" },
      node: { type: "string", multiple: true },
    },
  });
  const dialogs = numberOf("dialogs", values.dialogs ?? "100000", 1e6);
  const rate = numberOf("rate", values.rate ?? "1000", 10_000);
  const passed = numberOf("passing", values.passing ?? "2000", 1e6);

  const program = values.source ? undefined : compiled();
  const calls = await HeldCalls.open({
    get proxy() {
      return headroom;
    },
    callers: CALLERS,
    callees: CALLEES,
  });
  const rows = calls.uris.map((uri) => ({ uri, resources: "pstn=1000000" }));
  const nodeOptions = [...(values.inspect ? ["--inspect=127.0.0.1:0"] : []), ...(values.node ?? [])];
  const headroom: Headroom = await startHeadroom(CONFIG, rows, PROXY, nodeOptions, [], program?.main);
  const resident = (): string => megabytes(residentBytes(headroom.pid));
  const collected = async (): Promise<void> => {
    if (!values.inspect) return;
    const url = [...headroom.log().matchAll(/ws:\/\/\S+/g)].at(-1)?.[0] ?? "";
    const { heapUsed, external, resident } = await memoryAfterCollection(url, headroom.pid);
    say("  after a collection: heap, outside of it, resident", [heapUsed, external, resident].map(megabytes).join(", "));
  };
  try {
    say("resident, no call", resident());
    await collected();
    await calls.pass(WARM_UP_CALLS, rate);
    say(`resident, after ${WARM_UP_CALLS} calls`, resident());
    const held = await calls.make(FEW, rate);
    const few = await passing(headroom, calls, passed);
    say(`a call beside ${FEW}`, `${few.cpuMicroseconds.toFixed(0)} µs, up after ${few.setupMs.toFixed(2)} ms`);
    await sleep(REST_MS);
    say(`resident, ${FEW} calls, at rest`, resident());
    await collected();
    const before = residentBytes(headroom.pid);

    const beganMs = performance.now();
    held.push(...(await calls.make(dialogs - FEW, rate)));
    const tookMs = performance.now() - beganMs;
    say(`${held.length} calls made`, `${((dialogs * 1000) / tookMs).toFixed(0)} a second; resident ${resident()}`);
    await sleep(REST_MS);
    say(`resident, ${held.length} calls, at rest`, resident());
    say("  of which for each call", `${((residentBytes(headroom.pid) - before) / (held.length - FEW)).toFixed(0)} bytes`);
    await collected();
    const many = await passing(headroom, calls, passed);
    const more = (many.cpuMicroseconds / few.cpuMicroseconds - 1) * 100;
    say(
      `a call beside ${held.length}`,
      `${many.cpuMicroseconds.toFixed(0)} µs (${more < 0 ? "" : "+"}${more.toFixed(1)} %), up after ${many.setupMs.toFixed(2)} ms; resident ${resident()}`,
    );
    await waitFor("all is written", MANAGEMENT_TIMEOUT_MS, async () => (await statistic(headroom, "dialog:persist_pending")) === 0);
    await sleep(500);
    await headroom.restart("SIGKILL");
    const [, ms = "?"] = [...headroom.log().matchAll(/"ms":(\d+),[^\n]*Ongoing calls were restored/g)].at(-1) ?? [];
    const restored = await statistic(headroom, "dialog:active_dialogs");
    say(`killed and started again: ${restored} calls restored`, `${ms} ms; resident ${resident()}`);
    await collected();
    await sleep(REST_MS);
    say("resident, at rest", resident());
    await calls.hangUp(held, rate);
    const loads = await headroom.loads();
    say(`hung up; loads ${loads.join(", ")}; wrong: ${calls.wrong}; left at the destinations: ${calls.held}`, `resident ${resident()}`);
    const isRight = calls.wrong === 0 && calls.held === 0 && restored === held.length && loads.every((load) => load === 0);
    return isRight ? 0 : 1;
  } finally {
    await headroom.stop();
    await calls.close();
    program?.remove();
  }
}

process.exitCode = await main();
