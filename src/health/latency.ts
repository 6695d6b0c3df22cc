/** Weight of a new sample in the moving average: what Kamailio's dispatcher uses by default. */
const EWMA_WEIGHT = 0.1;
/** Samples after which the moving average moves by weight; until then it is the plain average (Kamailio `latency_stats_update`). */
const WARM_UP_SAMPLES = 10;

/** How long a destination takes to answer its probes. Times in milliseconds, 0 before the first answer. */
export class Latency {
  last = 0;
  average = 0;
  /** Exponentially weighted moving average: follows a change, and is not thrown off by one slow answer. */
  ewma = 0;
  max = 0;
  /** Answers that these figures are made of. */
  samples = 0;
  /** Probes that nobody answered. They count in no other figure. */
  timeouts = 0;

  record(ms: number): void {
    this.samples++;
    this.last = ms;
    if (ms > this.max) this.max = ms;
    this.average += (ms - this.average) / this.samples;
    this.ewma = this.samples <= WARM_UP_SAMPLES ? this.average : this.ewma + EWMA_WEIGHT * (ms - this.ewma);
  }
}
