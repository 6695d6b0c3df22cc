import { type DialogRecord, recordOfBody } from "../cluster/dialogs/dialog-record.ts";

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
