import type { Destination } from "../balancer/index.ts";
import type { OutcomePort } from "../health/index.ts";
import { H, parseRetryAfter, type SipResponse } from "../sip/index.ts";
import { lacksRoom } from "./lack-of-room.ts";

/** What one branch says of its destination, once: what comes after a failure, a late answer too, changes nothing. */
export class BranchOutcome {
  readonly #port: OutcomePort;
  readonly #destination: Destination;
  readonly #cells: readonly number[];
  #ticket: number;
  #alive = false;
  #over = false;

  /** @param cells those in which the call is counted */
  constructor(port: OutcomePort, destination: Destination, cells: readonly number[]) {
    this.#port = port;
    this.#destination = destination;
    this.#cells = cells;
    this.#ticket = port.begun(destination);
  }

  /**
   * A response other than 100 came. Of the final ones only 503 is a failure, and 408 when nothing rang before: the destination found nobody in time.
   * After ringing, 408 says that nobody picked up, as a B2BUA may put it. The others are about the call, not about the server.
   */
  responded(response: SipResponse): void {
    if (this.#over) return;
    const { status } = response;
    if (status < 200) {
      if (!this.#alive) this.#ticket = this.#port.alive(this.#destination, this.#ticket);
      this.#alive = true;
      return;
    }
    this.#over = true;
    if (lacksRoom(response) && this.#port.lackOfRoom?.(this.#destination, this.#cells)) return;
    if (status === 503) this.#port.failed(this.#destination, this.#ticket, "503", this.#alive, retryAfterOf(response));
    else if (status === 408 && !this.#alive) this.#port.failed(this.#destination, this.#ticket, "408", false, undefined);
    else this.#port.passed(this.#destination, this.#ticket, this.#alive);
  }

  /** There will be no answer. A call that rang until nobody waited any longer went to a destination that is alive. */
  failed(cause: "timeout" | "transport"): void {
    if (this.#over) return;
    this.#over = true;
    if (cause === "timeout" && this.#alive) return;
    this.#port.failed(this.#destination, this.#ticket, cause, this.#alive, undefined);
  }
}

/** Seconds that a 503 asks for (RFC 3261 §21.5.4). What cannot be read asks for nothing. */
function retryAfterOf(response: SipResponse): number | undefined {
  const value = response.value(H.RetryAfter);
  if (value === undefined) return undefined;
  try {
    return parseRetryAfter(value);
  } catch {
    return undefined;
  }
}
