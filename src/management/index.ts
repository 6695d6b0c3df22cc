export { isLoopback } from "./access.ts";
export { fromWire } from "./describe-dialog.ts";
export { drainCalls } from "./drain-calls.ts";
export type { FreeswitchFigures, FreeswitchState, Log, ManagedDialog, ManagedDialogs, ManagementPorts, ProcessEntry } from "./ports.ts";
export { createManagementServer, type ManagementConfig, type ManagementServer } from "./server.ts";
