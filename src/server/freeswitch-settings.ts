import { type Config, parseSessionsPerCall } from "../config/index.ts";
import type { FreeswitchSettings } from "../freeswitch/index.ts";

/** What the configuration says of FreeSWITCHes; `undefined` when they are not asked for their load. */
export function freeswitchSettings({ freeswitch, load_balancer }: Config): FreeswitchSettings | undefined {
  if (!load_balancer.fetch_freeswitch_stats) return undefined;
  return {
    connectTimeoutMs: freeswitch.esl_connect_timeout,
    replyTimeoutMs: freeswitch.esl_cmd_timeout,
    updateIntervalMs: freeswitch.event_heartbeat_interval * 1000,
    statusIntervalMs: freeswitch.status_interval * 1000,
    limitsIntervalMs: freeswitch.limits_interval * 1000,
    initialLoad: load_balancer.initial_freeswitch_load,
    heartbeatIntervalMs: freeswitch.heartbeat_interval * 1000,
    staleHeartbeats: freeswitch.stale_heartbeats,
    staleAction: freeswitch.stale_action,
    sessionsPerCall: parseSessionsPerCall(freeswitch.sessions_per_call),
    predict: freeswitch.predict,
    reservedSessions: freeswitch.reserved_sessions,
    obeySessionsPerSecond: freeswitch.obey_sessions_per_second,
    foreignLoad: freeswitch.foreign_load,
    idleCpuSmoothing: freeswitch.idle_cpu_smoothing,
  };
}
