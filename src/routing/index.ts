export { Call, type CallLog, type CallParty, type CallResponse, type CallSource } from "./call.ts";
export { compileCidr, type IpWords, parseIp } from "./cidr.ts";
export { createDefaultRouter } from "./default-router.ts";
export { RoutingError } from "./errors.ts";
export { type LbDestination, LoadBalancing } from "./load-balancing.ts";
export type { RoutingPorts } from "./ports.ts";
export { asRouteModule, type RouteHandler, type RouteModule } from "./route-module.ts";
export { compileRules, type RejectSpec, type RoutingMatchSpec, type RoutingRuleSpec, type RoutingSpec } from "./rules.ts";
export { createScriptRouter } from "./script-router.ts";
