import type { DestinationState } from "../health/index.ts";
import type { StoredRow } from "./connection.ts";
import type { CallPage, DialogChanges, OpenedCalls, TakenCallFile } from "./dialog-file.ts";
import type { StoreErrorCode } from "./errors.ts";
import type { RegistrationChanges } from "./registration-row.ts";

/** The database that the thread works on. */
export interface DatabasePlace {
  readonly file: string;
  /** Name of the table of destinations. */
  readonly table: string;
}

/** What the thread can be asked for: what goes in and what comes out. All of it is copied from one thread to the other. */
export interface Jobs {
  /** All or none; they are on the disk when it is done. */
  "write states": { readonly input: readonly DestinationState[]; readonly output: undefined };
  /** As above. */
  "write registrations": { readonly input: RegistrationChanges; readonly output: undefined };
  /** Opens the file of calls, which is locked from then on, and looks whether it is whole. Input: the time now, milliseconds since 1970. */
  "open dialogs": { readonly input: number; readonly output: OpenedCalls };
  /** Opens it when another process of the program has just closed it. Its calls are known, so it is not looked through, and only their names are read. */
  "take dialogs": { readonly input: undefined; readonly output: TakenCallFile };
  /** Some of its calls. Input: where the page before has ended, 0 for the first one. */
  "read dialogs": { readonly input: number; readonly output: CallPage };
  /** All or none; a crash of the program does not lose them. The answer names the file that they are in: another name, another file. */
  "write dialogs": { readonly input: DialogChanges; readonly output: string };
  "read destinations": { readonly input: undefined; readonly output: readonly StoredRow[] };
}

export type JobKind = keyof Jobs;
/** What the thread of the calls does; the other thread does the rest. */
export type DialogJobKind = "open dialogs" | "take dialogs" | "read dialogs" | "write dialogs";

/** A job on its way to the thread. */
export type JobRequest = {
  readonly [Kind in JobKind]: { readonly id: number; readonly kind: Kind; readonly input: Jobs[Kind]["input"] };
}[JobKind];

/** What the thread says: that it is up, once, and how each job ended. */
export type JobReply =
  | { readonly ready: true }
  | { readonly id: number; readonly output: Jobs[JobKind]["output"] }
  | { readonly id: number; readonly code: StoreErrorCode; readonly message: string };
