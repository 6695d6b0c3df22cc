import type { Source } from "./ports.ts";

/** Why a row leaves: its registration ran out, was taken back, or came again from another address. */
export type LeavingCause = "expired" | "unregistered" | "moved";

/** A destination that lives by its registrations: what a row of the `load_balancer` table would say. */
export interface DynamicRow {
  /** From FIRST_ROW_ID up; the same for the same key, after a restart as well. */
  readonly id: number;
  /** Account and URI: what {@link Registrar.removed} takes. */
  readonly key: string;
  readonly group: number;
  /** `sip:host:port`, with `;transport=` unless it is UDP. */
  readonly uri: string;
  /** As the column says it, the placeholders of the account's template filled in. May hold `name=fs://…`, with its password. */
  readonly resources: string;
  readonly attrs: string | undefined;
  readonly probeMode: 0 | 1 | 2;
  readonly description: string;
  /** A row that leaves gets no new calls, and is kept until `removed()` says that it is not needed any more. */
  readonly state: "active" | "leaving";
  /** Of a row that leaves. */
  readonly cause: LeavingCause | undefined;
}

/**
 * "came": there is a new row. "stayed": its registration was renewed, nothing of the row is different. "changed": renewed by another user of
 * the account, after whom the row may be named. "left": it leaves. "returned": it was leaving, and is registered again. "gone": `removed()`
 * took it away.
 */
export interface RowChange {
  readonly kind: "came" | "stayed" | "changed" | "left" | "returned" | "gone";
  readonly row: DynamicRow;
}

/** A registration as an operator sees it; nothing secret. */
export interface BindingView {
  readonly id: number;
  readonly key: string;
  readonly group: number;
  readonly uri: string;
  readonly account: string;
  /** User of the address of record. */
  readonly user: string;
  readonly contact: string;
  readonly source: Source;
  readonly state: "active" | "leaving";
  readonly cause: LeavingCause | undefined;
  /** Seconds that are left of the registration; 0 for one that leaves. */
  readonly expiresS: number;
}

export type RowState = "none" | "active" | "leaving";
export type RowEvent = "registered" | "ended" | "removed";

/**
 * What becomes of a row: none → active → leaving → none. One that leaves is active again when its server registers again. One that is active
 * is not removed: its server came back after somebody had seen that it was empty.
 */
export function rowStep(state: RowState, event: RowEvent): RowState {
  switch (event) {
    case "registered":
      return "active";
    case "ended":
      return state === "active" ? "leaving" : state;
    case "removed":
      return state === "leaving" ? "none" : state;
  }
}
