import type { Destination } from "../balancer/index.ts";
import type { BreakerChange } from "../health/index.ts";
import type { Log } from "../proxy/index.ts";

/** Why a breaker closed. */
const CLOSED_BY = {
  calls: "its trial calls succeeded",
  mi: "an operator enables its destination",
  cluster: "as on another node",
} as const;

/** A breaker opened, closed, or lets trial calls through: one line each. */
export function logBreaker({ destination: { id, group, uri }, phase, before, calls, failures, cause }: BreakerChange, log: Log): void {
  const fields = { id, group, uri, phase, calls, failures };
  const name = `breaker of destination ${id} <${uri}>`;
  if (phase === "trials") log.info(fields, `${name} lets trial calls through`);
  else if (phase === "closed") log.info(fields, `${name} closed: ${CLOSED_BY[cause ?? "calls"]}`);
  else if (cause === "cluster") log.warn(fields, `${name} opened, as on another node`);
  else if (before === "trials") log.warn(fields, `${name} opened again: a trial call failed`);
  else log.warn(fields, `${name} opened: ${failures} of its last ${calls} calls failed`);
}

/** A destination asked for rest in a 503, and gets it; after 0 ms an operator has ended it. */
export function logRest({ id, group, uri }: Destination, ms: number, log: Log): void {
  const seconds = ms / 1000;
  if (ms === 0) log.info({ id, group, uri, seconds }, `rest of destination ${id} <${uri}> ended: an operator enables it`);
  else log.info({ id, group, uri, seconds }, `destination ${id} <${uri}> asked for rest with Retry-After: no calls for ${seconds} s`);
}
