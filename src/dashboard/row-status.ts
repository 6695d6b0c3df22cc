import type { FeedState } from "./ports.ts";

/** In a word, how a destination is. "probing": down, and probes look whether it is back. "withdrawn": whoever offers it has taken it back. */
export type RowStatus = "up" | "probing" | "disabled" | "draining" | "breaker" | "resting" | "rate" | "withdrawn";

/** What decides about it. */
export interface RowState {
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

/** Whether calls go to it, and if not why; "" where there is nothing to say. The first reason that holds is told, in the order of `lb_explain`. */
export function describeStatus(state: RowState): readonly [RowStatus, string] {
  if (!state.isEnabled) return disabled(state);
  if (state.isDraining)
    return ["draining", `No new calls come, ${state.drainLoad} of the load ${state.drainLoad === 1 ? "is" : "are"} left`];
  if (state.isLeaving) return ["withdrawn", "Its registration has ended, and its calls are left to end"];
  if (state.isWithdrawn) return ["withdrawn", FEED_SENTENCES[state.feedState] || "Whoever tells its capacity says that it takes no calls"];
  if (state.breaker === "trials") return ["breaker", "Too many of its calls failed, and trial calls show whether it is well again"];
  if (state.breaker === "open") return ["breaker", "Too many of its calls failed, and none are sent for a while"];
  if (state.restS > 0) return ["resting", `It asked by a 503 with Retry-After to be left alone, for another ${state.restS} s`];
  if (state.isOverRate) return ["rate", `It got all ${state.callsPerSecond} calls that it may get within a second`];
  const notes = [
    state.full.length === 0 ? "" : `No free slot for ${state.full.join(", ")}`,
    state.factor < 1 ? `It starts slowly, with ${Math.round(state.factor * 100)} % of its capacity` : "",
    FEED_SENTENCES[state.feedState],
  ];
  return ["up", notes.filter((note) => note !== "").join("; ")];
}

function disabled({ isAutoReenable, wasDrained, isProbed, lastCode }: RowState): readonly [RowStatus, string] {
  if (wasDrained) return ["disabled", "A drain is over and has disabled it"];
  if (!isAutoReenable) return ["disabled", "An operator has disabled it"];
  if (!isProbed) return ["disabled", "A route has disabled it, and no probe looks whether it is back"];
  if (lastCode === 0) return ["probing", "It is down, and probes look whether it is back"];
  return [
    "probing",
    lastCode === 408 ? "It is down: the last probe was not answered" : `It is down: the last probe ended with ${lastCode}`,
  ];
}
