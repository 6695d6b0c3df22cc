export { ALGORITHM_NAMES, algorithmName, algorithmOf, countsCalls, isKnown, PARALLEL } from "./algorithms.ts";
export { type Attributes, MAX_ATTRIBUTES_LENGTH, MAX_WEIGHT, readAttributes, writeAttributes } from "./attributes.ts";
export type { Destination, Overload } from "./destination.ts";
export type { DestinationSet } from "./destination-set.ts";
export { Dispatcher, type DispatchRequest, type KeyOf, type SelectFailure, type SelectOptions } from "./dispatcher.ts";
export { DEFAULT_OPTIONS, type DispatcherOptions, type DispatcherPorts, type StateCause, type StateChange } from "./dispatcher-options.ts";
export { DEFAULT_MATCH, MATCH_ACTIVE, MATCH_BEST, MATCH_NO_PORT, MATCH_NO_TRANSPORT, MATCH_SOCKET, type Source } from "./from-list.ts";
export { kamailioHash, type UriKey } from "./hash.ts";
export type { Latency } from "./latency.ts";
export { type ListFile, parseListFile, parseListSteps } from "./list-file.ts";
export {
  type CheckedRecords,
  checkRecordSteps,
  type DestinationRecord,
  MAX_RECORDS,
  MAX_SET_SIZE,
  MAX_SETS,
  MAX_URI_LENGTH,
  type ParseUri,
  type UriTarget,
  type WrittenRecord,
} from "./records.ts";
export type { ReloadResult } from "./reload.ts";
export { NO_REPLY_CODES, parseReplyCodes, type ReplyCodes, TIMEOUT_CODE } from "./reply-codes.ts";
export { MAX_ROUTES, parseRoutes, type Route } from "./routes.ts";
export { type ConfiguredDestination, type ConfiguredSet, type ReadRows, readRowSteps, readRows, readSets, type TableRow } from "./rows.ts";
export type { Selection } from "./selection.ts";
export {
  ALL_FLAGS,
  FLAG_DISABLED,
  FLAG_INACTIVE,
  FLAG_NO_DNS,
  FLAG_NO_PING,
  FLAG_PROBING,
  FLAG_TRYING,
  isOpen,
  type ProbingMode,
  parseState,
  printFlags,
  STATE_FLAGS,
} from "./state.ts";
export { atOnce, type Steps } from "./steps.ts";
