import { TOLD_FORBIDDEN_BURST, TOLD_FORBIDDEN_REFILL_MS } from "./limits.ts";

interface Viewer {
  /** Tries that are still told of, on the clock of `atMs`. */
  left: number;
  atMs: number;
  untold: number;
}

/**
 * Which tries of viewers are told of one by one. A batch has many, and a viewer's token stands in many places: nobody who has it may fill the log, keep
 * webhooks busy, or push out the events that count.
 */
export class ToldForbidden {
  /** By name of the token, so there are as many as tokens. */
  readonly #viewers = new Map<string, Viewer>();

  /**
   * Notes a try.
   *
   * @param nowMs monotonic milliseconds
   * @returns how many before this one were not told of; undefined: nor is this one
   */
  take(name: string, nowMs: number): number | undefined {
    const viewer = this.#viewers.get(name) ?? { left: TOLD_FORBIDDEN_BURST, atMs: nowMs, untold: 0 };
    this.#viewers.set(name, viewer);
    viewer.left = Math.min(TOLD_FORBIDDEN_BURST, viewer.left + Math.max(0, nowMs - viewer.atMs) / TOLD_FORBIDDEN_REFILL_MS);
    viewer.atMs = nowMs;
    if (viewer.left < 1) {
      viewer.untold++;
      return undefined;
    }
    viewer.left--;
    const { untold } = viewer;
    viewer.untold = 0;
    return untold;
  }
}
