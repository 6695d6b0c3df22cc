/** After this many samples the average forgets the oldest ones. */
const MAX_SAMPLES = 2_097_152;
/** Samples whose plain average the estimate is. */
const WARM_UP_SAMPLES = 10;
/** An average that is stable after the warm-up is taken for one of as many samples. */
const TRAINED_SAMPLES = 10_000;
/** Below this standard deviation, in ms, an average is stable. */
const STABLE_STD_MS = 0.5;
/** What divides `ds_latency_estimator_alpha`. */
const ALPHA_UNIT = 1_000;

/** How long a destination takes to answer probes, in ms. Source: Kamailio dispatcher (`latency_stats_update`), with its rules for warm-up and training. */
export class Latency {
  /** Mean of all samples, of the last weeks when they are many. */
  average = 0;
  /** Standard deviation of the samples. */
  deviation = 0;
  /** Exponentially weighted mean: what it takes now. */
  estimate = 0;
  max = 0;
  min = 0;
  /** Probes that nobody answered; they are no samples. */
  timeouts = 0;
  samples = 0;
  #squares = 0;

  /** Begins with a value that counts as many samples: the attribute `latency`. */
  train(ms: number): void {
    this.#begin(ms, TRAINED_SAMPLES);
  }

  /**
   * @param ms from the probe to its answer, whatever its status code
   * @param alpha `ds_latency_estimator_alpha`, 0 to 1000: the part of the old estimate in the new one, in thousandths
   */
  add(ms: number, alpha: number): void {
    if (this.samples < MAX_SAMPLES) this.samples++;
    else this.#squares -= this.#squares / this.samples;
    if (this.samples === 1) this.#begin(ms, 1);
    if (this.samples > WARM_UP_SAMPLES && this.samples < TRAINED_SAMPLES && this.deviation < STABLE_STD_MS) this.samples = TRAINED_SAMPLES;
    this.min = Math.min(this.min, ms);
    this.max = Math.max(this.max, ms);
    if (this.samples > 1) {
      const before = ms - this.average; // Welford's method: no sum of squares that loses its low digits
      this.average += before / this.samples;
      this.#squares += before * (ms - this.average);
      this.deviation = Math.sqrt(Math.max(0, this.#squares) / (this.samples - 1));
    }
    const kept = alpha / ALPHA_UNIT;
    this.estimate = this.samples < WARM_UP_SAMPLES ? this.average : this.estimate * kept + ms * (1 - kept);
  }

  addTimeout(): void {
    this.timeouts++;
  }

  /** Whole ms above what is normal: estimate less average, not below 0. */
  get congestionMs(): number {
    return Math.max(0, Math.trunc(this.estimate - this.average));
  }

  #begin(ms: number, samples: number): void {
    this.deviation = 0;
    this.#squares = 0;
    this.max = ms;
    this.min = ms;
    this.average = ms;
    this.estimate = ms;
    this.samples = samples;
  }
}
