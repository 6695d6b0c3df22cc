export {
  BlacklistError,
  type BlacklistSpec,
  Blacklists,
  type BlacklistTarget,
  type DestinationSource,
  parseBlacklist,
} from "./blacklist.ts";
export { Breaker, type BreakerPhase, type BreakerSettings } from "./breaker.ts";
export {
  type BreakerChange,
  type BreakerFigures,
  type CallFailure,
  CallOutcomes,
  type OutcomeCounters,
  type OutcomeKeys,
  type OutcomePort,
  type OutcomePorts,
  type OutcomeSettings,
  outcomeSettings,
} from "./call-outcomes.ts";
export { describeStatus, FEED_STATES, type FeedState, type StatusFacts, type StatusWord } from "./destination-status.ts";
export {
  type DrainChange,
  type DrainCounters,
  type DrainPorts,
  type DrainProgress,
  Drains,
  MAX_DRAIN_S,
} from "./drain.ts";
export type { DrainTerms } from "./ended-drains.ts";
export { explain, MAX_DECISIONS, whatIf } from "./explain.ts";
export { ALERT_CHECK_MS, type AlertState, type GroupAlert, GroupAlerts } from "./group-alerts.ts";
export type { Headroom } from "./group-sums.ts";
export { Latency } from "./latency.ts";
export { type DestinationState, isUntouched, type OperatorStatePorts, OperatorStates } from "./operator-states.ts";
export { OutcomeWindow } from "./outcome-window.ts";
export type { ProbeFigures } from "./probe-figures.ts";
export {
  compileReplyCodes,
  isProbed,
  judgeReply,
  type ProbedStatus,
  type ProbeStep,
  type ProbeThresholds,
  type ReplyCodes,
  stepStatus,
  type Verdict,
} from "./probe-policy.ts";
export { evenSlots, isCrowded, jitterOffset, nextFastTurn, nextSlot, slotsInGaps } from "./probe-schedule.ts";
export { slowStartShare } from "./slow-start.ts";
