/** Why calls end, in the words of the OpenSIPS dialog module; the last two are ours. Unanswered: the INVITE was lost with the node that handled it. */
export type EndReason =
  | "Upstream BYE"
  | "Downstream BYE"
  | "Lifetime Timeout"
  | "MI Termination"
  | "Cancelled"
  | "Rejected"
  | "Ping Timeout"
  | "ReINVITE Ping Timeout"
  | "SIP Race Condition"
  | "Unanswered"
  | "Taken over";

/** Statistics of the OpenSIPS dialog module, under its names, and of the calls that change their node. */
export class DialogCounters {
  active_dialogs = 0;
  early_dialogs = 0;
  processed_dialogs = 0;
  expired_dialogs = 0;
  failed_dialogs = 0;
  /** Calls of other nodes that are here now. */
  restored_dialogs = 0;
  /** Calls that another node has now. */
  surrendered_dialogs = 0;
  /** Messages whose call was asked for in the cluster. */
  searches = 0;
  /** Messages that were refused because too many calls were asked for already. */
  searches_refused = 0;
  /** Messages whose call nobody knew, or that nobody told in time. */
  searches_failed = 0;
  /** Responses to INVITEs of nodes that are gone, passed on without a transaction. */
  lost_replies = 0;
  /** Pings that went out, copies not counted. */
  options_pings = 0;
  reinvite_pings = 0;
  /** Calls that ended because a party did not answer a ping, or knew no such call. */
  ping_timeouts = 0;
  /** Times that nobody at an address, or nobody at all, answered any more, and that calls were kept for that. */
  ping_outages = 0;
  /** Times that a call was kept for that. */
  ping_holds = 0;
}
