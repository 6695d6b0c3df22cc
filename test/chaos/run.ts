import { setTimeout as sleep } from "node:timers/promises";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { compareCalls, compareLoads } from "./comparison.ts";
import { Faults } from "./faults.ts";
import { GIVE_UP_MS } from "./party.ts";
import { ChaosRig, FR_TIMEOUT_S } from "./rig.ts";
import { describeFault, scheduleOf } from "./schedule.ts";
import { untilPartiesSettled, untilZero } from "./settled.ts";
import { SIPP_RATE, SippPair } from "./sipp-pair.ts";

/** What is under way when all is well again: a 2xx that nobody acknowledges is repeated for 32 s, and BYE as long (RFC 3261 §17). */
const SETTLE_MS = 75_000;
/** A party that is gone is noticed after two pings without an answer, the first of which may come after an interval; and what another one takes on a busy machine. */
const PINGS = 4;
/** Calls that began this long before a kill may be lost by it, ms: 50 ms, and what a busy machine adds. */
const BEHIND_MS = 500;
const LOAD_INTERVAL_MS = 500;

export interface ChaosOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly callsPerSecond: number;
  readonly net: string;
  readonly hasSipp: boolean;
  /** From one ping of a party to the next, s. */
  readonly pingIntervalS: number;
  /** How long the balancer lets a call ring, s. */
  readonly ringingS: number;
  readonly holdMs: readonly [number, number];
  /** See `PartyOptions`. */
  readonly giveUpMs: number;
  readonly say: (text: string) => void;
}

/** One run: traffic and faults, then quiet, then everybody compares. Resolves to what is wrong, one sentence each. */
export async function runChaos(options: ChaosOptions): Promise<string[]> {
  const { seed, seconds, callsPerSecond, net, hasSipp, pingIntervalS, ringingS, holdMs, giveUpMs, say } = options;
  const sippAddress = `${net}.33`;
  const sippPort = await freeUdpPort(sippAddress);
  const rows = hasSipp ? [{ group: 2, uri: `sip:${sippAddress}:${sippPort}`, resources: "pstn=1000" }] : [];
  const rig = await ChaosRig.open({ seed, net, rows, bounds: { ringMs: [10, 1_500], holdMs }, pingIntervalS, ringingS, giveUpMs });
  const sipp = hasSipp ? await SippPair.open(net, seed, rig.headroom, sippPort) : undefined;
  try {
    await sipp?.startCallee();
    await sipp?.startCaller();
    const faults = new Faults(rig, sipp);
    const calling = rig.makeCalls(callsPerSecond);
    const watch = watchLoads(rig);
    const beganMs = performance.now();
    for (const { atMs, fault } of scheduleOf(seed, {
      seconds,
      destinations: rig.destinations.length,
      callers: rig.callers.length,
      hasSipp,
    })) {
      await sleep(Math.max(0, beganMs + atMs - performance.now()));
      say(`${(atMs / 1000).toFixed(1).padStart(5)} s  ${describeFault(fault)}`);
      faults.begin(fault);
    }
    await sleep(Math.max(0, beganMs + seconds * 1000 - performance.now()));
    rig.stopCalling();
    for (const party of rig.parties) party.isPatient = true;
    await sipp?.killCaller();
    await Promise.all([calling, faults.end()]);
    const wrong = await watch.stop();
    wrong.push(...(await untilPartiesSettled(rig, SETTLE_MS)));
    await untilSwept(rig, options, say);
    wrong.push(...(await compare(rig, faults, say)));
    if (sipp !== undefined) wrong.push(...(await compareSipp(rig, sipp, mostLost(rig, faults))));
    wrong.push(...(await untilZero(rig, SETTLE_MS)));
    const counts = rig.callers.map(({ counts: { begun, up, refused, unanswered, byes } }) => ({
      begun,
      up,
      refused,
      unanswered,
      byes: [...byes],
    }));
    say(`callers: ${JSON.stringify(counts)}; calls that came to destinations: ${rig.book.begun}`);
    const carried = rig.parties.reduce((sum, party) => sum + party.in.carried + party.out.carried, 0);
    const lost = rig.parties.reduce((sum, party) => sum + party.in.lost + party.out.lost, 0);
    const failedStarts = rig.kills.reduce((sum, kill) => sum + kill.failedStarts, 0);
    say(`datagrams: ${carried} carried, ${lost} lost; ${rig.kills.length} kills of the balancer, ${failedStarts} starts that failed`);
    return wrong;
  } finally {
    await sipp?.close();
    await rig.close();
  }
}

/**
 * Waits until every call that only the balancer has is over, or should be: pings find those that were up. One that rang when the balancer was killed is taken
 * back when its time is up, then waited for (64 * T1), then asked for.
 */
async function untilSwept(rig: ChaosRig, { pingIntervalS, ringingS }: ChaosOptions, say: (text: string) => void): Promise<void> {
  const pingedMs = 1_000 * (PINGS * pingIntervalS + 2 * FR_TIMEOUT_S);
  const takenBackMs = 1_000 * (ringingS + 3 * FR_TIMEOUT_S) + GIVE_UP_MS;
  const beganMs = performance.now();
  const isSwept = async (): Promise<boolean> => compareCalls(rig.book.snapshot(), await rig.counted()).surplus.length === 0;
  await waitFor("no call is left that only the balancer has", Math.max(pingedMs, takenBackMs), isSwept).catch(() => {}); // the comparison tells them
  say(`swept after ${((performance.now() - beganMs) / 1_000).toFixed(1)} s`);
}

/** Looks at the loads all the time: none may ever be negative, or more than all calls there are. */
function watchLoads(rig: ChaosRig): { stop(): Promise<string[]> } {
  const wrong: string[] = [];
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      await sleep(LOAD_INTERVAL_MS);
      const loads = await rig.loads().catch(() => undefined); // it may be down
      for (const [name, byResource] of loads ?? []) {
        for (const [resource, load] of Object.entries(byResource)) {
          if (!(load >= 0 && load <= rig.made)) wrong.push(`Load of ${resource} at ${name} is ${load}`);
        }
      }
    }
  })();
  return {
    async stop() {
      isOver = true;
      await watching;
      return wrong;
    },
  };
}

/** All is quiet, and nobody hangs up: what destinations have is what is counted, call by call. */
async function compare(rig: ChaosRig, faults: Faults, say: (text: string) => void): Promise<string[]> {
  const held = rig.book.snapshot();
  const differences = compareCalls(held, await rig.counted());
  const wrong = compareLoads(await rig.loads(), held, differences, (callId) => rig.planOf(callId).user);
  const nowMs = performance.now();
  const explained = new Map<string, string[]>();
  for (const { callId, destination } of differences.missing) {
    const why = whyMissing(rig, faults, callId, destination);
    if (why === undefined) wrong.push(`Call is at ${destination} and not counted: ${rig.book.tell(callId, nowMs)}`);
    else explained.set(why, [...(explained.get(why) ?? []), callId]);
  }
  for (const { callId, destination = "no destination" } of differences.surplus) {
    wrong.push(`Call is counted at ${destination}, which does not have it: ${rig.book.tell(callId, nowMs)}`);
  }
  const has = [...held.values()].reduce((sum, calls) => sum + calls.size, 0);
  say(
    `quiet: destinations have ${has} calls, ${differences.missing.length} of them are not counted, ${differences.surplus.length} others are`,
  );
  for (const [why, calls] of explained) {
    say(`  ${calls.length} because ${why}:`);
    for (const callId of calls) say(`    ${rig.book.tell(callId, nowMs)}`);
  }
  return wrong;
}

/** Why a call of a destination may be unknown to the balancer; undefined when it may not. */
function whyMissing(rig: ChaosRig, faults: Faults, callId: string, destination: string): string | undefined {
  const changes = rig.book.changes(callId);
  const cameMs = changes.findLast(({ at, what }) => at === destination && what === "INVITE came")?.atMs ?? 0;
  if (rig.kills.some(({ atMs, upMs }) => cameMs > atMs - BEHIND_MS && cameMs < upMs)) return "the balancer was killed when it began";
  if (faults.blind.some(({ fromMs, toMs }) => cameMs > fromMs - BEHIND_MS && cameMs < toMs)) return "the disk was full when it began";
  if (
    rig.headroom.log().includes(`"callId":"${callId}"`) &&
    new RegExp(`"callId":"${callId}"[^\n]*did not answer a ping`).test(rig.headroom.log())
  )
    return "a party did not answer pings, and BYE was lost";
  // The balancer has passed its BYE on, and has seen the call end; what was lost after that is for the two sides.
  if (changes.some(({ what }) => what === "BYE sent")) return "its BYE was lost behind the balancer";
  return undefined;
}

/** Longest time, in all, in which a call that began may have been lost with the balancer, ms. */
function mostLost(rig: ChaosRig, { blind }: Faults): number {
  const nowMs = performance.now();
  const kills = rig.kills.reduce((sum, { atMs, upMs }) => sum + upMs - atMs + BEHIND_MS, 0);
  return kills + blind.reduce((sum, { fromMs, toMs }) => sum + Math.min(toMs, nowMs) - fromMs + BEHIND_MS, 0);
}

/**
 * None of sipp's calls may be counted any more: those of the caller that was killed have been ended by pings. sipp's callee says how many it still has, not
 * which: no more than can have begun when calls could be lost.
 */
async function compareSipp(rig: ChaosRig, sipp: SippPair, lostMs: number): Promise<string[]> {
  const most = Math.ceil((lostMs / 1_000) * SIPP_RATE);
  let seen = "";
  const isRight = async (): Promise<boolean> => {
    const listed = await rig.headroom.list();
    const counted = listed.find(({ group }) => group === 2)?.Resources[0]?.load ?? Number.NaN;
    seen = `sipp has ${sipp.held} calls, ${counted} are counted`;
    return counted === 0 && sipp.held <= most;
  };
  return waitFor(`no call is counted for sipp, which has ${most} at most`, SETTLE_MS, isRight).then(
    () => [],
    (error: unknown) => [`${String(error)}; ${seen}`],
  );
}
