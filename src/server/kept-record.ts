import { type DialogRecord, recordOfBody } from "../cluster/dialogs/dialog-record.ts";
import { type Dialog, DialogState, endpointsOf } from "../dialog/index.ts";
import type { SavedDialog } from "../store/index.ts";
import type { KeeperPorts } from "./keeper-ports.ts";

/** Calls that were not restored of which the log tells one by one. */
const MAX_TOLD = 10;

/** What became of a call that was written down: it goes on, or why it does not; `outcome` is the name of the counter. */
type Restored =
  | { readonly outcome: "persist_restored"; readonly dialog: Dialog }
  /** It was over: what still comes for it is passed on, unless it was over for too long. */
  | { readonly outcome: "persist_restored_ended" | "over" }
  | { readonly outcome: "persist_unreadable" | "persist_unreachable" | "persist_lost"; readonly fault: string; readonly callId?: string };

/**
 * Goes on with calls that were written down, and tells the log. Never throws.
 *
 * @param counters by the names of outcomes: each is counted
 * @returns the calls that go on, and the names of those that do not
 */
export function restoreDialogs(
  ports: KeeperPorts,
  all: readonly SavedDialog[],
  counters: Record<Exclude<Restored["outcome"], "over">, number>,
): { readonly restored: readonly Dialog[]; readonly rejected: readonly string[] } {
  const { nowMs, log } = ports;
  const sinceMs = nowMs();
  const faults: { readonly fault: string; readonly callId?: string }[] = [];
  const restored: Dialog[] = [];
  const rejected: string[] = [];
  let ended = 0;
  for (const saved of all) {
    const found = restoreDialog(ports, saved);
    if (found.outcome !== "over") counters[found.outcome]++;
    if (found.outcome === "persist_restored") restored.push(found.dialog);
    else if (found.outcome === "persist_restored_ended") ended++;
    else rejected.push(saved[0]);
    if ("fault" in found) faults.push(found);
  }
  const strays = restored.filter((dialog) => !isAtDestination(dialog)).length;
  if (all.length > 0) log.info({ calls: restored.length, ended, ms: Math.round(nowMs() - sinceMs) }, "Ongoing calls were restored");
  if (strays > 0)
    log.warn({ calls: strays }, "Calls were restored whose destination is in the table no more: nothing shows what they count");
  for (const { fault, callId } of faults.slice(0, MAX_TOLD)) log.warn({ callId }, fault);
  if (faults.length > MAX_TOLD) log.warn({ calls: faults.length - MAX_TOLD }, "More calls were not restored");
  return { restored, rejected };
}

function restoreDialog({ dialogs, balancer, listeners }: KeeperPorts, [did, text]: SavedDialog): Restored {
  const record = recordOf(text, did);
  if (record === undefined) {
    return { outcome: "persist_unreadable", fault: `Call "${quotable(did)}" is not restored: what is written of it cannot be read` };
  }
  const { callId } = record.snapshot;
  const endpoints = endpointsOf(record.snapshot, listeners());
  if (endpoints === undefined) {
    return { outcome: "persist_unreachable", fault: `Call "${did}" is not restored: no listener reaches its parties any more`, callId };
  }
  if (record.snapshot.state === DialogState.Deleted)
    return { outcome: dialogs.restoreEnded(record.snapshot, endpoints, true) === undefined ? "over" : "persist_restored_ended" };
  const dialog = dialogs.restore(record.snapshot, endpoints);
  if (dialog === undefined) return { outcome: "persist_lost", fault: `Call "${did}" is not restored: there is no room for it`, callId };
  balancer.adopt(dialog.load, record.held);
  return { outcome: "persist_restored", dialog };
}

function isAtDestination({ load }: Dialog): boolean {
  return load.leases.length === 0 || load.currentDestination !== undefined;
}

/** What is written of a call. Undefined: it cannot be read. Never throws. */
export function recordOf(text: string, did: string): DialogRecord | undefined {
  try {
    return recordOfBody(JSON.parse(text), did);
  } catch {
    return undefined;
  }
}

/** Whether a call was over when it was written down. */
export function isOver([did, text]: SavedDialog): boolean {
  return text.startsWith(`["${did}",${DialogState.Deleted},`);
}

/** The beginning of any text, for the log. */
export function quotable(text: unknown): string {
  return String(text)
    .slice(0, 64)
    .replace(/[^\x20-\x7e]/g, "?");
}
