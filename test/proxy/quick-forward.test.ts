import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { editedRequest, type ForwardPlan } from "../../src/proxy/forward.ts";
import { quickForward } from "../../src/proxy/quick-forward.ts";
import { parseMessage, type SipRequest } from "../../src/sip/index.ts";
import type { Endpoint, Listener } from "../../src/transaction/index.ts";
import { requestModel, textOf } from "../sip/arbitrary.ts";

const RUNS = { numRuns: 3_000, seed: 16 };

function listener(transport: Endpoint["transport"], sentBy: string): Listener {
  return { transport, address: "192.0.2.1", port: 5060, family: 4, sentByFor: () => sentBy };
}

const UDP = listener("udp", "192.0.2.1:5060");
const LISTENERS = [
  UDP,
  UDP,
  UDP,
  { ...listener("udp", "192.0.2.1:5060"), outgoing: listener("udp", "192.0.2.1:5061") },
  listener("udp", "198.51.100.1:5060"),
  listener("tcp", "192.0.2.1:5060"),
  listener("wss", "192.0.2.1:443"),
];

const endpoint: fc.Arbitrary<Endpoint> = fc
  .tuple(fc.constantFrom(...LISTENERS), fc.constantFrom("192.0.2.9", "192.0.2.1", "2001:db8::1"), fc.constantFrom(5060, 40_000))
  .map(([from, address, port]) => ({ transport: from.transport, address, port, listener: from }));

const target = fc
  .tuple(endpoint, fc.option(endpoint, { freq: 8, nil: undefined }))
  .map(([to, insteadOf]): Endpoint => (insteadOf === undefined ? to : { ...to, insteadOf }));

const uri = fc.constantFrom(
  ...Array<string>(6).fill("sip:a@192.0.2.1"),
  "sip:a@192.0.2.1;transport=tcp",
  "sip:a@192.0.2.1;METHOD=INVITE;x",
  "sip:a@192.0.2.1?Subject=x",
  "sips:a@192.0.2.1",
  "SIP:a@192.0.2.1",
  "tel:+49;phone-context=x",
);

function seldom<T>(one: T, usually: T): fc.Arbitrary<T> {
  return fc.nat({ max: 30 }).map((n) => (n === 7 ? one : usually));
}

/** Mostly what nearly each request asks for. */
const plan: fc.Arbitrary<ForwardPlan> = fc.record({
  branch: fc.constant("z9hG4bKabc.def"),
  target,
  requestUri: fc.option(uri, { nil: undefined }),
  popRoutes: fc.nat({ max: 3 }),
  dropLastRoute: seldom(true, false),
  appendRoute: seldom<string | undefined>("sip:r.example;lr", undefined),
  pushRoutes: seldom<readonly string[]>(["<sip:p.example;lr>"], []),
  defaultMaxForwards: fc.constant(70),
  did: fc.option(fc.constantFrom("d1.2"), { nil: undefined }),
  isInDialog: fc.boolean(),
  maxBreadth: seldom<number | undefined>(7, undefined),
  addHeaders: seldom<readonly (readonly [string, string])[]>([["X-A", "b"]], []),
  removeHeaders: seldom<readonly string[]>(["Subject"], []),
});

/** A request as most of them are, each line of it sometimes in another spelling. */
const usual = fc
  .record({
    uri,
    via: fc.constantFrom(
      "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport",
      ...Array<string>(6).fill("Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK1"),
      "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1",
      "Via: SIP/2.0/UDP 192.0.2.9:5060",
      "v:SIP/2.0/UDP a.example;branch=z9hG4bK1;rport=5060",
      "VIA : SIP/2.0/UDP a.example;RPORT;branch=z9hG4bK1",
      "Via: SIP/2.0/UDP a.example;rportal;branch=z9hG4bK1;rport",
      "Via: SIP/2.0/UDP a.example;rport;rport;branch=z9hG4bK1",
      "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;received=192.0.2.9;rport",
      "Via: SIP/2.0/UDP 192.0.2.9;Received=10.0.0.1;branch=z9hG4bK1",
      'Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;x=";rport"',
      "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n ;rport",
      "Via: SIP/2.0/UDP a.example ; branch=z9hG4bK1 ; rport ",
      "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;;rport;",
      "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1;rport, SIP/2.0/UDP b.example;branch=z9hG4bK2",
      "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1 ,SIP/2.0/UDP b.example;branch=z9hG4bK2;rport",
    ),
    maxForwards: fc.constantFrom("Max-Forwards: 70", "max-forwards:\t1 ", "Max-Forwards:\r\n 10", "", "Max-Forwards: 9\r\nMax-Forwards: 9"),
    others: fc.shuffledSubarray([
      "Via: SIP/2.0/UDP c.example;branch=z9hG4bK3",
      "Route: <sip:192.0.2.1;lr;did=x>",
      "Route: <sip:192.0.2.1;lr;did=x;r2=on>, <sip:192.0.2.2;lr;did=x;r2=on>",
      'route:<sip:192.0.2.1;lr>,\r\n <sip:a,b@b.example>, "q, " <sip:c.example>',
      "Route: ",
      "Route: , ,<sip:e.example>,",
      "Record-Route: <sip:rr.example;lr>",
      "record-route: <sip:rs.example;lr>",
      "Max-Breadth: 5",
      "Subject: one,\r\n two",
      "Content-Length: 4",
    ]),
    order: fc.boolean(),
  })
  .map(({ uri: to, via, maxForwards, others, order }) => {
    const rest = [
      "From: <sip:f@x>;tag=1",
      "To: <sip:t@x>",
      "Call-ID: c",
      "CSeq: 1 INFO",
      ...(maxForwards === "" ? [] : [maxForwards]),
      ...others,
    ];
    const lines = order ? [via, ...rest] : [...rest.filter((line) => !line.startsWith("Via")), via];
    return `INFO ${to} SIP/2.0\r\n${lines.join("\r\n")}\r\n\r\nbody`;
  });

/** How often the quick form was what it is for, of all requests that could be read. */
function compare(texts: fc.Arbitrary<string>): number {
  let [quick, all] = [0, 0];
  fc.assert(
    fc.property(texts, endpoint, plan, (text, source, wanted) => {
      const request = parseMessage(text);
      if (request.kind !== "request") return;
      all++;
      const written = quickForward(request as SipRequest, source, wanted);
      if (written === undefined) return;
      quick++;
      assert.equal(written, editedRequest(request as SipRequest, source, wanted));
    }),
    RUNS,
  );
  return quick / all;
}

describe("the quick form of a forwarded request", () => {
  it("is the text that the general form writes, for requests as most of them are", () => {
    assert.ok(compare(usual) > 0.15);
  });

  it("is the text that the general form writes, for requests of any order, spelling and folding", () => {
    assert.ok(compare(requestModel.map(textOf)) > 0.02);
  });

  it("serves an INVITE and a BYE with our Route as any client writes them", () => {
    const source: Endpoint = { transport: "udp", address: "192.0.2.9", port: 5060, listener: UDP };
    const head = "SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n";
    const rest = "From: <sip:f@x>;tag=1\r\nTo: <sip:t@x>\r\nCall-ID: c\r\n";
    const base = { target: { ...source, address: "192.0.2.7" }, requestUri: undefined, dropLastRoute: false, appendRoute: undefined };
    const none = { pushRoutes: [], defaultMaxForwards: 70, addHeaders: [], removeHeaders: [], branch: "z9hG4bKours" };
    const invite = parseMessage(`INVITE sip:a@192.0.2.1 ${head}${rest}CSeq: 1 INVITE\r\n\r\n`) as SipRequest;
    assert.equal(
      quickForward(invite, source, { ...base, ...none, popRoutes: 0, did: "1.2" }),
      "INVITE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours\r\n" +
        "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport=5060;received=192.0.2.9\r\n" +
        `Record-Route: <sip:192.0.2.1:5060;lr;did=1.2>\r\nMax-Forwards: 69\r\n${rest}CSeq: 1 INVITE\r\nMax-Breadth: 60\r\n\r\n`,
    );
    const bye = parseMessage(
      `BYE sip:a@192.0.2.7 ${head}Route: <sip:192.0.2.1:5060;lr;did=1.2>\r\n${rest}CSeq: 2 BYE\r\n\r\n`,
    ) as SipRequest;
    assert.equal(
      quickForward(bye, source, { ...base, ...none, popRoutes: 1, did: undefined, isInDialog: true, requestUri: "sip:b@192.0.2.7" }),
      "BYE sip:b@192.0.2.7 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours\r\n" +
        "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport=5060;received=192.0.2.9\r\n" +
        `Max-Forwards: 69\r\n${rest}CSeq: 2 BYE\r\n\r\n`,
    );
  });
});
