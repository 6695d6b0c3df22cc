/**
 * Runs the tests: `node scripts/test.ts [unit|e2e|all]` (default all).
 *
 * Unit tests run two files at a time. End-to-end tests own the processor while they run, because they measure calls a second, so they run one
 * file at a time and last. A skipped test, a test marked as to do and a run without any test all count as a failure: a green run means that
 * every test was executed.
 */
import { globSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { BARESIP, ensureTool, KAMAILIO, REDIS, SIPP } from "./ensure-tools.ts";

/** Counts of one or more test runs. `notExecuted` are tests that were skipped or marked as to do, and files without any. */
interface Tally {
  passed: number;
  failed: number;
  notExecuted: string[];
}

const SUITES = ["unit", "e2e", "all"] as const;

function testFiles(): { unit: string[]; e2e: string[] } {
  const files = globSync("test/**/*.test.ts").sort();
  const inE2e = (file: string): boolean => file.split(/[\\/]/)[1] === "e2e";
  return { unit: files.filter((file) => !inE2e(file)), e2e: files.filter(inE2e) };
}

/** How a group of test files is run. */
interface Manner {
  readonly concurrency: number;
  readonly timeout: number;
  readonly execArgv?: string[];
}

const UNIT: Manner = { concurrency: 2, timeout: 180_000 }; // files at a time; ms a file, which takes seconds: this only ends one that hangs
// The longest file takes a minute. What a failed test has left running must not keep the others waiting: the file ends, and with it its processes.
const E2E: Manner = { concurrency: 1, timeout: 240_000, execArgv: ["--test-force-exit"] };

async function runFiles(files: readonly string[], manner: Manner, tally: Tally): Promise<void> {
  if (files.length === 0) return;
  const events = run({ files: [...files], ...manner });
  events.on("test:pass", ({ name, file, skip, todo }) => {
    if (skip !== undefined || todo !== undefined) tally.notExecuted.push(`${file ?? ""}: ${name} (skipped or to do)`);
    if (file !== undefined && resolve(name) === file) tally.notExecuted.push(`${file}: it holds no test`);
  });
  events.on("test:summary", ({ file, counts }) => {
    if (file !== undefined) return; // one comes for each file, and the last one, for all of them, without a file
    tally.passed += counts.passed;
    tally.failed += counts.tests - counts.passed - counts.skipped - counts.todo; // failed or cancelled
  });
  const report = events.compose(new spec());
  for await (const chunk of report) process.stdout.write(chunk as string);
}

async function main(): Promise<number> {
  const suite = process.argv[2] ?? "all";
  if (!SUITES.includes(suite as (typeof SUITES)[number])) {
    process.stderr.write(`Cannot run test suite "${suite}": want ${SUITES.join(", ")}\n`);
    return 2;
  }
  for (const tool of suite === "unit" ? [REDIS] : [REDIS, SIPP, KAMAILIO, BARESIP]) {
    const refusal = ensureTool(tool);
    if (refusal === undefined) continue;
    process.stderr.write(`${refusal}\n`);
    return 1;
  }
  const tally: Tally = { passed: 0, failed: 0, notExecuted: [] };
  const files = testFiles();
  if (suite !== "e2e") await runFiles(files.unit, UNIT, tally);
  if (suite !== "unit") await runFiles(files.e2e, E2E, tally);

  for (const name of tally.notExecuted) process.stdout.write(`not executed: ${name}\n`);
  if (tally.passed + tally.failed === 0) process.stdout.write("no test was run\n");
  process.stdout.write(`${tally.passed} passed, ${tally.failed} failed\n`);
  return tally.failed > 0 || tally.notExecuted.length > 0 || tally.passed === 0 ? 1 : 0;
}

process.exitCode = await main();
