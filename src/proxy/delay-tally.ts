/** Counts times by how long they are: what a histogram of Prometheus is made of. Observing adds to an array and allocates nothing. */
export class DelayTally {
  /** Upper bounds in ms, each included in its bucket, rising. */
  readonly boundsMs: readonly number[];
  /** By bucket, the last one without bound. Not cumulative. */
  readonly counts: Float64Array;
  sumMs = 0;

  constructor(boundsMs: readonly number[]) {
    this.boundsMs = boundsMs;
    this.counts = new Float64Array(boundsMs.length + 1);
  }

  observe(ms: number): void {
    const { boundsMs } = this;
    let bucket = 0;
    while (bucket < boundsMs.length && ms > boundsMs[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sumMs += ms;
  }
}
