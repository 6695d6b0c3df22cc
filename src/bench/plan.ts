/** What was measured at one rate. Shares are 0 to 1 of one processor unless they say something else. */
export interface Step {
  /** Calls a second that were wanted, and that were begun. */
  readonly wanted: number;
  readonly callsPerSecond: number;
  /** Calls that were answered in this time. */
  readonly answered: number;
  /** Calls that had no answer after {@link LOST_MS}. */
  readonly lost: number;
  /** Calls that were refused, and other requests that were. */
  readonly refused: number;
  /** From INVITE to 200; the callee answers at once. Null when nothing was answered. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Processor time of the balancer. */
  readonly balancerShare: number;
  /** The same for each call that was answered. */
  readonly cpuMicroseconds: number;
  readonly memoryMb: number;
  /** Processor time of whichever of callers and callees worked harder. */
  readonly generatorShare: number;
  /** Of all processors of the machine: what other programs used. */
  readonly othersShare: number;
  /** Of all processors of the machine: what nobody used. */
  readonly idleShare: number;
}

/** What is wrong at a rate, if anything is. */
export type Verdict = "fine" | "processor" | "late" | "lost" | "refused" | "generator";

/** Share of a processor that the balancer may use: it has one thread for calls, and the rest is for bursts and everything that is not a call. */
export const BALANCER_TARGET = 0.8;
/** A phone repeats what is not answered after this, ms (RFC 3261 §17.1.1.2, T1): from then on there are more messages for the same calls. */
export const LOST_MS = 500;
/** Answers of which one in a hundred takes longer are late. */
export const LATE_MS = 100;
/** Share of the calls that may be lost, or refused. */
const MAX_BAD = 0.005;
/** The generator falls behind, or is about to. */
const MIN_PLACED = 0.95;
const GENERATOR_TARGET = 0.9;

/** What limits this rate. The generator comes before what is late or lost: what it does too late looks as if answers were late. */
export function verdictOf(step: Step): Verdict {
  const { wanted, callsPerSecond, answered, lost, refused, p99Ms, balancerShare, generatorShare } = step;
  if (balancerShare >= BALANCER_TARGET) return "processor";
  if (callsPerSecond < wanted * MIN_PLACED || generatorShare >= GENERATOR_TARGET) return "generator";
  const all = Math.max(1, answered + lost + refused);
  if (refused / all > MAX_BAD) return "refused";
  if (lost / all > MAX_BAD) return "lost";
  if (p99Ms === null || p99Ms > LATE_MS) return "late";
  return "fine";
}

/** Rates as close as this are not told apart. */
const RESOLUTION = 0.07;
const FASTEST_GROWTH = 2;
const SLOWEST_GROWTH = 1.2;

/** Finds the highest rate that is fine: upwards as far as the processor time tells, then between the best and the worst. */
export class RateSearch {
  /** The step with the highest rate that was fine. */
  best: Step | undefined;
  /** The lowest rate that was not, and why. */
  limit: { readonly step: Step; readonly verdict: Exclude<Verdict, "fine"> } | undefined;
  #next: number;
  #doubted = 0;

  /** @param first calls a second to begin with */
  constructor(first: number) {
    this.#next = first;
  }

  /** The rate to measure now; undefined when enough is known. */
  get next(): number | undefined {
    const { best, limit } = this;
    if (best !== undefined && limit !== undefined && limit.step.wanted <= best.wanted * (1 + RESOLUTION)) return undefined;
    return this.#next < 1 ? undefined : this.#next;
  }

  /** Takes what was measured. What can be the fault of a busy machine is measured again before it counts. */
  took(step: Step): Verdict {
    const verdict = verdictOf(step);
    const isSteady = verdict === "fine" || verdict === "processor";
    if (!isSteady && this.#doubted !== step.wanted) {
      this.#doubted = step.wanted;
      this.#next = step.wanted;
      return verdict;
    }
    if (verdict === "fine") {
      if (this.best === undefined || step.wanted > this.best.wanted) this.best = step;
    } else if (this.limit === undefined || step.wanted < this.limit.step.wanted) this.limit = { step, verdict };
    this.#next = this.#following(step);
    return verdict;
  }

  #following({ balancerShare, wanted }: Step): number {
    const { best, limit } = this;
    if (limit === undefined) {
      const growth = BALANCER_TARGET / Math.max(balancerShare, 0.01);
      return Math.round(wanted * Math.min(FASTEST_GROWTH, Math.max(SLOWEST_GROWTH, growth)));
    }
    return Math.floor(best === undefined ? limit.step.wanted / 2 : (best.wanted + limit.step.wanted) / 2);
  }
}

/** The p-th part of sorted numbers, 0 to 1. */
export function quantile(sorted: ArrayLike<number>, p: number): number | null {
  return sorted.length === 0 ? null : (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? null);
}
