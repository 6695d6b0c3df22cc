import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { methodOf } from "../../../src/observability/hep/method-of.ts";

describe("methodOf()", () => {
  const cases: [text: string, want: string][] = [
    ["OPTIONS sip:a SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n", "OPTIONS"],
    ["SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 102 REGISTER\r\nTo: y\r\n\r\n", "REGISTER"],
    ["SIP/2.0 200 OK\r\ncseq :\r\n 102\t REGISTER\r\n\r\n", "REGISTER"],
    ["SIP/2.0 200 OK\r\nCSeq:102 BYE\r\n\r\n", "BYE"],
    ["SIP/2.0 200 OK\r\nCSeq: many BYE\r\n\r\n", ""],
    ["SIP/2.0 200 OK\r\n\r\n", ""],
    ["OPTIONS", ""],
    ["", ""],
  ];
  for (const [text, want] of cases) it(`is ${JSON.stringify(want)} of ${JSON.stringify(text)}`, () => assert.equal(methodOf(text), want));
});
