import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { State } from "../../src/transaction/index.ts";
import { responseTo } from "../support/sip-messages.ts";
import { TransactionBench, type Transport, timesAt } from "../support/transaction-bench.ts";

const TRANSPORTS: readonly Transport[] = ["udp", "tcp", "tls", "ws", "wss"];
const RELIABLE = TRANSPORTS.slice(1);
/** Timer E in Trying: MIN(2*T1, T2), MIN(4*T1, T2) … */
const TIMER_E_MS = [500, 1_000, 2_000, 4_000];
const METHODS = ["BYE", "CANCEL", "OPTIONS", "INFO", "PRACK", "UPDATE", "REFER", "MESSAGE", "NOTIFY", "X-UNKNOWN"];

function trying(transport: Transport = "udp", options: { timeoutMs?: number; method?: string } = {}) {
  const bench = new TransactionBench();
  return { bench, ...bench.send(options.method ?? "BYE", { transport, timeoutMs: options.timeoutMs ?? 32_000 }) };
}

describe("RFC 3261 §17.1.2.2: non-INVITE client transaction, Trying", () => {
  it("is entered with any method but INVITE; the request is passed to the transport layer", () => {
    for (const method of METHODS) {
      const { bench, transaction, text, target } = trying("udp", { method });
      assert.equal(transaction.state, State.Trying);
      assert.deepEqual(bench.sent, [{ atMs: 0, text, to: target, owner: transaction }]);
    }
  });

  it("on an unreliable transport Timer E results in intervals of 500 ms, 1 s, 2 s, 4 s, 4 s, 4 s, until Timer F", () => {
    const { bench, text } = trying();
    bench.advance(40_000);
    assert.deepEqual(bench.timesOf(text), timesAt(TIMER_E_MS, 32_000));
    assert.deepEqual(
      bench.timesOf(text),
      [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500],
      "the same, written out",
    );
  });

  it("does not start Timer E on a reliable transport", () => {
    for (const transport of RELIABLE) {
      const { bench, text } = trying(transport);
      bench.advance(31_990);
      assert.deepEqual(bench.timesOf(text), [0]);
    }
  });

  it("if Timer F fires, informs the TU once and enters Terminated", () => {
    for (const transport of TRANSPORTS) {
      for (const timeoutMs of [400, 5_000, 32_000]) {
        const { bench, transaction, user } = trying(transport, { timeoutMs });
        bench.advance(timeoutMs - 10);
        assert.equal(transaction.state, State.Trying);
        bench.advance(10);
        assert.deepEqual(user.timeouts, [transaction]);
        assert.equal(transaction.state, State.Terminated);
        bench.assertNothingLeft();
      }
    }
  });

  it("on a transport failure informs the TU and transitions directly to Terminated (§17.1.4)", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, user } = trying(transport);
      bench.lastSent.owner?.transportError("host unreachable");
      assert.deepEqual(user.errors, ["host unreachable"]);
      assert.equal(transaction.state, State.Terminated);
      bench.assertNothingLeft();
    }
  });
});

describe("RFC 3261 §17.1.2.2: non-INVITE client transaction, Proceeding", () => {
  it("is entered with a provisional response, which is passed to the TU; so are further ones", () => {
    const { bench, transaction, user, text } = trying();
    for (const status of [100, 183, 100]) bench.receive(responseTo(text, status));
    assert.equal(transaction.state, State.Proceeding);
    assert.deepEqual(user.statuses, [100, 183, 100]);
  });

  it("Timer E goes on and is reset with T2 from its next firing on", () => {
    const { bench, text } = trying();
    bench.advance(600);
    bench.receive(responseTo(text, 100));
    bench.advance(31_400);
    assert.deepEqual(bench.timesOf(text), [0, 500, 1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500]);
  });

  it("if Timer F fires, the TU is informed and the transaction transitions to Terminated", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, user, text } = trying(transport);
      bench.advance(1_000);
      bench.receive(responseTo(text, 100));
      bench.advance(30_990);
      assert.equal(transaction.state, State.Proceeding);
      bench.advance(10);
      assert.deepEqual(user.timeouts, [transaction]);
      bench.assertNothingLeft();
    }
  });

  it("on a transport failure of a copy informs the TU and transitions directly to Terminated (§17.1.4, figure 6)", () => {
    const { bench, user, text } = trying();
    bench.receive(responseTo(text, 100));
    bench.lastSent.owner?.transportError("port unreachable");
    assert.deepEqual(user.errors, ["port unreachable"]);
    bench.assertNothingLeft();
  });
});

describe("RFC 3261 §17.1.2.2: non-INVITE client transaction, Completed", () => {
  for (const before of ["Trying", "Proceeding"]) {
    it(`a final response (200-699) in ${before} is passed to the TU; nothing is acknowledged or retransmitted any more`, () => {
      for (const transport of TRANSPORTS) {
        for (const status of [200, 202, 301, 404, 481, 500, 603, 699]) {
          const { bench, transaction, user, text } = trying(transport);
          if (before === "Proceeding") bench.receive(responseTo(text, 100));
          bench.receive(responseTo(text, status, { toTag: "a" }));
          assert.equal(user.statuses.at(-1), status);
          assert.equal(transaction.state, transport === "udp" ? State.Completed : State.Terminated);
          bench.advance(40_000);
          assert.equal(bench.sent.length, 1);
        }
      }
    });
  }

  it("buffers additional response retransmissions: only a single 2xx is ever delivered", () => {
    const { bench, user, text } = trying();
    for (const status of [200, 200, 100, 404, 200]) bench.receive(responseTo(text, status, { toTag: "a" }));
    assert.deepEqual(user.statuses, [200]);
    assert.equal(bench.strays.length, 0);
  });

  it("Timer K fires after T4 on an unreliable transport, then the transaction is destroyed", () => {
    const { bench, transaction, text } = trying();
    bench.receive(responseTo(text, 200));
    bench.advance(4_990);
    assert.equal(transaction.state, State.Completed);
    bench.advance(10);
    assert.equal(transaction.state, State.Terminated);
    bench.assertNothingLeft();
  });

  it("Timer K lasts zero seconds on a reliable transport", () => {
    for (const transport of RELIABLE) {
      const { bench, transaction, text } = trying(transport);
      bench.receive(responseTo(text, 200));
      assert.equal(transaction.state, State.Terminated);
      bench.assertNothingLeft();
    }
  });

  it("a late transport error is of no interest any more", () => {
    const { bench, transaction, user, text } = trying();
    bench.receive(responseTo(text, 200));
    bench.sent[0]?.owner?.transportError("host unreachable");
    assert.deepEqual(user.errors, []);
    assert.equal(transaction.state, State.Completed);
  });
});

describe("RFC 3261 §17.1.3: matching responses to client transactions", () => {
  it("a response matches if it has the same branch in the top Via and the method in CSeq is that of the request", () => {
    const bench = new TransactionBench();
    const first = bench.send("INVITE");
    const second = bench.send("BYE");
    bench.receive(responseTo(second.text, 200));
    bench.receive(responseTo(first.text, 180));
    assert.deepEqual([first.user.statuses, second.user.statuses], [[180], [200]]);
  });

  it("a CANCEL shares the branch of its INVITE but is a different transaction", () => {
    const bench = new TransactionBench();
    const invite = bench.send("INVITE", { branch: "z9hG4bKshared" });
    const cancel = bench.send("CANCEL", { branch: "z9hG4bKshared" });
    assert.equal(bench.layer.clientCount, 2);
    bench.receive(responseTo(cancel.text, 200));
    bench.receive(responseTo(invite.text, 487, { toTag: "a" }));
    assert.deepEqual([invite.user.statuses, cancel.user.statuses], [[487], [200]]);
    bench.advance(40_000);
    bench.assertNothingLeft();
  });

  it("the branch alone is not enough: a response to another method is a stray", () => {
    const bench = new TransactionBench();
    const { transaction, user, text } = bench.send("INVITE");
    bench.receive(responseTo(text.replace(" INVITE\r\n", " BYE\r\n"), 200, { toTag: "a" }));
    assert.deepEqual(user.statuses, []);
    assert.equal(transaction.state, State.Calling);
    assert.equal(bench.strays.length, 1);
  });

  it("if there is no match, the response is passed to the core (§18.1.2)", () => {
    const bench = new TransactionBench();
    const { user, text } = bench.send("BYE");
    bench.receive(responseTo(text.replace("branch=", "branch=x"), 200));
    bench.receive(responseTo(text.replace(/;branch=\S+/, ""), 200));
    assert.deepEqual(user.statuses, []);
    assert.equal(bench.strays.length, 2);
    assert.equal(bench.layer.counters.received_replies, 2);
  });

  it("the source of a response is not part of the match: a peer may answer from another address", () => {
    const bench = new TransactionBench();
    const { user, text, target } = bench.send("BYE");
    bench.receive(responseTo(text, 200), { ...target, address: "198.51.100.7", port: 40_000 });
    assert.deepEqual(user.statuses, [200]);
  });
});
