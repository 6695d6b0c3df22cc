/**
 * Makes many calls through a Headroom of its own and looks whether anything of them stays in memory:
 * `npm run soak -- [--calls N] [--base N] [--rate N]`.
 *
 * Calls of all kinds (hung up by either side, refused, cancelled, failed over, answered twice) go over UDP on loopback from an address that changes every
 * thousand calls. After the base (20,000 calls) and at the end (200,000) it waits until every transaction and every memory of a call is over,
 * has garbage collected, and reads the heap and the resident memory. More than 10 % of growth, a call that went wrong, and anything that is still
 * counted end it with 1. Linux only; takes some ten minutes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Headroom, startHeadroom } from "../test/support/headroom.ts";
import { type Memory, memoryAfterCollection, residentBytes } from "../test/support/inspected-memory.ts";
import { waitFor } from "../test/support/net.ts";
import { SoakCallees } from "../test/support/soak-callee.ts";
import { SoakCaller, type SoakCounts } from "../test/support/soak-caller.ts";

const PROXY = "127.0.60.2";
const CALLEES = ["127.0.60.11", "127.0.60.12", "127.0.60.13", "127.0.60.14"];
/** Calls from one address. */
const BATCH = 1_000;
/** How long copies of the last INVITEs of a batch may still come. */
const FORGET_MS = 50;
const REPORT_EVERY = 20_000;
/** Timers B, F, H and the like last 32 s (RFC 3261 §17), and branches that were given up are remembered as long, from their end. */
const SETTLE_MS = 70_000;
/** After the last transaction: what stays in one for others is over then. */
const REST_MS = 35_000;
const MAX_GROWTH = 0.1;

const CONFIG = `
tm: { fr_timeout: 5 }
routing: { rules: [{ group: 1, resources: pstn, failover_on: ["503"], max_failovers: 3, disable_on: [] }] }
overload: { max_lag: 0, max_utilization: 0 }
`;

function numberOf(name: string, text: string, max: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= 1 && number <= max)) throw new Error(`Cannot use --${name} "${text}": want a whole number from 1 to ${max}`);
  return number;
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** Waits until nothing is left of any call, then reads the memory. @throws Error when something is left */
async function settledMemory(headroom: Headroom, url: string): Promise<Memory> {
  let left = "";
  await waitFor("no transaction, dialog or load is left", SETTLE_MS, async () => {
    await sleep(500);
    const statistics = (await headroom.mi("get_statistics", [["tm:inuse_transactions", "dialog:"]])) as Record<string, number>;
    const names = ["tm:inuse_transactions", "dialog:active_dialogs", "dialog:early_dialogs"];
    const counted = { ...Object.fromEntries(names.map((name) => [name, statistics[name]])), loads: await headroom.loads() };
    left = JSON.stringify(counted);
    return Object.values(counted)
      .flat()
      .every((count) => count === 0);
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; now: ${left}`);
  });
  await sleep(REST_MS);
  return memoryAfterCollection(url, headroom.pid);
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { calls: { type: "string" }, base: { type: "string" }, rate: { type: "string" } } });
  const calls = numberOf("calls", values.calls ?? "200000", 1e9);
  const base = numberOf("base", values.base ?? "20000", calls - 1);
  const rate = numberOf("rate", values.rate ?? "600", 10_000);

  const callees = await SoakCallees.open(CALLEES);
  const rows = callees.uris.map((uri) => ({ uri, resources: "pstn=100000" }));
  const headroom = await startHeadroom(CONFIG, rows, PROXY, ["--inspect=127.0.0.1:0"]);
  const counts: SoakCounts = { made: 0, ended: 0, wrong: 0, examples: [] };
  const startMs = performance.now();
  const say = (text: string): boolean =>
    process.stdout.write(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(5)} s  ${text}\n`);
  const callUntil = async (last: number): Promise<void> => {
    while (counts.made < last) {
      const batch = Math.floor(counts.made / BATCH);
      const address = `127.61.${Math.floor(batch / 250) % 250}.${(batch % 250) + 1}`;
      await SoakCaller.run(address, headroom, Math.min(BATCH, last - counts.made), rate, counts);
      await sleep(FORGET_MS);
      callees.forget();
      if (counts.made % REPORT_EVERY === 0)
        say(`${counts.made} calls, ${counts.wrong} wrong; resident ${megabytes(residentBytes(headroom.pid))}`);
    }
  };
  const measure = async (): Promise<Memory> => {
    const memory = await settledMemory(headroom, url);
    const { heapUsed, external, resident } = memory;
    say(
      `after ${counts.made} calls and a rest: heap ${megabytes(heapUsed)}, outside of it ${megabytes(external)}, resident ${megabytes(resident)}`,
    );
    return memory;
  };
  const [url = ""] = /ws:\/\/\S+/.exec(headroom.log()) ?? [];
  try {
    await callUntil(base);
    const before = await measure();
    await callUntil(calls);
    const after = await measure();
    const failures: string[] = [];
    if (counts.wrong > 0 || counts.ended !== calls)
      failures.push(`${calls - counts.ended} calls without end, wrong: ${counts.wrong}: ${counts.examples.join("; ")}`);
    if (callees.size > 0) failures.push(`the callees still know ${callees.size} calls`);
    for (const name of ["heapUsed", "resident"] as const) {
      const growth = after[name] / before[name] - 1;
      say(`${name}: ${growth < 0 ? "" : "+"}${(growth * 100).toFixed(1)} % from ${base} to ${calls} calls`);
      if (growth > MAX_GROWTH) failures.push(`${name} has grown by more than ${MAX_GROWTH * 100} %`);
    }
    for (const failure of failures) process.stderr.write(`${failure}\n`);
    return failures.length > 0 ? 1 : 0;
  } finally {
    await headroom.stop();
    await callees.close();
  }
}

process.exitCode = await main();
