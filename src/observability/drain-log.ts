import type { Destination } from "../balancer/index.ts";
import type { DestinationState, DrainChange } from "../health/index.ts";
import type { Log } from "../proxy/index.ts";

/** What a drain does, as lines of the log. */
export function logDrain({ destination, kind, load, deadlineMs, bye, reason, cause }: DrainChange, log: Log): void {
  const { id, group, uri } = destination;
  const fields = { id, group, uri, load, ...deadlineFields(deadlineMs, bye) };
  const name = `destination ${id} <${uri}>`;
  const where = cause === "cluster" ? ", as on another node" : "";
  if (kind === "started") log.info(fields, `drain ${name}${where}: ${load} left`);
  else if (kind === "changed") log.info(fields, `drain of ${name} now ${endOf(deadlineMs, bye)}${where}: ${load} left`);
  else if (kind === "undone") log.info(fields, `drain of ${name} is undone${where}`);
  else if (reason === "idle") log.info(fields, `${name} is drained`);
  else log.info(fields, `${name} is disabled at the deadline of its drain: ${load} left`);
}

/** An operator's decision from before a restart, or from before the row was gone for a while, is in force again. */
export function logKept({ id, group, uri }: Destination, state: DestinationState, log: Log): void {
  const { enabled, draining, drainDeadlineMs, drainBye, cause } = state;
  const fields = { id, group, uri, enabled, cause, ...deadlineFields(drainDeadlineMs, drainBye) };
  const stays = [...(enabled ? [] : ["disabled"]), ...(draining ? ["draining"] : [])].join(" and ");
  log.info(fields, `destination ${id} <${uri}> stays ${stays}, as it was at ${new Date(state.changedAtMs).toISOString()}`);
}

function endOf(deadlineMs: number, bye: boolean): string {
  if (deadlineMs === 0) return "ends when its calls have ended";
  return `ends at ${new Date(deadlineMs).toISOString()}${bye ? " with BYE" : ""}`;
}

function deadlineFields(deadlineMs: number, bye: boolean): object {
  return deadlineMs > 0 ? { deadline: new Date(deadlineMs).toISOString(), bye } : {};
}
