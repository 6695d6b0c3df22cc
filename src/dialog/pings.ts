/** Pings in a row that a party may leave unanswered, less one: one alone may be lost, or its answer wait while this process is held up. */
export const MAX_SILENT_PINGS = 2;

/** What became of a ping: a final status, no answer in time, or nothing could be sent. */
export type PingOutcome = number | "timeout" | "transport-error";
/** "gone": the party has no such call. "silent": it says nothing, so it is asked once more. "alive": it has the call, whatever it thinks of our request. */
export type PingVerdict = "alive" | "gone" | "silent";

/** Only 481, 408 and silence say that a call is over (RFC 3261 §12.2.1.2, RFC 5057 §5.1); 500 for a CSeq that is not new, 405, 491 and all others come from a party that has it. */
export function pingVerdict(outcome: PingOutcome): PingVerdict {
  if (outcome === 481) return "gone";
  return typeof outcome === "string" || outcome === 408 ? "silent" : "alive";
}

/** An answer is waited for this long at least, ms: a copy or two may be sent meanwhile. */
const MIN_PING_TIMEOUT_MS = 1_000;

/** How long an answer to a ping is waited for: a party that vanishes after one was answered leaves {@link MAX_SILENT_PINGS} unanswered within two intervals. */
export function pingTimeoutMs(intervalMs: number, frMs: number): number {
  return Math.min(frMs, Math.max(MIN_PING_TIMEOUT_MS, Math.floor(intervalMs / MAX_SILENT_PINGS)));
}

/**
 * Wait before the first ping of a call, from half of the interval to all of it: by the random part of its name, so that thousands of calls that a restart brings
 * back at once are not pinged at once.
 */
export function firstPingMs(did: string, intervalMs: number): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (let i = 0; i < did.length; i++) hash = Math.imul(hash ^ did.charCodeAt(i), 0x01000193);
  return Math.ceil(intervalMs * (0.5 + (hash >>> 0) / 2 ** 33));
}
