/** When the program counts as overloaded. */
export interface LoadSettings {
  /** Longest time that the event loop may stand still, milliseconds. 0: not looked at. */
  readonly maxLagMs: number;
  /** Share of its time that the event loop may be busy while callers wait, from 0 to 1. 0: not looked at. */
  readonly maxUtilization: number;
}

/** What one sample shows; they come at equal distances. */
export interface LoadSample {
  /** Longest time that the event loop stood still since the sample before, milliseconds. */
  readonly lagMs: number;
  /** Share of the time since then that it was busy, from 0 to 1. */
  readonly utilization: number;
  /** Share of the requests since then that were INVITEs which came again, as their callers had no answer in time, from 0 to 1. */
  readonly repeatedShare: number;
}

/** Distance of two samples, milliseconds. */
export const SAMPLE_MS = 250;
/** Samples in a row with too much lag that are an overload: one alone is a collection of garbage, or a machine that stood still. */
const LAGGING_SAMPLES = 2;
/** Samples in a row without an idle moment that are one if callers had to repeat their INVITEs meanwhile: work that comes in bursts is soon done. */
const BUSY_SAMPLES = 12;
/** Share of repeated INVITEs, over these samples, from which on callers are said to wait. A network that loses one datagram in a hundred stays far below it. */
const WAITING_SHARE = 0.05;
/** Samples in a row that have to be well below both limits until it is over. */
const CALM_SAMPLES = 4;
/** What well below is. */
const CALM_SHARE = 0.8;

export type LoadCause = "lag" | "utilization";

/** Says from samples whether the event loop keeps up. It begins late and ends late: a limit that is touched now and then turns nobody away. */
export class LoadWatch {
  latest: LoadSample = { lagMs: 0, utilization: 0, repeatedShare: 0 };
  #settings: LoadSettings;
  #cause: LoadCause | undefined;
  #lagging = 0;
  #busy = 0;
  /** Shares of repeated INVITEs of the busy samples, added up. */
  #repeated = 0;
  #calm = 0;

  constructor(settings: LoadSettings) {
    this.#settings = settings;
  }

  use(settings: LoadSettings): void {
    this.#settings = settings;
  }

  /** Why the program is overloaded now; undefined when it is not. */
  get cause(): LoadCause | undefined {
    return this.#cause;
  }

  /** Takes the next sample. True: {@link cause} has changed. */
  take(sample: LoadSample): boolean {
    this.latest = sample;
    const { maxLagMs, maxUtilization } = this.#settings;
    const before = this.#cause;
    const lag = maxLagMs === 0 ? 0 : sample.lagMs / maxLagMs;
    const use = maxUtilization === 0 ? 0 : sample.utilization / maxUtilization;
    this.#lagging = lag >= 1 ? this.#lagging + 1 : 0;
    this.#busy = use >= 1 ? this.#busy + 1 : 0;
    this.#repeated = use >= 1 ? this.#repeated + sample.repeatedShare : 0;
    this.#calm = lag < CALM_SHARE && use < CALM_SHARE ? this.#calm + 1 : 0;
    if (this.#cause === undefined) {
      if (this.#lagging >= LAGGING_SAMPLES) this.#cause = "lag";
      else if (this.#busy >= BUSY_SAMPLES) {
        if (this.#repeated >= WAITING_SHARE * this.#busy) this.#cause = "utilization";
        this.#busy = this.#repeated = 0; // callers may begin to wait later
      }
    } else if (this.#calm >= CALM_SAMPLES) this.#cause = undefined;
    return this.#cause !== before;
  }
}
