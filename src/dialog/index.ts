export type { CalleeLeg, DialogOrigin, Direction } from "./dialog.ts";
export { contactUri, Dialog, DialogState, MAX_LEGS, MAX_ROUTE_SET } from "./dialog.ts";
export type { DialogMatch, DialogTableOptions, EndReason } from "./dialog-table.ts";
export { DialogCounters, DialogTable, ENDED_LINGER_MS, MAX_DIALOGS, PUT_OFF_MS } from "./dialog-table.ts";
export type { DialogEndpoints, DialogSnapshot, EndpointSnapshot } from "./snapshot.ts";
export { endpointsOf, snapshotOf } from "./snapshot.ts";
