import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startHeadroom } from "../support/headroom.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const INTERVAL_S = 2;
/** For a machine that is busy. */
const SLACK_MS = 2_500;
const CONFIG = `
tm: { fr_timeout: 5 }
dialog: { options_ping_interval: ${INTERVAL_S} }
routing: { rules: [{ resources: pstn, dialog_flags: "options-ping-caller, options-ping-callee" }] }
`;

describe("a party that vanishes without BYE", () => {
  it("is noticed within two ping intervals, however long other answers are waited for: the other side gets BYE, and the slot is free", async () => {
    const caller = await UdpPeer.open("127.0.21.61");
    const callee = await UdpPeer.open("127.0.21.62");
    const headroom = await startHeadroom(CONFIG, [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }]);
    try {
      const call = await establish(headroom, caller, callee);
      for (let round = 0; round < 2; round++) {
        const [toCallee, toCaller] = await Promise.all([callee.nextRequest("OPTIONS"), caller.nextRequest("OPTIONS")]);
        assert.equal(headerOf(toCallee, "Call-ID"), call.callId);
        callee.send(responseTo(toCallee, 200), headroom);
        caller.send(responseTo(toCaller, 200), headroom);
      }
      assert.deepEqual(await headroom.loads(), [1]);
      // From here on the callee answers, and the caller is gone.
      const goneMs = performance.now();
      for (let method = ""; method !== "BYE"; ) {
        const asked = await callee.next("ping or BYE", (text) => /^(?:OPTIONS|BYE) /.test(text), 10_000);
        callee.send(responseTo(asked, 200), headroom);
        method = asked.split(" ", 1)[0]!;
      }
      assert.ok(performance.now() - goneMs < 2 * INTERVAL_S * 1000 + SLACK_MS, `after ${performance.now() - goneMs} ms`);
      await headroom.untilIdle();
      const statistics = (await headroom.mi("get_statistics", [["dialog:"]])) as Record<string, number>;
      assert.equal(statistics["dialog:ping_timeouts"], 1);
    } finally {
      await headroom.stop();
      await Promise.all([caller.close(), callee.close()]);
    }
  });
});
