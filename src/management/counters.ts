import type { AuditEntry } from "./audit-trail.ts";
import type { Refusal } from "./gate.ts";

/** What became of requests to management. */
export class ManagementCounters {
  /** Requests that were let in, one for each body and stream. */
  requests = 0;
  /** Without a token, or with one that nobody holds: 401. */
  unauthorized = 0;
  /** Of a page of somebody else: 403. */
  forbidden = 0;
  /** More requests, or wrong tokens, than one client may send: 429. */
  too_many = 0;
  changes_done = 0;
  /** Changes that a method has refused, or could not do. */
  changes_failed = 0;
  /** Changes that a viewer asked for. */
  changes_forbidden = 0;

  refused(status: Refusal["status"]): void {
    this[REFUSALS[status]]++;
  }

  changed(outcome: AuditEntry["outcome"]): void {
    this[`changes_${outcome}`]++;
  }
}

const REFUSALS = { 401: "unauthorized", 403: "forbidden", 429: "too_many" } as const;
