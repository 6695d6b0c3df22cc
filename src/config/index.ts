export { type DispatcherSetup, hasDispatcher, readDispatcherSetup } from "./dispatcher-setup.ts";
export { type DistributorSetup, readDistributorSetup } from "./distributor-lists.ts";
export { ConfigError, type ConfigProblem } from "./errors.ts";
export { isLoopback, type Listen, type ListenTransport, parseHttpListen, parseListen } from "./listen.ts";
export { loadConfig, parseConfig } from "./load.ts";
export { type Config, ConfigSchema, type ConfigValues, type RoutingRule } from "./schema.ts";
export { type ConfiguredTag, clusterIdOf, parseSharingTag, sharingTagsOf } from "./schema-cluster.ts";
export { parseSessionsPerCall } from "./schema-freeswitch.ts";
export { type NamedDestination, tableNotices } from "./table-notices.ts";
