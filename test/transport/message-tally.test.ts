import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MessageTally } from "../../src/transport/message-tally.ts";

describe("MessageTally", () => {
  const cases: { text: string; want: { method: string; code?: number | string } }[] = [
    { text: "INVITE sip:a@b SIP/2.0\r\n", want: { method: "INVITE" } },
    { text: "INFO sip:a@b SIP/2.0\r\n", want: { method: "INFO" } },
    { text: "INVITES sip:a@b SIP/2.0\r\n", want: { method: "other" } },
    { text: "invite sip:a@b SIP/2.0\r\n", want: { method: "other" } },
    { text: "SIP/2.0 100 Trying\r\nCSeq: 1 INVITE\r\n", want: { method: "INVITE", code: 100 } },
    { text: "SIP/2.0 200 OK\r\nTo: x\r\nCSeq: 4711 BYE\r\n\r\n", want: { method: "BYE", code: 200 } },
    { text: "SIP/2.0 486 Busy\r\ncseq :\r\n 1  INVITE\r\n", want: { method: "other", code: 486 } },
    { text: "SIP/2.0 486 Busy\r\ncseq :\r\n 1 INVITE\r\n", want: { method: "INVITE", code: 486 } },
    { text: "SIP/2.0 486 Busy\r\nCSeq:1 CANCEL\r\n", want: { method: "CANCEL", code: 486 } },
    { text: "SIP/2.0 200 OK\r\nCSeq: 1 INVITED\r\n", want: { method: "other", code: 200 } },
    { text: "SIP/2.0 200 OK\r\nCSeq: 12", want: { method: "other", code: 200 } },
    { text: "SIP/2.0 200 OK\r\n", want: { method: "other", code: 200 } },
    { text: "SIP/2.0 499 x\r\n", want: { method: "other", code: "4xx" } },
    { text: "SIP/2.0 699 x\r\n", want: { method: "other", code: "6xx" } },
    { text: "SIP/2.0 700 x\r\n", want: { method: "other" } },
    { text: "SIP/2.0 2x0 x\r\n", want: { method: "other" } },
    { text: "SIP", want: { method: "other" } },
    { text: "", want: { method: "other" } },
  ];
  for (const { text, want } of cases) {
    it(`counts ${JSON.stringify(text)} as ${JSON.stringify(want)}`, () => {
      const tally = new MessageTally();
      tally.count(text, "tcp");
      tally.count(text, "tcp");
      assert.deepEqual(tally.read(), [{ transport: "tcp", ...want, count: 2 }]);
    });
  }

  it("has a bound for responses that somebody makes up", () => {
    const tally = new MessageTally();
    for (let code = 100; code <= 699; code++)
      for (let n = 0; n < 30; n++) tally.count(`SIP/2.0 ${code} x\r\nCSeq: 1 MADEUP${n}\r\n`, "udp");
    assert.ok(tally.read().length < 100);
  });

  it("counts each transport apart", () => {
    const tally = new MessageTally();
    for (const transport of ["udp", "wss", "udp"] as const) tally.count("BYE sip:a SIP/2.0", transport);
    assert.deepEqual(tally.read(), [
      { transport: "udp", method: "BYE", count: 2 },
      { transport: "wss", method: "BYE", count: 1 },
    ]);
  });
});
