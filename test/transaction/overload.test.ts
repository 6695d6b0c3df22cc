import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_SERVER_TRANSACTIONS, State } from "../../src/transaction/index.ts";
import { headerOf, request } from "../support/sip-messages.ts";
import { endpoint, TransactionBench } from "../support/transaction-bench.ts";

const LIMIT = 3;

function full() {
  const bench = new TransactionBench({ maxServerTransactions: LIMIT });
  const invites = Array.from({ length: LIMIT }, () => request());
  const transactions = invites.map((text) => bench.accept(text));
  return { bench, invites, transactions };
}

describe("the limit of server transactions", () => {
  it("is high by default", () => {
    assert.equal(MAX_SERVER_TRANSACTIONS, 200_000);
  });

  it("beyond it a request is refused 503 with Retry-After, and leaves nothing behind (RFC 3261 §8.2.7)", () => {
    for (const method of ["INVITE", "OPTIONS", "BYE", "X-UNKNOWN"]) {
      const { bench } = full();
      const timers = bench.wheel.pending;
      bench.receive(request({ method }));
      assert.deepEqual(bench.statuses, [503]);
      assert.match(headerOf(bench.lastSent.text, "Retry-After"), /^[1-9]\d*$/);
      assert.equal(bench.transactions.length, LIMIT);
      assert.equal(bench.layer.serverCount, LIMIT);
      assert.equal(bench.wheel.pending, timers);
      assert.equal(bench.layer.counters.refused_overload, 1);
    }
  });

  it("each copy of a refused request is refused with the very same response", () => {
    const { bench } = full();
    const text = request();
    for (let copy = 0; copy < 3; copy++) bench.receive(text);
    assert.equal(bench.sent.length, 3);
    assert.equal(new Set(bench.sent.map((message) => message.text)).size, 1);
  });

  it("copies of requests that were taken are still absorbed, ACKs still end transactions", () => {
    const { bench, invites, transactions } = full();
    transactions[0]?.reply(486, "Busy Here");
    for (const text of invites) bench.receive(text);
    assert.deepEqual(bench.statuses, [486, 486]);
    bench.receive(invites[0]!.replace("INVITE ", "ACK ").replace(" INVITE\r\n", " ACK\r\n"));
    assert.equal(transactions[0]?.state, State.Confirmed);
  });

  it("an ACK is never refused: it would not be expected", () => {
    const { bench } = full();
    bench.receive(request({ method: "ACK" }));
    assert.deepEqual(bench.sent, []);
    assert.equal(bench.acks.length, 1);
  });

  it("a CANCEL for a request that was taken is taken too: it makes room; others are refused", () => {
    const { bench, invites } = full();
    const cancel = invites[1]!.replace("INVITE ", "CANCEL ").replace(" INVITE\r\n", " CANCEL\r\n");
    bench.receive(cancel);
    bench.receive(cancel);
    assert.deepEqual(bench.statuses, [200, 200]);
    assert.equal(bench.cancels.length, 1);
    assert.equal(bench.layer.serverCount, LIMIT + 1);
    bench.receive(request({ method: "CANCEL" }));
    assert.deepEqual(bench.statuses, [200, 200, 503]);
  });

  it("there is room again when a transaction has ended", () => {
    const { bench, transactions } = full();
    transactions[0]?.reply(200, "OK");
    bench.advance(31_990);
    bench.receive(request());
    assert.deepEqual(bench.statuses, [200, 503]);
    bench.advance(10);
    bench.accept(request());
  });

  it("does not count what we send", () => {
    const { bench } = full();
    const { transaction } = bench.send("INVITE");
    assert.equal(transaction.state, State.Calling);
    assert.equal(bench.layer.clientCount, 1);
  });
});

describe("unansweredCount", () => {
  it("counts the requests that still wait for their final response", () => {
    const { bench, transactions } = full();
    assert.equal(bench.layer.unansweredCount, 3);
    transactions[0]?.reply(180, "Ringing");
    assert.equal(bench.layer.unansweredCount, 3);
    transactions[0]?.reply(200, "OK");
    transactions[1]?.reply(486, "Busy Here");
    transactions[2]?.silence();
    assert.equal(bench.layer.unansweredCount, 0);
    assert.equal(bench.layer.serverCount, 3);
  });
});

describe("a TU that throws", () => {
  it("costs the request a 500, not the layer a transaction that nobody ends; the error reaches who reads the wire", () => {
    for (const method of ["INVITE", "BYE"]) {
      const bench = new TransactionBench();
      bench.onRequest = () => {
        throw new Error("fault of the TU");
      };
      assert.throws(() => bench.receive(request({ method })), /fault of the TU/);
      assert.deepEqual(bench.statuses, [500]);
      bench.advance(32_000);
      bench.assertNothingLeft();
    }
  });

  it("after its answer does not get a second one sent", () => {
    const bench = new TransactionBench();
    bench.onRequest = (transaction) => {
      transaction.reply(403, "Forbidden");
      throw new Error("fault of the TU");
    };
    assert.throws(() => bench.receive(request({ method: "BYE" })));
    assert.deepEqual(bench.statuses, [403]);
  });

  it("on a time-out is a fault of that timer alone", () => {
    const bench = new TransactionBench();
    const target = endpoint();
    const send = (branch: string, timeout: () => void): void => {
      const text = request({ method: "BYE", branch });
      bench.layer.send(
        { text, method: "BYE", branch, target, timeoutMs: 1_000 },
        { response: () => undefined, transportError: () => undefined, timeout },
      );
    };
    let told = 0;
    send("z9hG4bKa", () => {
      throw new Error("fault of the TU");
    });
    send("z9hG4bKb", () => told++);
    bench.advance(1_000);
    assert.equal(told, 1);
    assert.equal(bench.faults.length, 1);
    assert.deepEqual([bench.layer.clientCount, bench.wheel.pending], [0, 0]);
  });
});
