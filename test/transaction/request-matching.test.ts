import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { State } from "../../src/transaction/index.ts";
import { headerOf, type RequestParts, request, statusOf } from "../support/sip-messages.ts";
import { TransactionBench } from "../support/transaction-bench.ts";

const FIXED: RequestParts = {
  uri: "sip:b@example.com",
  sentBy: "192.0.2.9:5060",
  branch: "z9hG4bKone",
  from: "<sip:a@example.com>;tag=caller",
  to: "<sip:b@example.com>",
  callId: "call-1",
  cseq: 1,
};

function message(parts: RequestParts = {}): string {
  return request({ ...FIXED, ...parts });
}

/** As a peer of RFC 2543 sends it: the Via has no branch, or one without the magic cookie. */
function old(parts: RequestParts = {}, branch = ""): string {
  return message({ ...parts, branch: "none" }).replace(";branch=none", branch);
}

describe("RFC 3261 §17.2.3: matching requests to server transactions", () => {
  it("a request matches if branch, sent-by and method are equal: whatever else is in it, but for the Call-ID", () => {
    const bench = new TransactionBench();
    bench.accept(message());
    bench.receive(message());
    bench.receive(message({ cseq: 9, uri: "sip:other@example.com", from: "<sip:x@example.com>;tag=y" }));
    assert.equal(bench.transactions.length, 1);
  });

  it("a peer that uses a branch again for another call gets an answer of that call (beyond the RFC, for peers with few branches)", () => {
    const bench = new TransactionBench();
    bench.accept(message());
    bench.accept(message({ callId: "call-2" }));
    assert.equal(bench.layer.serverCount, 2);
  });

  it("another branch is another transaction", () => {
    const bench = new TransactionBench();
    bench.accept(message({ callId: "x" }));
    bench.accept(message({ callId: "y", branch: "z9hG4bKtwo" }));
    assert.equal(bench.layer.serverCount, 2);
  });

  it("another sent-by is another transaction: there could be accidental or malicious duplication of branch parameters", () => {
    const bench = new TransactionBench();
    const sentBys = ["192.0.2.9:5060", "192.0.2.9:5061", "192.0.2.8:5060", "192.0.2.9", "host.example", "[2001:db8::9]:5060"];
    sentBys.forEach((sentBy, i) => {
      bench.accept(message({ sentBy, callId: `call-${i}` }));
    });
    assert.equal(bench.layer.serverCount, sentBys.length);
  });

  it("sent-by is compared without regard to case", () => {
    const bench = new TransactionBench();
    bench.accept(message({ sentBy: "Host.Example:5060" }));
    bench.receive(message({ sentBy: "hOST.eXAMPLE:5060" }));
    assert.equal(bench.transactions.length, 1);
  });

  it("another method is another transaction", () => {
    const bench = new TransactionBench();
    for (const method of ["INVITE", "BYE", "OPTIONS", "UPDATE", "bye"]) bench.accept(message({ method }));
    assert.equal(bench.layer.serverCount, 5);
  });

  it("an ACK matches the INVITE of its branch and sent-by", () => {
    const bench = new TransactionBench();
    const invite = bench.accept(message());
    invite.reply(404, "Not Found");
    bench.receive(message({ method: "ACK", sentBy: "192.0.2.8:5060" }));
    bench.receive(message({ method: "ACK", branch: "z9hG4bKtwo" }));
    assert.equal(invite.state, State.Completed);
    assert.equal(bench.acks.length, 2, "these are the core's");
    bench.receive(message({ method: "ACK" }));
    assert.equal(invite.state, State.Confirmed);
    assert.equal(bench.acks.length, 2);
  });

  it("the ACK for a 2xx has a branch of its own, makes no transaction and is passed to the core", () => {
    const bench = new TransactionBench();
    bench.accept(message()).reply(200, "OK");
    bench.receive(message({ method: "ACK", branch: "z9hG4bKack", to: "<sip:b@example.com>;tag=callee" }));
    assert.equal(bench.acks.length, 1);
    assert.equal(bench.layer.serverCount, 1);
    assert.equal(bench.sent.length, 1, "an ACK is never answered");
  });

  it("an ACK never matches a transaction of another method", () => {
    const bench = new TransactionBench();
    const bye = bench.accept(message({ method: "BYE" }));
    bye.reply(481, "Test");
    bench.receive(message({ method: "ACK" }));
    assert.equal(bye.state, State.Completed);
    assert.equal(bench.acks.length, 1);
  });
});

describe("RFC 3261 §17.2.3: requests of RFC 2543, without the magic cookie", () => {
  for (const [name, branch] of [
    ["no branch", ""],
    ["a branch without the cookie", ";branch=1"],
    ["a branch that only contains the cookie", ";branch=xz9hG4bKone"],
  ] as const) {
    describe(name, () => {
      it("an INVITE that matches in Request-URI, From tag, Call-ID, CSeq and top Via is a retransmission", () => {
        const bench = new TransactionBench();
        bench.accept(old({}, branch)).reply(180, "Ringing");
        bench.receive(old({}, branch));
        assert.equal(bench.transactions.length, 1);
        assert.deepEqual(bench.statuses, [180, 180]);
      });

      for (const [what, parts] of [
        ["Request-URI", { uri: "sip:c@example.com", to: "<sip:b@example.com>" }],
        ["From tag", { from: "<sip:a@example.com>;tag=other" }],
        ["Call-ID", { callId: "call-2" }],
        ["CSeq number", { cseq: 2 }],
        ["top Via", { sentBy: "192.0.2.8:5060" }],
        ["method", { method: "OPTIONS" }],
      ] as const) {
        it(`another ${what} is another transaction`, () => {
          const bench = new TransactionBench();
          bench.receive(old({}, branch));
          bench.receive(old(parts, branch));
          assert.equal(bench.layer.serverCount, 2);
        });
      }

      it("the ACK of a non-2xx matches with CSeq number, not method, and with the To tag that it got", () => {
        const bench = new TransactionBench();
        const invite = bench.accept(old({}, branch));
        invite.reply(486, "Busy Here");
        bench.receive(old({ method: "ACK", to: headerOf(bench.lastSent.text, "To") }, branch));
        assert.equal(invite.state, State.Confirmed);
        assert.equal(bench.acks.length, 0);
      });

      it("the ACK of a 2xx matches the transaction in Accepted and is passed directly to the TU (RFC 6026 §6)", () => {
        const bench = new TransactionBench();
        bench.accept(old({}, branch)).reply(200, "OK");
        bench.receive(old({ method: "ACK", to: headerOf(bench.lastSent.text, "To") }, branch));
        assert.equal(bench.acks.length, 1);
      });

      it("the CANCEL matches its INVITE", () => {
        const bench = new TransactionBench();
        bench.accept(old({}, branch));
        bench.receive(old({ method: "CANCEL" }, branch));
        assert.deepEqual(bench.statuses, [200]);
        assert.equal(bench.cancels.length, 1);
      });
    });
  }

  it("never match a request of RFC 3261, nor the other way round", () => {
    const bench = new TransactionBench();
    bench.accept(message({ callId: "x" }));
    bench.accept(old({ callId: "x2" }));
    bench.accept(old({ callId: "x3" }, ";branch=one"));
    assert.equal(bench.layer.serverCount, 3);
  });
});

describe("RFC 3261 §9.2: CANCEL", () => {
  it("is answered 200 at once, whatever becomes of the INVITE, and passed to the TU", () => {
    const bench = new TransactionBench();
    const invite = bench.accept(message());
    invite.reply(180, "Ringing");
    bench.receive(message({ method: "CANCEL" }));
    assert.deepEqual(bench.statuses, [180, 200]);
    assert.equal(headerOf(bench.lastSent.text, "CSeq"), "1 CANCEL");
    assert.deepEqual(
      bench.cancels.map(({ method }) => method),
      ["CANCEL"],
    );
    assert.equal(invite.state, State.Proceeding, "the INVITE itself is the TU's to answer");
    assert.equal(bench.transactions.length, 1, "a CANCEL is no new request for the TU");
  });

  it("the To tag of the response to the CANCEL and that of the response to the INVITE are the same", () => {
    for (const order of ["before", "after"]) {
      const bench = new TransactionBench();
      const invite = bench.accept(message());
      if (order === "before") invite.reply(180, "Ringing");
      bench.receive(message({ method: "CANCEL" }));
      invite.reply(487, "Request Terminated");
      const tags = new Set(bench.sent.map(({ text }) => headerOf(text, "To")));
      assert.equal(tags.size, 1, order);
      assert.match([...tags][0] ?? "", /;tag=token\d+$/);
    }
  });

  it("has no effect on an INVITE that has its final response, and is still answered 200", () => {
    for (const final of [200, 404]) {
      const bench = new TransactionBench();
      const invite = bench.accept(message());
      invite.reply(final, "Test");
      const { state } = invite;
      bench.receive(message({ method: "CANCEL" }));
      assert.deepEqual(bench.statuses, [final, 200]);
      assert.deepEqual(bench.cancels, []);
      assert.equal(invite.state, state);
    }
  });

  it("that matches no transaction is answered 481", () => {
    for (const parts of [{}, { branch: "z9hG4bKtwo" }, { sentBy: "192.0.2.8:5060" }]) {
      const bench = new TransactionBench();
      if (parts.branch !== undefined || parts.sentBy !== undefined) bench.accept(message());
      bench.receive(message({ method: "CANCEL", ...parts }));
      assert.deepEqual(bench.statuses, [481]);
      assert.deepEqual(bench.cancels, []);
      assert.match(headerOf(bench.lastSent.text, "To"), /;tag=/);
    }
  });

  it("retransmissions get the same response again and do not reach the TU twice", () => {
    const bench = new TransactionBench();
    bench.accept(message());
    for (let copy = 0; copy < 3; copy++) bench.receive(message({ method: "CANCEL" }));
    assert.equal(bench.cancels.length, 1);
    assert.equal(new Set(bench.sent.map(({ text }) => text)).size, 1);
    assert.equal(bench.sent.length, 3);
  });

  it("after the INVITE has gone is answered 481, and both transactions end", () => {
    const bench = new TransactionBench();
    bench.accept(message()).reply(200, "OK");
    bench.advance(32_000);
    bench.receive(message({ method: "CANCEL" }));
    assert.deepEqual(bench.statuses, [200, 481]);
    bench.advance(32_000);
    bench.assertNothingLeft();
  });

  it("an INVITE of which no TU wants to hear is not asked", () => {
    const bench = new TransactionBench();
    bench.accept(message()).user = undefined;
    bench.receive(message({ method: "CANCEL" }));
    assert.deepEqual(bench.statuses, [200]);
  });
});

describe("RFC 3261 §8.2.2.2: merged requests", () => {
  it("a request that came before by another way is answered 482", () => {
    for (const method of ["INVITE", "MESSAGE", "OPTIONS"]) {
      const bench = new TransactionBench();
      bench.accept(message({ method }));
      bench.receive(message({ method, branch: "z9hG4bKtwo" }));
      bench.receive(message({ method, branch: "z9hG4bKone", sentBy: "192.0.2.8:5060" }));
      assert.deepEqual(bench.statuses, [482, 482]);
      assert.equal(bench.transactions.length, 1);
      assert.equal(bench.layer.counters.merged_requests, 2);
    }
  });

  it("copies of the refused request are answered as its transaction was, copies of the first one are absorbed", () => {
    const bench = new TransactionBench();
    bench.accept(message());
    bench.receive(message({ branch: "z9hG4bKtwo" }));
    bench.receive(message({ branch: "z9hG4bKtwo" }));
    bench.receive(message());
    assert.deepEqual(bench.statuses, [482, 482]);
    assert.equal(bench.layer.counters.merged_requests, 1);
  });

  it("a spiral, which comes back with another Request-URI, passes", () => {
    const bench = new TransactionBench();
    bench.accept(message());
    bench.accept(message({ branch: "z9hG4bKtwo", uri: "sip:c@example.com", to: "<sip:b@example.com>" }));
    assert.equal(bench.layer.serverCount, 2);
  });

  for (const [what, parts] of [
    ["Call-ID", { callId: "call-2" }],
    ["CSeq", { cseq: 2 }],
    ["From tag", { from: "<sip:a@example.com>;tag=other" }],
  ] as const) {
    it(`a request with another ${what} passes`, () => {
      const bench = new TransactionBench();
      bench.accept(message());
      bench.accept(message({ branch: "z9hG4bKtwo", ...parts }));
    });
  }

  it("a request inside a dialog is never merged: it has a tag in To", () => {
    const bench = new TransactionBench();
    bench.accept(message({ method: "BYE", to: "<sip:b@example.com>;tag=x" }));
    bench.accept(message({ method: "BYE", to: "<sip:b@example.com>;tag=x", branch: "z9hG4bKtwo" }));
  });

  it("only ongoing transactions count: afterwards the same request passes", () => {
    const bench = new TransactionBench();
    bench.accept(message({ method: "OPTIONS" })).reply(200, "OK");
    bench.advance(31_990);
    bench.receive(message({ method: "OPTIONS", branch: "z9hG4bKtwo" }));
    assert.equal(statusOf(bench.lastSent.text), 482);
    bench.advance(10);
    bench.accept(message({ method: "OPTIONS", branch: "z9hG4bKthree" }));
  });

  it("an INVITE that was answered negatively may be tried again on another branch, as a peer with several of our addresses does", () => {
    const bench = new TransactionBench();
    bench.accept(message()).reply(503, "Service Unavailable");
    bench.accept(message({ branch: "z9hG4bKtwo" }));
    assert.equal(bench.layer.counters.merged_requests, 0);
  });

  it("the end of a refused request does not make room for another copy", () => {
    const bench = new TransactionBench();
    bench.accept(message());
    bench.receive(message({ branch: "z9hG4bKtwo" }));
    bench.receive(message({ branch: "z9hG4bKtwo", method: "ACK" }));
    bench.advance(5_000);
    assert.equal(bench.layer.serverCount, 1);
    bench.receive(message({ branch: "z9hG4bKthree" }));
    assert.equal(bench.layer.counters.merged_requests, 2);
  });
});
