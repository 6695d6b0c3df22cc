import type { DestinationState } from "../health/index.ts";
import type { StoredRow } from "./connection.ts";
import type { DestinationCopy } from "./destination-copy.ts";
import type { CallFilePlace, CallPage, OpenedCalls } from "./dialog-file.ts";
import type { DispatcherStateChanges } from "./dispatcher-state-row.ts";
import type { StoreErrorCode } from "./errors.ts";
import type { RegistrationChanges } from "./registration-row.ts";

/** The database that the thread works on. */
export interface DatabasePlace {
  readonly file: string;
  /** Name of the table of destinations. */
  readonly table: string;
}

/** Kamailio's table of destinations, and which further columns of it are wanted. */
export interface DispatcherPlace extends DatabasePlace {
  readonly columns: readonly string[];
  /** A table that is missing is made. */
  readonly mayMake: boolean;
}

/** What came of reading it. */
export interface DispatcherRead {
  readonly rows: readonly DispatcherRow[];
  /** It was missing. */
  readonly isMade: boolean;
}

/** One row of that table as it stands. */
export interface DispatcherRow {
  readonly id: unknown;
  readonly setid: unknown;
  readonly destination: unknown;
  readonly flags: unknown;
  readonly priority: unknown;
  readonly attrs: unknown;
  readonly description: unknown;
  readonly [column: string]: unknown;
}

/** What the thread can be asked for: what goes in and what comes out. All of it is copied from one thread to the other. */
export interface Jobs {
  /** All or none; they are on the disk when it is done. */
  "write states": { readonly input: readonly DestinationState[]; readonly output: undefined };
  /** As above. */
  "write registrations": { readonly input: RegistrationChanges; readonly output: undefined };
  /** As above. */
  "write dispatcher states": { readonly input: DispatcherStateChanges; readonly output: undefined };
  /** It is on the disk when it is done. */
  "write destination copy": { readonly input: DestinationCopy; readonly output: undefined };
  /** Opens the file of calls, which is locked while the thread is there, and looks whether it is whole. Input: the time now, milliseconds since 1970. */
  "open dialogs": { readonly input: number; readonly output: OpenedCalls };
  /** Opens it when another process of the program has just closed it. Its calls are known, so it is not looked through. */
  "take dialogs": { readonly input: undefined; readonly output: CallFilePlace };
  /** Names of the calls in it, and in its logs. */
  "list dialogs": { readonly input: undefined; readonly output: readonly string[] };
  /** Some of its calls. Input: where the page before has ended, 0 for the first one. */
  "read dialogs": { readonly input: number; readonly output: CallPage };
  /**
   * Looks whether the file can be written, for a program that has all calls: one that is gone is made, one that is damaged moved aside. Input: the time now,
   * milliseconds since 1970.
   */
  "reopen dialogs": { readonly input: number; readonly output: CallFilePlace };
  /** Puts logs into the file, and removes them. Input: their paths, the oldest first. Output: how many were gone. */
  "merge dialogs": { readonly input: readonly string[]; readonly output: number };
  "read destinations": { readonly input: undefined; readonly output: readonly StoredRow[] };
  /** The rows of Kamailio's table, by their ids. */
  "read dispatcher": { readonly input: DispatcherPlace; readonly output: DispatcherRead };
}

export type JobKind = keyof Jobs;
/** What the thread of the calls does; the other thread does the rest. */
export type DialogJobKind = "open dialogs" | "take dialogs" | "list dialogs" | "read dialogs" | "reopen dialogs" | "merge dialogs";

/** A job on its way to the thread. */
export type JobRequest = {
  readonly [Kind in JobKind]: { readonly id: number; readonly kind: Kind; readonly input: Jobs[Kind]["input"] };
}[JobKind];

/** What the thread says: that it is up, once, and how each job ended. */
export type JobReply =
  | { readonly ready: true }
  /** The code of the database is loaded. */
  | { readonly loaded: true }
  | { readonly id: number; readonly output: Jobs[JobKind]["output"] }
  | { readonly id: number; readonly code: StoreErrorCode; readonly message: string };
