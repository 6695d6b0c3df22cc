import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DatagramKind, datagramKind } from "../../src/overload/index.ts";
import { MAX_LINE_BYTES, parseMessage } from "../../src/sip/index.ts";
import { request } from "../support/sip-messages.ts";
import { bytesOf } from "./fixtures.ts";

const { Request, Response, Empty, Binary, Text, Endless } = DatagramKind;

describe("the kind of a datagram", () => {
  const cases: [name: string, text: string, want: DatagramKind][] = [
    ["a request", request(), Request],
    ["a request behind line ends (RFC 3261 §7.5)", `\r\n\r\n${request()}`, Request],
    ["a request with lines that end with LF alone", "OPTIONS sip:a@b SIP/2.0\nTo: x\n\n", Request],
    ["a request of another version, which is answered 505", "OPTIONS sip:a@b SIP/7.0\r\n\r\n", Request],
    ["a request with a version in lower case", "OPTIONS sip:a@b sip/2.0\r\n\r\n", Request],
    ["a request line with blanks behind it, which is answered 400", "OPTIONS sip:a@b SIP/2.0 \t\r\n\r\n", Request],
    ["a method that nobody knows", "!interesting-Method0123456789_*+`.%indeed'~ sip:a@b SIP/2.0\r\n\r\n", Request],
    ["a response", "SIP/2.0 200 OK\r\n\r\n", Response],
    ["a response in lower case", "sip/2.0 200 OK\r\n\r\n", Response],
    ["line ends alone", "\r\n\r\n\r\n\r\n\r\n", Empty],
    ["nothing", "", Empty],
    ["NUL bytes", "\0\0\0\0\0\0\0\0", Binary],
    ["STUN", "\x00\x01\x00\x00\x21\x12\xa4\x42", Binary],
    ["RTP", "\x80\x00\x12\x34\x00\x00\x00\x00", Binary],
    ["a blank first", " INVITE sip:a@b SIP/2.0\r\n\r\n", Binary],
    ["HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Text],
    ["one word", "INVITE\r\n\r\n", Text],
    ["a version alone", "SIP2.0\r\n\r\n", Text],
    ["a version without a blank before it", "INVITE sip:a@bSIP/2.0\r\n\r\n", Text],
    ["no line end", "INVITE sip:a@b SIP/2.0", Endless],
    ["a first line beyond the longest", `INVITE sip:${"a".repeat(MAX_LINE_BYTES)}@b SIP/2.0\r\n\r\n`, Endless],
    ["the longest datagram without a line end", "x".repeat(65_507), Endless],
  ];
  for (const [name, text, want] of cases) it(`${name} is of kind ${want}`, () => assert.equal(datagramKind(bytesOf(text)), want));

  it("is never junk for what the parser takes or answers, and never a request for a response", () => {
    const word = fc.constantFrom(
      "INVITE",
      "SIP/2.0",
      "sip/2.0",
      "SIP/3",
      "S",
      "SI",
      "SIP",
      "SIP/",
      " ",
      "  ",
      "\t",
      "\r",
      "\n",
      "\r\n",
      "sip:a@b",
      "200",
      "\0",
      "\xff",
      "x",
    );
    const line = fc.array(word, { maxLength: 8 }).map((words) => words.join(""));
    const tail = request().slice(request().indexOf("\r\n"));
    fc.assert(
      fc.property(
        fc.oneof(
          line,
          line.map((text) => text + tail),
          fc.string({ unit: "binary", maxLength: 60 }),
        ),
        (text) => {
          const latin1 = bytesOf(text).toString("latin1");
          const kind = datagramKind(bytesOf(text));
          for (const around of ["SIP/2.0\r\n", "\r\n\r\n"]) {
            const start = around.length;
            assert.equal(datagramKind(bytesOf(around + text + around), start, start + bytesOf(text).length), kind, "as it is among others");
          }
          const message = parseMessage(latin1);
          if (kind > Response) assert.ok(message.kind === "malformed" && message.answerable === undefined);
          if (message.kind !== "malformed") assert.equal(kind, message.kind === "request" ? Request : Response);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});
