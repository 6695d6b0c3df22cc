/** What becomes of the capacity of a FreeSWITCH whose statistics are stale. */
export type StaleAction = "keep" | "shrink" | "disable";

/** How the sessions that others have on a FreeSWITCH show: as less capacity (OpenSIPS), or as load. */
export type ForeignLoad = "capacity" | "load";

/** How heartbeats become capacities. {@link OPENSIPS_CAPACITY} is exactly what OpenSIPS does, but for its faults. */
export interface CapacitySettings {
  /** Capacity until the first heartbeat has come (`initial_freeswitch_load`). */
  readonly initialLoad: number;
  /** Statistics older than so many heartbeats are stale, from 2, for gaps vary by half; 0: they never are. */
  readonly staleHeartbeats: number;
  readonly staleAction: StaleAction;
  /** Interval of the heartbeats, in milliseconds, until it has been seen. */
  readonly heartbeatIntervalMs: number;
  /** Sessions that a call counts as on FreeSWITCH, from 1; "measured" counts one until the heartbeats show it. */
  readonly sessionsPerCall: number | "measured";
  /** Between two heartbeats the calls placed meanwhile count as sessions and cost CPU. */
  readonly predict: boolean;
  /** Sessions of `Max-Sessions` that are left free. */
  readonly reservedSessions: number;
  /** Calls a second stay below FreeSWITCH's own limit. */
  readonly obeySessionsPerSecond: boolean;
  readonly foreignLoad: ForeignLoad;
  /** Share that the Idle-CPU of earlier heartbeats has in the one that is used, 0 (none) to 0.99. */
  readonly idleCpuSmoothing: number;
}

/** The formula and nothing beside it. */
export const OPENSIPS_CAPACITY: CapacitySettings = {
  initialLoad: 1000,
  staleHeartbeats: 0,
  staleAction: "keep",
  heartbeatIntervalMs: 20_000,
  sessionsPerCall: 1,
  predict: false,
  reservedSessions: 0,
  obeySessionsPerSecond: false,
  foreignLoad: "capacity",
  idleCpuSmoothing: 0,
};
