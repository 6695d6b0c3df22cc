/**
 * Headroom beside Kamailio: `npm run bench:calls`, see bench/README.md. Linux with Debian's kamailio and gcc.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, getPriority, release, setPriority } from "node:os";
import { join } from "node:path";
import { ensureTool, GCC, KAMAILIO as KAMAILIO_TOOL } from "../../scripts/ensure-tools.ts";
import { VERSION } from "../../src/version.ts";
import { compiled } from "../compiled.ts";
import type { Bench } from "./bench.ts";
import { Generator } from "./generator.ts";
import { type Options, type Part, readOptions, USAGE } from "./options.ts";
import { cpu, destinations, dialogs, persistence, workers } from "./parts/compare.ts";
import { max, overload } from "./parts/limits.ts";
import { memory } from "./parts/memory.ts";
import { headroom, KAMAILIO } from "./proxies.ts";
import { markdown, type Table } from "./table.ts";

const RESULTS = join(import.meta.dirname, "../results");
const RUN: Readonly<Record<Part, (bench: Bench) => Promise<void>>> = {
  cpu,
  destinations,
  dialogs,
  persistence,
  max,
  overload,
  workers,
  memory,
};

function refuse(sentence: string): never {
  process.stderr.write(`${sentence}\n`);
  process.exit(2);
}

function optionsOf(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    return refuse(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

const options = optionsOf();
if (process.platform !== "linux") refuse("Cannot run the bench of calls: it reads processor times from /proc, want Linux");
for (const tool of [KAMAILIO_TOOL, GCC]) {
  const missing = ensureTool({ ...tool, tests: "bench of calls" });
  if (missing !== undefined) refuse(missing);
}

const startedMs = performance.now();
const date = new Date().toISOString();
const machine = {
  date,
  headroom: VERSION,
  node: process.version,
  kamailio: /version: kamailio (\S+)/.exec(execFileSync("kamailio", ["-v"], { encoding: "utf8" }))?.[1],
  processor: `${cpus().length} × ${cpus()[0]?.model}`,
  kernel: release(),
};
const tables: Table[] = [];
const records: object[] = [];
mkdirSync(RESULTS, { recursive: true });
const file = join(RESULTS, `calls-${date.replaceAll(":", "").slice(0, 15)}.json`);
/** After each part: a run that is ended keeps what it has. */
const write = (): void => writeFileSync(file, `${JSON.stringify({ ...machine, options, tables, records }, null, 1)}\n`);

try {
  setPriority(options.priority); // what is started from now on inherits it
} catch {
  refuse(`Cannot use --priority ${options.priority}: this user may only go up from ${getPriority()}`);
}
const program = compiled();
const generator = await Generator.open();
const bench: Bench = {
  options,
  generator,
  kamailio: KAMAILIO,
  headroom: headroom(program.main),
  headroomWith: (name, more) => headroom(program.main, name, more),
  say: (line) => process.stdout.write(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(5)} s  ${line}\n`),
  records,
  latest: new Map(),
  highest: new Map(),
  show(table) {
    tables.push(table);
    write();
    process.stdout.write(`\n${markdown(table)}\n\n`);
  },
};
for (const part of options.only) {
  try {
    await RUN[part](bench);
  } catch (error) {
    // The other parts are worth having all the same.
    bench.say(`${part}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
await generator.close();
program.remove();
process.stdout.write(`${tables.map(markdown).join("\n\n")}\n\n${JSON.stringify(machine)}\nwritten to ${file}\n`);
