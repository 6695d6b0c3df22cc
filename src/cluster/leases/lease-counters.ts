/** What became of exact reservations on this node, since the start. */
export class LeaseCounters {
  /** Calls for which Redis gave all leases. */
  reserved = 0;
  /** Picks that Redis had no lease for. */
  refused_full = 0;
  /** Calls that went on although Redis did not say so in time (`redis_lost: fail_open`). */
  failed_open = 0;
  /** Calls that were refused because Redis did not say anything in time (`redis_lost: fail_closed`). */
  failed_closed = 0;
  /** Of these two, calls that waited the whole time for an answer. */
  late_answers = 0;
  /** Of these two, calls that found that Redis had lost leases. */
  unready = 0;
  /** Leases taken whatever the capacity: flag `n`, calls counted without choosing, adopted calls. */
  forced = 0;
  renewed = 0;
  released = 0;
  /** Leases that could not be given back at once. */
  owed = 0;
  /** The same, and were left to expire: too many. */
  owed_forgotten = 0;
  /** Reservations that were not asked for: too many were under way. */
  overflows = 0;
  refreshes = 0;
  /** Answers and messages that were not what they must be. */
  malformed = 0;
}
