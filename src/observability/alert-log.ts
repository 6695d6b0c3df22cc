import type { GroupAlert } from "../health/index.ts";
import type { Log } from "../proxy/index.ts";

/** An alert of a group begins or ends: one line each. */
export function logAlert(alert: GroupAlert, log: Log): void {
  const { kind, group, raised } = alert;
  if (kind === "none-available") {
    if (raised) log.warn({ group }, `group ${group} has no destination that gets calls`);
    else log.info({ group }, `group ${group} has a destination that gets calls again`);
    return;
  }
  const { resource, free, capacity, freePercent } = alert;
  const fields = { group, resource, free, capacity };
  const left = `${free} of ${capacity} calls are free (${freePercent} %)`;
  if (raised) log.warn(fields, `group ${group} is low on "${resource}": ${left}`);
  else log.info(fields, `group ${group} has enough of "${resource}" again: ${left}`);
}
