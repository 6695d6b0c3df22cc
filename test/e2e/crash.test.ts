import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CallStorm, type StormCall } from "../support/call-storm.ts";
import { CountingCallee } from "../support/counting-callee.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { headerOf } from "../support/sip-messages.ts";

const BALANCER = "127.0.77.1";
const CALLER = "127.0.77.2";
const CALLEES = ["127.0.77.3", "127.0.77.4"];
const CONFIG = "{ tm: { fr_timeout: 5 }, routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] } }";
/** Calls that change later than this before the end may be lost: 50 ms, and what a busy machine adds. */
const BEHIND_MS = 250;
const CALLS = 500;
/** Destinations that take no calls: one that an operator has disabled, and one that drains with calls that go on. */
const DISABLED = 3;
const DRAINING = 2;

async function statistic(headroom: Headroom, name: string): Promise<number> {
  return ((await headroom.mi("get_statistics", [[name]])) as Record<string, number>)[name] ?? Number.NaN;
}

/** Makes calls at a steady rate; answers those that came up, with the time when they did. */
async function makeCalls(
  { headroom, storm }: { headroom: Headroom; storm: CallStorm },
  count: number,
  perSecond: number,
): Promise<{ call: StormCall; upMs: number }[]> {
  const made: { call: StormCall; upMs: number }[] = [];
  const running: Promise<void>[] = [];
  const beganMs = performance.now();
  for (let i = 0; i < count; i++) {
    await sleep(Math.max(0, beganMs + (i * 1000) / perSecond - performance.now()));
    const making = storm.call(headroom).then((call) => void (call && made.push({ call, upMs: performance.now() })));
    running.push(making);
  }
  await Promise.all(running);
  return made;
}

describe("a program that is killed", () => {
  it("has its calls, statuses, drains and capacities back before it takes SIP; those of the last moment may be lost", async () => {
    const callees = await Promise.all(CALLEES.map((address) => CountingCallee.open(address)));
    const storm = await CallStorm.open(CALLER);
    const rows = [...callees, { uri: "sip:127.0.77.5" }].map(({ uri }) => ({ uri, resources: "pstn=1000" }));
    const headroom = await startHeadroom(CONFIG, rows, BALANCER);
    try {
      await headroom.mi("lb_status", [DISABLED, 0]);
      const made = await makeCalls({ headroom, storm }, CALLS, 400);
      assert.equal(made.length, CALLS);
      await headroom.mi("lb_resize", [1, "pstn", 700]);
      await headroom.mi("lb_drain", [DRAINING]);
      await waitFor("all is written", 5_000, async () => (await statistic(headroom, "dialog:persist_pending")) === 0);
      await sleep(BEHIND_MS);
      await headroom.restart("SIGKILL");

      const held = [...callees.map(({ calls }) => calls), 0];
      assert.ok(held[DRAINING - 1]! > 0);
      const listed = await headroom.list();
      assert.deepEqual(
        listed.map(({ Resources: [pstn], enabled }) => [pstn?.load, pstn?.max, enabled]),
        [
          [held[0], 700, "yes"],
          [held[1], 1000, "yes"],
          [0, 1000, "no"],
        ],
      );
      assert.equal(await statistic(headroom, "dialog:active_dialogs"), CALLS);
      const [, ms = ""] = await headroom.untilLogged(/"ms":(\d+),[^\n]*Ongoing calls were restored/);
      assert.ok(Number(ms) < 1_000, `it took ${ms} ms`);
      const next = await storm.call(headroom);
      assert.deepEqual(
        [...callees.map(({ calls }) => calls), 0],
        held.map((calls, i) => (i === 0 ? calls + 1 : calls)),
        "a call goes where nothing drains",
      );

      for (const batch of [made.slice(0, 250), made.slice(250)]) await Promise.all(batch.map(({ call }) => storm.hangUp(call)));
      await storm.hangUp(next!);
      await headroom.untilIdle();
      assert.deepEqual([storm.counts.byesAnswered, storm.counts.silent], [CALLS + 1, 0]);
      assert.deepEqual(
        callees.map(({ calls, strangeByes }) => [calls, strangeByes]),
        [
          [0, 0],
          [0, 0],
        ],
      );
      await waitFor("the ends are written", 5_000, async () => (await statistic(headroom, "dialog:persist_pending")) === 0);

      const making = makeCalls({ headroom, storm }, 150, 100);
      await sleep(1_200);
      const killedMs = performance.now();
      await headroom.restart("SIGKILL");
      const during = await making;
      const { Dialogs } = (await headroom.mi("dlg_list")) as { Dialogs: { callid: string }[] };
      const known = new Set(Dialogs.map(({ callid }) => callid));
      const lost = during.filter(({ call }) => !known.has(headerOf(call.answer, "Call-ID")));
      for (const { upMs } of lost) assert.ok(killedMs - upMs < BEHIND_MS, `a call that was up for ${killedMs - upMs} ms is lost`);
      for (const { call } of made) assert.ok(!known.has(headerOf(call.answer, "Call-ID")), "a call that has ended is back");
      // Both destinations have a call that the caller asked for again, with the new program.
      const atCallees = callees.reduce((sum, { calls }) => sum + calls, 0);
      const loads = (await headroom.loads()).reduce((sum, load) => sum + load, 0);
      assert.equal(loads, Dialogs.length);
      assert.ok(Math.abs(atCallees - loads) <= (BEHIND_MS / 1000) * 100, `destinations hold ${atCallees} calls, loads say ${loads}`);
    } finally {
      await headroom.stop();
      await storm.close();
      await Promise.all(callees.map((callee) => callee.close()));
    }
  });
});
