import type { Destination } from "./destination.ts";
import type { ParseUri } from "./records.ts";
import { NO_REPLY_CODES, type ReplyCodes } from "./reply-codes.ts";
import type { ProbingMode, Thresholds } from "./state.ts";

/** What the dispatcher asks the rest of the program. */
export interface DispatcherPorts {
  /** Whole numbers 0 … n-1 by chance. */
  below(n: number): number;
  /** A clock that never goes back, ms. */
  nowMs(): number;
  readonly parseUri: ParseUri;
  /** Told of each change of flags, in the same step. */
  changed?(change: StateChange): void;
}

/** What changed a state: an answer to a probe or its absence; a script or rule (`ds_mark_dst`); an operator; a reload with other flags. */
export type StateCause = "probe" | "script" | "operator" | "reload";

/** A change of the flags of a destination. */
export interface StateChange {
  readonly destination: Destination;
  readonly before: number;
  readonly after: number;
  /** `dispatcher:dst-down` or `dispatcher:dst-up`; `undefined` when it gets requests as before. Kamailio tells of neither when an operator was the cause. */
  readonly event: "dst-down" | "dst-up" | undefined;
  readonly cause: StateCause;
}

/** Parameters of Kamailio's module, and one of our own. */
export interface DispatcherOptions extends Thresholds {
  /** `use_default`: the last destination of a set is for when no other is left. */
  readonly useDefault: boolean;
  /** Bit 1 of `flags`: hashes of URIs take the user alone. */
  readonly hashUserOnly: boolean;
  readonly probingMode: ProbingMode;
  readonly replyCodes: ReplyCodes;
  /** `ds_latency_estimator_alpha`, 0 to 1000: the part of the old estimate in the new one, in thousandths. */
  readonly latencyAlpha: number;
  /** How far above its share of the calls rendezvous hashing lets a destination get, from 1; 1.25: a quarter. */
  readonly loadFactor: number;
}

/** The defaults of Kamailio 5.6. */
export const DEFAULT_OPTIONS: DispatcherOptions = {
  useDefault: false,
  hashUserOnly: false,
  probingMode: 0,
  probingThreshold: 1,
  inactiveThreshold: 1,
  replyCodes: NO_REPLY_CODES,
  latencyAlpha: 900,
  loadFactor: 1.25,
};
