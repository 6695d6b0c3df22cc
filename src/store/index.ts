export type { StoredRow } from "./connection.ts";
export { databaseServer, MEMORY, sqliteFile } from "./database-url.ts";
export { faultsOf } from "./destination-rows.ts";
export type { DialogChanges, SavedCapacity, SavedDialog } from "./dialog-file.ts";
export { awaitDialogs, type DialogStore, type DialogStoreOptions, type HandedCalls, openDialogStore } from "./dialog-store.ts";
export type { DispatcherStateChanges, DispatcherStateTable, SavedDispatcherState } from "./dispatcher-state-row.ts";
export { type DispatcherTableName, DispatcherTableReader, inspectDispatcherTable } from "./dispatcher-table.ts";
export { StoreError, type StoreErrorCode } from "./errors.ts";
export type { RegistrationChanges, RegistrationTable, SavedRegistration } from "./registration-row.ts";
export type { Locate, Resolve, ResolveLimits } from "./resolve.ts";
export type { RawRow } from "./row.ts";
export type { LoadedStates } from "./state-row.ts";
export type { DestinationStateStore, StateCounters, StateLog, StateQueueOptions } from "./state-store.ts";
export {
  type DestinationStore,
  type LoadedDestinations,
  type NewRow,
  openStore,
  type RowChanges,
  type SkippedRow,
  type StoreOptions,
  type UnresolvedRow,
} from "./store.ts";
export { within } from "./within.ts";
