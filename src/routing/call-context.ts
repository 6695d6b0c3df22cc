import type { ProxyCall } from "../proxy/ports.ts";
import type { SipResponse } from "../sip/index.ts";
import type { RoutingPorts } from "./ports.ts";
import type { StatusPatterns } from "./status-set.ts";

/** The handler that a script's `Call` was made for. */
export type CallEvent = "request" | "failure" | "reply";

/** What the parts of the script API share about one call in one handler. */
export interface CallContext extends RoutingPorts {
  readonly proxyCall: ProxyCall;
  readonly event: CallEvent;
  /** In reply(): the response on its way. */
  readonly response: SipResponse | undefined;
  readonly patterns: StatusPatterns;
  /** The handler has relayed, answered or dropped: it was the last thing to do. */
  decided: boolean;
  /** The handler has come to its end, its promise too. */
  ended: boolean;
}

/**
 * Whether the script may still act on the call. What it does too late has no effect: a lease taken for a call that is over
 * would never be given back. False without a word when the call was decided or cancelled, which happens in correct scripts.
 */
export function mayAct(context: CallContext, action: string): boolean {
  const { proxyCall, log } = context;
  if (context.event === "reply") {
    log.error({ callId: proxyCall.callId }, `Cannot ${action} in reply(): a response on its way is only observed`);
    return false;
  }
  if (context.ended) {
    log.error(
      { callId: proxyCall.callId },
      `Cannot ${action} after ${context.event}() has ended: want every asynchronous step awaited in it`,
    );
    return false;
  }
  return !context.decided && !proxyCall.cancelled;
}
