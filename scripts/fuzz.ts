/**
 * Sends spoiled messages to a proxy in memory: `npm run fuzz -- [--messages N] [--minutes N] [--seed N]`.
 *
 * It goes on until it has sent at least so many messages (1,000,000) for at least so many minutes (10). Each round of 100,000 has a seed of its
 * own, which is printed before it begins: `--seed N --minutes 0 --messages 100000` does that round again.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { type FuzzReport, fuzz } from "../test/torture/fuzz.ts";

const ROUND = 100_000;
const MAX_SEED = 2 ** 31 - 1;
/** What may stay of a round: compiled code and the like, never something of each message. */
const HEAP_SLACK_BYTES = 4_000_000;

function numberOf(name: string, text: string, max: number): number {
  const number = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number <= max)) throw new Error(`Cannot use --${name} "${text}": want a whole number from 0 to ${max}`);
  return number;
}

function line(report: FuzzReport, ms: number): string {
  const { messages, requests, responses, malformed, sent, slowestMs, heapBefore, heapAfter } = report;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return (
    `  ${messages} messages in ${(ms / 1000).toFixed(0)} s: ${requests} requests, ${responses} responses, ${malformed} malformed; ${sent} sent; ` +
    `slowest ${slowestMs.toFixed(1)} ms; heap ${megabytes(heapBefore)} MB, then ${megabytes(heapAfter)} MB\n`
  );
}

function main(): number {
  const { values } = parseArgs({ options: { messages: { type: "string" }, minutes: { type: "string" }, seed: { type: "string" } } });
  const wanted = numberOf("messages", values.messages ?? "1000000", 1e12);
  const wantedMs = numberOf("minutes", values.minutes ?? "10", 1e6) * 60_000;
  let seed = values.seed === undefined ? randomInt(MAX_SEED) : numberOf("seed", values.seed, MAX_SEED);
  const startMs = performance.now();
  let done = 0;
  while (done < wanted || performance.now() - startMs < wantedMs) {
    const roundMs = performance.now();
    const messages = done < wanted ? Math.min(ROUND, wanted - done) : ROUND;
    process.stdout.write(`seed ${seed}\n`);
    const report = fuzz({ messages, seed });
    done += report.messages;
    process.stdout.write(line(report, performance.now() - roundMs));
    if (report.heapAfter - report.heapBefore > HEAP_SLACK_BYTES) {
      process.stderr.write(`The heap has grown by more than ${HEAP_SLACK_BYTES} bytes in this round\n`);
      return 1;
    }
    seed = randomInt(MAX_SEED);
  }
  process.stdout.write(`${done} messages in ${((performance.now() - startMs) / 60_000).toFixed(1)} minutes: nothing found\n`);
  return 0;
}

process.exitCode = main();
