import type { ClusterClock } from "../ports.ts";

/** How much sooner than its lease ends a node stops to act on it, ms. It covers what may go wrong with time: steps of Redis's clock, rounding. */
export const FENCE_MARGIN_MS = 500;
/** Step of Redis's clock that is taken for one, ms: shorter than the margin of the fence, so that a smaller one harms nobody. */
export const JUMP_MS = 250;
/** How much later than expected a beat may be carried out, ms, for what it says of others to count: Redis may just have been stopped, with their beats waiting. */
export const LATE_MS = 400;

/** One answer of Redis with its time. */
export interface TimeSample {
  /** Monotonic milliseconds of this node. */
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
  /** What Redis's clock said in between. */
  readonly redisMs: number;
}

/**
 * Time of Redis as this node knows it, and whether this node has watched the cluster for long enough to judge others.
 *
 * Each answer says that the difference between Redis's clock and the node's own lies between two bounds; it is moved into them and no further, so that slow
 * answers do no harm. A node has a *steady* view when for a whole lease nothing was out of the ordinary: no gap in its beats (it was stopped, Redis was away),
 * no new connection (another Redis may have answered), no loss of what Redis had, no step of Redis's clock. Before that, leases that seem to be over may not be:
 * who holds one had no chance to renew it, or its renewal is not in this Redis. (A clock that steps forth and back between two beats is not noticed.)
 */
export class ClusterTime {
  readonly counters = { clock_jumps: 0, late_beats: 0 };
  readonly #clock: ClusterClock;
  readonly #leaseMs: number;
  #offsetMs: number | undefined;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #steadySinceMs: number | undefined;
  #isFirst = true;

  constructor(clock: ClusterClock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** Milliseconds since 1970; the wall clock of this machine until Redis has answered once. */
  redisNowMs(): number {
    return Math.round(this.#offsetMs === undefined ? this.#clock.wallMs() : this.#clock.nowMs() + this.#offsetMs);
  }

  /** Redis time up to which a beat sent now may take what is others'; 0: not at all. */
  claimBeforeMs(): number {
    return this.#offsetMs === undefined ? 0 : this.redisNowMs() + LATE_MS;
  }

  /** Takes the time of an answer. @returns whether what it says of others' leases counts */
  heard({ sentAtMs, receivedAtMs, redisMs }: TimeSample): boolean {
    if (this.#hasGap(sentAtMs)) this.upset();
    this.#lastSentMs = Math.max(this.#lastSentMs, sentAtMs);
    const [low, high] = [redisMs - receivedAtMs, redisMs - sentAtMs];
    const before = this.#offsetMs;
    const isLate = before !== undefined && redisMs > sentAtMs + before + LATE_MS;
    this.#offsetMs = before === undefined ? (low + high) / 2 : Math.min(Math.max(before, low), high);
    if (before !== undefined && Math.abs(this.#offsetMs - before) > JUMP_MS) {
      this.counters.clock_jumps++;
      this.upset();
    } else if (isLate) this.counters.late_beats++;
    this.#steadySinceMs ??= receivedAtMs;
    return !isLate;
  }

  /** Something was out of the ordinary: what others have is to be watched for a whole lease again. */
  upset(): void {
    if (this.#offsetMs !== undefined) this.#isFirst = false;
    this.#steadySinceMs = undefined;
  }

  /** Time until the view is steady if nothing happens, ms; 0: it is. */
  untilSteadyMs(): number {
    const nowMs = this.#clock.nowMs();
    if (this.#steadySinceMs === undefined || this.#hasGap(nowMs)) return this.#leaseMs;
    return Math.max(0, this.#steadySinceMs + this.#leaseMs - nowMs);
  }

  /** This node has just started: nothing was out of the ordinary yet. */
  get isFirst(): boolean {
    return this.#isFirst && !this.#hasGap(this.#clock.nowMs());
  }

  #hasGap(nowMs: number): boolean {
    return this.#offsetMs !== undefined && nowMs - this.#lastSentMs > this.#leaseMs - FENCE_MARGIN_MS;
  }
}
