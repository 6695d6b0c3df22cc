import type { DialogTable } from "../dialog/index.ts";
import type { SipProxy } from "../proxy/index.ts";
import type { TransactionLayer } from "../transaction/index.ts";

const POLL_MS = 20;
/** How long the last messages get to leave, and CANCELs to be answered. */
const FLUSH_MS = 100;

export interface StoppingPorts {
  readonly proxy: Pick<SipProxy, "stopAccepting">;
  readonly layer: Pick<TransactionLayer, "unansweredCount" | "clientCount">;
  readonly dialogs: Pick<DialogTable, "list">;
  /** How long requests in flight get to be answered, milliseconds (`sip.stop_timeout`). */
  readonly timeoutMs: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly wait?: (ms: number) => Promise<void>;
}

/** Refuses new calls, and waits until every request in flight is answered, or the time is over: calls that still ring are then refused. */
export async function finishRequests({ proxy, layer, dialogs, timeoutMs, nowMs, wait = sleep }: StoppingPorts): Promise<void> {
  proxy.stopAccepting();
  const untilMs = nowMs() + timeoutMs;
  while (layer.unansweredCount > 0 && nowMs() < untilMs) await wait(POLL_MS);
  // A call that still rings would be left without an answer: its caller is told, its destination gets CANCEL.
  for (const dialog of dialogs.list()) dialog.pending?.abort(503, "Service Unavailable");
  if (layer.unansweredCount > 0 || layer.clientCount > 0) await wait(FLUSH_MS);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
