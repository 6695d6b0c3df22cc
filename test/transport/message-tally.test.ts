import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MessageTally } from "../../src/transport/message-tally.ts";

describe("MessageTally", () => {
  const cases: { text: string; want: { method: string } | { code: number } }[] = [
    { text: "INVITE sip:a@b SIP/2.0\r\n", want: { method: "INVITE" } },
    { text: "INFO sip:a@b SIP/2.0\r\n", want: { method: "INFO" } },
    { text: "INVITES sip:a@b SIP/2.0\r\n", want: { method: "other" } },
    { text: "invite sip:a@b SIP/2.0\r\n", want: { method: "other" } },
    { text: "SIP/2.0 100 Trying\r\n", want: { code: 100 } },
    { text: "SIP/2.0 699 x\r\n", want: { code: 699 } },
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

  it("counts each transport apart", () => {
    const tally = new MessageTally();
    for (const transport of ["udp", "wss", "udp"] as const) tally.count("BYE sip:a SIP/2.0", transport);
    assert.deepEqual(tally.read(), [
      { transport: "udp", method: "BYE", count: 2 },
      { transport: "wss", method: "BYE", count: 1 },
    ]);
  });
});
