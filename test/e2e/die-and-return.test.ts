import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { headerOf } from "../support/sip-messages.ts";
import { type SippStatistics, startCallee, startCaller } from "../support/sipp.ts";
import { type TracedCall, tracedCalls, tracedMessages } from "../support/sipp-trace.ts";

const CALLER = "127.0.28.21";
const MORTAL = "127.0.28.22";
const SOUND = "127.0.28.23";
const CALLS_A_SECOND = 100;
/** The load is stopped once all is seen, long before. */
const MAX_CALLS = 4_000;
const FR_TIMEOUT_S = 1;
const FR_INV_TIMEOUT_S = 5;
/** What a busy machine may take on top of what is measured. */
const LENIENCE_MS = 1_500;
/** The longest interval of a setting. Were it the second probe that brings a destination back, that would take nearly twice this: more than lenience allows. */
const LONG_INTERVAL_S = 4;

interface Setting {
  readonly probeMode: 1 | 2;
  readonly failoverOn: string;
  readonly disableOn: string;
  /** Of the probes. */
  readonly intervalS: number;
}

interface Course {
  readonly calls: readonly TracedCall[];
  readonly caller: SippStatistics;
  /** `address:port` of the destination that died. */
  readonly mortal: string;
  /** What the destination counted and wrote down since it came back. */
  readonly back: SippStatistics;
  readonly log: string;
  /** Wall clock: it was alive until then. */
  readonly killedAtMs: number;
  /** Wall clock: no call was sent to the dead destination after this. */
  readonly disabledAtMs: number;
  /** From the moment when its port was open again until it had a call, ms. */
  readonly usedAfterMs: number;
  /** Between two probes, ms. */
  readonly intervalMs: number;
}

/**
 * Two destinations under load; one is killed, is disabled, comes back, and is used again. It comes back right after a probe has had no answer: the next
 * one is sent an interval after that one was sent.
 */
async function dieAndReturn({ probeMode, failoverOn, disableOn, intervalS }: Setting): Promise<Course> {
  const sound = await startCallee({ scenario: "callee", address: SOUND });
  const mortal = await startCallee({ scenario: "callee", address: MORTAL, answersProbes: true });
  const headroom = await startHeadroom(
    `
tm: { fr_timeout: ${FR_TIMEOUT_S}, fr_inv_timeout: ${FR_INV_TIMEOUT_S} }
load_balancer: { probing_interval: ${intervalS}, probing_verbose: true }
routing: { rules: [{ group: 1, resources: pstn, failover_on: ${failoverOn}, disable_on: ${disableOn} }] }`,
    [
      { uri: mortal.uri, resources: "pstn=500", probeMode },
      { uri: sound.uri, resources: "pstn=500" },
    ],
    "127.0.28.2",
  );
  const again: (typeof mortal)[] = [];
  try {
    const caller = await startCaller({
      ...{ scenario: "caller", address: CALLER, target: `${headroom.address}:${headroom.port}`, holdMs: 100, trace: true },
      ...{ calls: MAX_CALLS, rate: CALLS_A_SECOND, timeoutMs: 60_000, byeRetransmissions: 2 },
    });
    await waitFor("calls on both", 5_000, async () => (await headroom.loads()).every((load) => load > 0));
    await sleep(700);
    const killedAtMs = Date.now();
    await mortal.kill();
    const enabled = async (): Promise<string> => (await headroom.list()).map((destination) => destination.enabled).join();
    await waitFor("the dead one is disabled", (intervalS + FR_TIMEOUT_S) * 1_000 + LENIENCE_MS, async () => (await enabled()) === "no,yes");
    const disabledAtMs = Date.now();
    // One that it had made ring, and not answered, is given up by Timer C.
    await waitFor(
      "the load of the dead one is gone",
      FR_INV_TIMEOUT_S * 1_000 + LENIENCE_MS,
      async () => (await headroom.loads())[0] === 0,
    );
    const unanswered = await unansweredProbes(headroom);
    await waitFor(
      "a probe has had no answer",
      (intervalS + FR_TIMEOUT_S) * 1_000 + LENIENCE_MS,
      async () => (await unansweredProbes(headroom)) > unanswered,
    );

    again.push(await startCallee({ scenario: "callee", address: MORTAL, port: mortal.port, answersProbes: true, trace: true }));
    const returnedAtMs = Date.now();
    await waitFor("it is enabled and has calls", 20_000, async () => (await enabled()) === "yes,yes" && (await headroom.loads())[0]! > 0);
    const usedAfterMs = Date.now() - returnedAtMs;
    await sleep(700);
    const callerStatistics = await caller.stop();
    await headroom.untilIdle(5_000);
    const back = await again[0]!.stop();
    const course = { caller: callerStatistics, mortal: mortal.uri.slice("sip:".length), back, log: headroom.log() };
    return {
      ...course,
      calls: tracedCalls(callerStatistics.messages),
      killedAtMs,
      disabledAtMs,
      usedAfterMs,
      intervalMs: intervalS * 1_000,
    };
  } finally {
    await headroom.stop();
    await Promise.all([mortal, sound, ...again].map((sipp) => sipp.kill()));
  }
}

async function unansweredProbes(headroom: Headroom): Promise<number> {
  const { Probes } = (await headroom.mi("lb_probes")) as { readonly Probes: readonly { readonly timeouts: number }[] };
  return Probes[0]?.timeouts ?? 0;
}

/** What holds in all settings. */
function checkReturn({ calls, caller, back, usedAfterMs, intervalMs }: Course): void {
  assert.equal(calls.length, caller.created);
  assert.ok(usedAfterMs < intervalMs + LENIENCE_MS, `it was used again after ${usedAfterMs} ms`);

  const requests = tracedMessages(back.messages).filter(({ sent }) => !sent);
  const firstCall = requests.findIndex(({ text }) => text.startsWith("INVITE "));
  const probes = requests.slice(0, firstCall).filter(({ text }) => text.startsWith("OPTIONS "));
  assert.equal(new Set(probes.map(({ text }) => headerOf(text, "Via"))).size, 1, "the first probe that it answered brought it back");
  assert.ok(back.successful > 10, `it had ${back.successful} calls that went well`);
}

/** Up with the destination when it died: nobody can save such a call. */
function wasCut({ finals, answeredBy, startedAtMs, endedAtMs }: TracedCall, { mortal, killedAtMs, disabledAtMs }: Course): boolean {
  const wentOn = endedAtMs === undefined || endedAtMs >= killedAtMs;
  return finals.join() === "200" && answeredBy === mortal && startedAtMs < disabledAtMs && wentOn;
}

function wentWell({ finals, endedAtMs }: TracedCall): boolean {
  return finals.join() === "200" && endedAtMs !== undefined;
}

describe("a destination that dies under 100 calls a second, and comes back", () => {
  for (const [probeMode, disableOn, intervalS] of [
    [1, "[408]", 2],
    [2, "[]", LONG_INTERVAL_S],
  ] as const) {
    const disabledBy = probeMode === 1 ? "a failed call" : "a probe";
    it(`probe_mode ${probeMode}, disabled by ${disabledBy}: with failover only calls fail that it had answered`, async () => {
      const course = await dieAndReturn({ probeMode, disableOn, intervalS, failoverOn: "[408, 5xx]" });
      checkReturn(course);
      const cut = course.calls.filter((call) => wasCut(call, course));
      assert.deepEqual(
        course.calls.filter((call) => !wentWell(call) && !cut.includes(call)),
        [],
      );
      assert.ok(course.caller.failed <= cut.length, `${course.caller.failed} calls failed, ${cut.length} were cut`);
      if (probeMode === 2) assert.match(course.log, /disable destination 1 <\S+> after 408 reply on probe/);
      else assert.match(course.log, /Destination disabled after a failed call/);
      assert.match(course.log, /re-enable destination 1 <\S+> after 200 reply on probe/);
      assert.match(course.log, /Call goes to the next destination/);
    });
  }

  it("without failover: calls fail that were in flight to it until it was disabled, and no others", async () => {
    const course = await dieAndReturn({ probeMode: 1, failoverOn: "[]", disableOn: "[408]", intervalS: 2 });
    checkReturn(course);
    const unanswered = course.calls.filter(({ finals, startedAtMs }) => finals.join() === "408" && startedAtMs < course.disabledAtMs);
    assert.ok(unanswered.length > 0);
    const others = course.calls.filter((call) => !unanswered.includes(call));
    assert.deepEqual(
      others.filter((call) => !wentWell(call) && !wasCut(call, course)),
      [],
    );
    assert.ok(course.caller.failed <= unanswered.length + others.filter((call) => wasCut(call, course)).length);
  });
});
