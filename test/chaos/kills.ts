import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../support/net.ts";
import type { CallChange } from "./call-book.ts";
import { compareCalls, compareLoads } from "./comparison.ts";
import { ChaosRig, type Kill } from "./rig.ts";
import { untilZero } from "./settled.ts";

/** What was on its way when the balancer died arrives within this, ms. */
const ARRIVAL_MS = 150;
/** How long a call may ring, s. */
const RINGING_S = 5;
/** Calls need as long to become as many as they will be. */
const FIRST_CALLS_MS = 3_000;
/** For the calls that are up at the end to be hung up, and for pings to find those whose end was lost. */
const END_MS = 40_000;

export interface KillsOptions {
  readonly seed: number;
  readonly kills: number;
  readonly callsPerSecond: number;
  /** Calls that changed longer than this before a kill have to be there after it, ms. */
  readonly windowMs: number;
  readonly net: string;
  readonly holdMs: readonly [number, number];
  /** From one ping of a party to the next, s: they end the calls whose end the balancer did not live to write down. */
  readonly pingIntervalS: number;
  /** From the restart to the next kill, at least and at most, ms. */
  readonly betweenMs: readonly [number, number];
  /** See `PartyOptions`. */
  readonly giveUpMs: number;
  readonly say: (text: string) => void;
}

/** A call that is counted otherwise after a restart than its destination has it. */
interface Explained {
  readonly callId: string;
  readonly beforeMs: number;
  readonly text: string;
}

/**
 * Kills the balancer again and again while calls come and go, and compares after each restart, before anybody says another word, what it counts with the
 * calls that destinations have. Resolves to what is wrong, one sentence each.
 */
export async function runKills(options: KillsOptions): Promise<string[]> {
  const { seed, kills, callsPerSecond, net, holdMs, betweenMs, pingIntervalS, giveUpMs, say } = options;
  const rig = await ChaosRig.open({ seed, net, bounds: { ringMs: [10, 400], holdMs }, pingIntervalS, ringingS: RINGING_S, giveUpMs });
  const faults: string[] = [];
  const restored = new Set<string>();
  const lost = new Set<string>();
  const byes = { counted: 0, refused: 0 };
  for (const caller of rig.callers) {
    caller.onBye = (callId, status) => {
      if (!restored.has(callId)) return;
      if (status === 200) byes.counted++;
      else {
        byes.refused++;
        // Its destination may have hung up, or have ended the call before the kill.
        const isCrossed = rig.book.changes(callId).some(({ what }) => /^(?:BYE came|destination|no ACK|refused)/.test(what));
        if (!isCrossed) faults.push(`BYE of a restored call was answered with ${status}: ${rig.book.tell(callId, performance.now())}`);
      }
    };
  }
  try {
    const calling = rig.makeCalls(callsPerSecond);
    await sleep(FIRST_CALLS_MS);
    for (let number = 1; number <= kills; number++) {
      const [least, most] = betweenMs;
      await sleep(least + ((number * 7919 + seed * 104_729) % Math.max(1, most - least)));
      rig.hold();
      const kill = await rig.kill();
      await sleep(ARRIVAL_MS);
      const held = rig.book.snapshot();
      await rig.start(kill);
      faults.push(...(await compare(rig, kill, held, { number, options, restored, lost })));
      rig.release();
      await waitFor("everything that waited is said", END_MS, () => rig.parties.every(({ out }) => !out.isHeld));
    }
    await sleep(betweenMs[0]);
    rig.stopCalling();
    await calling;
    faults.push(...(await untilZero(rig, END_MS)));
    say(
      `BYEs of restored calls: ${byes.counted} answered with 200, ${byes.refused} otherwise because the destination had hung up or had no such call any more`,
    );
    const counts = rig.callers.map(({ counts: { begun, up, refused, unanswered } }) => ({ begun, up, refused, unanswered }));
    say(`callers: ${JSON.stringify(counts)}; calls that came to destinations: ${rig.book.begun}`);
  } finally {
    await rig.close();
  }
  return faults;
}

interface Comparing {
  readonly number: number;
  readonly options: KillsOptions;
  readonly restored: Set<string>;
  /** Calls that differed after a kill before and were explained: no restart can find those that are not counted, and pings have to end the others. */
  readonly lost: Set<string>;
}

async function compare(rig: ChaosRig, kill: Kill, held: ReturnType<ChaosRig["book"]["snapshot"]>, to: Comparing): Promise<string[]> {
  const { number, options, restored, lost } = to;
  const counted = await rig.counted();
  const loads = await rig.loads();
  const differences = compareCalls(held, counted);
  const faults = compareLoads(loads, held, differences, (callId) => rig.planOf(callId).user);
  const isNew = ({ callId }: { readonly callId: string }): boolean => !lost.has(callId);
  const explained: Explained[] = [];
  const take = (kind: string, callId: string, last: CallChange | undefined): void => {
    const beforeMs = last === undefined ? 0 : kill.atMs - last.atMs;
    const text = `${kind} ${callId}: ${last === undefined ? "no destination had seen it" : `${last.what} (${last.at})`} ${Math.round(beforeMs)} ms before the kill`;
    if (beforeMs <= options.windowMs) explained.push({ callId, beforeMs, text });
    else faults.push(`Call differs that changed long before the kill: ${text}; ${rig.book.tell(callId, kill.atMs)}`);
  };
  for (const { callId, destination } of differences.missing.filter(isNew)) {
    lost.add(callId);
    take(
      "not counted",
      callId,
      rig.book.changes(callId).findLast(({ at, what }) => at === destination && what === "INVITE came"),
    );
  }
  for (const { callId } of differences.surplus.filter(isNew)) {
    lost.add(callId);
    take(
      "still counted",
      callId,
      rig.book.changes(callId).findLast(({ at }) => at.startsWith("destination")),
    );
  }
  restored.clear();
  const surplus = new Set(differences.surplus.map(({ callId }) => callId));
  for (const { callId } of counted) if (!surplus.has(callId)) restored.add(callId);
  const has = [...held.values()].reduce((sum, calls) => sum + calls.size, 0);
  const sum = [...loads.values()].reduce((total, { pstn = 0 }) => total + pstn, 0);
  const farthestMs = Math.round(Math.max(0, ...explained.map(({ beforeMs }) => beforeMs)));
  options.say(
    `kill ${number}: destinations have ${has} calls, loads say ${sum}, ${counted.length} calls restored; up after ${Math.round(kill.upMs - kill.atMs)} ms; ` +
      `${explained.length} calls differ that changed in the last ${farthestMs} ms; ${faults.length} faults`,
  );
  for (const { text } of explained) options.say(`  ${text}`);
  return faults.map((fault) => `After kill ${number}: ${fault}`);
}
