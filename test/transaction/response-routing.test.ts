import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseMessage, parseVia, type SipRequest } from "../../src/sip/index.ts";
import { responseTarget, stampedVia, stampVia } from "../../src/transaction/index.ts";
import { readAndStamp } from "../../src/transaction/response-routing.ts";
import { headersOf, request } from "../support/sip-messages.ts";
import { asRequest, endpoint, TransactionBench, type Transport } from "../support/transaction-bench.ts";

const RELIABLE: readonly Transport[] = ["tcp", "tls", "ws", "wss"];

/** A request with these Via lines, and nothing else of interest. */
function withVias(...vias: readonly string[]): string {
  const text = request({ method: "OPTIONS" });
  return text.replace(/Via: [^\r]*\r\n/, vias.map((via) => `Via: ${via}\r\n`).join(""));
}

describe("RFC 3261 §18.2.1: the received parameter", () => {
  for (const [via, address, stamp] of [
    ["SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bK1", "192.0.2.4", ";received=192.0.2.4"],
    ["SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK1", "192.0.2.4", ";received=192.0.2.4"],
    ["SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1", "192.0.2.4", ""],
    ["SIP/2.0/UDP 192.0.2.4:9999;branch=z9hG4bK1", "192.0.2.4", ""],
    ["SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bK1", "2001:db8::9", ""],
    ["SIP/2.0/UDP [2001:DB8::9]:5070;branch=z9hG4bK1", "2001:db8::9", ""],
    ["SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bK1", "2001:db8::a", ";received=2001:db8::a"],
    ["SIP/2.0/TCP host.example;branch=z9hG4bK1", "192.0.2.4", ";received=192.0.2.4"],
    ["SIP/2.0/UDP 192.0.2.4;received=198.51.100.66;branch=z9hG4bK1", "192.0.2.4", ";received=192.0.2.4"],
  ] as const) {
    it(`from ${address}, "${via}" gets "${stamp}"`, () => {
      assert.equal(stampVia(parseVia(via), endpoint(address, 5060)), stamp);
    });
  }
});

describe("RFC 3581 §4: rport", () => {
  it("is set to the source port, and received is added even if it is identical to sent-by", () => {
    const via = parseVia("SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK1");
    assert.equal(stampVia(via, endpoint("192.0.2.9", 40_000)), ";received=192.0.2.9;rport=40000");
  });

  it("the response is sent to the address in received and the port in rport", () => {
    const via = parseVia("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff");
    const source = endpoint("192.0.2.9", 9_988);
    assert.equal(responseTarget(via, source), source);
  });

  it("the example of §6.1 comes back as there", () => {
    const bench = new TransactionBench();
    const source = endpoint("192.0.2.1", 9_988);
    bench.accept(withVias("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff"), source).reply(200, "OK");
    assert.deepEqual(headersOf(bench.lastSent.text, "Via"), [
      "SIP/2.0/UDP 10.1.1.1:4540;rport=9988;branch=z9hG4bKkjshdyff;received=192.0.2.1",
    ]);
    assert.equal(bench.lastSent.to, source);
  });

  it("what the sender claims of itself in rport and received is written over, and not where the response goes", () => {
    const bench = new TransactionBench();
    const source = endpoint("192.0.2.9", 40_000);
    const via = "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx;received=198.51.100.66;rport=53";
    bench.accept(withVias(via), source).reply(200, "OK");
    assert.deepEqual(headersOf(bench.lastSent.text, "Via"), ["SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx;received=192.0.2.9;rport=40000"]);
    assert.equal(bench.lastSent.to, source);
  });

  it("only the first Via value is marked, also when others share its line", () => {
    const text = withVias(
      "SIP/2.0/UDP a.example;rport;branch=z9hG4bK1, SIP/2.0/UDP b.example;rport;branch=z9hG4bK2",
      "SIP/2.0/UDP c;rport",
    );
    const bench = new TransactionBench();
    bench.accept(text, endpoint("192.0.2.9", 7_000)).reply(200, "OK");
    assert.equal(
      headersOf(bench.lastSent.text, "Via").join(", "),
      "SIP/2.0/UDP a.example;rport=7000;branch=z9hG4bK1;received=192.0.2.9, SIP/2.0/UDP b.example;rport;branch=z9hG4bK2, SIP/2.0/UDP c;rport",
    );
  });

  it("a forged received is written over without rport too", () => {
    const bench = new TransactionBench();
    const source = endpoint();
    bench.accept(withVias("SIP/2.0/UDP 192.0.2.9;received=198.51.100.66;branch=z9hG4bKx"), source).reply(200, "OK");
    assert.deepEqual(headersOf(bench.lastSent.text, "Via"), ["SIP/2.0/UDP 192.0.2.9;received=192.0.2.9;branch=z9hG4bKx"]);
    assert.equal(bench.lastSent.to, source);
  });

  it("a Via that needs no mark goes back byte for byte", () => {
    const via = "SIP / 2.0 / UDP  192.0.2.9 : 5060 ;branch=z9hG4bK1 ; x=y";
    assert.equal(stampedVia(asRequest(withVias(via)), endpoint()), undefined);
    const bench = new TransactionBench();
    bench.accept(withVias(via)).reply(200, "OK");
    assert.deepEqual(headersOf(bench.lastSent.text, "Via"), [via]);
  });
});

describe("the quick form of a marked Via", () => {
  const piece = fc.constantFrom(
    ...[
      ";rport",
      ";rport",
      ";branch=z9hG4bK1",
      ";branch=z9hG4bK1",
      ";received=192.0.2.9",
      ";rport=9",
      ";RPORT",
      " ;rport",
      "; rport",
      "\r\n ;rport",
    ],
    ...[";r", ";x", ";;", ";x=y", ';x=";rport"', ", SIP/2.0/UDP b.example;rport", ",", ";ttl=1", ";Received", ";rport\t"],
  );
  const via = fc
    .tuple(
      fc.constantFrom("SIP/2.0/UDP a.example", "SIP/2.0/UDP 192.0.2.9:5060", "sip / 2.0/UDP\r\n a.example"),
      fc.array(piece, { maxLength: 4 }),
    )
    .map(([head, params]) => head + params.join(""));

  it("is what reading all of it says", () => {
    let marked = 0;
    fc.assert(
      fc.property(via, (value) => {
        const message = parseMessage(withVias(value));
        const read = message.kind === "malformed" ? message.answerable : (message as SipRequest);
        if (read === undefined) return;
        const quick = stampedVia(read, endpoint());
        assert.equal(quick, readAndStamp(read, endpoint()));
        if (quick !== undefined) marked++;
      }),
      { numRuns: 3_000, seed: 5 },
    );
    assert.ok(marked > 1_000);
  });
});

describe("a Via that cannot be written", () => {
  it("goes back as it came, and its request is answered", () => {
    const via = 'SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;x="\0"';
    const bench = new TransactionBench();
    assert.equal(bench.accept(withVias(via)).reply(200, "OK"), true);
    assert.deepEqual(headersOf(bench.lastSent.text, "Via"), [via]);
    bench.layer.replyStateless(asRequest(withVias(via)), endpoint(), 400, "Bad Request");
    assert.deepEqual(headersOf(bench.lastSent.text, "Via"), [via]);
  });
});

describe("RFC 3261 §18.2.2: sending responses", () => {
  it("on a reliable transport the response goes back on the connection of the request", () => {
    for (const transport of RELIABLE) {
      const source = endpoint("192.0.2.9", 51_234, transport);
      const via = parseVia(`SIP/2.0/${transport.toUpperCase()} 10.0.0.1:5060;branch=z9hG4bK1`);
      assert.equal(responseTarget(via, source), source);
    }
  });

  for (const [via, port] of [
    ["SIP/2.0/UDP 192.0.2.9:5099;branch=z9hG4bK1", 5_099],
    ["SIP/2.0/UDP 10.0.0.1:5099;branch=z9hG4bK1", 5_099],
    ["SIP/2.0/UDP host.example;branch=z9hG4bK1", 5_060],
    ["SIP/2.0/UDP host.example:5060;branch=z9hG4bK1", 5_060],
    ["SIP/2.0/TLS host.example;branch=z9hG4bK1", 5_061],
  ] as const) {
    it(`"${via}" is answered at the source address, port ${port}: that of sent-by, or the default`, () => {
      const source = endpoint("192.0.2.9", 40_000);
      assert.deepEqual(responseTarget(parseVia(via), source), { ...source, port });
    });
  }

  it("the same listener answers", () => {
    const source = endpoint("192.0.2.9", 40_000);
    assert.equal(responseTarget(parseVia("SIP/2.0/UDP h:5099;branch=z9hG4bK1"), source).listener, source.listener);
  });

  it("maddr is not obeyed: it would let anyone point our answers at a third party", () => {
    const source = endpoint("192.0.2.9", 5_060);
    assert.equal(responseTarget(parseVia("SIP/2.0/UDP 192.0.2.9;maddr=198.51.100.66;branch=z9hG4bK1"), source), source);
  });

  it("each response of a transaction takes the same way, also those to copies that came from elsewhere", () => {
    const bench = new TransactionBench();
    const text = withVias("SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK1");
    const source = endpoint("192.0.2.9", 40_000);
    bench.accept(text, source).reply(200, "OK");
    bench.receive(text, endpoint("198.51.100.7", 1_234));
    assert.deepEqual(
      bench.sent.map(({ to }) => to),
      [source, source],
    );
  });
});

describe("RFC 3261 §8.2.7: answers without state", () => {
  it("are marked and routed as those of a transaction", () => {
    const bench = new TransactionBench();
    const source = endpoint("192.0.2.9", 40_000);
    const invite = asRequest(request({ sentBy: "10.0.0.1:5060;rport" }));
    bench.layer.replyStateless(invite, source, 400, "Bad Request", [["Retry-After", "5"]]);
    assert.equal(bench.lastSent.to, source);
    assert.match(headersOf(bench.lastSent.text, "Via")[0] ?? "", /;rport=40000;.*;received=192\.0\.2\.9$/);
    assert.equal(bench.layer.counters.local_replies, 1);
    bench.assertNothingLeft();
  });

  it("have the same To tag each time the request comes, and another one for another request", () => {
    const bench = new TransactionBench();
    const tagOf = (text: string): string => {
      bench.layer.replyStateless(asRequest(text), endpoint(), 400, "Bad Request");
      return headersOf(bench.lastSent.text, "To")[0]?.split(";tag=")[1] ?? "";
    };
    const first = request();
    const tag = tagOf(first);
    assert.ok(tag.length > 8);
    assert.equal(tagOf(first), tag);
    assert.notEqual(tagOf(request()), tag);
    const other = new TransactionBench();
    other.layer.chance.token();
    other.layer.replyStateless(asRequest(first), endpoint(), 400, "Bad Request");
    assert.ok(!other.lastSent.text.includes(tag), "another process has other tags");
  });

  it("keep a To tag that is there", () => {
    const bench = new TransactionBench();
    bench.layer.replyStateless(asRequest(request({ method: "BYE", to: "<sip:b@h>;tag=x" })), endpoint(), 400, "Bad Request");
    assert.deepEqual(headersOf(bench.lastSent.text, "To"), ["<sip:b@h>;tag=x"]);
  });

  it("are never given to an ACK", () => {
    const bench = new TransactionBench();
    bench.layer.replyStateless(asRequest(request({ method: "ACK" })), endpoint(), 400, "Bad Request");
    assert.deepEqual(bench.sent, []);
  });
});
