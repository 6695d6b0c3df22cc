import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LOST, State } from "../../src/transaction/index.ts";
import { headerOf, headersOf, request, responseTo } from "../support/sip-messages.ts";
import { RecordingUser, TransactionBench, type Transport, timesAt } from "../support/transaction-bench.ts";

const TRANSPORTS: readonly Transport[] = ["udp", "tcp", "tls", "ws", "wss"];
const RELIABLE = TRANSPORTS.slice(1);
/** Timer A: T1, then twice as long each time. */
const TIMER_A_MS = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000];

function calling(transport: Transport = "udp", timeoutMs = 32_000) {
  const bench = new TransactionBench();
  return { bench, ...bench.send("INVITE", { transport, timeoutMs }) };
}

describe("RFC 3261 §17.1.1.2: INVITE client transaction, Calling", () => {
  it('enters "calling" when the TU initiates a new client transaction and passes the request to the transport layer', () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, text, target } = calling(transport);
      assert.equal(transaction.state, State.Calling);
      assert.deepEqual(bench.sent, [{ atMs: 0, text, to: target, owner: transaction }]);
      assert.equal(bench.layer.clientCount, 1);
    }
  });

  it("on an unreliable transport starts Timer A with T1 and retransmits at intervals that double after each transmission: seven requests in 64*T1", () => {
    const { bench, text } = calling();
    bench.advance(31_990);
    assert.deepEqual(bench.timesOf(text), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
  });

  it("doubles without a ceiling when the time-out is longer than 64*T1", () => {
    const { bench, text, user } = calling("udp", 120_000);
    bench.advance(119_990);
    assert.deepEqual(bench.timesOf(text), timesAt(TIMER_A_MS, 120_000));
    assert.equal(user.timeouts.length, 0);
    bench.advance(10);
    assert.equal(user.timeouts.length, 1);
    bench.assertNothingLeft();
  });

  it("does not start Timer A on a reliable transport", () => {
    for (const transport of RELIABLE) {
      const { bench, text } = calling(transport);
      bench.advance(31_990);
      assert.deepEqual(bench.timesOf(text), [0]);
    }
  });

  it("sends the request again, once, when a connection that was in use before is lost; not to who is only reached by that connection", () => {
    const { bench, text, transaction, user, target } = calling("tcp");
    for (const asked of [1, 2]) {
      transaction.transportError(`${LOST}: closed`);
      assert.deepEqual(
        [bench.timesOf(text).length, user.errors.length, transaction.state],
        asked === 1 ? [2, 0, State.Calling] : [2, 1, State.Terminated],
      );
    }
    bench.assertNothingLeft();
    const other = new RecordingUser();
    const branch = "z9hG4bKother";
    const onFlow = bench.layer.send(
      { method: "INVITE", text, branch, target: { ...target, connection: { isOpen: false } }, timeoutMs: 32_000 },
      other,
    );
    onFlow.transportError(`${LOST}: closed`);
    assert.deepEqual([bench.timesOf(text).length, other.errors.length], [3, 1]);
    const rings = calling("tcp");
    rings.bench.receive(responseTo(rings.text, 180, { toTag: "a" }));
    rings.transaction.transportError(`${LOST}: closed`);
    assert.deepEqual([rings.bench.timesOf(rings.text).length, rings.transaction.state], [1, State.Proceeding]);
  });

  it("when Timer B fires informs the TU once, generates no ACK and is destroyed, on every transport", () => {
    for (const transport of TRANSPORTS) {
      for (const timeoutMs of [500, 5_000, 30_000, 32_000]) {
        const { bench, transaction, user } = calling(transport, timeoutMs);
        bench.advance(timeoutMs - 10);
        assert.equal(user.timeouts.length, 0);
        bench.advance(10);
        assert.deepEqual(user.timeouts, [transaction]);
        assert.equal(transaction.state, State.Terminated);
        bench.assertNothingLeft();
        bench.advance(200_000);
        assert.equal(user.timeouts.length, 1);
        assert.ok(bench.sent.every(({ text }) => text.startsWith("INVITE ")));
      }
    }
  });

  it("is destroyed before the TU hears of the time-out, so that the TU can start another one", () => {
    const bench = new TransactionBench();
    const counts: number[] = [];
    bench.layer.send(
      { text: request({ branch: "z9hG4bKt" }), method: "INVITE", branch: "z9hG4bKt", target: calling().target, timeoutMs: 1_000 },
      { response: () => undefined, transportError: () => undefined, timeout: () => counts.push(bench.layer.clientCount) },
    );
    bench.advance(1_000);
    assert.deepEqual(counts, [0]);
  });

  it("on a transport failure informs the TU and transitions directly to Terminated (§17.1.4)", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, user } = calling(transport);
      bench.lastSent.owner?.transportError("port unreachable");
      assert.deepEqual(user.errors, ["port unreachable"]);
      assert.equal(transaction.state, State.Terminated);
      bench.assertNothingLeft();
      bench.sent[0]?.owner?.transportError("again");
      assert.equal(user.errors.length, 1);
      assert.equal(user.timeouts.length, 0);
    }
  });

  it("counts the copies of the request, not the request itself", () => {
    const { bench } = calling();
    bench.advance(1_600);
    assert.equal(bench.layer.counters.retransmitted_requests, 2);
    assert.equal(bench.layer.counters.uac_transactions, 1);
  });
});

describe("RFC 3261 §17.1.1.2: INVITE client transaction, Proceeding", () => {
  it("a provisional response is passed to the TU; the request is not retransmitted any longer and Timer B is over", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, user, text } = calling(transport);
      bench.advance(600);
      const copies = bench.timesOf(text).length;
      bench.receive(responseTo(text, 100));
      assert.equal(transaction.state, State.Proceeding);
      bench.advance(300_000);
      assert.equal(bench.timesOf(text).length, copies);
      assert.deepEqual(user.statuses, [100]);
      assert.equal(user.timeouts.length, 0);
      assert.equal(bench.layer.clientCount, 1);
      assert.equal(bench.wheel.pending, 0, "the TU has Timer C");
    }
  });

  it("any further provisional responses are passed up to the TU", () => {
    const { bench, user, text } = calling();
    for (const status of [100, 180, 180, 183, 199]) bench.receive(responseTo(text, status, { toTag: "a" }));
    assert.deepEqual(user.statuses, [100, 180, 180, 183, 199]);
  });

  it("a late error of an old copy changes nothing: the peer has answered", () => {
    const { bench, transaction, user, text } = calling();
    bench.receive(responseTo(text, 180));
    bench.sent[0]?.owner?.transportError("host unreachable");
    assert.equal(transaction.state, State.Proceeding);
    assert.deepEqual(user.errors, []);
  });

  it("ends without a word when the TU abandons it (§9.1)", () => {
    const { bench, transaction, user, text } = calling();
    bench.receive(responseTo(text, 180));
    transaction.abandon();
    transaction.abandon();
    assert.equal(transaction.state, State.Terminated);
    bench.assertNothingLeft();
    bench.receive(responseTo(text, 200, { toTag: "a" }));
    assert.deepEqual(user.statuses, [180]);
    assert.deepEqual(
      bench.strays.map(({ status }) => status),
      [200],
    );
  });
});

describe("RFC 3261 §17.1.1.2: INVITE client transaction, Completed", () => {
  for (const before of ["Calling", "Proceeding"]) {
    for (const status of [300, 302, 400, 404, 486, 499, 500, 503, 600, 699]) {
      it(`${status} in ${before} is passed to the TU and acknowledged to the same address, port and transport, even if the transport is reliable`, () => {
        for (const transport of TRANSPORTS) {
          const { bench, transaction, user, text, target } = calling(transport);
          if (before === "Proceeding") bench.receive(responseTo(text, 183, { toTag: "a" }));
          bench.receive(responseTo(text, status, { toTag: "a" }));
          assert.equal(user.statuses.at(-1), status);
          assert.ok(bench.lastSent.text.startsWith("ACK "));
          assert.equal(bench.lastSent.to, target);
          assert.equal(transaction.state, transport === "udp" ? State.Completed : State.Terminated);
        }
      });
    }
  }

  it("retransmissions of the final response cause the ACK to be re-passed to the transport but are not passed up to the TU", () => {
    const { bench, user, text } = calling();
    const answer = responseTo(text, 486, { toTag: "a" });
    for (let copy = 0; copy < 4; copy++) bench.receive(answer);
    const acks = bench.sent.slice(1).map((message) => message.text);
    assert.equal(acks.length, 4);
    assert.equal(new Set(acks).size, 1);
    assert.deepEqual(user.statuses, [486]);
  });

  it("a different final response, a 2xx or a 1xx is kept from the TU too", () => {
    const { bench, user, text } = calling();
    bench.receive(responseTo(text, 486, { toTag: "a" }));
    for (const status of [180, 200, 500]) bench.receive(responseTo(text, status, { toTag: "b" }));
    assert.deepEqual(user.statuses, [486]);
  });

  it("retransmits the request no more", () => {
    const { bench, text } = calling();
    bench.receive(responseTo(text, 486, { toTag: "a" }));
    bench.advance(40_000);
    assert.deepEqual(bench.timesOf(text), [0]);
  });

  it("Timer D lasts at least 32 seconds on an unreliable transport, then the transaction is destroyed", () => {
    const { bench, transaction, text } = calling();
    bench.advance(700);
    bench.receive(responseTo(text, 486, { toTag: "a" }));
    bench.advance(31_990);
    assert.equal(transaction.state, State.Completed);
    assert.equal(bench.wheel.pending, 1);
    bench.advance(10);
    assert.equal(transaction.state, State.Terminated);
    bench.assertNothingLeft();
  });

  it("Timer D lasts zero seconds on a reliable transport", () => {
    for (const transport of RELIABLE) {
      const { bench, text } = calling(transport);
      bench.receive(responseTo(text, 486, { toTag: "a" }));
      bench.assertNothingLeft();
      bench.receive(responseTo(text, 486, { toTag: "a" }));
      assert.equal(bench.strays.length, 1);
    }
  });

  it("is over before the TU is told on a reliable transport", () => {
    const bench = new TransactionBench();
    const seen: number[] = [];
    const text = request({ branch: "z9hG4bKr" });
    bench.layer.send(
      { text, method: "INVITE", branch: "z9hG4bKr", target: calling("tcp").target, timeoutMs: 1_000 },
      { response: (transaction) => seen.push(transaction.state), transportError: () => undefined, timeout: () => undefined },
    );
    bench.receive(responseTo(text, 500, { toTag: "a" }));
    assert.deepEqual(seen, [State.Terminated]);
  });

  it("an error of sending does not end it: copies of the response are still to be absorbed", () => {
    const { bench, transaction, user, text } = calling();
    bench.receive(responseTo(text, 486, { toTag: "a" }));
    for (const { owner } of bench.sent) owner?.transportError("host unreachable");
    assert.equal(transaction.state, State.Completed);
    assert.deepEqual(user.errors, []);
  });
});

describe("RFC 3261 §17.1.1.3: construction of the ACK request", () => {
  const invite = request({
    uri: "sip:bob@biloxi.example;transport=udp",
    branch: "z9hG4bKkjshdyff",
    sentBy: "192.0.2.1:5060",
    from: '"Alice, A." <sip:alice@atlanta.example>;tag=88sja8x',
    to: "Bob <sip:bob@biloxi.example>",
    callId: "987asjd97y7atg",
    cseq: 986_759,
    routes: ["<sip:p1.example;lr>", "<sip:p2.example;lr>,<sip:p3.example;lr>"],
    headers: ["Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKbelow", "Content-Type: text/plain", "Require: 100rel", "Subject: x"],
    body: "v=0",
  });
  const bench = new TransactionBench();
  bench.send("INVITE", { text: invite, branch: "z9hG4bKkjshdyff" });
  bench.receive(responseTo(invite, 404, { toTag: "99sa0xk" }));
  const ack = bench.lastSent.text;

  it("Call-ID, From and Request-URI are equal to those of the original request", () => {
    assert.ok(ack.startsWith("ACK sip:bob@biloxi.example;transport=udp SIP/2.0\r\n"));
    assert.deepEqual(headersOf(ack, "Call-ID"), ["987asjd97y7atg"]);
    assert.deepEqual(headersOf(ack, "From"), ['"Alice, A." <sip:alice@atlanta.example>;tag=88sja8x']);
  });

  it("To is equal to the To header field in the response being acknowledged", () => {
    assert.deepEqual(headersOf(ack, "To"), ["Bob <sip:bob@biloxi.example>;tag=99sa0xk"]);
  });

  it("there is a single Via, equal to the top Via of the original request", () => {
    assert.deepEqual(headersOf(ack, "Via"), ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKkjshdyff"]);
  });

  it('CSeq has the same sequence number, and the method "ACK"', () => {
    assert.deepEqual(headersOf(ack, "CSeq"), ["986759 ACK"]);
  });

  it("the Route header fields of the request appear, in their order", () => {
    assert.equal(headersOf(ack, "Route").join(","), "<sip:p1.example;lr>,<sip:p2.example;lr>,<sip:p3.example;lr>");
  });

  it("there is no body, and no header of the request that does not belong there", () => {
    assert.ok(ack.endsWith("\r\n\r\n"));
    assert.equal(headerOf(ack, "Content-Length"), "0");
    for (const name of ["Content-Type", "Require", "Subject", "Contact"]) assert.deepEqual(headersOf(ack, name), [], name);
    assert.equal(headersOf(ack, "Max-Forwards").length, 1);
  });

  it("a request that our own Via took over the limit of headers is acknowledged all the same", () => {
    const crowded = new TransactionBench();
    const text = request({ branch: "z9hG4bKmany", headers: Array.from({ length: 300 }, (_, i) => `X-${i}: 1`) });
    crowded.send("INVITE", { text, branch: "z9hG4bKmany" });
    crowded.receive(
      responseTo(request({ branch: "z9hG4bKmany", from: headerOf(text, "From"), callId: headerOf(text, "Call-ID") }), 486, { toTag: "a" }),
    );
    assert.ok(crowded.lastSent.text.startsWith("ACK "));
    assert.equal(headerOf(crowded.lastSent.text, "Call-ID"), headerOf(text, "Call-ID"));
  });

  it("a request that cannot be read again is not acknowledged with an empty datagram", () => {
    const broken = new TransactionBench();
    const { text } = calling();
    broken.send("INVITE", { text: "nonsense", branch: headerOf(text, "Via").split("branch=")[1] ?? "" });
    broken.receive(responseTo(text, 486, { toTag: "a" }));
    assert.equal(broken.sent.length, 1);
  });
});

describe("RFC 6026 §7.2 and §8.4: INVITE client transaction, Accepted", () => {
  for (const before of ["Calling", "Proceeding"]) {
    it(`a 2xx in ${before} is passed to the TU and the transaction enters Accepted without an ACK of its own`, () => {
      for (const transport of TRANSPORTS) {
        for (const status of [200, 202, 299]) {
          const { bench, transaction, user, text } = calling(transport);
          if (before === "Proceeding") bench.receive(responseTo(text, 183, { toTag: "a" }));
          bench.receive(responseTo(text, status, { toTag: "a" }));
          assert.equal(transaction.state, State.Accepted);
          assert.equal(user.statuses.at(-1), status);
          assert.equal(bench.sent.length, 1);
        }
      }
    });
  }

  it("each 2xx that arrives in Accepted is passed to the TU: copies, and those of forks", () => {
    const { bench, user, text } = calling();
    for (const toTag of ["a", "a", "b", "c", "b"]) bench.receive(responseTo(text, 200, { toTag }));
    assert.deepEqual(
      user.responses.map(({ toTag }) => toTag),
      ["a", "a", "b", "c", "b"],
    );
  });

  it("other responses are absorbed: provisional ones of forks, and failures", () => {
    const { bench, user, text } = calling();
    for (const status of [200, 180, 486, 603, 100]) bench.receive(responseTo(text, status, { toTag: "a" }));
    assert.deepEqual(user.statuses, [200]);
    assert.equal(bench.sent.length, 1, "no ACK");
    assert.equal(bench.strays.length, 0);
  });

  it("Timer M fires after 64*T1 on every transport, counted from the first 2xx; then the transaction is destroyed", () => {
    for (const transport of TRANSPORTS) {
      const { bench, transaction, text } = calling(transport);
      bench.receive(responseTo(text, 200, { toTag: "a" }));
      bench.advance(20_000);
      bench.receive(responseTo(text, 200, { toTag: "a" }));
      bench.advance(11_990);
      assert.equal(transaction.state, State.Accepted);
      bench.advance(10);
      assert.equal(transaction.state, State.Terminated);
      bench.assertNothingLeft();
    }
  });

  it("a 2xx after Timer M finds no transaction and is a stray response", () => {
    const { bench, user, text } = calling();
    bench.receive(responseTo(text, 200, { toTag: "a" }));
    bench.advance(32_000);
    bench.receive(responseTo(text, 200, { toTag: "a" }));
    assert.deepEqual(user.statuses, [200]);
    assert.equal(bench.strays.length, 1);
    assert.equal(bench.layer.counters.stray_replies, 1);
  });
});
