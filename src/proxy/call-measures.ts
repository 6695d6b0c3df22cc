import type { SipResponse } from "../sip/index.ts";
import { DelayTally } from "./delay-tally.ts";
import type { FailureCause } from "./ports.ts";

/** Upper bounds of the time until somebody rings, ms: from a server in the same room to what callers give up at. */
const POST_DIAL_BOUNDS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];
/** Upper bounds of the time until somebody answers, ms: machines answer at once, people within a minute. */
const SETUP_BOUNDS_MS = [10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000];

/** What of a call was measured already. */
export const Measured = { Nothing: 0, Progress: 1, Answer: 2 } as const;
export type Measured = (typeof Measured)[keyof typeof Measured];

/** A call as it is measured. */
export interface MeasuredCall {
  /** Milliseconds since its INVITE came. */
  readonly ageMs: number;
  measured: Measured;
}

/** How long callers wait, and why calls go on to another destination. Observing allocates nothing. */
export class CallMeasures {
  /**
   * From an INVITE to the first response that tells of progress or success, 100 apart: the session request delay of RFC 6076 §4.3.1, as this proxy sees
   * it, failovers included.
   */
  readonly postDial = new DelayTally(POST_DIAL_BOUNDS_MS);
  /** From an INVITE to its first 2xx. */
  readonly setup = new DelayTally(SETUP_BOUNDS_MS);
  /** Branches that follow a failed one, by what it failed of. */
  readonly failovers: Record<FailureCause, number> = { response: 0, timeout: 0, refused: 0, "transport-error": 0, capacity: 0 };

  /** A response to an INVITE passes. */
  observe(call: MeasuredCall, { status }: SipResponse): void {
    if (call.measured === Measured.Answer || status <= 100 || status >= 300) return;
    const { ageMs } = call;
    if (call.measured === Measured.Nothing) this.postDial.observe(ageMs);
    call.measured = status < 200 ? Measured.Progress : Measured.Answer;
    if (status >= 200) this.setup.observe(ageMs);
  }

  failedOver(cause: FailureCause | undefined): void {
    if (cause !== undefined) this.failovers[cause]++;
  }
}
