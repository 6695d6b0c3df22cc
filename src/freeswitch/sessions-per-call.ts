/** What a call may count as: one leg, or a bridge with some more. */
const MIN_SESSIONS = 1;
const MAX_SESSIONS_PER_CALL = 4;
/** Weight that older observations keep at each heartbeat that shows a change: about 20 of them matter. */
const KEEP = 0.95;
/** Squared changes that must have been seen before the estimate is used: twenty steps of one call, or two of three and one. */
const ENOUGH = 20;

/**
 * Estimates how many sessions FreeSWITCH counts for one of our calls (a bridged call is two), from how both numbers change together between two
 * heartbeats: least squares through the origin, forgetting slowly. Calls of others are noise that evens out as long as they do not rise and
 * fall with ours; where several proxies share the same stream of calls they do, and the number has to be configured.
 */
export class SessionsPerCallEstimate {
  #lastSessions: number | undefined;
  #lastCalls = 0;
  #products = 0;
  #squares = 0;

  /** Sessions that a call counts as, 1 to 4, or undefined while too little was seen. */
  get value(): number | undefined {
    if (this.#squares < ENOUGH) return undefined;
    return Math.min(MAX_SESSIONS_PER_CALL, Math.max(MIN_SESSIONS, this.#products / this.#squares));
  }

  observe(sessionCount: number, ownCalls: number): void {
    if (this.#lastSessions !== undefined) {
      const calls = ownCalls - this.#lastCalls;
      if (calls !== 0) {
        this.#products = this.#products * KEEP + (sessionCount - this.#lastSessions) * calls;
        this.#squares = this.#squares * KEEP + calls * calls;
      }
    }
    this.#lastSessions = sessionCount;
    this.#lastCalls = ownCalls;
  }

  /** Our calls are counted otherwise from now on, and none has begun or ended. @param difference calls more than before; below 0: fewer */
  recounted(difference: number): void {
    this.#lastCalls += difference;
  }

  /** FreeSWITCH was started again: its sessions are gone without our calls having ended by themselves. What was learnt stays. */
  restart(): void {
    this.#lastSessions = undefined;
  }
}
