import { CallRate } from "../balancer/call-rate.ts";

/**
 * Keeps the calls of any second below FreeSWITCH's `sessions-per-second`. FreeSWITCH admits one fewer than it says, and counts sessions; a second of
 * its own begins we do not know when, so that ours is every 1000 ms.
 */
export class CallWindow {
  readonly #rate = new CallRate();
  #sessionsPerSecond: number | undefined;

  set sessionsPerSecond(limit: number | undefined) {
    this.#sessionsPerSecond = limit;
  }

  get sessionsPerSecond(): number | undefined {
    return this.#sessionsPerSecond;
  }

  /** Calls that FreeSWITCH admits within a second; undefined while its limit is not known. */
  callsPerSecond(sessionsPerCall: number): number | undefined {
    if (this.#sessionsPerSecond === undefined) return undefined;
    const sessions = Math.max(0, this.#sessionsPerSecond - 1);
    return sessions === 0 ? 0 : Math.max(1, Math.floor(sessions / sessionsPerCall));
  }

  note(nowMs: number): void {
    if (this.#sessionsPerSecond !== undefined) this.#rate.note(nowMs);
  }

  /** When the next call may go out: not after `nowMs` when it may now, Infinity when none may. */
  openAtMs(nowMs: number, sessionsPerCall: number): number {
    const limit = this.callsPerSecond(sessionsPerCall);
    if (limit === undefined) return nowMs;
    if (limit === 0) return Number.POSITIVE_INFINITY;
    this.#rate.limit = limit;
    return this.#rate.openAtMs(nowMs);
  }
}
