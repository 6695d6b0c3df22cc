import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { runKills } from "../test/chaos/kills.ts";

process.env["NODE_COMPILE_CACHE"] ??= resolve("node_modules/.cache/compile");
const { values } = parseArgs({ options: { kills: { type: "string" }, cps: { type: "string" }, seed: { type: "string" } } });
const faults = await runKills({
  seed: Number(values.seed ?? "1"), kills: Number(values.kills ?? "20"), callsPerSecond: Number(values.cps ?? "200"), windowMs: 50, net: "127.0.81", holdMs: [2000, 5000], betweenMs: [2500, 4000],
  say: (t) => process.stdout.write(t + "\n"),
});
for (const f of faults) process.stdout.write(`FAULT ${f}\n`);
process.exitCode = faults.length ? 1 : 0;
