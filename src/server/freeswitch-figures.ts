import type { Destination } from "../balancer/index.ts";
import type { Freeswitch } from "../freeswitch/index.ts";
import type { FreeswitchFigures, FreeswitchState } from "../management/index.ts";

/** Why a FreeSWITCH takes no new calls, or how its statistics are when they are not fresh; `undefined` when all is as it should be. */
export function stateOf({ model, situation: { nowMs } }: Freeswitch): FreeswitchState | undefined {
  const freshness = model.freshness(nowMs);
  return model.withdrawal(nowMs) ?? (freshness === "fresh" ? undefined : freshness);
}

/** One FreeSWITCH as operators see it. */
export function figuresOf(freeswitch: Freeswitch, rows: readonly Destination[]): FreeswitchFigures {
  const { url, model, counters, situation, isConnected } = freeswitch;
  const { nowMs, ownCalls } = situation;
  const { lastHeartbeat: heartbeat } = model;
  return {
    url: url.label,
    destinations: rows.map(({ id }) => id),
    isConnected,
    freshness: model.freshness(nowMs),
    withdrawal: model.withdrawal(nowMs),
    heartbeatAgeMs: model.heartbeatAgeMs(nowMs),
    idleCpuPercent: heartbeat?.idleCpuPercent,
    sessions: heartbeat?.sessionCount,
    maxSessions: heartbeat?.maxSessions,
    ownCalls,
    sessionsPerCall: model.sessionsPerCall,
    callsPerSecond: model.callsPerSecond,
    heartbeats: counters.heartbeats,
    badHeartbeats: Object.values(counters.bad_heartbeats).reduce((sum, count) => sum + count, 0),
    connections: counters.ready,
    tries: counters.tries,
    refusedCalls: counters.refused_calls,
  };
}
