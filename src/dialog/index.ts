export type { CalleeLeg, Direction } from "./dialog.ts";
export { contactUri, Dialog, DialogState, MAX_LEGS } from "./dialog.ts";
export type { DialogMatch, DialogTableOptions, EndReason } from "./dialog-table.ts";
export { DialogCounters, DialogTable, ENDED_LINGER_MS, MAX_DIALOGS } from "./dialog-table.ts";
