export { DialogCounters, type EndReason } from "./counters.ts";
export type { CalleeLeg, DialogOrigin, Direction } from "./dialog.ts";
export { contactUri, Dialog, DialogState, MAX_LEGS, MAX_ROUTE_SET } from "./dialog.ts";
export { DialogTable, ENDED_LINGER_MS, MAX_DIALOGS, PUT_OFF_MS } from "./dialog-table.ts";
export type { DialogMatch, DialogTableOptions } from "./dialog-table-options.ts";
export { DIALOG_FLAG_WORDS, DialogFlag, OPTIONS_PINGS, parseDialogFlags, REINVITE_PINGS } from "./flags.ts";
export { firstPingMs, MAX_SILENT_PINGS, type PingOutcome, type PingVerdict, pingVerdict } from "./pings.ts";
export type { DialogEndpoints, DialogSnapshot, EndpointSnapshot } from "./snapshot.ts";
export { endpointsOf, snapshotOf } from "./snapshot.ts";
