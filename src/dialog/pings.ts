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

/** A node of a cluster that may not end a call leaves that to another one, which asks as often again. */
const ASKING_NODES = 2;

/**
 * How long an answer to a ping is waited for: a party that vanishes after one was answered leaves {@link MAX_SILENT_PINGS} unanswered within two intervals, on the
 * node that has its call and then on the one that may end it.
 */
export function pingTimeoutMs(intervalMs: number, frMs: number): number {
  return Math.min(frMs, Math.max(MIN_PING_TIMEOUT_MS, Math.floor(intervalMs / (MAX_SILENT_PINGS * ASKING_NODES))));
}

/** Calls that begin to be pinged again in a second at most, unless a whole interval has room for fewer. */
const RESUMED_PINGS_PER_SECOND = 2_000;

/** Wait before the first ping of a call, from half of the interval to all of it: by the random part of its name, so that those of many calls are spread. */
export function firstPingMs(did: string, intervalMs: number): number {
  return Math.ceil(intervalMs * (0.5 + shareOf(did) / 2));
}

/**
 * Wait before the first ping of a call that was pinged before, by a process or a node that is gone: when that was nobody knows. So it comes within a third of
 * the interval, and a party that vanished meanwhile is noticed within two intervals still; later when there are so many calls that nobody could ask them all.
 *
 * @param calls that are to be pinged
 */
export function resumedPingMs(did: string, intervalMs: number, calls: number): number {
  const spreadMs = Math.max(intervalMs / 3, Math.min(intervalMs, (calls * 1_000) / RESUMED_PINGS_PER_SECOND));
  return Math.ceil(spreadMs * shareOf(did));
}

/** A number from 0 to 1 that is the same for the same call each time. */
function shareOf(did: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (let i = 0; i < did.length; i++) hash = Math.imul(hash ^ did.charCodeAt(i), 0x01000193);
  return (hash >>> 0) / 2 ** 32;
}
