/**
 * Lets everything go wrong around a Headroom of its own, and looks whether its loads are right: `npm run test:chaos -- [--runs N] [--seconds N] [--seed N]
 * [--cps N]`. With `--kills N` (`npm run test:kills`) it does nothing but kill the balancer N times during calls, and compares after each restart.
 * docs/chaos.md says what is done and compared. Ends with 1 when something is wrong. Linux only.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { runKills } from "../test/chaos/kills.ts";
import { runChaos } from "../test/chaos/run.ts";

const NET = "127.0.81";
const KILLS_CPS = "200";
const CHAOS_CPS = "40";

function numberOf(name: string, text: string, least: number, most: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least && number <= most)) throw new Error(`Cannot use --${name} "${text}": want a whole number from ${least} to ${most}`);
  return number;
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { runs: text, seconds: text, seed: text, cps: text, kills: text, window: text, sipp: text } });
  process.env["NODE_COMPILE_CACHE"] ??= resolve("node_modules/.cache/compile"); // a start takes half as long
  const seed = numberOf("seed", values.seed ?? String(Math.floor(Math.random() * 1e9)), 0, 1e9);
  const say = (line: string): boolean => process.stdout.write(`${line}\n`);
  const wrong: string[] = [];
  if (values.kills !== undefined) {
    const kills = numberOf("kills", values.kills, 1, 10_000);
    const callsPerSecond = numberOf("cps", values.cps ?? KILLS_CPS, 1, 10_000);
    const windowMs = numberOf("window", values.window ?? "50", 1, 60_000);
    say(`seed ${seed}: ${kills} kills during ${callsPerSecond} calls a second`);
    wrong.push(
      ...(await runKills({
        seed,
        kills,
        callsPerSecond,
        windowMs,
        net: NET,
        holdMs: [2_000, 5_000],
        pingIntervalS: 8,
        betweenMs: [3_000, 4_500],
        say,
      })),
    );
  } else {
    const runs = numberOf("runs", values.runs ?? "10", 1, 10_000);
    const seconds = numberOf("seconds", values.seconds ?? "60", 1, 86_400);
    const callsPerSecond = numberOf("cps", values.cps ?? CHAOS_CPS, 1, 10_000);
    for (let run = 0; run < runs; run++) {
      say(`run ${run + 1} of ${runs}, seed ${seed + run}: ${seconds} s with ${callsPerSecond} calls a second`);
      const found = await runChaos({
        seed: seed + run,
        seconds,
        callsPerSecond,
        net: NET,
        hasSipp: values.sipp !== "off",
        pingIntervalS: 2,
        holdMs: [500, 5_000],
        say,
      });
      for (const fault of found) say(`WRONG  ${fault}`);
      say(found.length === 0 ? `run ${run + 1}: all is well, and ends at zero` : `run ${run + 1}: ${found.length} things are wrong`);
      wrong.push(...found);
    }
  }
  if (values.kills !== undefined) for (const fault of wrong) say(`WRONG  ${fault}`);
  say(`${wrong.length} things are wrong; seed ${seed}`);
  return wrong.length > 0 ? 1 : 0;
}

process.exitCode = await main();
