import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseMessage } from "../../src/sip/index.ts";
import type { MalformedMessage, SipMessage, SipRequest, SipResponse } from "../../src/sip/message.ts";
import { type NameAddr, parseNameAddrGenerally } from "../../src/sip/name-addr.ts";
import { parseGenerally } from "../../src/sip/parse.ts";
import { parseQuickly } from "../../src/sip/quick-parse.ts";
import { parseNameAddrQuickly, parseUriQuickly } from "../../src/sip/quick-uri.ts";
import { parseUriGenerally } from "../../src/sip/uri.ts";
import { messagesOf } from "../torture/fixtures.ts";
import { attack, mutated } from "../torture/mutations.ts";
import { nameAddr, requestModel, textOf, uriText } from "./arbitrary.ts";
import { INVITE, message } from "./messages.ts";

const SEED = 20_261_123;
const FROM = "From: sipp <sip:sipp@198.51.100.7:5061>;tag=7SIPpTag001";
const TO = "To: service <sip:service@192.0.2.1:5060>;tag=8SIPpTag012";
const VIA = "Via: SIP/2.0/UDP 198.51.100.7:5061;branch=z9hG4bK-7-1-0";
const OWN_VIA = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK3d2f8a91.1";

/** What most of the traffic is: none of these is to need the general parser. */
const ORDINARY: readonly string[] = [
  INVITE,
  message(
    [
      "INVITE sip:service@192.0.2.1:5060 SIP/2.0",
      `${VIA};rport`,
      'From: "sipp, the tester" <sip:sipp@198.51.100.7:5061>;tag=7SIPpTag001',
      "To: service <sip:service@192.0.2.1:5060>",
      "Call-ID: 1-7@198.51.100.7",
      "CSeq: 1 INVITE",
      "Contact: sip:sipp@198.51.100.7:5061",
      "Max-Forwards: 70",
      "X-Account: 7 ",
      "Subject: Performance Test",
      "Content-Length:   4",
    ],
    "v=0\n",
  ),
  message([
    "SIP/2.0 180 Ringing",
    `${OWN_VIA},SIP/2.0/UDP 198.51.100.7:5061;rport=9;branch=z9hG4bK-7;received=192.0.2.9`,
    "Record-Route: <sip:192.0.2.1:5060;lr;did=3f2.9a>",
    FROM,
    TO,
    "Call-ID: 1-7@198.51.100.7",
    "CSeq: 1 INVITE",
    "Contact: <sip:203.0.113.9:5080;transport=UDP>",
    "Content-Length: 0",
  ]),
  message([
    "SIP/2.0 200 Fine",
    `${OWN_VIA};received=192.0.2.9;rport=5070`,
    VIA,
    FROM,
    TO,
    "Call-ID: 1-7@198.51.100.7",
    "CSeq: 2 BYE",
    "Content-Length: 0",
  ]),
  message([
    "BYE sip:203.0.113.9:5080;transport=UDP SIP/2.0",
    "Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK-7;alias=1;rport",
    "Route: <sip:192.0.2.1:5060;lr;did=3f2.9a>",
    FROM,
    TO,
    "Call-ID: 1-7@198.51.100.7",
    "CSeq: 2 BYE",
    "Max-Forwards: 70",
    "Supported:",
  ]),
];

/** Characters that mean something to one decoder or another, and pieces that make another value of the one they stand in. */
const PIECES = [
  ...'\r\n\t \0\x7f\xff"\\<>;,=:@?[].-_%*ASd09',
  "\r\n",
  "\r\n ",
  "sip",
  "tag",
  ";tag=2",
  ";rport",
  ";branch=2",
  "SIP/2.0/UDP a",
  "0".repeat(9),
];

function fieldsOf(message: SipMessage): unknown[] {
  const { topVia } = message;
  const fields: unknown[] = [
    message.kind,
    message.raw,
    message.headerCount,
    message.lineStartAt(message.headerCount),
    message.bodyStart,
    message.body,
  ];
  for (let i = 0; i < message.headerCount; i++) {
    fields.push(message.headerIdAt(i), message.lineStartAt(i), message.valueStartAt(i), message.valueEndAt(i));
  }
  fields.push(
    message.hasBareLf,
    message.callId,
    message.fromTag,
    message.toTag,
    message.cseqNumber,
    message.cseqMethod,
    message.maxForwards,
  );
  fields.push(message.from.uri, message.from.params, message.to.uri, message.to.params);
  fields.push(
    topVia.transport,
    topVia.host,
    topVia.port,
    topVia.branch,
    topVia.received,
    topVia.rport,
    topVia.hasRport,
    topVia.sentBy,
    topVia.params,
  );
  if (message.kind === "request") fields.push((message as SipRequest).method, (message as SipRequest).uri);
  else fields.push((message as SipResponse).status, (message as SipResponse).reason);
  return fields;
}

function told(parsed: SipRequest | SipResponse | MalformedMessage): unknown[] {
  if (parsed.kind !== "malformed") return fieldsOf(parsed);
  return [parsed.kind, parsed.code, parsed.status, parsed.reason, parsed.answerable !== undefined];
}

/** Compares the two parsers on one text. @returns whether the quick one took it */
function agrees(text: string): boolean {
  if (text === "" || text.length > 65_535 || text.startsWith("\r") || text.startsWith("\n")) return false;
  const quick = parseQuickly(text);
  if (quick === undefined) return false;
  const [ours, theirs] = [told(quick), told(parseGenerally(text))];
  if (ours.length !== theirs.length || ours.some((field, i) => !Object.is(field, theirs[i])))
    assert.deepEqual(ours, theirs, JSON.stringify(text));
  return true;
}

describe("the quick parser", () => {
  it("takes ordinary messages, and makes of them what the general one does", () => {
    for (const text of ORDINARY) assert.ok(agrees(text), text);
  });

  it("agrees with the general one about ordinary messages with a change at any place", () => {
    let taken = 0;
    for (const text of ORDINARY) {
      for (let at = 0; at < text.length; at++) {
        for (const length of [1, 2]) if (agrees(text.slice(0, at) + text.slice(at + length))) taken++;
        for (const piece of PIECES) {
          if (agrees(text.slice(0, at) + piece + text.slice(piece.length > 1 ? at : at + 1))) taken++;
        }
        assert.ok(!agrees(text.slice(0, at)) || at > text.indexOf("\r\n\r\n"));
      }
    }
    assert.ok(taken > 10_000, `want many that both parsers take, got ${taken}`);
  });

  it("agrees with the general one about ordinary messages with several changes", () => {
    const change = fc.record({ at: fc.nat(), length: fc.nat({ max: 3 }), piece: fc.constantFrom("", ...PIECES) });
    const changes = fc.array(change, { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(fc.constantFrom(...ORDINARY), changes, (original, list) => {
        let text = original;
        for (const { at, length, piece } of list) {
          const place = at % text.length;
          text = text.slice(0, place) + piece + text.slice(place + length);
        }
        agrees(text);
      }),
      { seed: SEED, numRuns: 10_000 },
    );
  });

  it("agrees with the general one about spoiled messages, those of the RFCs among them", () => {
    const originals = [...ORDINARY, ...messagesOf("rfc4475").values(), ...messagesOf("rfc5118").values()];
    for (const text of originals) agrees(text);
    for (const each of fc.sample(attack, { seed: SEED, numRuns: 10_000 }))
      agrees(mutated(originals[each.original % originals.length]!, each.mutations, originals));
  });

  it("agrees with the general one about requests of any spelling", () => {
    fc.assert(
      fc.property(requestModel, (model) => void agrees(textOf(model))),
      { seed: SEED, numRuns: 2_000 },
    );
  });

  it("leaves to the general one what is too long or has too many lines", () => {
    const [before, after] = [INVITE.slice(0, INVITE.indexOf("To:")), INVITE.slice(INVITE.indexOf("To:"))];
    for (const count of [50, 60, 254, 255, 300]) agrees(before + "X: 1\r\n".repeat(count) + after);
    for (const bytes of [8_180, 8_185, 8_186, 8_187, 8_188, 8_189, 8_190, 8_191, 8_192, 8_193, 8_194, 16_400]) {
      for (const name of ["X: ", "Call-ID: "]) agrees(`${before}${name}${"x".repeat(bytes)}\r\n${after}`);
      agrees(INVITE.replace("sip:bob", `sip:${"b".repeat(bytes)}`));
      agrees(INVITE.replace("Via: SIP/2.0/UDP ", `Via: SIP/2.0/UDP ${"a".repeat(bytes)},SIP/2.0/UDP `));
      agrees(INVITE.replace("tag=", `tag=${"b".repeat(bytes)}`));
      agrees(ORDINARY[3]!.replace("Fine", "x".repeat(bytes)));
    }
    for (const host of [254, 255, 256]) agrees(INVITE.replace("pc33.atlanta", "a".repeat(host - ".example.com".length)));
  });

  it("is what parseMessage asks first, the general one taking the rest", () => {
    for (const text of ORDINARY) assert.deepEqual(told(parseMessage(text)), told(parseGenerally(text)));
    const folded = INVITE.replace("Max-Forwards: 70", "Max-Forwards:\r\n 70");
    assert.equal(parseQuickly(folded), undefined);
    assert.deepEqual(told(parseMessage(folded)), told(parseGenerally(folded)));
  });
});

describe("the quick parsers of a URI and an address", () => {
  const URIS = [
    "sip:alice@198.51.100.7:5061;transport=udp",
    "sip:192.0.2.1:5060;lr;did=3f2.9a",
    "sip:a.example.com",
    "sip:+15550001;x=1:pw@a-b",
  ];
  const PIECES_OF_URIS = [...PIECES, "\u0161", "\u0131", "\u{1f600}", "65535", "65536", "<sip:", ">"];

  function general(text: string): NameAddr | undefined {
    try {
      return parseNameAddrGenerally(text);
    } catch {
      return undefined;
    }
  }

  /** @returns how many of the two took it */
  function bothAgree(text: string): number {
    const [uri, addr] = [parseUriQuickly(text), parseNameAddrQuickly(text)];
    if (uri !== undefined) assert.deepEqual(uri, parseUriGenerally(text), JSON.stringify(text));
    if (addr !== undefined) assert.deepEqual(addr, general(text), JSON.stringify(text));
    return Number(uri !== undefined) + Number(addr !== undefined);
  }

  it("take ordinary ones", () => {
    for (const uri of URIS) {
      assert.ok(parseUriQuickly(uri) !== undefined, uri);
      assert.ok(parseNameAddrQuickly(`<${uri}>`) !== undefined, uri);
    }
  });

  it("agree with the general ones about those with a change at any place", () => {
    let taken = 0;
    for (const text of [...URIS, ...URIS.map((uri) => `<${uri}>`)]) {
      for (let at = 0; at <= text.length; at++) {
        taken += bothAgree(text.slice(0, at)) + bothAgree(text.slice(0, at) + text.slice(at + 1));
        for (const piece of PIECES_OF_URIS) {
          taken += bothAgree(text.slice(0, at) + piece + text.slice(at)) + bothAgree(text.slice(0, at) + piece + text.slice(at + 1));
        }
      }
    }
    assert.ok(taken > 5_000, `want many that both take, got ${taken}`);
    for (const bytes of [254, 255, 256, 65_600]) bothAgree(`sip:${"a".repeat(bytes)}`);
  });

  it("agree with the general ones about those of any spelling", () => {
    fc.assert(
      fc.property(uriText, nameAddr, (uri, addr) => {
        bothAgree(uri);
        bothAgree(addr);
      }),
      { seed: SEED, numRuns: 2_000 },
    );
  });
});
