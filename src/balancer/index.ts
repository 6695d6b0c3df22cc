export { Balancer, type BalancerOptions, type ResizeResult } from "./balancer.ts";
export { CallLoad, type LbSession } from "./call-load.ts";
export type { LbCode } from "./codes.ts";
export type { BalancerCounters } from "./counters.ts";
export {
  type Address,
  type Destination,
  type DestinationResource,
  type DestinationRow,
  identityKey,
  type StatusCause,
  type StatusChange,
  type TableChange,
} from "./destination.ts";
export { BalancerError, type BalancerErrorCode } from "./errors.ts";
export { canonicalIp } from "./ip.ts";
export type { LoadDifference } from "./ledger.ts";
export { MAX_CAPACITY, parseRequestedResources, parseResources, type ResourceSpec } from "./resources.ts";
