/** What the default route and the blacklists did, since the start: reloads do not touch it. */
export class RoutingCounters {
  /** Calls that failed where failover was wanted, and went to no further destination: none was left. */
  failover_no_destination = 0;
  /** The same: `max_failovers` was reached. */
  failover_max_reached = 0;
  /** The same: `failover_budget` was used up. */
  failover_budget_spent = 0;
  /** The same: the caller had heard early media, and `early_media_failover` is off. */
  failover_after_media = 0;
  /** Requests refused because a list of `lb_define_blacklist` holds where they would have gone. */
  denied_targets = 0;
  /** Calls from destinations that were sent on. */
  outbound_calls = 0;
  /** Calls from destinations that were refused because the destination is full (`routing.outbound.limit`). */
  outbound_refused = 0;
  /** Calls from destinations that were refused because the destination is taken out of use (`routing.outbound.while_draining`). */
  outbound_refused_draining = 0;
  /** Calls from destinations whose next hop failed: no longer counted. */
  outbound_failed = 0;
  /** Calls from destinations that could not be counted, because no destination has the resource. */
  outbound_uncounted = 0;
}
