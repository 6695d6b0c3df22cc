/** What a route module imports: `import type { Call } from "headroom-sip"`. */
export type { LbCode } from "./balancer/index.ts";
export type { FailureCause } from "./proxy/ports.ts";
export {
  type Call,
  type CallLog,
  type CallParty,
  type CallResponse,
  type CallSource,
  type DispatcherFunctions,
  type DistributeOptions,
  type DsCode,
  type DsDestination,
  type DsFailure,
  type LbDestination,
  type LoadBalancing,
  type RouteHandler,
  type RouteModule,
  RoutingError,
  type SelectDstOptions,
} from "./routing/index.ts";
