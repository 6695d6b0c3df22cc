import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatCapture } from "../../src/cli/capture.ts";
import { type LadderMessage, labelOf, ladder } from "../../src/cli/ladder.ts";

const CALLER = "192.0.2.1:5060";
const CALLEE = "198.51.100.2:5060";

function message(direction: "in" | "out", remote: string, firstLine: string, ms: number, rest = "CSeq: 1 INVITE"): LadderMessage {
  const time = new Date(Date.UTC(2026, 0, 2, 3, 4, 5) + ms).toISOString();
  return { time, direction, remote, transport: "udp", message: `${firstLine}\r\n${rest}\r\n\r\n` };
}

const CALL = [
  message("in", CALLER, "INVITE sip:a@b SIP/2.0", 0, "CSeq: 1 INVITE\r\nContent-Type: application/sdp"),
  message("out", CALLER, "SIP/2.0 100 Giving a try", 1),
  message("out", CALLEE, "INVITE sip:a@b SIP/2.0", 2),
  message("in", CALLEE, "SIP/2.0 200 OK", 1_500),
  message("in", CALLER, "BYE sip:a@b SIP/2.0", 61_000, "CSeq: 2 BYE"),
  message("out", CALLER, "SIP/2.0 200 OK", 61_001, "CSeq: 2 BYE"),
];

describe("the ladder of a call", () => {
  it("has the caller on the left, the balancer beside it, and the time since the first message", () => {
    assert.deepEqual(ladder(CALL), [
      "                    192.0.2.1:5060               headroom             198.51.100.2:5060",
      "03:04:05.000               |----- INVITE (SDP) ----->|                         |",
      "+0.001                     |<-- 100 Giving a try ----|                         |",
      "+0.002                     |                         |-------- INVITE -------->|",
      "+1.500                     |                         |<------- 200 OK ---------|",
      "+61.000                    |---------- BYE --------->|                         |",
      "+61.001                    |<------- 200 BYE --------|                         |",
    ]);
  });

  it("is empty without messages", () => assert.deepEqual(ladder([]), []));

  it("has the sides of a call that went to many in one place, and says who it is", () => {
    const lines = ladder(Array.from({ length: 12 }, (_, i) => message("out", `192.0.2.${i}:5060`, "INVITE sip:a SIP/2.0", i)));
    assert.match(lines[0] ?? "", /others$/);
    assert.match(lines.at(-1) ?? "", />\| {2}192\.0\.2\.11:5060$/);
    assert.ok(lines.every((line) => line.length < 230));
  });

  it("lets no message write to the terminal as it likes", () => {
    const late = { ...message("in", CALLER, "BYE \u009b2J\u009d0;x\u009c SIP/2.0", 3), time: "2026-01-02T\u001b[2J\u001b[H\u009b1mZ" };
    const hostile = [
      late,
      message("in", "x\u001b[2J", "\u001b[31mEVIL sip:a SIP/2.0", 0),
      message("in", CALLER, `${"A".repeat(500)} x`, 1),
    ];
    for (const line of [...ladder(hostile), ...formatCapture({ Messages: hostile }, true).split("\n")]) {
      assert.ok(!/[\u0000-\u001f\u007f-\u009f]/.test(line), JSON.stringify(line));
    }
    assert.ok(labelOf({ message: "A".repeat(500) }).length < 30);
  });

  it("is made of messages only, whatever else is answered", () => {
    const odd = { Messages: [null, {}, { ...CALL[0], remote: null }, CALL[0]], messages_omitted: "x" };
    assert.equal(formatCapture(odd, true), formatCapture({ Messages: [CALL[0]] }, true));
    assert.equal(formatCapture("x", true), "");
  });

  it("is followed by what was left out, and by the messages where they are wanted", () => {
    const text = formatCapture({ Messages: CALL.slice(0, 2), messages_omitted: 3 }, true);
    assert.match(text, /\n3 further messages of the call are not shown\n/);
    assert.match(text, /\n2026-01-02T03:04:05\.001Z to udp:192\.0\.2\.1:5060\nSIP\/2\.0 100 Giving a try\nCSeq: 1 INVITE$/);
  });
});
