/** What the formula needs of a heartbeat. */
export interface SessionFigures {
  readonly idleCpuPercent: number;
  readonly maxSessions: number;
  /** May be a prediction, and then below what is possible; it is used as it is. */
  readonly sessionCount: number;
}

/**
 * Capacity of a FreeSWITCH in whole calls: `max_load = (Idle-CPU / 100) * (Max-Sessions - (Session-Count - current_load))`. Our own calls are part of
 * `sessionCount`, so only the sessions of others make the capacity smaller. When our calls alone reach Max-Sessions the two counts cannot be
 * compared any more, and the sessions of others are left out. Source: OpenSIPS `lb_update_max_loads` (`modules/load_balancer/load_balancer.c`).
 *
 * Two things differ from there: the result is never above Max-Sessions, also when our calls are too young to stand in the heartbeat; and never below 0, where OpenSIPS stores 4,294,967,295 (OpenSIPS issue 3294).
 *
 * The arithmetic is that of C's `float`, so that the fraction is cut off where OpenSIPS cuts it off.
 *
 * @param currentLoad calls that we have there now
 * @param sessionsPerCall sessions that FreeSWITCH counts for one call of ours, from 1; OpenSIPS knows only 1
 */
export function maxLoadFromSessions(figures: SessionFigures, currentLoad: number, sessionsPerCall = 1): number {
  const { idleCpuPercent, maxSessions, sessionCount } = figures;
  const ownSessions = currentLoad * sessionsPerCall;
  const sessions = ownSessions < maxSessions ? maxSessions - (sessionCount - ownSessions) : maxSessions;
  return Math.min(wholeCalls(idleCpuPercent, sessions, sessionsPerCall), Math.trunc(maxSessions / sessionsPerCall));
}

/**
 * The same with the sessions of others counted as load, instead of taken away from the capacity: what is free in percent then says how full the
 * server is, not how full our part of it is (OpenSIPS issue 3297).
 *
 * @returns capacity, and the calls of others to add to the load, both in whole calls
 */
export function loadsFromSessions(
  figures: SessionFigures,
  currentLoad: number,
  sessionsPerCall = 1,
): { readonly maxLoad: number; readonly foreignLoad: number } {
  const { idleCpuPercent, maxSessions, sessionCount } = figures;
  const foreignSessions = Math.min(maxSessions, Math.max(0, sessionCount - currentLoad * sessionsPerCall));
  return { maxLoad: wholeCalls(idleCpuPercent, maxSessions, sessionsPerCall), foreignLoad: Math.ceil(foreignSessions / sessionsPerCall) };
}

function wholeCalls(idleCpuPercent: number, sessions: number, sessionsPerCall: number): number {
  const share = Math.fround(Math.fround(idleCpuPercent) / 100);
  // A float has 24 bits: more sessions than that round up.
  const open = Math.min(sessions, Math.fround(share * Math.fround(sessions)));
  return Math.max(0, Math.trunc(open / sessionsPerCall));
}
