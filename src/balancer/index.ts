export type { BreakerState } from "./availability.ts";
export { Balancer } from "./balancer.ts";
export type { BalancerOptions, ResizeResult } from "./balancer-options.ts";
export { CallLoad, type LbSession } from "./call-load.ts";
export { FLAG_NEGATIVE, type LbCode } from "./codes.ts";
export type { BalancerCounters } from "./counters.ts";
export { DecisionTally, type GroupDecisions, MAX_COUNTED_GROUPS, OTHER_GROUPS } from "./decision-tally.ts";
export {
  type Address,
  type Destination,
  type DestinationResource,
  type DestinationRow,
  identityKey,
  type SrvPlace,
  type StatusCause,
  type StatusChange,
  type TableChange,
} from "./destination.ts";
export { type DestinationOptions, MAX_CALLS_PER_SECOND, MAX_PRIORITY, parseDestinationOptions } from "./destination-options.ts";
export { BalancerError, type BalancerErrorCode } from "./errors.ts";
export { type HeldLease, MAX_HELD_LEASES } from "./held-lease.ts";
export { canonicalIp } from "./ip.ts";
export type { LoadDifference } from "./ledger.ts";
export { Looks, type RememberedLook } from "./looks.ts";
export { ownText } from "./own-text.ts";
export {
  type CapacityFeed,
  type FeedOptions,
  MAX_CAPACITY,
  parseRequestedResources,
  parseResources,
  type ResourceSpec,
} from "./resources.ts";
export { type CellName, MAX_THREADS, SharedLoads, TABLE_KEEPER } from "./shared-loads.ts";
export type { DestinationView, ResourceView, SkipReason, TableView } from "./table-view.ts";
export type { TallyDifference } from "./tally.ts";
