import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallStorm } from "../support/call-storm.ts";
import { CountingCallee } from "../support/counting-callee.ts";
import { EventListener } from "../support/event-listener.ts";
import { startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";

const PROXY = "127.0.87.1";
const CALLER = "127.0.87.2";
const CALLEES = ["127.0.87.3", "127.0.87.4"];
const CALLS = 60;
/** Calls of one address that end before the others are kept. */
const ENDS = 10;
const HOLD_S = 6;
/** Pings wait for half an interval, or a second. An INVITE waits longer: a machine that has no time for this process must not make a call go elsewhere. */
const FR_S = 5;
/** What a busy machine may need beyond the time that is promised, ms. */
const SLACK_MS = 6_000;

describe("a destination that answers no ping any more", () => {
  it("keeps all calls but ten while it may be the network, goes on with them when it is back, and is freed of them when it stays away", async () => {
    const callees = await Promise.all(CALLEES.map((address) => CountingCallee.open(address)));
    const [one] = callees;
    const storm = await CallStorm.open(CALLER);
    const config = `
      tm: { fr_timeout: ${FR_S} }
      dialog: { options_ping_interval: 1, ping_outage_timeout: ${HOLD_S} }
      routing: { rules: [{ group: 1, resources: pstn, disable_on: [], dialog_flags: "p" }] }`;
    const rows = callees.map(({ uri }) => ({ uri, resources: "pstn=1000" }));
    const headroom = await startHeadroom(config, rows, PROXY);
    const events = await EventListener.open(headroom);
    // Where nobody gets any time, it may be that nobody answers for a moment: that is another outage.
    const told = (): unknown[] =>
      events.events
        .filter(({ name, params }) => name === "E_DLG_PING_OUTAGE" && params.address === CALLEES[0])
        .map(({ params }) => params.state);
    try {
      const made = await Promise.all(Array.from({ length: CALLS }, () => storm.call(headroom)));
      assert.equal(made.filter((call) => call !== undefined).length, CALLS);
      assert.deepEqual(await headroom.loads(), [CALLS / 2, CALLS / 2]);

      one!.answersProbes = false;
      await waitFor("the outage is told", 4_000 + SLACK_MS, () => told().includes("began"));
      await waitFor("ten have ended", SLACK_MS, async () => (await headroom.loads())[0] === CALLS / 2 - ENDS);
      one!.answersProbes = true;
      await waitFor("its end is told", 4_000 + SLACK_MS, () => told().includes("ended"));
      assert.deepEqual(await headroom.loads(), [CALLS / 2 - ENDS, CALLS / 2]);

      one!.answersProbes = false;
      await waitFor("all of its calls are over", 3 * HOLD_S * 1000, async () => (await headroom.loads())[0] === 0);
      assert.deepEqual(await headroom.loads(), [0, CALLS / 2]);
      assert.deepEqual(told(), ["began", "ended", "began", "timeout"]);
      await headroom.untilLogged(/nobody at 127\.0\.87\.3 has answered for too long/);
      const { Dialogs } = (await headroom.mi("dlg_list")) as { Dialogs: unknown[] };
      assert.equal(Dialogs.length, CALLS / 2);
    } finally {
      events.close();
      await headroom.stop();
      await storm.close();
      await Promise.all(callees.map((callee) => callee.close()));
    }
  });

  it("of which nine in ten have vanished while the others answer is no outage: their slots are free within two intervals", async () => {
    const callee = await CountingCallee.open("127.0.87.5");
    const storm = await CallStorm.open("127.0.87.6");
    const config = `
      tm: { fr_timeout: ${FR_S} }
      dialog: { options_ping_interval: 2 }
      routing: { rules: [{ group: 1, resources: pstn, disable_on: [], dialog_flags: "p" }] }`;
    const headroom = await startHeadroom(config, [{ uri: callee.uri, resources: "pstn=1000" }], "127.0.87.7");
    try {
      await Promise.all(Array.from({ length: 200 }, () => storm.call(headroom)));
      assert.deepEqual(await headroom.loads(), [200]);
      for (const callId of callee.callIds.slice(20)) callee.vanished.add(callId);
      await waitFor("those are over", 4_000 + SLACK_MS, async () => (await headroom.loads())[0] === 20);
      const statistics = (await headroom.mi("get_statistics", [["dialog:"]])) as Record<string, number>;
      assert.equal(statistics["dialog:ping_timeouts"], 180);
    } finally {
      await headroom.stop();
      await storm.close();
      await callee.close();
    }
  });
});
