import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { State } from "../../src/transaction/index.ts";
import { headerOf, request, responseTo } from "../support/sip-messages.ts";
import { endpoint, TransactionBench, type Transport } from "../support/transaction-bench.ts";

const TRANSPORTS: readonly Transport[] = ["udp", "tcp", "tls", "ws", "wss"];
const RELIABLE = TRANSPORTS.slice(1);

function trying(transport: Transport = "udp", method = "BYE") {
  const bench = new TransactionBench();
  const source = endpoint("192.0.2.9", 5060, transport);
  const text = request({ method, sentBy: "192.0.2.9:5060", to: "<sip:b@example.com>;tag=callee" });
  const transaction = bench.accept(text, source);
  return { bench, transaction, text, receive: () => bench.receive(text, source) };
}

describe("RFC 3261 §17.2.2: non-INVITE server transaction, Trying", () => {
  it("is initialized with a request other than INVITE or ACK, which is passed to the TU", () => {
    for (const method of ["BYE", "OPTIONS", "INFO", "PRACK", "UPDATE", "REFER", "MESSAGE", "REGISTER", "X-UNKNOWN"]) {
      const { bench, transaction } = trying("udp", method);
      assert.equal(transaction.state, State.Trying);
      assert.equal(transaction.request.method, method);
      assert.equal(bench.layer.counters.uas_transactions, 1);
    }
  });

  it("any further request retransmissions are discarded", () => {
    const { bench, receive } = trying();
    receive();
    receive();
    assert.equal(bench.transactions.length, 1);
    assert.deepEqual(bench.sent, []);
    assert.equal(bench.layer.counters.absorbed_requests, 2);
  });

  it("a copy that comes on another connection, as that of the request has ended, is answered there; not while it is open, nor at another address", () => {
    for (const [isOpen, address, isMoved] of [
      [false, "192.0.2.9", true],
      [true, "192.0.2.9", false],
      [false, "192.0.2.10", false],
    ] as const) {
      const bench = new TransactionBench();
      const first = { ...endpoint("192.0.2.9", 40_000, "tcp"), connection: { isOpen } };
      const second = { ...endpoint(address, 40_001, "tcp"), connection: { isOpen: true } };
      const text = request({ method: "BYE", sentBy: "192.0.2.9:5060", to: "<sip:b@example.com>;tag=callee" });
      const transaction = bench.accept(text, first);
      bench.receive(text, second);
      transaction.respond(200, responseTo(text, 200));
      assert.equal(bench.lastSent.to.connection === second.connection, isMoved);
    }
  });

  it("a final response without a provisional one goes out and completes it", () => {
    const { bench, transaction, text } = trying();
    transaction.respond(200, responseTo(text, 200));
    assert.equal(transaction.state, State.Completed);
    assert.deepEqual(bench.statuses, [200]);
  });
});

describe("RFC 3261 §17.2.2: non-INVITE server transaction, Proceeding", () => {
  it("is entered with a provisional response of the TU; that and further ones are passed to the transport layer", () => {
    const { bench, transaction } = trying();
    transaction.reply(100, "Trying");
    transaction.reply(183, "Test");
    assert.equal(transaction.state, State.Proceeding);
    assert.deepEqual(bench.statuses, [100, 183]);
  });

  it("if a retransmission of the request is received, the most recently sent provisional response goes out again", () => {
    const { bench, transaction, receive } = trying();
    transaction.reply(100, "Trying");
    receive();
    transaction.reply(183, "Test");
    receive();
    assert.deepEqual(bench.statuses, [100, 100, 183, 183]);
  });
});

describe("RFC 3261 §17.2.2: non-INVITE server transaction, Completed", () => {
  for (const before of [0, 100]) {
    for (const status of [200, 202, 302, 404, 481, 500, 603]) {
      it(`is entered when the TU passes ${status} ${before === 0 ? "in Trying" : "in Proceeding"}, which is passed to the transport layer`, () => {
        for (const transport of TRANSPORTS) {
          const { bench, transaction } = trying(transport);
          if (before !== 0) transaction.reply(before, "Trying");
          assert.equal(transaction.reply(status, "Test"), true);
          assert.equal(bench.statuses.at(-1), status);
          assert.equal(transaction.state, transport === "udp" ? State.Completed : State.Terminated);
        }
      });
    }
  }

  it("passes the final response to the transport layer whenever a retransmission of the request is received, never on its own", () => {
    const { bench, transaction, receive } = trying();
    transaction.reply(100, "Trying");
    transaction.reply(200, "OK");
    bench.advance(10_000);
    receive();
    bench.advance(10_000);
    receive();
    assert.deepEqual(
      bench.sent.map(({ atMs }) => atMs),
      [0, 0, 10_000, 20_000],
    );
    assert.deepEqual(bench.statuses, [100, 200, 200, 200]);
    assert.equal(new Set(bench.sent.slice(1).map(({ text }) => text)).size, 1);
    assert.equal(bench.transactions.length, 1);
  });

  it("any other responses passed by the TU are discarded", () => {
    const { bench, transaction, text, receive } = trying();
    transaction.reply(404, "Not Found");
    assert.equal(transaction.reply(200, "OK"), false);
    transaction.respond(200, responseTo(text, 200));
    transaction.respond(100, responseTo(text, 100));
    receive();
    assert.deepEqual(bench.statuses, [404, 404]);
  });

  it("Timer J fires 64*T1 after the final response on unreliable transports, however many copies come; then it is destroyed", () => {
    const { bench, transaction, receive } = trying();
    bench.advance(440);
    transaction.reply(200, "OK");
    bench.advance(20_000);
    receive();
    bench.advance(11_990);
    assert.equal(transaction.state, State.Completed);
    bench.advance(10);
    assert.equal(transaction.state, State.Terminated);
    bench.assertNothingLeft();
  });

  it("Timer J lasts zero seconds on reliable transports", () => {
    for (const transport of RELIABLE) {
      const { bench, transaction, receive } = trying(transport);
      transaction.reply(200, "OK");
      assert.equal(transaction.state, State.Terminated);
      bench.assertNothingLeft();
      receive();
      assert.equal(bench.transactions.length, 2);
    }
  });

  it("responses go to the listener and the peer that the request came from", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction } = trying(transport);
      transaction.reply(200, "OK");
      assert.deepEqual(bench.lastSent.to, transaction.source);
      assert.equal(bench.lastSent.to.listener, transaction.source.listener);
    }
  });
});

describe("RFC 4320 §4.1: a non-INVITE transaction that times out", () => {
  it("is never answered 408: copies are absorbed until their sender gives up, then it is gone", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, receive } = trying(transport);
      bench.advance(30_000);
      transaction.silence();
      receive();
      bench.advance(31_990);
      receive();
      assert.deepEqual(bench.sent, []);
      assert.equal(bench.transactions.length, 1);
      bench.advance(10);
      bench.assertNothingLeft();
    }
  });

  it("repeats no provisional response either, and takes no answer any more", () => {
    const { bench, transaction, text, receive } = trying();
    transaction.reply(100, "Trying");
    transaction.silence();
    receive();
    transaction.respond(200, responseTo(text, 200));
    assert.equal(transaction.reply(408, "Request Timeout"), false);
    assert.deepEqual(bench.statuses, [100]);
  });

  it("silenced twice, or after the answer, it has one timer and one end", () => {
    const { bench, transaction, receive } = trying();
    transaction.silence();
    transaction.silence();
    assert.equal(bench.wheel.pending, 1);
    bench.advance(32_000);
    bench.assertNothingLeft();
    const answered = trying();
    answered.transaction.reply(200, "OK");
    answered.transaction.silence();
    answered.receive();
    assert.deepEqual(answered.bench.statuses, [200, 200], "the answer stands");
    receive();
    transaction.silence();
    transaction.drop();
    assert.equal(bench.layer.serverCount, 1, "the new transaction of the same key stays");
  });
});

describe("RFC 3261 §8.2.6: responses of ours", () => {
  it("keep the To tag that the request has", () => {
    const { bench, transaction } = trying();
    transaction.reply(481, "Call/Transaction Does Not Exist");
    assert.equal(headerOf(bench.lastSent.text, "To"), "<sip:b@example.com>;tag=callee");
  });

  it("a 100 repeats the Timestamp", () => {
    const bench = new TransactionBench();
    const transaction = bench.accept(request({ method: "OPTIONS", headers: ["Timestamp: 54.21"] }));
    transaction.reply(100, "Trying");
    assert.equal(headerOf(bench.lastSent.text, "Timestamp"), "54.21");
  });
});
