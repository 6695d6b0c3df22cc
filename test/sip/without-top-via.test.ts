import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MessageEdit, parseMessage, type SipResponse, withoutTopVia } from "../../src/sip/index.ts";

const TOP = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours";
const NEXT = "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKone;received=192.0.2.9";
const FORMS = [
  `Via: ${TOP}\r\nVia: ${NEXT}\r\n`,
  `v:${TOP} \r\nX-Between: 1\r\nv: ${NEXT}\r\n`,
  `Via: ${TOP}, ${NEXT}\r\n`,
  `Via: ${TOP},\r\nVia: ${NEXT}\r\n`,
  `Via: ${TOP};x="a,b"\r\nVia: ${NEXT}\r\n`,
  `Via: ${TOP}\r\n ;y=1\r\nVia: ${NEXT}\r\n`,
  `Via: ${TOP}\nVia: ${NEXT}\r\n`,
  `Via: ${TOP}\r\n`,
  `X-First: a, b\r\nVia: ${TOP}\r\nX-Last: a, b\r\n`,
];
const REST = "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n";

describe("a response without its top Via", () => {
  for (const vias of FORMS)
    for (const body of ["", "v=0\r\n"]) {
      it(`is what the edit list makes of it, or left to that: ${JSON.stringify(vias + body)}`, () => {
        const message = parseMessage(`SIP/2.0 200 OK\r\n${vias}${REST}Content-Length: ${body.length}\r\n\r\n${body}`);
        assert.equal(message.kind, "response");
        const quick = withoutTopVia(message as SipResponse);
        assert.ok(quick === undefined || quick === new MessageEdit(message as SipResponse).removeTopVia().toString());
      });
    }

  it("is cut out where our Via has its line", () => {
    const text = `SIP/2.0 200 OK\r\n${FORMS[0]}${REST}Content-Length: 0\r\n\r\n`;
    assert.equal(withoutTopVia(parseMessage(text) as SipResponse), text.replace(`Via: ${TOP}\r\n`, ""));
  });
});
