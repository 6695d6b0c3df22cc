import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ClientTransaction, State } from "../../src/transaction/index.ts";
import { request, responseTo } from "../support/sip-messages.ts";
import { endpoint, TransactionBench, type Transport } from "../support/transaction-bench.ts";

const METHODS = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"];
const CLIENT_METHODS = ["INVITE", "CANCEL", "BYE"];
const STATUSES = [100, 180, 200, 202, 302, 408, 486, 503, 603];
const BRANCHES = ["z9hG4bKa", "z9hG4bKb", "z9hG4bKc", "old"];
const TRANSPORTS: readonly Transport[] = ["udp", "tcp"];
const LONGEST_MS = 32_000;

/** Seven numbers for one thing that happens. */
type Draw = readonly [what: number, a: number, b: number, c: number, d: number, e: number, ms: number];
const draw: fc.Arbitrary<Draw> = fc.tuple(
  fc.nat(9),
  fc.nat(999),
  fc.nat(999),
  fc.nat(999),
  fc.nat(1),
  fc.nat(1),
  fc.oneof(fc.nat(50), fc.nat(9_000), fc.nat(40_000)),
);

function pick<T>(items: readonly T[], n: number): T | undefined {
  return items[n % Math.max(1, items.length)];
}

/** A layer, its TU and its peers, driven by numbers. */
class Drive {
  readonly bench = new TransactionBench({ maxServerTransactions: 12 });
  readonly clients: { transaction: ClientTransaction; text: string }[] = [];

  happen([what, a, b, c, d, e, ms]: Draw): void {
    const { bench, clients } = this;
    const transaction = pick(bench.transactions, a);
    const client = pick(clients, a);
    const status = pick(STATUSES, b)!;
    if (what < 3) {
      const parts = { method: pick(METHODS, a)!, branch: pick(BRANCHES, b)!, callId: `call-${c % 2}`, cseq: 1 + (c % 3) };
      const from = "<sip:a@h>;tag=f";
      const to = d === 0 ? "<sip:b@h>" : "<sip:b@h>;tag=t";
      bench.receive(request({ ...parts, from, to, sentBy: "192.0.2.9:5060" }), endpoint("192.0.2.9", 5060, TRANSPORTS[e]));
    } else if (what === 3) transaction?.reply(status, "Test");
    else if (what === 4) transaction?.respond(status, `SIP/2.0 ${status} Test\r\n\r\n`);
    else if (what === 5) {
      if (d === 0) transaction?.silence();
      else if (e === 0) transaction?.drop();
    } else if (what === 6) {
      clients.push(bench.send(pick(CLIENT_METHODS, a)!, { transport: TRANSPORTS[e]!, timeoutMs: 1_000 + b * 40 }));
    } else if (what === 7) {
      if (client !== undefined) bench.receive(responseTo(client.text, status, { toTag: `t${d}` }));
    } else if (what === 8) {
      if (d === 0) pick(bench.sent, a)?.owner?.transportError("test");
      else if (e === 0) client?.transaction.abandon();
    } else bench.advance(ms);
  }

  /** What the TU owes: an answer to each request, an end to each INVITE that rings. */
  finish(): void {
    for (const transaction of this.bench.transactions) transaction.reply(500, "Test");
    for (const { transaction } of this.clients) if (transaction.state === State.Proceeding) transaction.abandon();
  }
}

describe("whatever peers, TU and time do", () => {
  it("the layer never throws, and after the last timer no transaction and no timer is left", () => {
    fc.assert(
      fc.property(fc.array(draw, { maxLength: 60 }), (draws) => {
        const drive = new Drive();
        const { bench } = drive;
        for (const numbers of draws) {
          drive.happen(numbers);
          // Each INVITE of ours has at most two timers, all others fewer or as many.
          assert.ok(bench.wheel.pending <= 2 * (bench.layer.serverCount + bench.layer.clientCount));
        }
        drive.finish();
        bench.advance(LONGEST_MS + 41_000); // Timer B or F, then D, J, L or M
        bench.assertNothingLeft();
        const { transactions } = bench;
        for (const transaction of transactions) assert.equal(transaction.state, State.Terminated);
        for (const { transaction } of drive.clients) assert.equal(transaction.state, State.Terminated);
      }),
      { numRuns: 100 },
    );
  });

  it("a transaction that has ended stays ended and sends nothing", () => {
    fc.assert(
      fc.property(fc.array(draw, { maxLength: 40 }), fc.array(draw, { maxLength: 20 }), (before, after) => {
        const drive = new Drive();
        const { bench } = drive;
        for (const numbers of before) drive.happen(numbers);
        drive.finish();
        bench.advance(LONGEST_MS + 41_000);
        const ended = [...bench.transactions];
        const count = bench.sent.length;
        for (const [, a, b, , d] of after) {
          const transaction = pick(ended, a);
          transaction?.reply(pick(STATUSES, b)!, "Test");
          transaction?.respond(pick(STATUSES, b)!, "SIP/2.0 200 OK\r\n\r\n");
          transaction?.silence();
          if (d === 0) transaction?.drop();
          const client = pick(drive.clients, a)?.transaction;
          client?.abandon();
          client?.transportError("late");
        }
        assert.equal(bench.sent.length, count);
        bench.assertNothingLeft();
      }),
      { numRuns: 60 },
    );
  });
});

describe("hostile bytes", () => {
  const BYTES = ["\0", "\r", "\n", " ", "\t", ",", ";", ":", "=", '"', "<", ">", "\\", "z9hG4bK", "\xff", "rport", "received=x", "0", "-"];
  const seeds = [
    request({ method: "INVITE", headers: ["Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK7", "Timestamp: 1"] }),
    request({ method: "INVITE", branch: 'z9hG4bKq;x="a,b"', headers: ["Proxy-Require: a"] }),
    request({ method: "OPTIONS", branch: "old;rport" }),
    request({ method: "CANCEL" }),
    request({ method: "ACK" }),
    request({ method: "INVITE" }).replace("Via: ", "v:\r\n  "),
  ];
  const change = fc.tuple(fc.nat(9_999), fc.nat(3), fc.nat(BYTES.length - 1));

  it("in a request never make the layer throw, however it is answered", () => {
    fc.assert(
      fc.property(fc.nat(seeds.length - 1), fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(3), (seed, changes, way) => {
        let text = seeds[seed]!;
        for (const [at, remove, byte] of changes) {
          const position = at % text.length;
          text = text.slice(0, position) + BYTES[byte]! + text.slice(position + remove);
        }
        const bench = new TransactionBench({ maxServerTransactions: way === 3 ? 0 : 10 });
        bench.onRequest = (transaction) => {
          transaction.reply(100, "Trying");
          if (way < 2) transaction.reply(way === 0 ? 200 : 404, "Test");
        };
        if (!bench.receive(text)) return;
        bench.receive(text);
        for (const transaction of bench.transactions) transaction.reply(500, "Test");
        bench.advance(LONGEST_MS);
        bench.assertNothingLeft();
      }),
      { numRuns: 1_000 },
    );
  });

  it("in a response never make the layer throw", () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), fc.constantFrom(...STATUSES), (changes, status) => {
        const bench = new TransactionBench();
        const { text, transaction } = bench.send("INVITE");
        let response = responseTo(text, status, { toTag: "a" });
        for (const [at, remove, byte] of changes) {
          const position = at % response.length;
          response = response.slice(0, position) + BYTES[byte]! + response.slice(position + remove);
        }
        bench.receive(response);
        bench.receive(response);
        transaction.abandon();
        bench.assertNothingLeft();
      }),
      { numRuns: 600 },
    );
  });
});
