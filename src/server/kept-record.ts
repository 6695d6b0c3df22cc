import { type DialogRecord, recordOfBody } from "../cluster/dialogs/dialog-record.ts";
import { type Dialog, endpointsOf } from "../dialog/index.ts";
import type { SavedDialog } from "../store/index.ts";
import type { KeeperPorts } from "./dialog-keeper.ts";

/** What became of a call that was written down: it goes on, or why it does not; `outcome` is the name of the counter. */
export type Restored =
  | { readonly outcome: "persist_restored"; readonly dialog: Dialog }
  | { readonly outcome: "persist_unreadable" | "persist_unreachable" | "persist_lost"; readonly fault: string };

/** Goes on with a call that was written down, and with what it counts. Never throws. */
export function restoreDialog({ dialogs, balancer, listeners }: KeeperPorts, [did, text]: SavedDialog): Restored {
  const record = recordOf(text, did);
  if (record === undefined) {
    return { outcome: "persist_unreadable", fault: `Call "${quotable(did)}" is not restored: what is written of it cannot be read` };
  }
  const endpoints = endpointsOf(record.snapshot, listeners());
  if (endpoints === undefined) {
    return { outcome: "persist_unreachable", fault: `Call "${did}" is not restored: no listener reaches its parties any more` };
  }
  const dialog = dialogs.restore(record.snapshot, endpoints);
  if (dialog === undefined) return { outcome: "persist_lost", fault: `Call "${did}" is not restored: there is no room for it` };
  balancer.adopt(dialog.load, record.held);
  return { outcome: "persist_restored", dialog };
}

/** What is written of a call. Undefined: it cannot be read. Never throws. */
export function recordOf(text: string, did: string): DialogRecord | undefined {
  try {
    return recordOfBody(JSON.parse(text), did);
  } catch {
    return undefined;
  }
}

/** The beginning of any text, for the log. */
export function quotable(text: unknown): string {
  return String(text)
    .slice(0, 64)
    .replace(/[^\x20-\x7e]/g, "?");
}
