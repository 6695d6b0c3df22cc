/** How often each thing happened since the start; `active` and `leaving` are how many rows there are now. */
export class RegistrarCounters {
  active = 0;
  leaving = 0;
  /** REGISTER requests. */
  requests = 0;
  /** Answered 200. */
  accepted = 0;
  /** Answered 401 because there were no credentials of our realm: how each client begins. */
  challenged = 0;
  /** Answered 401 with `stale=true`: the nonce was too old, not ours, or made for another address. */
  stale = 0;
  /** Right password, but a nonce count that was used before. */
  replays = 0;
  /** Wrong password or unknown user. */
  auth_failures = 0;
  /** Sources that were banned. */
  bans = 0;
  /** Requests that a ban refused. */
  banned_requests = 0;
  /** Requests that were not well formed, or ask for what there is not: 400, 416, 420, 423. */
  bad_requests = 0;
  /** Right password, but for somebody else, or for an address that may not be a destination: 403. */
  forbidden = 0;
  /** Older than what is known of the binding. */
  out_of_order = 0;
  /** The account or the table was full: 503. */
  too_many = 0;
  rows_came = 0;
  rows_renewed = 0;
  rows_returned = 0;
  rows_expired = 0;
  rows_unregistered = 0;
  rows_moved = 0;
  rows_gone = 0;
  /** Rows whose URI is the source address because the Contact named another. */
  natted = 0;
  internal_errors = 0;
}
