export { isLoopback } from "./access.ts";
export { fromWire } from "./describe-dialog.ts";
export type { DispatchPort } from "./dispatch-port.ts";
export { drainCalls } from "./drain-calls.ts";
export type {
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
export { createManagementServer, type ManagementConfig, type ManagementServer } from "./server.ts";
