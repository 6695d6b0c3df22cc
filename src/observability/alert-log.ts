import type { GroupAlert } from "../health/index.ts";
import type { Log } from "../proxy/index.ts";

/** An alert of a group begins or ends: one line each. */
export function logAlert(alert: GroupAlert, log: Log): void {
  if (alert.kind === "none-available") logGroup(alert, log);
  else logHeadroom(alert, log);
}

function logGroup({ group, state, failedOpen, rows }: Extract<GroupAlert, { kind: "none-available" }>, log: Log): void {
  if (state === "recovered") log.info({ group }, `group ${group} has a destination that gets calls again`);
  else if (state === "gone") log.info({ group }, `group ${group} has no destination, and no rule wants one any more`);
  else if (failedOpen) log.warn({ group }, `group ${group} has no destination that is up: it fails open, calls go to those that are down`);
  else if (rows === 0) log.warn({ group }, `group ${group} has no destination: none is in the table`);
  else log.warn({ group }, `group ${group} has no destination that gets calls`);
}

function logHeadroom(alert: Extract<GroupAlert, { kind: "low-headroom" }>, log: Log): void {
  const { group, resource, state, free, capacity, freePercent } = alert;
  const fields = { group, resource, free, capacity };
  const left = `${free} of ${capacity} calls are free (${freePercent} %)`;
  if (state === "raised") log.warn(fields, `group ${group} is low on "${resource}": ${left}`);
  else if (state === "recovered") log.info(fields, `group ${group} has enough of "${resource}" again: ${left}`);
  else log.info(fields, `group ${group} has no capacity for "${resource}" any more`);
}
