/**
 * Runs the tests: `node scripts/test.ts [unit|e2e|peers|all]` (default all). Those of `peers`, which compare with programs that we take the place of, are
 * not part of all.
 *
 * Unit tests run two files at a time, and so do most end-to-end tests, which wait more than they work. Those that measure (calls a second, shares,
 * milliseconds) own the processor while they run: one file at a time and last. A skipped test, a test marked as to do and a run without any test all count as a failure: a green run means that
 * every test was executed.
 *
 * Most bounds of time fail when the machine has no time, whatever is tested. So a few files that failed are run once more, alone, and judged by that; the output
 * names them all the same, as a failure that comes and goes may be one of the program.
 */
import { globSync } from "node:fs";
import { basename, relative, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { BARESIP, CHROMIUM, ensureTool, KAMAILIO, MARIADB, POSTGRES, PROMTOOL, REDIS, SIPP } from "./ensure-tools.ts";

/** Counts of one or more test runs. `notExecuted` are tests that were skipped or marked as to do, and files without any. */
interface Tally {
  passed: number;
  failed: number;
  notExecuted: string[];
  /** How long each file took. */
  took: { file: string; ms: number }[];
  /** Failed tests by file. */
  failures: Map<string, number>;
  /** Files that failed and passed when they were run once more. */
  unsteady: string[];
}

const SUITES = ["unit", "e2e", "peers", "all"] as const;

/** End-to-end tests that measure, in `test/e2e`, without `.test.ts`. */
const MEASURING = [
  "cluster-exact",
  "cluster-redis",
  "cluster-status",
  "dashboard-many",
  "demo",
  "die-and-return",
  "overload",
  "retransmission",
  "spread",
];

function testFiles(): { unit: string[]; e2e: string[]; measuring: string[]; peers: string[] } {
  const all = globSync("test/**/*.test.ts").sort();
  const inFolder = (name: string) => (file: string) => file.split(/[\\/]/)[1] === name;
  const inE2e = inFolder("e2e");
  const peers = all.filter(inFolder("peers"));
  const files = all.filter((file) => !peers.includes(file));
  const measures = (file: string): boolean => MEASURING.includes(basename(file, ".test.ts"));
  const ends = files.filter(inE2e);
  return {
    unit: files.filter((file) => !inE2e(file)),
    e2e: ends.filter((file) => !measures(file)),
    measuring: ends.filter(measures),
    peers,
  };
}

/** How a group of test files is run. */
interface Manner {
  readonly concurrency: number;
  readonly timeout: number;
  readonly execArgv?: string[];
}

const UNIT: Manner = { concurrency: 2, timeout: 180_000 }; // files at a time; ms a file, which takes seconds: this only ends one that hangs
// The longest file takes a minute. What a failed test has left running must not keep the others waiting: the file ends, and with it its processes.
const E2E: Manner = { concurrency: 2, timeout: 300_000, execArgv: ["--test-force-exit"] };
const ALONE: Manner = { ...E2E, concurrency: 1 };

/** Files with a failure that are run once more. With more of them it is no matter of time. */
const MAX_AGAIN = 2;
const SLOWEST_FILES = 15;
/**
 * Every test file is a process of its own, and each program that is started another one: most of what short ones do is to strip types of the
 * same sources and to compile them. Below node_modules, so that `npm ci` clears it away.
 */
const COMPILE_CACHE = resolve("node_modules/.cache/compile");

async function runFiles(files: readonly string[], manner: Manner, tally: Tally): Promise<void> {
  if (files.length === 0) return;
  const events = run({ files: [...files], ...manner });
  events.on("test:pass", ({ name, file, skip, todo }) => {
    if (skip !== undefined || todo !== undefined) tally.notExecuted.push(`${file ?? ""}: ${name} (skipped or to do)`);
    if (file !== undefined && resolve(name) === file) tally.notExecuted.push(`${file}: it holds no test`);
  });
  events.on("test:summary", ({ file, counts, duration_ms }) => {
    if (file !== undefined) {
      const failed = counts.tests - counts.passed - counts.skipped - counts.todo; // failed or cancelled
      tally.took.push({ file: relative(".", file), ms: duration_ms });
      if (failed > 0) tally.failures.set(relative(".", file), failed);
      return; // one comes for each file, and the last one, for all of them, without a file
    }
    tally.passed += counts.passed;
    tally.failed += counts.tests - counts.passed - counts.skipped - counts.todo;
  });
  const report = events.compose(new spec());
  for await (const chunk of report) process.stdout.write(chunk as string);
}

/** Runs what failed once more, and judges it by that. */
async function runAgain(tally: Tally): Promise<void> {
  const { failures } = tally;
  const all = [...failures.values()].reduce((sum, failed) => sum + failed, 0);
  if (failures.size === 0 || failures.size > MAX_AGAIN || all !== tally.failed) return; // what belongs to no file is not to be repeated
  for (const [file, failed] of failures) {
    process.stdout.write(`\n${failed} failed in ${file}, which is run once more, alone\n`);
    const again: Tally = { passed: 0, failed: 0, notExecuted: [], took: [], failures: new Map(), unsteady: [] };
    await runFiles([file], ALONE, again);
    tally.notExecuted.push(...again.notExecuted);
    if (again.failed > 0 || again.passed === 0) continue;
    tally.passed += failed;
    tally.failed -= failed;
    tally.unsteady.push(`${file}: ${failed} failed beside other tests and passed alone`);
  }
}

/** Where the time went, for whoever wants to make it less. */
function slowest({ took }: Tally): string {
  const first = took.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST_FILES);
  const total = took.reduce((sum, { ms }) => sum + ms, 0);
  const lines = first.map(({ file, ms }) => `  ${(ms / 1000).toFixed(1).padStart(6)} s  ${file}\n`);
  return `${took.length} files took ${(total / 1000).toFixed(0)} s, one after the other; the slowest:\n${lines.join("")}`;
}

async function main(): Promise<number> {
  const suite = process.argv[2] ?? "all";
  if (!SUITES.includes(suite as (typeof SUITES)[number])) {
    process.stderr.write(`Cannot run test suite "${suite}": want ${SUITES.join(", ")}\n`);
    return 2;
  }
  const unit = [REDIS, MARIADB, POSTGRES, PROMTOOL];
  const tools = suite === "unit" ? unit : suite === "peers" ? [KAMAILIO] : [...unit, SIPP, KAMAILIO, BARESIP, CHROMIUM];
  for (const tool of tools) {
    const refusal = ensureTool(tool);
    if (refusal === undefined) continue;
    process.stderr.write(`${refusal}\n`);
    return 1;
  }
  process.env.NODE_COMPILE_CACHE ??= COMPILE_CACHE;
  const tally: Tally = { passed: 0, failed: 0, notExecuted: [], took: [], failures: new Map(), unsteady: [] };
  const files = testFiles();
  if (suite === "peers") await runFiles(files.peers, E2E, tally);
  if (suite === "unit" || suite === "all") await runFiles(files.unit, UNIT, tally);
  if (suite === "e2e" || suite === "all") {
    await runFiles(files.e2e, E2E, tally);
    await runFiles(files.measuring, ALONE, tally);
  }

  await runAgain(tally);
  process.stdout.write(slowest(tally));
  for (const line of tally.unsteady) process.stdout.write(`unsteady: ${line}\n`);
  for (const name of tally.notExecuted) process.stdout.write(`not executed: ${name}\n`);
  if (tally.passed + tally.failed === 0) process.stdout.write("no test was run\n");
  process.stdout.write(`${tally.passed} passed, ${tally.failed} failed\n`);
  return tally.failed > 0 || tally.notExecuted.length > 0 || tally.passed === 0 ? 1 : 0;
}

process.exitCode = await main();
