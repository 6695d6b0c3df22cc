import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ChaosRelay } from "../support/chaos-relay.ts";
import { startHeadroom } from "../support/headroom.ts";
import { freeUdpPort } from "../support/net.ts";
import { runCaller } from "../support/sipp.ts";
import { SoakCallees } from "../support/soak-callee.ts";

const PROXY = "127.0.49.2";
const CALLER = "127.0.49.3";
const CALLEE = "127.0.49.4";
const BEFORE = "127.0.49.5";
const BEHIND = "127.0.49.6";
const CALLS = 200;
const LOSS = 0.05;
/** A lost BYE comes again at once, its answer is awaited by us and by sipp: the last pair of losses in a row has to be over by then. */
const IDLE_MS = 10_000;

describe("a network that loses 5 % of the datagrams, each way, before and behind Headroom", () => {
  it(`${CALLS} calls of sipp all come up and end, and no load is left`, async (t) => {
    const headroom = await startHeadroom(
      "{ tm: { fr_timeout: 10 }, routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] } }",
      [],
      PROXY,
    );
    const [callerPort, calleePort] = [await freeUdpPort(CALLER), await freeUdpPort(CALLEE)];
    const before = await ChaosRelay.open({ address: BEFORE, target: headroom, port: callerPort, quality: { loss: LOSS }, seed: 1 });
    const behind = await ChaosRelay.open({
      address: BEHIND,
      target: { address: CALLEE, port: calleePort },
      quality: { loss: LOSS },
      seed: 2,
    });
    // sipp is no callee here: it answers no more once an INVITE comes again. Requests inside a call go through the relay as well.
    const callees = await SoakCallees.open([CALLEE], calleePort, behind.front);
    try {
      await headroom.replaceRows([{ uri: `sip:${behind.front}`, resources: "pstn=1000" }]);
      const done = await runCaller({
        ...{ scenario: "caller-patient", address: CALLER, port: callerPort, target: before.front, calls: CALLS, rate: 20, holdMs: 500 },
        ...{ inviteRetransmissions: 9, timeoutMs: 60_000 },
      });
      assert.deepEqual([done.successful, done.failed], [CALLS, 0], done.errors + headroom.log());
      await headroom.untilIdle(IDLE_MS);
      assert.equal(callees.size, 0, "the callee waits for nothing more");
      assert.deepEqual((await headroom.mi("get_statistics", [["dialog:processed_dialogs", "tm:failovers"]])) as object, {
        "dialog:processed_dialogs": CALLS,
        "tm:failovers": 0,
      });
      for (const { carried, lost } of [before.there, before.back, behind.there, behind.back]) {
        assert.ok(lost > (carried + lost) * LOSS * 0.2, `${lost} of ${carried + lost} datagrams were lost`);
      }
      t.diagnostic(
        JSON.stringify({
          lost: [before.there, before.back, behind.there, behind.back].map(({ lost }) => lost),
          again: done.retransmissions,
        }),
      );
    } finally {
      await headroom.stop();
      await callees.close();
      await Promise.all([before.close(), behind.close()]);
    }
  });
});
