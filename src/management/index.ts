export { isLoopback } from "./access.ts";
export type { AuditEntry } from "./audit-trail.ts";
export { ManagementCounters } from "./counters.ts";
export type { DashboardPort, Visitor } from "./dashboard-routes.ts";
export { fromWire } from "./describe-dialog.ts";
export type { DispatchPort } from "./dispatch-port.ts";
export { drainCalls } from "./drain-calls.ts";
export { shortMethodNames } from "./methods/index.ts";
export type {
  AskerElsewhere,
  AuditDifference,
  AuditView,
  CapturedMessageView,
  CaptureView,
  ClusterCapability,
  ClusterNodeFigures,
  ClusterPort,
  ClusterTagFigures,
  FreeswitchFigures,
  FreeswitchState,
  Log,
  ManagedDialog,
  ManagedDialogs,
  ManagementPorts,
  MethodOutcome,
  MethodParams,
  NodeOutcome,
  ProcessEntry,
  RedisState,
} from "./ports.ts";
export { PAGE_POLICY, SECURITY_HEADERS } from "./security-headers.ts";
export { createManagementServer, type ManagementConfig, type ManagementServer } from "./server.ts";
export { isCurrentValue } from "./statistics.ts";
