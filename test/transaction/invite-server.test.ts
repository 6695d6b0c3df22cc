import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { State } from "../../src/transaction/index.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { endpoint, TransactionBench, type Transport, timesAt } from "../support/transaction-bench.ts";

const TRANSPORTS: readonly Transport[] = ["udp", "tcp", "tls", "ws", "wss"];
const RELIABLE = TRANSPORTS.slice(1);
/** Timer G: MIN(2*T1, T2), then doubled up to T2. */
const TIMER_G_MS = [500, 1_000, 2_000, 4_000];

function proceeding(transport: Transport = "udp") {
  const bench = new TransactionBench();
  const source = endpoint("192.0.2.9", 5060, transport);
  const invite = request({ sentBy: "192.0.2.9:5060" });
  const transaction = bench.accept(invite, source);
  return { bench, transaction, invite, receive: (text = invite) => bench.receive(text, source) };
}

/** The ACK of a non-2xx: with the branch of the INVITE. */
function ackOf(invite: string, toTag = "x"): string {
  return invite
    .replace("INVITE ", "ACK ")
    .replace(" INVITE\r\n", " ACK\r\n")
    .replace(/\r\nTo: ([^\r]*)/, `\r\nTo: $1;tag=${toTag}`);
}

describe("RFC 3261 §17.2.1: INVITE server transaction, Proceeding", () => {
  it("is entered when the transaction is constructed; the request is passed to the TU", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction } = proceeding(transport);
      assert.equal(transaction.state, State.Proceeding);
      assert.equal(bench.layer.serverCount, 1);
      assert.equal(bench.sent.length, 0, "the 100 is the TU's, which sends it at once");
      assert.equal(transaction.answered, false);
    }
  });

  it("each provisional response of the TU is passed to the transport layer and does not change the state", () => {
    const { bench, transaction } = proceeding();
    for (const status of [100, 180, 183, 199]) assert.equal(transaction.reply(status, "Test"), true);
    transaction.respond(181, "SIP/2.0 181 Forwarded\r\n\r\n");
    assert.deepEqual(bench.statuses, [100, 180, 183, 199, 181]);
    assert.equal(transaction.state, State.Proceeding);
  });

  it("provisional responses are not retransmitted by the transaction", () => {
    const { bench, transaction } = proceeding();
    transaction.reply(180, "Ringing");
    bench.advance(100_000);
    assert.deepEqual(bench.statuses, [180]);
  });

  it("if a request retransmission is received, the most recent provisional response is passed to the transport layer again", () => {
    const { bench, transaction, receive } = proceeding();
    transaction.reply(100, "Trying");
    receive();
    transaction.reply(180, "Ringing");
    receive();
    receive();
    assert.deepEqual(bench.statuses, [100, 100, 180, 180, 180]);
    assert.equal(bench.sent[4]?.text, bench.sent[2]?.text);
    assert.equal(bench.transactions.length, 1);
    assert.equal(bench.layer.counters.absorbed_requests, 3);
    assert.equal(bench.layer.counters.retransmitted_responses, 3);
  });

  it("a request retransmission before any response is absorbed in silence", () => {
    const { bench, receive } = proceeding();
    receive();
    assert.deepEqual(bench.sent, []);
    assert.equal(bench.transactions.length, 1);
  });

  it("an ACK means nothing yet", () => {
    const { bench, transaction, invite, receive } = proceeding();
    receive(ackOf(invite));
    assert.equal(transaction.state, State.Proceeding);
    assert.equal(bench.acks.length, 0);
  });

  it("the insertion of a tag in To is left out of a 100, and is the same in all others (§8.2.6.2)", () => {
    const { bench, transaction } = proceeding();
    for (const status of [100, 180, 183, 486]) transaction.reply(status, "Test");
    const tags = bench.sent.map(({ text }) => headerOf(text, "To").split(";tag=")[1]);
    assert.equal(tags[0], undefined);
    assert.ok(tags[1] !== undefined && tags[1] !== "");
    assert.deepEqual(tags.slice(2), [tags[1], tags[1]]);
  });
});

describe("RFC 3261 §17.2.1: INVITE server transaction, Completed", () => {
  for (const status of [300, 302, 404, 487, 500, 603, 699]) {
    it(`is entered when the TU passes ${status}, which is passed to the transport layer`, () => {
      for (const transport of TRANSPORTS) {
        const { bench, transaction } = proceeding(transport);
        assert.equal(transaction.reply(status, "Test"), true);
        assert.equal(transaction.state, State.Completed);
        assert.equal(transaction.answered, true);
        assert.deepEqual(bench.statuses, [status]);
      }
    });
  }

  it("on an unreliable transport Timer G retransmits at T1, 2*T1 and so on up to T2, until Timer H fires", () => {
    const { bench, transaction } = proceeding();
    transaction.reply(486, "Busy Here");
    bench.advance(100_000);
    assert.deepEqual(bench.timesOf(bench.sent[0]!.text), timesAt(TIMER_G_MS, 32_000));
    assert.deepEqual(bench.timesOf(bench.sent[0]!.text).slice(0, 6), [0, 500, 1_500, 3_500, 7_500, 11_500]);
  });

  it("Timer G is not set for a reliable transport", () => {
    for (const transport of RELIABLE) {
      const { bench, transaction } = proceeding(transport);
      transaction.reply(486, "Busy Here");
      bench.advance(31_990);
      assert.equal(bench.sent.length, 1);
      assert.equal(transaction.state, State.Completed);
    }
  });

  it("while in Completed a request retransmission makes the response go out again, on any transport", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, receive } = proceeding(transport);
      transaction.reply(180, "Ringing");
      transaction.reply(486, "Busy Here");
      receive();
      assert.deepEqual(bench.statuses, [180, 486, 486]);
    }
  });

  it("if Timer H fires, moves to Terminated after 64*T1 on every transport and indicates to the TU that a failure has occurred", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction } = proceeding(transport);
      bench.advance(1_230);
      transaction.reply(503, "Test");
      bench.advance(31_990);
      assert.equal(transaction.state, State.Completed);
      bench.advance(10);
      assert.equal(transaction.state, State.Terminated);
      assert.deepEqual(bench.unacknowledged, [transaction]);
      bench.assertNothingLeft();
    }
  });

  it("needs no TU that listens to Timer H", () => {
    const { bench, transaction } = proceeding();
    transaction.user = undefined;
    transaction.reply(503, "Test");
    bench.advance(32_000);
    bench.assertNothingLeft();
  });

  it("discards whatever the TU passes after the final response", () => {
    const { bench, transaction } = proceeding();
    transaction.reply(486, "Busy Here");
    for (const status of [100, 180, 200, 500]) assert.equal(transaction.reply(status, "Test"), false);
    for (const status of [100, 200, 404]) transaction.respond(status, `SIP/2.0 ${status} Test\r\n\r\n`);
    assert.deepEqual(bench.statuses, [486]);
    assert.equal(transaction.state, State.Completed);
  });
});

describe("RFC 3261 §17.2.1: INVITE server transaction, Confirmed", () => {
  it("is entered when an ACK is received in Completed; retransmissions of the response cease", () => {
    const { bench, transaction, invite, receive } = proceeding();
    transaction.reply(486, "Busy Here");
    bench.advance(600);
    receive(ackOf(invite));
    assert.equal(transaction.state, State.Confirmed);
    bench.advance(40_000);
    assert.deepEqual(bench.statuses, [486, 486]);
    assert.deepEqual(bench.unacknowledged, []);
    assert.deepEqual(bench.acks, [], "the ACK is not the TU's");
  });

  it("absorbs additional ACKs and copies of the INVITE, without starting Timer I again", () => {
    const { bench, transaction, invite, receive } = proceeding();
    transaction.reply(486, "Busy Here");
    receive(ackOf(invite));
    bench.advance(3_000);
    receive(ackOf(invite));
    receive();
    assert.deepEqual(bench.statuses, [486]);
    assert.deepEqual(bench.acks, []);
    bench.advance(1_990);
    assert.equal(transaction.state, State.Confirmed);
    bench.advance(10);
    assert.equal(transaction.state, State.Terminated);
    bench.assertNothingLeft();
  });

  it("Timer I lasts T4 on unreliable transports and zero seconds on reliable ones", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, invite, receive } = proceeding(transport);
      transaction.reply(486, "Busy Here");
      receive(ackOf(invite));
      if (transport === "udp") {
        bench.advance(4_990);
        assert.equal(transaction.state, State.Confirmed);
        bench.advance(10);
      }
      assert.equal(transaction.state, State.Terminated);
      bench.assertNothingLeft();
    }
  });

  it("the To tag of the ACK does not have to be ours: the answer may have come from further down", () => {
    const { transaction, invite, receive } = proceeding();
    transaction.respond(486, responseTo(invite, 486, { toTag: "callee" }));
    receive(ackOf(invite, "callee"));
    assert.equal(transaction.state, State.Confirmed);
  });
});

describe("RFC 6026 §7.1 and §8.7: INVITE server transaction, Accepted", () => {
  it("is entered when the TU issues a 2xx, which is passed to the transport layer", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, invite } = proceeding(transport);
      const text = responseTo(invite, 200, { toTag: "callee" });
      transaction.respond(200, text);
      assert.equal(transaction.state, State.Accepted);
      assert.equal(bench.lastSent.text, text);
    }
  });

  it("the server transaction generates no 2xx retransmissions on its own", () => {
    const { bench, transaction } = proceeding();
    transaction.reply(200, "OK");
    bench.advance(31_990);
    assert.equal(bench.sent.length, 1);
  });

  it("retransmissions of the INVITE are absorbed, without a response and without the TU", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, receive } = proceeding(transport);
      transaction.reply(180, "Ringing");
      transaction.reply(200, "OK");
      receive();
      receive();
      assert.deepEqual(bench.statuses, [180, 200]);
      assert.equal(bench.transactions.length, 1);
    }
  });

  it("each 2xx that the TU passes in Accepted is passed to the transport layer; other responses are not", () => {
    const { bench, transaction, invite } = proceeding();
    for (const [status, toTag] of [
      [200, "a"],
      [200, "a"],
      [200, "b"],
      [486, "c"],
      [180, "b"],
      [202, "c"],
    ] as const)
      transaction.respond(status, responseTo(invite, status, { toTag }));
    assert.deepEqual(bench.statuses, [200, 200, 200, 202]);
    assert.equal(transaction.reply(200, "OK"), false, "of our own there is only one");
  });

  it("an ACK that is received in Accepted is passed directly to the TU and not absorbed", () => {
    const { bench, transaction, invite, receive } = proceeding();
    transaction.reply(200, "OK");
    receive(ackOf(invite));
    receive(ackOf(invite));
    assert.equal(bench.acks.length, 2);
    assert.equal(transaction.state, State.Accepted);
  });

  it("Timer L fires after 64*T1 on every transport; then the transaction is destroyed", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, invite } = proceeding(transport);
      transaction.reply(200, "OK");
      bench.advance(10_000);
      transaction.respond(200, responseTo(invite, 200, { toTag: "b" }));
      bench.advance(21_990);
      assert.equal(transaction.state, State.Accepted);
      bench.advance(10);
      assert.equal(transaction.state, State.Terminated);
      bench.assertNothingLeft();
      transaction.respond(200, responseTo(invite, 200, { toTag: "b" }));
      assert.equal(bench.sent.length, 2, "nothing is sent once it is over");
    }
  });

  it("an INVITE that comes after Timer L is a new request", () => {
    const { bench, transaction, receive } = proceeding();
    transaction.reply(200, "OK");
    bench.advance(32_000);
    receive();
    assert.equal(bench.transactions.length, 2);
  });
});

describe("RFC 6026 §7.1 and §8.8: transport errors of a server transaction", () => {
  it("state is not discarded on an error of sending: the transaction is not even told", () => {
    for (const final of [200, 486]) {
      const { bench, transaction } = proceeding();
      transaction.reply(180, "Ringing");
      transaction.reply(final, "Test");
      assert.ok(bench.sent.every(({ owner }) => owner === undefined));
      assert.ok(transaction.state === State.Accepted || transaction.state === State.Completed);
    }
  });
});

describe("an INVITE that is never answered (silence)", () => {
  it("absorbs the copies of the INVITE in silence and is gone after 64*T1", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, receive } = proceeding(transport);
      transaction.reply(100, "Trying");
      transaction.silence();
      for (const wait of [500, 1_000, 30_490]) {
        receive();
        bench.advance(wait);
      }
      assert.deepEqual(bench.statuses, [100]);
      assert.equal(bench.transactions.length, 1);
      assert.equal(bench.layer.serverCount, 1);
      bench.advance(10);
      assert.equal(transaction.state, State.Terminated);
      assert.deepEqual(bench.unacknowledged, []);
      bench.assertNothingLeft();
    }
  });

  it("leaves no timer behind when its sender acknowledges what was never sent", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, invite, receive } = proceeding(transport);
      transaction.silence();
      receive(ackOf(invite));
      bench.advance(5_000);
      bench.assertNothingLeft();
    }
  });

  it("is answered no more; a CANCEL for it does not reach the TU", () => {
    const { bench, transaction, invite, receive } = proceeding();
    transaction.silence();
    assert.equal(transaction.answered, true);
    assert.equal(transaction.reply(200, "OK"), false);
    transaction.respond(486, responseTo(invite, 486));
    receive(invite.replace("INVITE ", "CANCEL ").replace(" INVITE\r\n", " CANCEL\r\n"));
    assert.deepEqual(bench.statuses, [200], "of the CANCEL");
    assert.deepEqual(bench.cancels, []);
  });

  it("changes nothing when a final response was sent, or when it is over", () => {
    const { bench, transaction, invite, receive } = proceeding();
    transaction.reply(486, "Busy Here");
    transaction.silence();
    bench.advance(500);
    assert.deepEqual(bench.statuses, [486, 486]);
    receive(ackOf(invite));
    bench.advance(5_000);
    transaction.silence();
    transaction.drop();
    assert.equal(transaction.state, State.Terminated);
    bench.assertNothingLeft();
  });

  it("a dropped transaction is forgotten at once", () => {
    const { bench, transaction, receive } = proceeding();
    transaction.drop();
    bench.assertNothingLeft();
    assert.equal(transaction.reply(200, "OK"), false);
    receive();
    assert.equal(bench.transactions.length, 2);
  });
});

describe("a final response of ours", () => {
  it("copies all Vias, From, Call-ID and CSeq, and has the headers that were asked for (§8.2.6.2)", () => {
    const { bench, transaction, invite } = proceeding();
    transaction.reply(503, "Service Unavailable", [["Retry-After", "10"]]);
    const { text } = bench.lastSent;
    assert.equal(statusOf(text), 503);
    for (const name of ["Via", "From", "Call-ID", "CSeq"]) assert.equal(headerOf(text, name), headerOf(invite, name), name);
    assert.equal(headerOf(text, "Retry-After"), "10");
    assert.equal(bench.layer.counters.local_replies, 1);
  });

  it("that cannot be written leaves the transaction unanswered, and is not counted", () => {
    const { bench, transaction } = proceeding();
    assert.throws(() => transaction.reply(420, "Bad Extension", [["Unsupported", "a\0b"]]));
    assert.equal(transaction.answered, false);
    assert.equal(bench.layer.counters.local_replies, 0);
    assert.equal(transaction.reply(500, "Server Internal Error"), true);
  });
});
