import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fuzzDnsAnswers } from "./dns-answers.ts";
import { fuzz } from "./fuzz.ts";
import { attack, mutated } from "./mutations.ts";
import { fuzzSequences } from "./sequences.ts";
import { fuzzStreams } from "./streams.ts";

/** `npm run fuzz` sends more, from another seed each time. */
const MESSAGES = 20_000;
const SEED = 20_260_822;
/** Compiled code and the like come and go; a kilobyte that stayed of each message would be twenty times as much. */
const HEAP_SLACK_BYTES = 2_000_000;

describe("spoiled messages", () => {
  it(`${MESSAGES} of them: nothing is thrown, none takes over 10 ms, loads are true, nothing is left, the heap is as it was (seed ${SEED})`, () => {
    const report = fuzz({ messages: MESSAGES, seed: SEED });
    assert.equal(report.messages, MESSAGES);
    assert.ok(report.requests > MESSAGES / 5, `${report.requests} were requests to the parser: enough get beyond it`);
    assert.ok(report.responses > MESSAGES / 50, `${report.responses} were responses`);
    const grown = report.heapAfter - report.heapBefore;
    assert.ok(grown < HEAP_SLACK_BYTES, `the heap has grown by ${grown} bytes`);
  });

  it("of calls that go on at the same time: loads are true after each second, nothing is left in the end", () => {
    const { messages, spoiled, scenes } = fuzzSequences({ messages: 5_000, seed: SEED });
    assert.ok(spoiled > messages / 4 && scenes > 50, `${spoiled} of ${messages} were spoiled, in ${scenes} scenes`);
  });

  it("in streams: the pieces do not matter, and the parser ends a message where the framer ends it", () => {
    const { messages, faults } = fuzzStreams({ streams: 600, seed: SEED });
    assert.ok(messages > 1_000 && faults > 100, `${messages} messages, ${faults} faults`);
  });

  it("from name servers: what is taken are addresses, names and times", () => {
    const { read, records } = fuzzDnsAnswers({ answers: 1_000, seed: SEED });
    assert.ok(read > 150 && records > 150, `${read} were taken, with ${records} records`);
  });

  it("are the same ones from the same seed", () => {
    const once = () => fc.sample(attack, { seed: 7, numRuns: 200 });
    assert.deepEqual(once(), once());
    const [first, second] = [fuzz({ messages: 1_000, seed: 3 }), fuzz({ messages: 1_000, seed: 3 })];
    assert.deepEqual([first.requests, first.responses, first.sent], [second.requests, second.responses, second.sent]);
    const calls = [fuzzSequences({ messages: 500, seed: 3 }), fuzzSequences({ messages: 500, seed: 3 })];
    assert.deepEqual(...(calls.map(({ messages, spoiled, scenes }) => [messages, spoiled, scenes]) as [number[], number[]]));
  });

  it("differ from what they were made of only where a mutation says so", () => {
    const text = "INVITE sip:a@b SIP/2.0\r\nX: 1\r\nY: 2\r\n folded\r\n\r\nbody";
    assert.equal(mutated(text, [], [text]), text);
    assert.equal(mutated(text, [{ kind: "rename", line: 0, name: "__proto__" }], [text]), text.replace("X:", "__proto__:"));
    assert.equal(mutated(text, [{ kind: "drop", line: 1 }], [text]), text.replace("Y: 2\r\n folded\r\n", ""));
    assert.equal(mutated(text, [{ kind: "truncate", at: 6 }], [text]), "INVITE");
  });
});
