import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CallStorm, type StormCall } from "../support/call-storm.ts";
import { CountingCallee } from "../support/counting-callee.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";

const BALANCER = "127.0.88.1";
const CALLER = "127.0.88.2";
const CALLEE = "127.0.88.3";
const CALLS = 20;
/** The first is asked for 5 s after the start. */
const ASKED_MS = 15_000;
const LIFETIME_S = 4;

/** A program with calls that are written down. */
async function withCalls(
  dialog: string,
  run: (parts: { headroom: Headroom; callee: CountingCallee; storm: CallStorm; calls: StormCall[] }) => Promise<void>,
): Promise<void> {
  const config = `{ tm: { fr_timeout: 5 }, dialog: { ${dialog} }, routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] } }`;
  const callee = await CountingCallee.open(CALLEE);
  const storm = await CallStorm.open(CALLER);
  const headroom = await startHeadroom(config, [{ uri: callee.uri, resources: "pstn=1000" }], BALANCER);
  try {
    const made = await Promise.all(Array.from({ length: CALLS }, () => storm.call(headroom)));
    await waitFor("all is written", 5_000, async () => (await statistic(headroom, "dialog:persist_pending")) === 0);
    await run({ headroom, callee, storm, calls: made.map((call) => call!) });
  } finally {
    await headroom.stop();
    await storm.close();
    await callee.close();
  }
}

async function statistic(headroom: Headroom, name: string): Promise<number> {
  return ((await headroom.mi("get_statistics", [[name]])) as Record<string, number>)[name] ?? Number.NaN;
}

describe("calls that end while nobody is there", () => {
  it("and of which nobody tells are found out soon after the start, though no route wants pings; the others go on", async () => {
    await withCalls("", async ({ headroom, callee, storm, calls }) => {
      await headroom.kill();
      const [lost, rest] = [calls.slice(0, 3), calls.slice(3)];
      for (const { callId } of lost) callee.forget(callId);
      await headroom.restart("SIGKILL");
      assert.deepEqual(await headroom.loads(), [CALLS]);
      await waitFor("only calls that go on are counted", ASKED_MS, async () => (await headroom.loads())[0] === rest.length);
      await waitFor("each is asked for once", ASKED_MS, () => callee.probes.length === CALLS);
      assert.deepEqual([await headroom.loads(), callee.calls], [[rest.length], rest.length]);
      await Promise.all(rest.map((call) => storm.hangUp(call)));
      await headroom.untilIdle();
      assert.deepEqual([callee.calls, storm.counts.silent], [0, 0]);
    });
  });

  it("by their lifetime are hung up by the start", async () => {
    await withCalls(`default_timeout: ${LIFETIME_S}`, async ({ headroom, callee }) => {
      await headroom.kill();
      assert.equal(callee.calls, CALLS);
      await sleep(LIFETIME_S * 1_000);
      await headroom.restart("SIGKILL");
      await headroom.untilIdle();
      await waitFor("the destination is told", 5_000, () => callee.calls === 0);
      assert.equal(await statistic(headroom, "dialog:restored_dialogs"), CALLS);
    });
  });
});
