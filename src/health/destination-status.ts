/** What the FreeSWITCH of a destination says of it, or does not say; in the order of {@link FEED_STATES}. */
export type FeedState = (typeof FEED_STATES)[number];
export const FEED_STATES = ["fresh", "initial", "stale", "paused", "leaving", "idle-cpu"] as const;

/** In a word, how a destination is. "probing": down, and probes look whether it is back. "withdrawn": whoever offers it has taken it back. */
export type StatusWord = "up" | "probing" | "disabled" | "draining" | "breaker" | "resting" | "rate" | "withdrawn";

/** What decides about it. */
export interface StatusFacts {
  readonly isEnabled: boolean;
  /** Probes and others may enable it again, as no operator has disabled it. */
  readonly isAutoReenable: boolean;
  readonly isProbed: boolean;
  /** How the last probe ended; 0: none has. */
  readonly lastCode: number;
  /** A drain has disabled it. */
  readonly wasDrained: boolean;
  readonly isDraining: boolean;
  /** Load that a drain waits for. */
  readonly drainLoad: number;
  readonly isLeaving: boolean;
  readonly isWithdrawn: boolean;
  readonly feedState: FeedState;
  readonly breaker: "closed" | "open" | "trials";
  /** Seconds that are left of its rest. */
  readonly restS: number;
  readonly isOverRate: boolean;
  readonly callsPerSecond: number;
  /** Share of its capacity that is open, 0 to 1. */
  readonly factor: number;
  /** Names of the resources that have no free slot. */
  readonly full: readonly string[];
}

const FEED_SENTENCES: Readonly<Record<FeedState, string>> = {
  fresh: "",
  initial: "No heartbeat of its FreeSWITCH has come yet",
  stale: "The heartbeats of its FreeSWITCH have stopped",
  paused: "Its FreeSWITCH is paused",
  leaving: "Its FreeSWITCH is shutting down",
  "idle-cpu": "Its FreeSWITCH has less idle CPU than its min-idle-cpu",
};

/**
 * Whether calls go to it, and if not why; "" where there is nothing to say. The first reason that holds is told, in the order of `lb_explain`. All who show
 * destinations to people take the words from here.
 */
export function describeStatus(state: StatusFacts): readonly [StatusWord, string] {
  if (!state.isEnabled) return disabled(state);
  if (state.isDraining)
    return ["draining", `${state.drainLoad} of its load ${state.drainLoad === 1 ? "is" : "are"} left, and no new calls come`];
  if (state.isLeaving) return ["withdrawn", "Its registration has ended, and its calls are left to end"];
  if (state.isWithdrawn) return ["withdrawn", FEED_SENTENCES[state.feedState] || "Whoever tells its capacity says that it takes no calls"];
  if (state.breaker === "trials") return ["breaker", "Too many of its calls failed, and trial calls show whether it is well again"];
  if (state.breaker === "open") return ["breaker", "Too many of its calls failed, and none are sent for a while"];
  if (state.restS > 0) return ["resting", `${state.restS} s are left of the rest that it asked for by a 503 with Retry-After`];
  if (state.isOverRate) return ["rate", `It got all ${state.callsPerSecond} calls that it may get within a second`];
  const notes = [
    state.full.length === 0 ? "" : `No free slot for ${state.full.join(", ")}`,
    state.factor < 1 ? `It starts slowly, with ${Math.round(state.factor * 100)} % of its capacity` : "",
    FEED_SENTENCES[state.feedState],
  ];
  return ["up", notes.filter((note) => note !== "").join("; ")];
}

function disabled({ isAutoReenable, wasDrained, isProbed, lastCode }: StatusFacts): readonly [StatusWord, string] {
  if (wasDrained) return ["disabled", "A drain is over and has disabled it"];
  if (!isAutoReenable) return ["disabled", "An operator has disabled it"];
  if (!isProbed) return ["disabled", "A route has disabled it, and no probe looks whether it is back"];
  if (lastCode === 0) return ["probing", "Probes look whether it is back"];
  return ["probing", lastCode === 408 ? "The last probe was not answered" : `The last probe ended with ${lastCode}`];
}
