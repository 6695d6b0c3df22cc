/** What is known of one probed destination. */
export interface ProbeFigures {
  readonly id: number;
  readonly group: number;
  readonly uri: string;
  /** 1 while disabled, 2 always. */
  readonly probeMode: 1 | 2;
  readonly enabled: boolean;
  /** Whether its next turn brings a probe: not in mode 1 while it is enabled, and not while a management command holds it disabled. */
  readonly probed: boolean;
  /** Probes sent since the start, without retransmissions. */
  readonly sent: number;
  /** How the last one ended: its reply, 408 when nobody answered, 503 when it could not be sent; 0 before the first end. */
  readonly lastStatus: number;
  /** Wall clock, ms since 1970, of that end; 0 before. */
  readonly lastAtMs: number;
  /** Probes in a row that speak against `enabled` and have not yet changed it (`health.rise`, `health.fall`). */
  readonly streak: number;
  /** Time between sending a probe and its final reply, ms; 0 without a sample. */
  readonly latency: {
    readonly last: number;
    readonly average: number;
    readonly ewma: number;
    readonly max: number;
    readonly samples: number;
    readonly timeouts: number;
  };
  /** Share of the capacity in use, below 1 during a slow start. */
  readonly capacityShare: number;
}
