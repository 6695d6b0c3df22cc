import { waitFor } from "../support/net.ts";
import type { ChaosRig } from "./rig.ts";

/** What says in the log that a part of the balancer has failed. */
const BUGS = /this is a bug|unexpected fault|unexpected rejection|internal error|timer handler failed|cannot audit/;
const MAX_TOLD = 20;

/** Every line of the log that tells of a bug, some of them. */
export function bugsInLog(log: string): string[] {
  return log
    .split("\n")
    .filter((line) => BUGS.test(line))
    .slice(0, MAX_TOLD)
    .map((line) => `The log tells of a bug: ${line}`);
}

/** Waits until callers and destinations have nothing under way: no INVITE without a final answer, no request or answer that is repeated. */
export async function untilPartiesSettled(rig: ChaosRig, timeoutMs: number): Promise<string[]> {
  const isSettled = (): boolean => rig.parties.every((party) => party.unfinished + party.unanswered === 0);
  try {
    await waitFor("every party has said all", timeoutMs, isSettled);
    return [];
  } catch (error) {
    const waiting = rig.parties.flatMap(({ name, waiting: what }) => what.map((text) => `${name}: ${text}`));
    return [`${String(error)}; ${waiting.slice(0, MAX_TOLD).join(", ")}`];
  }
}

/** Everybody hangs up. Then no call is left, and nothing is counted: one sentence for each thing that is not so. */
export async function untilZero(rig: ChaosRig, timeoutMs: number): Promise<string[]> {
  for (const caller of rig.callers) caller.hangUpAll();
  const faults = await untilPartiesSettled(rig, timeoutMs);
  for (const destination of rig.destinations) destination.hangUpAll();
  await rig.headroom.untilIdle(timeoutMs).catch((error: unknown) => faults.push(`${String(error).split("\n")[0]}`));
  for (const [name, byResource] of await rig.loads()) {
    for (const [resource, load] of Object.entries(byResource)) {
      if (load !== 0) faults.push(`Load of ${resource} at ${name} is ${load} at the end, want 0`);
    }
  }
  for (const { callId } of await rig.counted()) faults.push(`Call is still counted: ${rig.book.tell(callId, performance.now())}`);
  for (const { name } of rig.destinations) {
    for (const callId of rig.book.held(name)) faults.push(`Call is still at its destination: ${rig.book.tell(callId, performance.now())}`);
  }
  const audit = (await rig.headroom.mi("lb_audit")) as { Differences: unknown[] };
  if (audit.Differences.length > 0) faults.push(`The audit finds differences: ${JSON.stringify(audit.Differences)}`);
  return [...faults, ...bugsInLog(rig.headroom.log())];
}
