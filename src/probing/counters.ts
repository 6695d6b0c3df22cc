/** Plain counters of probing, read by the statistics. */
export class ProbeCounters {
  /** Probes given to a socket, without retransmissions. */
  sent = 0;
  /** Probes that ended good: 200 or an accepted code. */
  good = 0;
  /** Probes that ended bad: no answer, not sent, or a code from 400 that is not accepted. */
  bad = 0;
  /** Probes that ended with a code that says nothing. */
  neutral = 0;
  /** Of the bad ones, those that nobody answered. */
  timeouts = 0;
  /** Of the bad ones, those that could not be sent because of the destination. */
  transport_errors = 0;
  /** Destinations that probes enabled. */
  enabled = 0;
  /** Destinations that probes disabled. */
  disabled = 0;
  /** Turns without a probe because too many of the destination's probes were still under way. */
  skipped_busy = 0;
  /** Turns that tell nothing because no socket of ours reaches the destination's address. */
  skipped_unreachable = 0;
  /** Probes that were given up because a later one was answered first. */
  overtaken = 0;
  /** Replies from another address than the one asked. */
  ignored_source = 0;
  /** Replies whose branch or method is none that is waited for, late ones among them. */
  ignored_branch = 0;
  /** Replies to probes of a destination that a reload removed, or gave another address. */
  ignored_stale = 0;
  /** Messages that cannot be read. */
  ignored_malformed = 0;
  /** Requests: nobody has business with this port. */
  ignored_requests = 0;
}
