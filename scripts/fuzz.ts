/**
 * Sends spoiled messages to a proxy in memory: `npm run fuzz -- [--messages N] [--minutes N] [--seed N]`.
 *
 * It goes on until it has sent at least so many messages (1,000,000) for at least so many minutes (10). Each round of 100,000 has a seed of its
 * own, which is printed before it begins: `--seed N --minutes 0 --messages 100000` does that round again. A round has four parts: messages of all
 * kinds to one proxy, whole calls whose messages are spoiled on their way, streams in pieces to the framer of connections, and forged answers to the
 * decoder of DNS messages. Times are of the processor, of this thread.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { fuzzDnsAnswers } from "../test/torture/dns-answers.ts";
import { type FuzzReport, fuzz } from "../test/torture/fuzz.ts";
import { fuzzSequences } from "../test/torture/sequences.ts";
import { fuzzStreams } from "../test/torture/streams.ts";

const ROUND = 100_000;
/** Of a round, what the other parts have: shares of its messages to one proxy. */
const SEQUENCES = 0.25;
const STREAMS = 0.02;
const DNS_ANSWERS = 0.02;
const MAX_SEED = 2 ** 31 - 1;
/** What may stay of a round: compiled code and the like, never something of each message. */
const HEAP_SLACK_BYTES = 4_000_000;

function numberOf(name: string, text: string, max: number): number {
  const number = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number <= max)) throw new Error(`Cannot use --${name} "${text}": want a whole number from 0 to ${max}`);
  return number;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

function times({ slowestMs, lookedAt }: { slowestMs: number; lookedAt: number }): string {
  return `slowest ${slowestMs.toFixed(1)} ms${lookedAt === 0 ? "" : ` (${lookedAt} over the limit once, and not when it was done again)`}`;
}

function round(messages: number, seed: number): FuzzReport {
  const say = (text: string): void => void process.stdout.write(`  ${text}\n`);
  const report = fuzz({ messages, seed });
  const { requests, responses, malformed, sent, heapBefore, heapAfter } = report;
  say(`${messages} messages: ${requests} requests, ${responses} responses, ${malformed} malformed; ${sent} sent; ${times(report)}`);
  const sequences = fuzzSequences({ messages: Math.ceil(messages * SEQUENCES), seed });
  say(`${sequences.messages} messages of calls, ${sequences.spoiled} of them spoiled, in ${sequences.scenes} scenes; ${times(sequences)}`);
  const streams = fuzzStreams({ streams: Math.ceil(messages * STREAMS), seed });
  say(`${streams.streams} streams: ${streams.messages} messages found, ${streams.faults} ended in a fault; ${times(streams)}`);
  const dns = fuzzDnsAnswers({ answers: Math.ceil(messages * DNS_ANSWERS), seed });
  say(`${dns.answers} DNS answers: ${dns.read} taken, with ${dns.records} records; ${times(dns)}`);
  say(`heap ${megabytes(heapBefore)} MB, then ${megabytes(heapAfter)} MB`);
  return { ...report, messages: messages + sequences.messages };
}

function main(): number {
  const { values } = parseArgs({ options: { messages: { type: "string" }, minutes: { type: "string" }, seed: { type: "string" } } });
  const wanted = numberOf("messages", values.messages ?? "1000000", 1e12);
  const wantedMs = numberOf("minutes", values.minutes ?? "10", 1e6) * 60_000;
  let seed = values.seed === undefined ? randomInt(MAX_SEED) : numberOf("seed", values.seed, MAX_SEED);
  const startMs = performance.now();
  let firstHeap: number | undefined;
  let done = 0;
  while (done < wanted || performance.now() - startMs < wantedMs) {
    process.stdout.write(`seed ${seed}\n`);
    const { messages, heapBefore, heapAfter } = round(done < wanted ? Math.min(ROUND, wanted - done) : ROUND, seed);
    done += messages;
    firstHeap ??= heapAfter;
    if (heapAfter - Math.min(heapBefore, firstHeap) > HEAP_SLACK_BYTES) {
      process.stderr.write(`The heap has grown by more than ${HEAP_SLACK_BYTES} bytes, in this round or since the first\n`);
      return 1;
    }
    seed = randomInt(MAX_SEED);
  }
  process.stdout.write(`${done} messages in ${((performance.now() - startMs) / 60_000).toFixed(1)} minutes: nothing found\n`);
  return 0;
}

process.exitCode = main();
