import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CallStorm } from "../test/support/call-storm.ts";
import { CountingCallee } from "../test/support/counting-callee.ts";
import { type Headroom, startHeadroom } from "../test/support/headroom.ts";

/** `node bench/pings.ts [calls] [seconds]`: what pings of ongoing calls cost the program, over real sockets. Linux. */
const CALLS = Number(process.argv[2] ?? 10_000);
const SECONDS = Number(process.argv[3] ?? 30);
const INTERVAL_S = 30;
const CALLS_PER_SECOND = 250;
/** Clock ticks a second of /proc/PID/stat. */
const TICKS = 100;

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1000;
}

async function statistics(headroom: Headroom): Promise<Record<string, number>> {
  return (await headroom.mi("get_statistics", [["dialog:"]])) as Record<string, number>;
}

async function measure(flags: string): Promise<void> {
  const callee = await CountingCallee.open("127.0.85.3");
  const storm = await CallStorm.open("127.0.85.2");
  const headroom = await startHeadroom(
    `
    tm: { fr_timeout: 5 }
    dialog: { options_ping_interval: ${INTERVAL_S} }
    routing: { rules: [{ group: 1, resources: pstn, disable_on: [], dialog_flags: "${flags}" }] }`,
    [{ uri: callee.uri, resources: `pstn=${2 * CALLS}` }],
    "127.0.85.1",
  );
  try {
    const making: Promise<unknown>[] = [];
    const beganMs = performance.now();
    for (let n = 0; n < CALLS; n++) {
      making.push(storm.call(headroom));
      await sleep(Math.max(0, beganMs + (n * 1000) / CALLS_PER_SECOND - performance.now()));
    }
    await Promise.all(making);
    await sleep(35_000); // the transactions of their INVITEs are over then
    const before = await statistics(headroom);
    const [cpu, atMs] = [cpuMs(headroom.pid), performance.now()];
    await sleep(SECONDS * 1000);
    const [used, tookMs] = [cpuMs(headroom.pid) - cpu, performance.now() - atMs];
    const now = await statistics(headroom);
    const pings = now["dialog:options_pings"]! - before["dialog:options_pings"]!;
    console.log(
      [
        `${(flags === "" ? "no pings" : "pings of one side").padEnd(18)} ${now["dialog:active_dialogs"]} calls`,
        `${((pings * 1000) / tookMs).toFixed(0)} pings/s`,
        `${((used / tookMs) * 100).toFixed(1)} % of one processor`,
        ...(pings > 0 ? [`${((used * 1000) / pings).toFixed(0)} µs a ping`] : []),
        `${now["dialog:ping_timeouts"]} ended for want of an answer`,
      ].join(", "),
    );
  } finally {
    await headroom.stop();
    await storm.close();
    await callee.close();
  }
}

for (const flags of ["", "p"]) await measure(flags);
