/** How often each thing happened since the start. The four refusals count start, next, reset, disable and count together. */
export interface BalancerCounters {
  starts: number;
  nexts: number;
  /** Picks that start and next made. */
  selected: number;
  /** Answers -2. */
  no_capacity: number;
  /** Answers -3. */
  no_destination: number;
  /** Answers -4. */
  bad_resource: number;
  /** Answers -1. */
  internal_error: number;
  resets: number;
  /** Destinations that routes disabled. */
  disables: number;
  /** Destinations that routes wanted to disable for a call from before they were last enabled: nothing changed. */
  disables_stale: number;
  counted: number;
  uncounted: number;
  reloads: number;
  /** Picks among destinations that are down, as nobody in their group is up. */
  failed_open: number;
  /** Contradictions inside the balancer: any but 0 is a bug. */
  faults: number;
  /** Audits that were completed. */
  audits: number;
  /** Loads that an audit found to be counted otherwise than the calls hold them: any but 0 is a bug. */
  audit_differences: number;
  /** FreeSWITCHes that were found to have fewer sessions than we count calls there, for several heartbeats. */
  audit_missing_sessions: number;
}

/** All zero. */
export function newCounters(): BalancerCounters {
  return {
    starts: 0,
    nexts: 0,
    selected: 0,
    no_capacity: 0,
    no_destination: 0,
    bad_resource: 0,
    internal_error: 0,
    resets: 0,
    disables: 0,
    disables_stale: 0,
    counted: 0,
    uncounted: 0,
    reloads: 0,
    failed_open: 0,
    faults: 0,
    audits: 0,
    audit_differences: 0,
    audit_missing_sessions: 0,
  };
}
