import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H } from "../../src/sip/index.ts";
import { State } from "../../src/transaction/index.ts";
import { headerOf, request, statusOf } from "../support/sip-messages.ts";
import { endpoint, TransactionBench } from "../support/transaction-bench.ts";

const SOURCE = endpoint("192.0.2.9", 5060, "udp");
const BODY = "v=0\r\ns=\u00e9\u00fc\u0000\r\n";

/** A request as few send it: all of it must be read the same way twice. */
function odd(method = "INVITE"): string {
  return (
    `\r\n\r\n${method} sip:b%20c@example.com;x=1 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKodd;rport\r\n` +
    `Via: SIP/2.0/UDP 192.0.2.77\r\nf: "A \\"\u00fc\\" <x>" <sip:a@example.com>;tag=one\r\nt: <sip:b@example.com>\r\ni: odd-1\r\nCSeq: 0007\r\n  ${method}\r\n` +
    `Max-Forwards: 70\r\nX-Odd:\t folded\r\n\tvalue \r\nContact: *\r\nl: ${BODY.length}\r\n\r\n${BODY}trailing`
  );
}

/** Everything that the core asks a request for. */
function readingOf({ request: r }: { readonly request: ReturnType<TransactionBench["accept"]>["request"] }): unknown[] {
  const { kind, raw, method, uri, callId, fromTag, toTag, cseqNumber, topVia, body, from, to } = r;
  return [
    kind,
    raw,
    method,
    uri,
    callId,
    fromTag,
    toTag,
    cseqNumber,
    topVia.branch,
    topVia.sentBy,
    body,
    from.uri,
    to.uri,
    r.value(H.Contact),
    r.list(H.Via),
  ];
}

describe("a request that was answered", () => {
  for (const method of ["INVITE", "BYE", "MESSAGE", "X-NEW"])
    for (const status of [200, 486, 699]) {
      it(`${method} ${status}: what it said is what it says`, () => {
        const bench = new TransactionBench();
        const transaction = bench.accept(odd(method), SOURCE);
        const before = readingOf(transaction);
        transaction.reply(status, "Test");
        assert.deepEqual(readingOf(transaction), before);
        bench.receive(odd(method), SOURCE);
        assert.deepEqual(readingOf(transaction), before);
        bench.advance(100_000);
        assert.equal(transaction.state, State.Terminated);
        assert.deepEqual(readingOf(transaction), before);
        assert.deepEqual([bench.layer.serverCount, bench.layer.mergeableCount], [0, 0]);
      });
    }

  it("also one that is never answered, or dropped", () => {
    const bench = new TransactionBench();
    const transaction = bench.accept(odd(), SOURCE);
    const before = readingOf(transaction);
    transaction.silence();
    assert.deepEqual(readingOf(transaction), before);
    transaction.drop();
    assert.deepEqual(readingOf(transaction), before);
    assert.deepEqual([bench.layer.serverCount, bench.layer.mergeableCount], [0, 0]);
  });

  it("is still the one of which a copy by another way is merged, and no more once it is forgotten", () => {
    const bench = new TransactionBench();
    const parts = { from: "<sip:a@example.com>;tag=one", callId: "merged", cseq: 7, uri: "sip:b@example.com", sentBy: "192.0.2.9:5060" };
    bench.accept(request({ ...parts, branch: "z9hG4bKone" }), SOURCE).reply(200, "OK");
    bench.receive(request({ ...parts, branch: "z9hG4bKtwo" }), SOURCE);
    assert.equal(bench.statuses.at(-1), 482);
    bench.advance(100_000);
    assert.deepEqual([bench.layer.serverCount, bench.layer.mergeableCount], [0, 0]);
    bench.accept(request({ ...parts, branch: "z9hG4bKthree" }), SOURCE);
  });

  it("is still what a CANCEL cancels in vain: both answers have one To tag (RFC 3261 §9.2)", () => {
    const bench = new TransactionBench();
    const invite = request({ branch: "z9hG4bKone", sentBy: "192.0.2.9:5060" });
    bench.accept(invite, SOURCE).reply(486, "Busy Here");
    bench.receive(invite.replace("INVITE ", "CANCEL ").replace(" INVITE\r\n", " CANCEL\r\n"), SOURCE);
    const [busy, canceling] = bench.sent.slice(-2).map(({ text }) => text);
    assert.equal(statusOf(canceling ?? ""), 200);
    assert.equal(/tag=(\S+)/.exec(headerOf(canceling ?? "", "To"))?.[1], /tag=(\S+)/.exec(headerOf(busy ?? "", "To"))?.[1]);
  });
});
