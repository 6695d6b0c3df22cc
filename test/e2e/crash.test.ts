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

interface Stage {
  readonly headroom: Headroom;
  readonly storm: CallStorm;
  readonly callees: readonly CountingCallee[];
}

async function withStage(act: (stage: Stage) => Promise<void>): Promise<void> {
  const callees = await Promise.all(CALLEES.map((address) => CountingCallee.open(address)));
  const storm = await CallStorm.open(CALLER);
  try {
    const rows = callees.map(({ uri }) => ({ uri, resources: "pstn=1000" }));
    const headroom = await startHeadroom(CONFIG, rows, BALANCER);
    try {
      await act({ headroom, storm, callees });
    } finally {
      await headroom.stop();
    }
  } finally {
    await storm.close();
    await Promise.all(callees.map((callee) => callee.close()));
  }
}

async function statistic(headroom: Headroom, name: string): Promise<number> {
  return ((await headroom.mi("get_statistics", [[name]])) as Record<string, number>)[name] ?? Number.NaN;
}

/** Makes calls at a steady rate; answers those that came up, with the time when they did. */
async function makeCalls({ headroom, storm }: Stage, count: number, perSecond: number): Promise<{ call: StormCall; upMs: number }[]> {
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
  it("has its 500 calls back before it takes SIP, and counts the end of each", async () => {
    await withStage(async (stage) => {
      const { headroom, storm, callees } = stage;
      const made = await makeCalls(stage, 500, 250);
      assert.equal(made.length, 500);
      await waitFor("all is written", 5_000, async () => (await statistic(headroom, "dialog:persist_pending")) === 0);
      await sleep(BEHIND_MS);
      await headroom.restart("SIGKILL");

      assert.deepEqual(
        await headroom.loads(),
        callees.map(({ calls }) => calls),
      );
      assert.equal(await statistic(headroom, "dialog:active_dialogs"), 500);
      const [, ms = ""] = await headroom.untilLogged(/"ms":(\d+),[^\n]*Ongoing calls were restored/);
      assert.ok(Number(ms) < 1_000, `it took ${ms} ms`);

      for (const batch of [made.slice(0, 250), made.slice(250)]) await Promise.all(batch.map(({ call }) => storm.hangUp(call)));
      await headroom.untilIdle();
      assert.deepEqual([storm.counts.byesAnswered, storm.counts.silent], [500, 0]);
      assert.deepEqual(
        callees.map(({ calls, strangeByes }) => [calls, strangeByes]),
        [
          [0, 0],
          [0, 0],
        ],
      );
      await waitFor("the ends are written", 5_000, async () => (await statistic(headroom, "dialog:persist_pending")) === 0);
      await headroom.restart("SIGKILL");
      assert.deepEqual(await headroom.loads(), [0, 0]);
    });
  });

  it("while calls come has all of them back but those of the last moment", async () => {
    await withStage(async (stage) => {
      const { headroom, callees } = stage;
      const making = makeCalls(stage, 400, 100);
      await sleep(2_000);
      const killedMs = performance.now();
      await headroom.restart("SIGKILL");
      const made = await making;

      const { Dialogs } = (await headroom.mi("dlg_list")) as { Dialogs: { callid: string }[] };
      const known = new Set(Dialogs.map(({ callid }) => callid));
      const lost = made.filter(({ call }) => !known.has(headerOf(call.answer, "Call-ID")));
      for (const { upMs } of lost) assert.ok(killedMs - upMs < BEHIND_MS, `a call that was up for ${killedMs - upMs} ms is lost`);
      // Both destinations have a call that the caller asked for again, with the new program.
      const held = callees.reduce((sum, { calls }) => sum + calls, 0);
      const loads = (await headroom.loads()).reduce((sum, load) => sum + load, 0);
      assert.equal(loads, Dialogs.length);
      assert.ok(Math.abs(held - loads) <= (BEHIND_MS / 1000) * 100, `destinations hold ${held} calls, loads say ${loads}`);
    });
  });
});
